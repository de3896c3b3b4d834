/** What the connections of one HTTP server share: settings, the Date line of this second, and the sweep that ends their time limits. */
// The global of this name is a property that is asked for each time.
import {performance} from 'node:perf_hooks';
import type {HttpExchange, HttpServerOptions} from '#runtime/http.ts';
import {HeadTemplates} from '#codec/http/head-template.ts';
import {Turnstile} from '#runtime/node/http/turnstile.ts';
import type {Log} from '#runtime/log.ts';

const headerBytesMax = 64 * 1024;
const headersTimeoutMs = 20_000;
/** Longer than the 60 s that load balancers and pools of clients keep an idle connection, so that they close it and not we. */
const keepAliveMs = 75_000;
const stallMs = 60_000;
/** Idle connections that give way at a time: so that looking for them is paid once for many newcomers. */
const roomShare = 1 / 64;

type Handler = (exchange: HttpExchange) => Promise<void>;

/** A connection as its server sees it. */
export interface ServedConnection {
  /** Whose time is over, or who has stalled, is cut off. `nowMs` is monotonic. */
  check(nowMs: number): void;
  /** No request is under way: `kept` after an answer, `new` before the first request. */
  readonly idle: 'new' | 'kept' | false;
  /** The server stops: who has nothing to wait for goes at once. */
  stop(): void;
  /** Ends here and lives on by the descriptor that is returned, between two requests of which the last has read, and without TLS; negative when that cannot be. */
  leave(): number;
}

export class ServerConnections {
  readonly handler: Handler;
  readonly log: Log | undefined;
  readonly secure: boolean;
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly stallMs: number;
  /** The header line that tells clients how long they may keep an idle connection. */
  readonly keepAliveLines: string;
  readonly connections = new Set<ServedConnection>();
  readonly turnstile = new Turnstile(() => this.nowMs(), (fn) => void setImmediate(fn));
  readonly heads = new HeadTemplates();
  closing = false;
  /** Requests that began here; of those, ones that read: they may be answered by a thread that has nothing but caches. */
  requests = 0;
  reads = 0;
  /** Takes a connection, by its descriptor, with the request that it has and all that came behind. */
  handOn: ((fd: number, input: Buffer) => void) | undefined;
  /** Asked of each connection that has had its answer: true when it has left for another thread. */
  handAway: ((connection: ServedConnection) => boolean) | undefined;
  #dateSecond = 0;
  #date = '';

  constructor(options: Omit<HttpServerOptions, 'address'>, handler: Handler, log: Log | undefined) {
    this.handler = handler;
    this.log = log;
    this.secure = options.tls !== undefined;
    this.headerBytesMax = options.headerBytesMax ?? headerBytesMax;
    this.headersTimeoutMs = options.headersTimeoutMs ?? headersTimeoutMs;
    this.keepAliveMs = options.keepAliveMs ?? keepAliveMs;
    this.stallMs = options.stallMs ?? stallMs;
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
    for (const connection of this.connections) connection.check(now);
  }

  /** Closes some connections that have no request: first of those that never had one, the oldest first. False when there are none. */
  makeRoom(): boolean {
    let wanted = Math.ceil(this.connections.size * roomShare);
    const before = wanted;
    for (const kind of ['new', 'kept'] as const) {
      for (const connection of this.connections) {
        if (wanted === 0) return true;
        if (connection.idle !== kind) continue;
        connection.stop();
        wanted--;
      }
    }
    return wanted < before;
  }
}
