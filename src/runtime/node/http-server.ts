/**
 * The HTTP server, on node:http. It keeps what was sent as it was sent (target, headers, trailers), leaves `100 Continue` to whoever reads
 * the body, and bounds what a client can make it hold.
 */
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import {createServer as createTlsServer} from 'node:https';
import {once} from 'node:events';
import type {Duplex} from 'node:stream';
import {WeirError} from '#base/errors.ts';
import type {Body} from '#contracts/worker-api.ts';
import type {HttpExchange, HttpRequestBody, HttpServerOptions} from '#runtime/http.ts';
import type {Address, Listener} from '#runtime/net.ts';
import {sendBody} from '#runtime/node/http-send.ts';
import {systemError} from '#runtime/node/system-errors.ts';

const headerBytesDefault = 64 * 1024;
const headersTimeoutDefaultMs = 20_000;
/** Clients keep idle connections for minutes; closing earlier than they expect loses their next request. */
const keepAliveDefaultMs = 75_000;
const connectionsMaxDefault = 20_000;
/** What a client still sends after its answer is read and thrown away up to here, so that it sees the answer; then the connection ends. */
const drainBytesMax = 1024 * 1024;

class RequestBody implements HttpRequestBody {
  readonly #request: IncomingMessage;
  readonly #beforeFirstRead: () => void;
  started = false;

  constructor(request: IncomingMessage, beforeFirstRead: () => void) {
    this.#request = request;
    this.#beforeFirstRead = beforeFirstRead;
  }

  get trailers(): readonly string[] {
    return this.#request.rawTrailers;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (!this.started) {
      this.started = true;
      this.#beforeFirstRead();
    }
    try {
      // The stream is not destroyed when the reader stops early: the answer still has to go out on its connection.
      for await (const chunk of this.#request.iterator({destroyOnReturn: false})) yield chunk as Buffer;
    } catch (error) {
      throw new WeirError('IncompleteBody', 'the client broke off its request', {cause: error});
    }
    if (!this.#request.complete) throw new WeirError('IncompleteBody', 'the client ended its request early');
  }
}

class Exchange implements HttpExchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #secure: boolean;
  #abort: AbortController | undefined;
  #gone = false;
  #body: RequestBody | undefined;
  expectsContinue: boolean;

  constructor(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean, secure: boolean) {
    this.#request = request;
    this.#response = response;
    this.#secure = secure;
    this.expectsContinue = expectsContinue;
    response.once('close', () => {
      if (response.writableFinished) return;
      this.#gone = true;
      this.#abort?.abort(new WeirError('Cancelled', 'the client has gone away'));
    });
  }

  get method(): string {
    return this.#request.method ?? 'GET';
  }

  get target(): string {
    return this.#request.url ?? '/';
  }

  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders;
  }

  get secure(): boolean {
    return this.#secure;
  }

  get remote(): Address {
    return {host: this.#request.socket.remoteAddress ?? '', port: this.#request.socket.remotePort ?? 0};
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#gone && !this.#abort.signal.aborted) this.#abort.abort(new WeirError('Cancelled', 'the client has gone away'));
    return this.#abort.signal;
  }

  get body(): HttpRequestBody {
    this.#body ??= new RequestBody(this.#request, () => {
      if (!this.expectsContinue) return;
      this.expectsContinue = false;
      this.#response.writeContinue();
    });
    return this.#body;
  }

  header(name: string): string | undefined {
    const {rawHeaders} = this.#request;
    let value: string | undefined;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const candidate = rawHeaders[i]!;
      if (candidate.length !== name.length || (candidate !== name && candidate.toLowerCase() !== name)) continue;
      value = value === undefined ? rawHeaders[i + 1]! : `${value}, ${rawHeaders[i + 1]!}`;
    }
    return value;
  }

  async respond(status: number, headers: readonly string[], body?: Body): Promise<void> {
    const response = this.#response;
    const close = this.#mustClose();
    const bodyless = this.method === 'HEAD' || status === 204 || status === 304;
    const head = [...headers];
    if (!(status === 204 || (status === 304 && !body))) head.push('Content-Length', String(body?.length ?? 0));
    if (close) head.push('Connection', 'close');
    if (this.#gone) {
      await discard(body);
      return;
    }
    response.writeHead(status, head);
    if (bodyless || !body || body.length === 0) {
      response.end();
      await discard(body);
    } else if (body.kind === 'bytes') response.end(body.bytes);
    else {
      try {
        await sendBody(response, body, this.#secure);
        response.end();
      } catch {
        // The head has promised more than was delivered: only a broken connection tells the client.
        response.destroy();
      }
    }
    await this.#finished(close);
  }

  async respondStream(status: number, headers: readonly string[], stream: AsyncIterable<Uint8Array>): Promise<void> {
    const response = this.#response;
    const close = this.#mustClose();
    response.writeHead(status, [...headers, ...(close ? ['Connection', 'close'] : [])]);
    try {
      for await (const chunk of stream) {
        if (this.#gone) return;
        if (!response.write(chunk)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
      response.end();
    } catch {
      response.destroy();
    }
    await this.#finished(close);
  }

  /** A client that waits for `100 Continue` and is refused may send its body or not: the connection cannot be used on. */
  #mustClose(): boolean {
    if (this.expectsContinue) return true;
    const request = this.#request;
    if (request.complete || (this.#body?.started && request.readableEnded)) return false;
    const announced = Number(request.headers['content-length'] ?? Number.NaN);
    if (announced === 0 || (Number.isNaN(announced) && request.headers['transfer-encoding'] === undefined)) return false;
    return !(announced <= drainBytesMax);
  }

  #finished(close: boolean): Promise<void> | undefined {
    const request = this.#request;
    if (close) this.#drainThenClose();
    else if (!request.complete) request.resume();
    const response = this.#response;
    if (response.writableFinished || response.destroyed) return undefined;
    return new Promise((resolve) => {
      response.once('finish', resolve);
      response.once('close', resolve);
    });
  }

  /** Reads on for a while, so that the answer is not lost to a reset, then ends the connection. */
  #drainThenClose(): void {
    const request = this.#request;
    let drained = 0;
    request.on('data', (chunk: Buffer) => {
      drained += chunk.length;
      if (drained > drainBytesMax) request.socket.destroy();
    });
    request.resume();
  }
}

async function discard(body: Body | undefined): Promise<void> {
  if (body?.kind === 'lease') body.lease[Symbol.dispose]();
  else if (body?.kind === 'stream') await body.stream[Symbol.asyncIterator]().return?.();
}

const refusals: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Listens until disposed; then open connections are broken off. AlreadyExists when the port is taken. */
export async function serveHttp(options: HttpServerOptions, handler: (exchange: HttpExchange) => Promise<void>): Promise<Listener> {
  const secure = options.tls !== undefined;
  const serverOptions = {
    maxHeaderSize: options.headerBytesMax ?? headerBytesDefault,
    headersTimeout: options.headersTimeoutMs ?? headersTimeoutDefaultMs,
    keepAliveTimeout: options.keepAliveMs ?? keepAliveDefaultMs,
    requestTimeout: 0,
    connectionsCheckingInterval: 5_000,
    noDelay: true,
  };
  const server: Server = options.tls ? createTlsServer({...serverOptions, ...options.tls}) : createServer(serverOptions);
  server.maxConnections = options.connectionsMax ?? connectionsMaxDefault;
  const serve = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => {
    handler(new Exchange(request, response, expectsContinue, secure)).catch(() => response.destroy());
  };
  server.on('request', (request, response) => serve(request, response, false));
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => serve(request, response, true));
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => response.writeHead(417).end());
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const status = refusals[error.code ?? ''] ?? '400 Bad Request';
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    else socket.destroy();
  });
  try {
    server.listen({host: options.address.host, port: options.address.port, backlog: 4096});
    await once(server, 'listening');
  } catch (error) {
    throw systemError(error, `listening on ${options.address.host}:${options.address.port}`);
  }
  const bound = server.address() as {address: string; port: number};
  return {
    address: {host: bound.address, port: bound.port},
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
