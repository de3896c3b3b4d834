/** What the connections of one HTTP server share: settings, the Date line of this second, and the sweep that ends their time limits. */
import type {HttpExchange, HttpServerOptions} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';

const headerBytesMax = 64 * 1024;
const headersTimeoutMs = 20_000;
/** Longer than the 60 s that load balancers and pools of clients keep an idle connection, so that they close it and not we. */
const keepAliveMs = 75_000;

type Handler = (exchange: HttpExchange) => Promise<void>;

/** A connection as its server sees it. */
export interface ServedConnection {
  /** Monotonic ms at which the patience with this client ends. */
  readonly deadlineMs: number;
  /** Called after the deadline. */
  expired(): void;
  /** The server stops: who has nothing to wait for goes at once. */
  stop(): void;
}

export class ServerConnections {
  readonly handler: Handler;
  readonly log: Log | undefined;
  readonly secure: boolean;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly keepAliveMs: number;
  /** The header line that tells clients how long they may keep an idle connection. */
  readonly keepAliveLines: string;
  readonly connections = new Set<ServedConnection>();
  closing = false;
  #dateSecond = 0;
  #date = '';

  constructor(options: HttpServerOptions, handler: Handler, log: Log | undefined) {
    this.handler = handler;
    this.log = log;
    this.secure = options.tls !== undefined;
    this.headerBytesMax = options.headerBytesMax ?? headerBytesMax;
    this.headersTimeoutMs = options.headersTimeoutMs ?? headersTimeoutMs;
    this.keepAliveMs = options.keepAliveMs ?? keepAliveMs;
    this.keepAliveLines = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(this.keepAliveMs / 1000)}\r\n`;
  }

  /** Monotonic. */
  nowMs(): number {
    return performance.now();
  }

  /** The Date header line of this second. */
  date(): string {
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
    }
    return this.#date;
  }

  /** Ends the patience with connections whose time is over. */
  sweep(): void {
    const now = this.nowMs();
    for (const connection of this.connections) if (connection.deadlineMs <= now) connection.expired();
  }
}
