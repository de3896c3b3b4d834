/**
 * A connection to a server, for one request without a body after the other. Not on node:http: its parser makes a new buffer for every piece
 * of a body, and the collector pays for them many times over (see receive-slabs.ts). Here a body goes from the socket into its slab.
 *
 * Invariants: one request at a time; a connection on which anything came that does not belong to an answer is not used again.
 */
import {connect, isIP, type Socket} from 'node:net';
import {type ConnectionOptions, connect as connectSecurely} from 'node:tls';
import {WeirError} from '#base/errors.ts';
import {KiB} from '#base/units.ts';
import {ResponseParser, type ResponseHead} from '#codec/http/response-parser.ts';
import {type BodySource, ReceivedBody} from '#runtime/node/http/received-body.ts';
import type {HttpTrust} from '#runtime/http.ts';
import {systemError} from '#runtime/node/system-errors.ts';

/** Connections read into this one as long as nobody has a better place: what is read is used up before the next read of any of them. */
const sharedReadBytes = 64 * KiB;
let shared: Buffer | undefined;

export interface Origin {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly trust: HttpTrust | undefined;
  /** The last TLS session, to begin the next one sooner. */
  session?: Buffer;
}

export interface Answer {
  readonly head: ResponseHead;
  readonly body: ReceivedBody;
}

interface Exchange {
  readonly what: string;
  readonly parser: ResponseParser;
  readonly answer: PromiseWithResolvers<Answer>;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: () => void;
  body: ReceivedBody | undefined;
  /** Anything of the answer came. */
  begun: boolean;
}

/** A kept connection that was gone when it was used again: nothing was answered. */
export class StaleConnection extends Error {
  readonly failure: WeirError;

  constructor(failure: WeirError) {
    super(failure.message);
    this.failure = failure;
  }
}

const untrusted = /CERT|^UNABLE_TO_VERIFY|^HOSTNAME_MISMATCH|^INVALID_CA|^INVALID_PURPOSE/;

/** What an error of a socket means for the request `what`. */
export function requestFailure(error: unknown, what: string): WeirError {
  const code = (error as {code?: string}).code ?? '';
  if (untrusted.test(code)) return new WeirError('Unavailable', `${what}: the certificate of the server is not trusted (${code})`, {cause: error});
  return systemError(error, what, 'Unavailable');
}

export function trustOptions({certificates, anyName}: HttpTrust): ConnectionOptions {
  return {ca: certificates, allowPartialTrustChain: true, ...(anyName ? {checkServerIdentity: () => undefined} : {})};
}

export class ClientConnection implements BodySource {
  readonly #socket: Socket;
  readonly #free: (connection: ClientConnection, reusable: boolean) => void;
  #exchange: Exchange | undefined;
  /** Where the socket reads to now, when that is the body's own place. */
  #room: Uint8Array | undefined;
  #used = 0;
  #error: unknown;

  /** `free` is called when the connection may be used again, or is gone. */
  constructor(origin: Origin, free: (connection: ClientConnection, reusable: boolean) => void) {
    this.#free = free;
    const {host, port, secure, trust, session} = origin;
    const onread = {buffer: () => this.#place(), callback: (count: number, bytes: Uint8Array) => this.#received(count, bytes)};
    if (secure) {
      // An address is no name to ask for; what the certificate must show is the host all the same.
      const name = isIP(host) === 0 ? {servername: host} : {};
      // `onread` is documented for net.connect, and taken here too.
      const options: ConnectionOptions & {onread: typeof onread} = {host, port, ALPNProtocols: ['http/1.1'], ...name, ...(trust ? trustOptions(trust) : {}), ...(session ? {session} : {}), onread};
      const socket = connectSecurely(options);
      // Whoever comes back with a session is not asked for a certificate again.
      socket.on('session', made => {
        if (socket.authorized) origin.session = made;
      });
      this.#socket = socket;
    } else this.#socket = connect({host, port, onread});
    this.#socket.setNoDelay(true);
    this.#socket.on('error', error => (this.#error = error));
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('close', () => this.#closed());
    this.#socket.on('timeout', () => this.#socket.destroy());
  }

  get usable(): boolean {
    return !this.#exchange && !this.#socket.destroyed && this.#socket.writable && !this.#socket.readableEnded;
  }

  /** Sends a request; resolves with the head of its answer. StaleConnection, Cancelled, Unavailable. */
  send(head: string, {method, what, signal}: {readonly method: string; readonly what: string; readonly signal: AbortSignal | undefined}): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>();
    const onAbort = (): void => this.#fail(new WeirError('Cancelled', `${what}: given up`, {cause: signal?.reason}));
    this.#exchange = {what, parser: new ResponseParser(method), answer, signal, onAbort, body: undefined, begun: false};
    this.#used++;
    this.#socket.setTimeout(0);
    this.#socket.ref();
    this.#socket.resume();
    signal?.addEventListener('abort', onAbort, {once: true});
    this.#socket.write(head, 'latin1');
    return answer.promise;
  }

  /** Keeps nobody waiting while nothing is asked; closes after `ms`. */
  idle(ms: number): void {
    this.#socket.unref();
    this.#socket.setTimeout(ms);
  }

  close(): void {
    this.#socket.destroy();
  }

  flow(on: boolean): void {
    if (on) this.#socket.resume();
    else this.#socket.pause();
  }

  breakOff(): void {
    if (this.#exchange) this.#fail(new WeirError('Cancelled', `${this.#exchange.what}: the rest of the answer was not wanted`));
  }

  /** Where the next read goes: into the body when much of it comes as it is. */
  #place(): Uint8Array {
    const exchange = this.#exchange;
    const room = exchange && exchange.parser.plain >= sharedReadBytes ? exchange.body?.room() : undefined;
    this.#room = room && room.length > exchange!.parser.plain ? room.subarray(0, exchange!.parser.plain) : room;
    return this.#room ?? (shared ??= Buffer.allocUnsafeSlow(sharedReadBytes));
  }

  /** False: no more for now. */
  #received(count: number, bytes: Uint8Array): boolean {
    const exchange = this.#exchange;
    if (!exchange) {
      // Nobody asked.
      this.#socket.destroy();
      return false;
    }
    exchange.begun = true;
    try {
      if (this.#room === bytes) {
        this.#room = undefined;
        exchange.body!.filled(count);
        exchange.parser.passed(count);
        if (exchange.parser.ended) this.#done(exchange, true);
      } else this.#read(exchange, bytes as Buffer, count);
    } catch (error) {
      this.#fail(new WeirError('Unavailable', `${exchange.what}: the answer cannot be understood: ${(error as Error).message}`, {cause: error}));
    }
    return !this.#socket.isPaused();
  }

  #read(exchange: Exchange, bytes: Buffer, count: number): void {
    const {parser} = exchange;
    for (let at = 0; at < count; ) {
      const piece = bytes.subarray(at, count);
      const plain = Math.min(parser.plain, piece.length);
      if (plain > 0) {
        exchange.body!.add(plain === piece.length ? piece : piece.subarray(0, plain));
        parser.passed(plain);
        at += plain;
      } else at += parser.read(piece);
      if (parser.head && !exchange.body) {
        exchange.body = new ReceivedBody(this, parser.head.length);
        exchange.answer.resolve({head: parser.head, body: exchange.body});
      }
      if (parser.ended) return this.#done(exchange, at === count);
    }
  }

  #done(exchange: Exchange, clean: boolean): void {
    this.#leave(exchange);
    exchange.body!.end();
    const reusable = clean && exchange.parser.head!.keepAlive;
    if (!reusable) this.#socket.destroy();
    else if (this.#socket.isPaused()) this.#socket.resume();
    if (reusable) this.#free(this, true);
  }

  #leave(exchange: Exchange): void {
    this.#exchange = undefined;
    exchange.signal?.removeEventListener('abort', exchange.onAbort);
  }

  #ended(): void {
    const exchange = this.#exchange;
    if (exchange?.body && exchange.parser.close()) this.#done(exchange, false);
    else this.#socket.destroy();
  }

  #closed(): void {
    const exchange = this.#exchange;
    if (exchange) {
      const failure = requestFailure(this.#error ?? {code: 'ECONNRESET'}, exchange.what);
      const isStale = this.#used > 1 && !exchange.begun;
      this.#leave(exchange);
      exchange.answer.reject(isStale ? new StaleConnection(failure) : failure);
      exchange.body?.fail(failure);
    }
    this.#free(this, false);
  }

  #fail(failure: WeirError): void {
    const exchange = this.#exchange;
    if (!exchange) return;
    this.#leave(exchange);
    exchange.answer.reject(failure);
    exchange.body?.fail(failure);
    this.#socket.destroy();
  }
}
