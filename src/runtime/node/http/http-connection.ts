/**
 * One connection of a client: requests one after the other, each answered before the next is looked at.
 *
 * Invariants: what the client sends ahead is kept up to a bound, then the socket is not read; an answer that closes is followed by reading
 * what still comes, for a while, because closing with unread input would reset the connection and take the answer with it. Time limits are
 * a number here, compared by the server now and then: no timer is made for a request. Who takes nothing of an answer, or sends nothing of a
 * body that is waited for, is cut off after a while: what counts is progress, however slow, and not the time of the whole.
 */
import type {Socket} from 'node:net';
import {assert} from '#base/assert.ts';
import {RequestRefused} from '#codec/http/request-head.ts';
import {RequestParser} from '#codec/http/request-parser.ts';
import {formatResponseHead} from '#codec/http/response-head.ts';
import {type ExchangeConnection, ServerExchange} from '#runtime/node/http/http-exchange.ts';
import {duplicateOf} from '#runtime/node/http/own-receiving.ts';
import {libc} from '#runtime/node/native/libc.ts';
import type {ServedConnection, ServerConnections} from '#runtime/node/http/server-connections.ts';
import type {Waiting} from '#runtime/node/http/turnstile.ts';
import {recordBytesMax} from '#runtime/node/threads/byte-ring.ts';
import type {Address} from '#runtime/net.ts';

/** What is kept of the input that nobody asked for yet. */
const inputBytesMax = 64 * 1024;
/** What is read and thrown away of a request body that nobody wanted, to keep the connection, or after the last answer. */
const discardBytesMax = 8 * 1024 * 1024;
/** How long a client may take for that, ms without a byte. */
const drainIdleMs = 5_000;
/** A connection whose request was handed on is served there for so many more before it may leave again: its next ones are likely to be of that kind, too. */
const stayRequests = 64;
/** How long a client may take to close after the last answer. */
const lingerMs = 2_000;

/** How soon, and how often from then on, a client that has closed its half is asked whether it is there. */
const probeAfterMs = 1_000;

const EAGAIN = -11;
const nothing = new Uint8Array(1);

/**
 * `waiting` for the first byte of a request, `head` while it comes, `serving` until it is answered, `draining` what is left of its body,
 * `lingering` after the last answer.
 */
type Phase = 'waiting' | 'head' | 'serving' | 'draining' | 'lingering';

export class HttpConnection implements ServedConnection, ExchangeConnection, Waiting {
  readonly socket: Socket;
  readonly server: ServerConnections;
  readonly parser: RequestParser;
  readonly remote: Address;
  inputEnded = false;
  /** The client was cut off while its body was waited for. */
  stalled = false;
  /** Monotonic ms at which the patience with this client ends. */
  #deadlineMs: number;
  #phase: Phase = 'waiting';
  #served = 0;
  /** Leaves when it has served so many. */
  #staysUntil = 0;
  /** Its last request was one. */
  #reads = true;
  #exchange: ServerExchange | undefined;
  /** A request began and has no answer yet. */
  #underWay = false;
  #advancing = false;
  #paused = false;
  #discardLeft = discardBytesMax;
  #wakeReader: (() => void) | undefined;
  /** What the socket had been given and what libuv still held of it when it was last seen to move, and when that was. */
  #givenBytes = 0;
  #heldBytes = 0;
  #movedMs = 0;

  /** `kept`: it has had answers already, from another thread. */
  constructor(socket: Socket, server: ServerConnections, kept = false) {
    this.socket = socket;
    this.server = server;
    this.parser = new RequestParser(server.headerBytesMax);
    this.remote = {host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0};
    this.#served = kept ? 1 : 0;
    this.#deadlineMs = server.nowMs() + (kept ? server.keepAliveMs : server.headersTimeoutMs);
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#closed());
    socket.on('error', () => {}); // 'close' follows and says enough
  }

  /** Bytes of the client. `borrowed`: they are good for this call only. */
  received(chunk: Buffer, borrowed: boolean): void {
    if (this.#phase === 'lingering') {
      this.#discardLeft -= chunk.length;
      if (this.#discardLeft < 0) this.socket.destroy();
      return;
    }
    this.parser.push(chunk, borrowed);
    if (this.#phase === 'serving') {
      if (this.#wakeReader) this.#wake();
      else if (this.parser.bufferedBytes >= inputBytesMax) this.#pause();
    } else if (this.#phase === 'draining') this.#drain();
    else this.#advance();
    this.parser.own();
  }

  begin(): void {
    this.#advance();
  }

  serves(exchange: ServerExchange): boolean {
    return this.#exchange === exchange && this.#phase === 'serving' && !this.socket.destroyed;
  }

  async input(): Promise<boolean> {
    if (this.inputEnded || this.socket.destroyed) return false;
    assert(!this.#wakeReader, 'a request body has one reader');
    const {promise, resolve} = Promise.withResolvers<void>();
    this.#wakeReader = resolve;
    this.#deadlineMs = this.server.nowMs() + this.server.stallMs;
    this.#resume();
    await promise;
    return this.parser.bufferedBytes > 0 || !(this.inputEnded || this.socket.destroyed);
  }

  answered(keepAlive: boolean): void {
    this.#wake(); // whoever still waits for the body learns that it is too late
    this.#settle();
    if (this.socket.destroyed) return;
    if (!keepAlive || this.server.closing) this.#linger();
    else if (this.parser.bodyEnded) this.#release();
    else {
      this.#phase = 'draining';
      this.#discardLeft = discardBytesMax;
      this.#resume();
      this.#drain();
    }
  }

  check(nowMs: number): void {
    if (this.inputEnded && this.#phase === 'serving') this.#checkThere();
    if (this.#deadlineMs > nowMs) this.#checkProgress(nowMs);
    else if (this.#phase === 'head' || (this.#phase === 'waiting' && this.#served === 0)) this.#refuse(408);
    else if (this.#phase === 'serving') {
      // Whoever waits for the body learns it, and may still say so to a client that does listen.
      this.stalled = this.inputEnded = true;
      this.#wake();
    } else this.socket.destroy();
  }

  get idle(): 'new' | 'kept' | false {
    return this.#phase === 'waiting' && this.parser.bufferedBytes === 0 && (this.#served === 0 ? 'new' : 'kept');
  }

  stop(): void {
    if ((this.#phase === 'waiting' || this.#phase === 'head') && !this.server.turnstile.holds(this)) this.socket.destroy();
  }

  leave(): number {
    return this.idle && this.#reads && this.#served >= this.#staysUntil ? this.#detach() : -1;
  }

  /** What another thread was sent and hands on. */
  receivedElsewhere(input: Buffer): void {
    this.#staysUntil = this.#served + stayRequests;
    this.received(input, false);
  }

  handOn(): boolean {
    const {handOn} = this.server;
    if (!handOn) return false;
    const input = this.parser.unread();
    const fd = input.length > recordBytesMax ? -1 : this.#detach();
    if (fd < 0) return false;
    this.#settle();
    handOn(fd, input);
    return true;
  }

  /** Ends here; the descriptor that is returned keeps the connection, so that nobody is told of an end. Negative when that cannot be. */
  #detach(): number {
    if (this.server.secure || this.inputEnded || this.socket.destroyed || this.socket.writableLength > 0) return -1;
    const fd = duplicateOf(this.socket);
    if (fd >= 0) this.socket.destroy();
    return fd;
  }

  /**
   * Cuts off who leaves an answer lying. What the kernel took by sendfile needs no count: a connection that waits has always given a next
   * piece to its socket, and that the piece lies there unmoved is what is looked for.
   */
  #checkProgress(nowMs: number): void {
    const {socket} = this;
    if (socket.writableLength === 0) return;
    const held = (socket as unknown as {readonly _handle?: {readonly writeQueueSize?: number} | null})._handle?.writeQueueSize ?? 0;
    if (socket.bytesWritten !== this.#givenBytes || held !== this.#heldBytes) {
      this.#givenBytes = socket.bytesWritten;
      this.#heldBytes = held;
      this.#movedMs = nowMs;
    } else if (nowMs - this.#movedMs >= this.server.stallMs) {
      // The kernel holds megabytes for such a client; a reset frees them at once.
      if (this.server.secure) socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  #ended(): void {
    this.inputEnded = true;
    this.#wake();
    if (this.#phase === 'serving') this.#watch();
    else if (!this.server.turnstile.holds(this)) this.socket.end();
  }

  #closed(): void {
    this.inputEnded = true;
    this.#wake();
    this.#exchange?.clientLeft();
    this.#settle();
    this.server.turnstile.leave(this);
    this.server.connections.delete(this);
  }

  /**
   * The client sends nothing more. Whether it still listens or is gone looks the same from here, so it gets its answer, and its system is asked
   * now and then: who listens confirms it, who is gone does so for a minute at most (FIN_WAIT2), and then resets the connection.
   */
  #watch(): void {
    this.socket.setKeepAlive(true, probeAfterMs);
  }

  /** A connection of which nothing more is read reports a reset to those only who send. */
  #checkThere(): void {
    const fd = (this.socket as unknown as {readonly _handle?: {readonly fd?: number} | null})._handle?.fd ?? -1;
    const result = fd < 0 ? 0 : (libc()?.send(fd, nothing, 0) ?? 0);
    if (result < 0 && result !== EAGAIN) this.socket.destroy();
  }

  #settle(): void {
    if (this.#underWay) this.server.turnstile.ends();
    this.#underWay = false;
  }

  /** Serves what has arrived. Handlers that answer at once come back here; the loop takes care of what follows, not the stack. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (this.#serveNext());
    } catch (error) {
      if (!(error instanceof RequestRefused)) this.server.log?.error('http: reading a request failed by a bug', {error});
      this.#refuse(error instanceof RequestRefused ? error.status : 500);
    } finally {
      this.#advancing = false;
    }
  }

  /** False when there is nothing to serve for now. */
  #serveNext(): boolean {
    if ((this.#phase !== 'waiting' && this.#phase !== 'head') || this.socket.destroyed) return false;
    if (this.socket.writableNeedDrain) {
      // Whoever does not read answers gets no more of them.
      this.#deadlineMs = Infinity;
      this.#pause();
      this.socket.once('drain', () => {
        this.#resume();
        this.#advance();
      });
      return false;
    }
    const {turnstile} = this.server;
    if (this.parser.bufferedBytes > 0 && !turnstile.enter(this)) return false;
    const head = this.parser.readHead();
    if (!head) {
      if (this.inputEnded) this.socket.end();
      else if (this.#phase === 'waiting') {
        const begun = this.parser.bufferedBytes > 0;
        if (begun) this.#phase = 'head';
        if (begun || this.#served > 0) this.#deadlineMs = this.server.nowMs() + (begun ? this.server.headersTimeoutMs : this.server.keepAliveMs);
      }
      return false;
    }
    this.#phase = 'serving';
    this.#served++;
    this.#deadlineMs = Infinity;
    this.parser.own();
    const exchange = (this.#exchange = new ServerExchange(this, head));
    if (this.inputEnded) this.#watch();
    this.#underWay = true;
    this.#reads = head.method === 'GET' || head.method === 'HEAD';
    this.server.requests++;
    if (this.#reads) this.server.reads++;
    const sinceMs = turnstile.begins();
    this.server.handler(exchange).then(
      () => exchange.finish(),
      (error: unknown) => {
        this.server.log?.error('a request handler failed', {error});
        exchange.finish();
      },
    );
    turnstile.ran(sinceMs);
    return true;
  }

  /** The next request may come. */
  #release(): void {
    this.#phase = 'waiting';
    this.#exchange = undefined;
    if (this.server.handAway?.(this)) return;
    this.#resume();
    this.#advance();
  }

  /** Throws away what is left of a request's body, so that the connection can carry the next one. */
  #drain(): void {
    this.#deadlineMs = this.server.nowMs() + drainIdleMs;
    try {
      for (let piece = this.parser.readBody(); piece; piece = this.parser.readBody()) this.#discardLeft -= piece.length;
    } catch {
      this.socket.destroy();
      return;
    }
    if (this.#discardLeft < 0) this.socket.destroy();
    else if (this.parser.bodyEnded) {
      this.#deadlineMs = Infinity;
      this.#release();
    } else if (this.inputEnded) this.#linger();
  }

  #refuse(status: number): void {
    if (this.socket.destroyed) return;
    this.socket.write(formatResponseHead(status, [], {length: 0, chunked: false, date: this.server.date(), connection: 'Connection: close\r\n'}), 'latin1');
    this.#linger();
  }

  #linger(): void {
    this.#phase = 'lingering';
    this.#exchange = undefined;
    this.#discardLeft = discardBytesMax;
    this.#deadlineMs = Infinity; // until the answer has left, its reader sets the pace
    this.socket.end(() => (this.#deadlineMs = this.server.nowMs() + lingerMs));
    this.#resume();
  }

  #wake(): void {
    const wake = this.#wakeReader;
    if (!wake) return;
    this.#wakeReader = undefined;
    this.#deadlineMs = Infinity;
    wake();
  }

  #pause(): void {
    this.#paused = true;
    this.socket.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }
}
