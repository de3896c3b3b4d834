/**
 * One request and its answer.
 *
 * Invariants: an answer is given once; a body handed over is always used up or let go; an answer that fails after its head ends with a broken
 * connection, so that it cannot look complete. One that fails before may be followed by another.
 */
import type {Socket} from 'node:net';
import {TLSSocket} from 'node:tls';
import {WeirError} from '#base/errors.ts';
import type {RequestHead} from '#codec/http/request-head.ts';
import type {RequestParser} from '#codec/http/request-parser.ts';
import {formatResponseHead, type ResponseFraming} from '#codec/http/response-head.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {Body} from '#contracts/worker-api.ts';
import {sendLease} from '#runtime/node/http/send-lease.ts';
import {sendPieces} from '#runtime/node/http/send-pieces.ts';
import type {ServerConnections} from '#runtime/node/http/server-connections.ts';
import {headRoom, wholeBodyBytesMax, writeOwnLease, writeWhole, writeWholeLease} from '#runtime/node/http/write-whole.ts';
import type {HttpExchange, HttpRequestBody} from '#runtime/http.ts';
import type {Address} from '#runtime/net.ts';

/** What an exchange needs of its connection. */
export interface ExchangeConnection {
  readonly socket: Socket;
  readonly server: ServerConnections;
  readonly parser: RequestParser;
  readonly remote: Address;
  /** The client sends nothing more. */
  readonly inputEnded: boolean;
  /** It was cut off, because it sent nothing for too long. */
  readonly stalled: boolean;
  /** This exchange is the one being served, so its body may be read. */
  serves(exchange: HttpExchange): boolean;
  /** Waits for more input; false when none will come. */
  input(): Promise<boolean>;
  /** The request is another thread's from here on, and the connection with it; false when it has to be answered here. */
  handOn(): boolean;
  /** The answer is with the socket. */
  answered(keepAlive: boolean): void;
}

type Answer = 'none' | 'begun' | 'head sent' | 'sent';

export class ServerExchange implements HttpExchange {
  readonly #connection: ExchangeConnection;
  readonly #head: RequestHead;
  #body: RequestBody | undefined;
  #abort: AbortController | undefined;
  #clientLeft = false;
  #answer: Answer = 'none';
  #keepAlive = false;
  /** A bit for each length (of 32) that a header's name has: most headers that are asked for are not there. */
  #nameLengths = 0;

  constructor(connection: ExchangeConnection, head: RequestHead) {
    this.#connection = connection;
    this.#head = head;
  }

  get method(): string {
    return this.#head.method;
  }

  get target(): string {
    return this.#head.target;
  }

  get rawHeaders(): readonly string[] {
    return this.#head.rawHeaders;
  }

  get expectsContinue(): boolean {
    return this.#head.expectsContinue;
  }

  get secure(): boolean {
    return this.#connection.server.secure;
  }

  get tlsVersion(): string | undefined {
    const {socket} = this.#connection;
    return socket instanceof TLSSocket ? /^TLSv(.*)$/.exec(socket.getProtocol() ?? '')?.[1] : undefined;
  }

  get remote(): Address {
    return this.#connection.remote;
  }

  header(name: string): string | undefined {
    const {rawHeaders} = this.#head;
    if (this.#nameLengths === 0) for (let i = 0; i < rawHeaders.length; i += 2) this.#nameLengths |= 1 << rawHeaders[i]!.length;
    return (this.#nameLengths & (1 << name.length)) === 0 ? undefined : findHeader(rawHeaders, name);
  }

  get body(): HttpRequestBody {
    return (this.#body ??= new RequestBody(this.#connection, this, () => {
      if (this.expectsContinue && this.#answer === 'none') this.#connection.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    }));
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#clientLeft) this.#abort.abort(left());
    }
    return this.#abort.signal;
  }

  /** The connection is closed. */
  clientLeft(): void {
    this.#clientLeft = true;
    this.#abort?.abort(left());
  }

  handOn(): boolean {
    if (this.#answer !== 'none' || this.#body?.begun || !this.#connection.handOn()) return false;
    this.#answer = 'sent';
    return true;
  }

  respond(status: number, headers: readonly string[], body?: Body): Promise<void> {
    if (!this.#begin()) {
      letGo(body);
      return settled;
    }
    try {
      const sending = this.#sendWhole(status, headers, body) ?? this.#sendInTime(status, headers, body);
      if (sending !== true) return this.#whenSent(sending);
    } catch (error) {
      return Promise.reject(this.#failed(error));
    }
    this.#sent();
    return settled;
  }

  /** A small answer in one piece, or a head alone. True: it has left already. Undefined: it is none, or TLS sends it. */
  #sendWhole(status: number, headers: readonly string[], body: Body | undefined): Promise<void> | true | undefined {
    if (this.secure || status === 204 || status === 304) return undefined;
    const {socket, server} = this.#connection;
    if (!body) {
      const headBytes = server.heads.write(headRoom(), status, headers, this.#framing(0, false));
      if (headBytes < 0) return undefined;
      writeWhole(socket, headBytes, nothing);
      return true;
    }
    if (body.kind === 'stream' || body.length > wholeBodyBytesMax || this.#head.method === 'HEAD') return undefined;
    let headBytes;
    try {
      headBytes = server.heads.write(headRoom(), status, headers, this.#framing(body.length, false));
    } catch (error) {
      letGo(body);
      throw error;
    }
    if (headBytes < 0 || headBytes + body.length > headRoom().length) return undefined;
    if (body.kind === 'lease') return writeWholeLease(socket, headBytes, body.lease, body.length) ?? true;
    writeWhole(socket, headBytes, body.bytes);
    return true;
  }

  /** True: it has left already. False: the client is gone. */
  #sendInTime(status: number, headers: readonly string[], given: Body | undefined): Promise<boolean | void> | true {
    const head = this.#format(status, headers, status === 204 || (status === 304 && !given) ? undefined : (given?.length ?? 0), false, given);
    const body = status === 204 || status === 304 ? letGo(given) : given;
    const {socket} = this.#connection;
    if (!body || this.#head.method === 'HEAD') {
      letGo(body);
      socket.write(head, 'latin1');
      return true;
    }
    if (body.kind === 'bytes') {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body.bytes);
      socket.uncork();
      return true;
    }
    if (body.kind === 'lease' && body.length <= wholeBodyBytesMax) return writeOwnLease(socket, head, body.lease, body.length);
    if (body.kind === 'lease' && !this.secure) {
      this.#answer = 'head sent';
      socket.write(head, 'latin1');
      return sendLease(socket, body.lease, body.length);
    }
    if (body.kind === 'stream' && body.stream.pieces && !this.secure) {
      return sendPieces(socket, body.stream.pieces(), body.length, () => {
        this.#answer = 'head sent';
        socket.write(head, 'latin1');
      });
    }
    return this.#stream(head, bodyChunks(body), body.length, false);
  }

  async #whenSent(sending: Promise<boolean | void>): Promise<void> {
    try {
      if ((await sending) === false) return;
    } catch (error) {
      throw this.#failed(error);
    }
    this.#sent();
  }

  async respondStream(status: number, headers: readonly string[], stream: AsyncIterable<Uint8Array>): Promise<void> {
    const body: Body = {kind: 'stream', length: 0, stream};
    if (!this.#begin()) return letGo(body);
    const silent = this.#head.method === 'HEAD' || status === 204 || status === 304;
    // Who does not know chunks learns the end from the end of the connection.
    const chunked = this.#head.minor >= 1 && status !== 204 && status !== 304;
    if (!chunked && !silent) this.#keepAlive = false;
    try {
      const head = this.#format(status, headers, undefined, chunked, body);
      if (silent) {
        letGo(body);
        this.#connection.socket.write(head, 'latin1');
      } else await this.#stream(head, stream, undefined, chunked);
    } catch (error) {
      throw this.#failed(error);
    }
    this.#sent();
  }

  /** After the handler: who gave no answer gets one here. */
  finish(): void {
    if (this.#begin()) {
      this.#connection.socket.write(this.#format(500, [], 0, false, undefined), 'latin1');
      this.#sent();
    } else if (this.#answer !== 'sent') this.#breakOff();
  }

  /** True for the first answer. */
  #begin(): boolean {
    const connection = this.#connection;
    if (this.#answer !== 'none' || connection.socket.destroyed) return false;
    this.#answer = 'begun';
    // Who waits for 100 Continue and gets an answer may or may not send the body: nobody could tell it from the next request.
    const unasked = this.expectsContinue && !this.#body?.begun && !connection.parser.bodyEnded;
    this.#keepAlive = this.#head.keepAlive && !unasked && !connection.server.closing && this.#body?.broken !== true;
    return true;
  }

  #format(status: number, headers: readonly string[], length: number | undefined, chunked: boolean, body: Body | undefined): string {
    try {
      return formatResponseHead(status, headers, this.#framing(length, chunked));
    } catch (error) {
      letGo(body);
      throw error;
    }
  }

  #framing(length: number | undefined, chunked: boolean): ResponseFraming {
    const {server} = this.#connection;
    return {length, chunked, date: server.date(), connection: this.#keepAlive ? server.keepAliveLines : 'Connection: close\r\n'};
  }

  /** Sends until the end or until the client is gone. The head goes with the first bytes, so that a failure before them can have an answer of its own. */
  async #stream(head: string, chunks: AsyncIterable<Uint8Array>, length: number | undefined, chunked: boolean): Promise<void> {
    const {socket} = this.#connection;
    const start = (): void => {
      if (this.#answer === 'begun') socket.write(head, 'latin1');
      this.#answer = 'head sent';
    };
    let sent = 0;
    for await (const chunk of chunks) {
      if (socket.destroyed) return;
      if (chunk.length === 0) continue;
      sent += chunk.length;
      if (length !== undefined && sent > length) break;
      socket.cork();
      start();
      if (chunked) socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
      socket.write(chunk);
      if (chunked) socket.write('\r\n', 'latin1');
      socket.uncork();
      if (socket.writableNeedDrain) await room(socket);
    }
    if (socket.destroyed) return;
    if (length !== undefined && sent !== length) throw new WeirError('Internal', `an answer of ${length} bytes had ${sent}`);
    start();
    await new Promise<void>((resolve) => void socket.write(chunked ? '0\r\n\r\n' : '', 'latin1', () => resolve()));
  }

  #sent(): void {
    this.#answer = 'sent';
    this.#connection.answered(this.#keepAlive);
  }

  /** Before the head has left, another answer may still be given; afterwards there is only breaking off. */
  #failed(error: unknown): Error {
    if (this.#answer === 'head sent') this.#breakOff();
    else this.#answer = 'none';
    return error as Error;
  }

  #breakOff(): void {
    const {socket} = this.#connection;
    // An answer that ends with the connection would look complete if the connection ended in order.
    if (this.#head.minor === 0 && !this.secure) socket.resetAndDestroy();
    else socket.destroy();
  }
}

class RequestBody implements HttpRequestBody {
  begun = false;
  /** What came is no body, or not all of it: nobody knows where the next request begins. */
  broken = false;
  trailers: readonly string[] = [];
  readonly #connection: ExchangeConnection;
  readonly #exchange: ServerExchange;
  readonly #onFirstRead: () => void;
  #ended = false;

  constructor(connection: ExchangeConnection, exchange: ServerExchange, onFirstRead: () => void) {
    this.#connection = connection;
    this.#exchange = exchange;
    this.#onFirstRead = onFirstRead;
  }

  lend(): void {
    this.#connection.parser.lend();
  }

  whole(): Uint8Array | undefined {
    if (this.begun || !this.#connection.parser.bodyIsHere || !this.#connection.serves(this.#exchange)) return undefined;
    this.begun = this.#ended = true;
    return this.#next();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const {parser} = this.#connection;
    if (!this.begun) {
      this.begun = true;
      if (!parser.bodyEnded) this.#onFirstRead();
    }
    while (!this.#ended) {
      if (!this.#connection.serves(this.#exchange)) throw incomplete();
      const piece = this.#next();
      if (piece) yield piece;
      else if (parser.bodyEnded) {
        this.trailers = parser.trailers;
        this.#ended = true;
      } else if (!(await this.#connection.input())) {
        this.broken = true;
        throw this.#connection.stalled ? stalled() : incomplete();
      }
    }
  }

  #next(): Uint8Array | undefined {
    try {
      return this.#connection.parser.readBody();
    } catch (error) {
      this.broken = true;
      throw new WeirError('IncompleteBody', `the request body cannot be understood: ${(error as Error).message}`, {cause: error});
    }
  }
}

const settled = Promise.resolve();
const nothing = new Uint8Array(0);
const ignore = (): void => {};
const left = (): WeirError => new WeirError('Cancelled', 'the client went away');
const stalled = (): WeirError => new WeirError('IncompleteBody', 'the client has sent nothing of its request for too long', {details: {s3: 'RequestTimeout'}});
const incomplete = (): WeirError => new WeirError('IncompleteBody', 'the client went away before its request was complete');

/** The value of a header by lower-case name, of a flat list. */
export function findHeader(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const candidate = rawHeaders[i]!;
    if (candidate.length !== name.length || (candidate !== name && candidate.toLowerCase() !== name)) continue;
    found = found === undefined ? rawHeaders[i + 1]! : `${found}, ${rawHeaders[i + 1]!}`;
  }
  return found;
}

/** A body that will not be sent. */
function letGo(body: Body | undefined): undefined {
  if (body?.kind === 'lease') body.lease[Symbol.dispose]();
  else if (body?.kind === 'stream') {
    const iterator = body.stream[Symbol.asyncIterator]();
    iterator.return?.().then(ignore, ignore);
  }
}

/** Resolves when more may be written, or when nobody is there to write to. */
function room(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
    if (socket.destroyed) done();
  });
}
