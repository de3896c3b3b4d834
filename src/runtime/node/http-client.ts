/** The HTTP client, on node:http: raw targets and headers, kept-alive connections, bodies as they come. */
import {Agent, type IncomingMessage, type RequestOptions, request as plainRequest} from 'node:http';
import {Agent as TlsAgent, request as tlsRequest} from 'node:https';
import {WeirError} from '#base/errors.ts';
import type {HttpClientRequest, HttpClientResponse} from '#runtime/http.ts';
import {systemError} from '#runtime/node/system-errors.ts';

/** To one host. Stores that allow more in flight than this are limited by the machine's memory first. */
const socketsMax = 256;

const agentOptions = {keepAlive: true, maxSockets: socketsMax, maxFreeSockets: socketsMax, timeout: 0, scheduling: 'lifo'} as const;
const plainAgent = new Agent(agentOptions);
const tlsAgent = new TlsAgent(agentOptions);

interface Target {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly authority: string;
  /** Path and query, as written. */
  readonly path: string;
}

/** Not by URL: that would normalise the path, which is data. */
function parseTarget(url: string): Target {
  const match = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(url);
  if (!match) throw new WeirError('InvalidArgument', 'not an http(s) URL');
  const secure = match[1]!.toLowerCase() === 'https';
  const authority = match[2]!.slice(match[2]!.lastIndexOf('@') + 1);
  const split = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(authority);
  if (!split) throw new WeirError('InvalidArgument', `not a host: ${authority}`);
  const path = match[3]! === '' || match[3]!.startsWith('?') ? `/${match[3]!}` : match[3]!;
  return {secure, host: split[1]!.replace(/^\[|\]$/g, ''), port: Number(split[2] ?? (secure ? 443 : 80)), authority, path};
}

class ResponseBody {
  readonly #response: IncomingMessage;
  readonly #what: string;

  constructor(response: IncomingMessage, what: string) {
    this.#response = response;
    this.#what = what;
  }

  destroy(): void {
    this.#response.destroy();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const response = this.#response;
    try {
      for await (const chunk of response) yield chunk as Buffer;
    } catch (error) {
      throw systemError(error, `${this.#what} broke off`, 'Unavailable');
    }
    if (!response.complete) throw new WeirError('Unavailable', `${this.#what} ended early`);
  }
}

/** One request over the pool. Unavailable when there is no answer; every status is an answer. */
export function httpRequest(options: HttpClientRequest): Promise<HttpClientResponse> {
  const target = parseTarget(options.url);
  const what = `${options.method} ${target.authority}`;
  const headers = [...options.headers];
  const has = (name: string) => headers.some((header, i) => i % 2 === 0 && header.toLowerCase() === name);
  if (!has('host')) headers.push('Host', target.authority);
  const {body} = options;
  if (body instanceof Uint8Array) {
    if (!has('content-length')) headers.push('Content-Length', String(body.length));
  } else if (body && !has('content-length') && !has('transfer-encoding')) headers.push('Transfer-Encoding', 'chunked');
  const requestOptions: RequestOptions = {
    method: options.method,
    host: target.host,
    port: target.port,
    path: target.path,
    headers: headers as unknown as NonNullable<RequestOptions['headers']>,
    agent: target.secure ? tlsAgent : plainAgent,
    ...(options.signal ? {signal: options.signal} : {}),
  };
  return new Promise((resolve, reject) => {
    const request = (target.secure ? tlsRequest : plainRequest)(requestOptions);
    request.setNoDelay(true);
    request.once('response', (response) => {
      resolve({
        status: response.statusCode ?? 0,
        rawHeaders: response.rawHeaders,
        header: (name) => {
          const value = response.headers[name];
          return Array.isArray(value) ? value.join(', ') : value;
        },
        body: new ResponseBody(response, what),
      });
    });
    // Stays on after the answer: a late error of the request side must not be uncaught; the body reports it.
    request.on('error', (error) => reject(systemError(error, what, 'Unavailable')));
    if (body === undefined || body instanceof Uint8Array) request.end(body);
    else {
      sendRequestBody(request, body).catch((error: unknown) => {
        request.destroy();
        reject(systemError(error, what, 'Unavailable'));
      });
    }
  });
}

async function sendRequestBody(request: ReturnType<typeof plainRequest>, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of body) {
    if (request.destroyed) return;
    if (request.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      const done = () => {
        request.off('drain', done);
        request.off('close', done);
        resolve();
      };
      request.on('drain', done);
      request.on('close', done);
      if (request.destroyed) done();
    });
  }
  request.end();
}
