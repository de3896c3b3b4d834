/**
 * One request on node:http and its answer.
 *
 * Invariants: an answer is given once; a body handed over is always used up or let go; an answer that fails after its head ends with a broken
 * connection, so that it cannot look complete. One that fails before may be followed by another.
 */
import type {IncomingMessage, ServerResponse} from 'node:http';
import {WeirError} from '#base/errors.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {Body} from '#contracts/worker-api.ts';
import {readSmallLease, sendLease} from '#runtime/node/http/send-lease.ts';
import type {HttpExchange, HttpRequestBody} from '#runtime/http.ts';
import type {Address} from '#runtime/net.ts';

/** What is read and thrown away of a request body that nobody wanted, to keep the connection; with more the connection is closed. */
const drainBytesMax = 8 * 1024 * 1024;
/** How long a client may take for that, ms without a byte. */
const drainIdleMs = 5_000;
/** Up to this a lease is read and sent in one piece with the head. */
const smallBodyBytesMax = 64 * 1024;

export class NodeExchange implements HttpExchange {
  readonly expectsContinue: boolean;
  readonly secure: boolean;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #body: RequestBody | undefined;
  #abort: AbortController | undefined;
  #answered = false;

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean, secure: boolean) {
    this.#request = request;
    this.#response = response;
    this.expectsContinue = expectsContinue;
    this.secure = secure;
    response.on('error', ignore); // 'close' follows and says enough
  }

  get method(): string {
    return this.#request.method ?? '';
  }

  get target(): string {
    return this.#request.url ?? '';
  }

  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders;
  }

  header(name: string): string | undefined {
    return findHeader(this.#request.rawHeaders, name);
  }

  get body(): HttpRequestBody {
    return (this.#body ??= new RequestBody(this.#request, () => {
      if (this.expectsContinue && !this.#answered) this.#response.writeContinue();
    }));
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      const abort = (this.#abort = new AbortController());
      const gone = (): void => {
        if (!this.#response.writableFinished) abort.abort(new WeirError('Cancelled', 'the client went away'));
      };
      if (this.#response.closed || this.#request.socket.destroyed) gone();
      else this.#response.once('close', gone);
    }
    return this.#abort.signal;
  }

  get remote(): Address {
    const {remoteAddress, remotePort} = this.#request.socket;
    return {host: remoteAddress ?? '', port: remotePort ?? 0};
  }

  async respond(status: number, headers: readonly string[], body?: Body): Promise<void> {
    const response = this.#response;
    if (!this.#begin()) return letGo(body);
    const silent = this.#request.method === 'HEAD' || status === 204 || status === 304;
    const announced = withLength(headers, status, body);
    try {
      if (!body || silent) {
        letGo(body);
        this.#head(status, announced);
        response.end();
      } else if (body.kind === 'bytes') {
        this.#head(status, announced);
        response.end(body.bytes);
      } else if (body.kind === 'lease' && body.length <= smallBodyBytesMax) {
        const bytes = await readSmallLease(body.lease, body.length);
        this.#head(status, announced);
        response.end(bytes);
      } else if (body.kind === 'lease' && !this.secure) {
        this.#head(status, announced);
        if (await sendLease(response, body.lease, body.length)) response.end();
      } else {
        await this.#stream(status, announced, bodyChunks(body), body.length);
      }
    } catch (error) {
      this.#failed(error);
    }
    this.#drain();
  }

  async respondStream(status: number, headers: readonly string[], stream: AsyncIterable<Uint8Array>): Promise<void> {
    if (!this.#begin()) return;
    try {
      await this.#stream(status, headers, stream, undefined);
    } catch (error) {
      this.#failed(error);
    }
    this.#drain();
  }

  /** After the handler: who gave no answer gets one here. */
  finish(): void {
    if (this.#begin()) {
      this.#head(500, ['Content-Length', '0']);
      this.#response.end();
      this.#drain();
    } else if (!this.#response.writableEnded) this.#breakOff();
  }

  /** True for the first answer. */
  #begin(): boolean {
    if (this.#answered || this.#response.destroyed) return false;
    this.#answered = true;
    return true;
  }

  #head(status: number, headers: readonly string[]): void {
    // Who waits for 100 Continue and gets an answer may or may not send the body: nobody could tell it from the next request.
    const unasked = this.expectsContinue && !this.#body?.begun;
    this.#response.writeHead(status, (unasked ? [...headers, 'Connection', 'close'] : headers) as string[]);
  }

  /** Sends until the end or until the client is gone. The head goes with the first bytes, so that a failure before them can have an answer of its own. */
  async #stream(status: number, headers: readonly string[], chunks: AsyncIterable<Uint8Array>, length: number | undefined): Promise<void> {
    const response = this.#response;
    let sent = 0;
    for await (const chunk of chunks) {
      if (response.destroyed) return;
      if (!response.headersSent) this.#head(status, headers);
      sent += chunk.length;
      if (length !== undefined && sent > length) break;
      if (!response.write(chunk)) await room(response);
    }
    if (response.destroyed) return;
    if (length !== undefined && sent !== length) throw new WeirError('Internal', `an answer of ${length} bytes had ${sent}`);
    if (!response.headersSent) this.#head(status, headers);
    const {promise, resolve} = Promise.withResolvers<void>();
    response.once('close', resolve);
    response.end(resolve);
    await promise;
  }

  /** Before the head has left, another answer may still be given; afterwards there is only breaking off. */
  #failed(error: unknown): never {
    if (this.#response.headersSent) this.#breakOff();
    else this.#answered = false;
    throw error;
  }

  #breakOff(): void {
    (this.#response.socket ?? this.#request.socket).destroy();
  }

  /** Reads what is left of the request, so that the connection can carry the next one. */
  #drain(): void {
    const request = this.#request;
    if (request.complete || request.destroyed || !this.#response.shouldKeepAlive) return;
    let left = drainBytesMax;
    const {socket} = request;
    socket.setTimeout(drainIdleMs, () => socket.destroy());
    request.once('end', () => socket.setTimeout(0));
    request.on('error', ignore);
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) socket.destroy();
    });
  }
}

class RequestBody implements HttpRequestBody {
  begun = false;
  readonly #request: IncomingMessage;
  readonly #onFirstRead: () => void;

  constructor(request: IncomingMessage, onFirstRead: () => void) {
    this.#request = request;
    this.#onFirstRead = onFirstRead;
  }

  get trailers(): readonly string[] {
    return this.#request.rawTrailers;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (!this.begun) {
      this.begun = true;
      this.#onFirstRead();
    }
    try {
      // Whoever stops early still wants to answer.
      for await (const chunk of this.#request.iterator({destroyOnReturn: false})) yield chunk as Buffer;
    } catch (error) {
      throw new WeirError('IncompleteBody', 'the client went away before its request was complete', {cause: error});
    }
  }
}

const ignore = (): void => {};

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

function withLength(headers: readonly string[], status: number, body: Body | undefined): readonly string[] {
  if (status === 204 || (status === 304 && !body) || findHeader(headers, 'content-length') !== undefined) return headers;
  return [...headers, 'Content-Length', String(body?.length ?? 0)];
}

/** A body that will not be sent. */
function letGo(body: Body | undefined): void {
  if (body?.kind === 'lease') body.lease[Symbol.dispose]();
  else if (body?.kind === 'stream') {
    const iterator = body.stream[Symbol.asyncIterator]();
    iterator.return?.().then(ignore, ignore);
  }
}

/** Resolves when more may be written, or when nobody is there to write to. */
function room(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}
