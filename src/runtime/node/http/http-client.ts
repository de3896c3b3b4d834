/**
 * HTTP requests over pools of kept connections. Those without a body, of which the answers may be large, go over connections of our own;
 * those with one over node:http.
 */
import * as http from 'node:http';
import * as https from 'node:https';
import {isIP} from 'node:net';
import {WeirError} from '#base/errors.ts';
import {formatRequestHead} from '#codec/http/request-head.ts';
import {findHeader} from '#runtime/node/http/http-exchange.ts';
import {connectionTo} from '#runtime/node/http/client-pool.ts';
import {requestFailure, StaleConnection, trustOptions} from '#runtime/node/http/client-connection.ts';
import {giveBack} from '#runtime/node/http/receive-slabs.ts';
import type {HttpClientRequest, HttpClientResponse, HttpTrust} from '#runtime/http.ts';

const connectionsPerHostMax = 256;
const idleConnectionsPerHostMax = 64;
/** Shorter than what servers commonly keep an idle connection, so that we rarely write into one that they just closed. */
const idleMs = 4_000;
const headerBytesMax = 64 * 1024;
/** Pieces of bodies that are smaller may wait behind each other; of larger ones each has left when the next is asked for. */
const keptBytesMax = 16 * 1024;

const pool = {keepAlive: true, maxSockets: connectionsPerHostMax, maxFreeSockets: idleConnectionsPerHostMax, timeout: 0, scheduling: 'lifo', keepAliveMsecs: idleMs} as const;
const plainPool = new http.Agent(pool);
const securePool = new https.Agent(pool);
const trustingPools = new WeakMap<HttpTrust, https.Agent>();

function securePoolFor(trust: HttpTrust | undefined): https.Agent {
  if (!trust) return securePool;
  let own = trustingPools.get(trust);
  if (!own) {
    own = new https.Agent({...pool, ...trustOptions(trust)});
    trustingPools.set(trust, own);
  }
  return own;
}

const gone: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

export async function requestOverPool(request: HttpClientRequest): Promise<HttpClientResponse> {
  try {
    return await send(request);
  } catch (error) {
    // A kept connection that the server closed just as it was used again: nothing was answered, so once more. Not for POST, nor for bodies that are read once.
    const replayable = (request.body === undefined || request.body instanceof Uint8Array) && request.method !== 'POST';
    if (!(error instanceof StaleConnection) || !replayable) throw error instanceof StaleConnection ? error.failure : error;
    return await send(request).catch((again: unknown) => {
      throw again instanceof StaleConnection ? again.failure : again;
    });
  }
}

function send(request: HttpClientRequest): Promise<HttpClientResponse> {
  const {method} = request;
  return request.body === undefined && method !== 'POST' && method !== 'PUT' ? sendHead(request) : sendWithBody(request);
}

async function sendHead({method, url, headers, signal, trust}: HttpClientRequest): Promise<HttpClientResponse> {
  const {secure, host, port, authority, path} = parseUrl(url);
  const what = `${method} ${secure ? 'https' : 'http'}://${authority}`;
  const text = formatRequestHead(method, path, findHeader(headers, 'host') === undefined ? [...headers, 'Host', authority] : headers);
  const connection = await connectionTo({secure, host, port, trust}, what, signal);
  const {head, body} = await connection.send(text, {method, what, signal});
  return {status: head.status, rawHeaders: head.rawHeaders, header: (name) => findHeader(head.rawHeaders, name), body, giveBack};
}

async function sendWithBody({method, url, headers, body, signal, trust}: HttpClientRequest): Promise<HttpClientResponse> {
  const {secure, host, port, authority, path} = parseUrl(url);
  const where = `${method} ${secure ? 'https' : 'http'}://${authority}`;
  if (signal?.aborted) throw new WeirError('Cancelled', `${where}: given up`, {cause: signal.reason});
  const complete = [...headers];
  if (findHeader(headers, 'host') === undefined) complete.push('Host', authority);
  const length = body === undefined ? (method === 'PUT' || method === 'POST' ? 0 : undefined) : body instanceof Uint8Array ? body.length : undefined;
  if (length !== undefined && findHeader(headers, 'content-length') === undefined) complete.push('Content-Length', String(length));

  const outgoing = (secure ? https : http).request({
    host,
    port,
    method,
    path,
    // Flat as it is: sent in this order and these letters.
    headers: complete,
    agent: secure ? securePoolFor(trust) : plainPool,
    maxHeaderSize: headerBytesMax,
    // An address is no name to ask for; what the certificate must show is the host all the same.
    ...(secure ? {servername: isIP(host) === 0 ? host : ''} : {}),
  });
  outgoing.setNoDelay(true);
  const failure = (error: unknown): WeirError => {
    if (signal?.aborted) return new WeirError('Cancelled', `${where}: given up`, {cause: signal.reason});
    return requestFailure(error, where);
  };

  const answer = Promise.withResolvers<http.IncomingMessage>();
  outgoing.once('response', answer.resolve);
  if (signal) abortWith(outgoing, signal);
  outgoing.on('error', (error: NodeJS.ErrnoException) => {
    answer.reject(outgoing.reusedSocket && gone.has(error.code ?? '') ? new StaleConnection(failure(error)) : failure(error));
  });
  outgoing.once('close', () => answer.reject(failure({code: 'ECONNRESET'})));
  if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
  else {
    pump(body, outgoing).catch((error: unknown) => {
      answer.reject(error);
      outgoing.destroy();
    });
  }
  const incoming = await answer.promise;
  incoming.on('error', () => {}); // reading says it too; nobody may be reading
  return {
    status: incoming.statusCode ?? 0,
    rawHeaders: incoming.rawHeaders,
    header: (name) => findHeader(incoming.rawHeaders, name),
    body: {
      destroy: () => void incoming.destroy(),
      [Symbol.asyncIterator]: async function* () {
        try {
          for await (const chunk of incoming) yield chunk as Buffer;
        } catch (error) {
          throw failure(error);
        }
        if (!incoming.complete) throw failure({code: 'ECONNRESET'});
      },
    },
  };
}

/**
 * Breaks the request off when the signal says so, unless its answer has come whole: then there is nothing to break off, and node:http,
 * asked to, destroys a connection that it has put back into the pool and on which nobody hears the error.
 */
function abortWith(outgoing: http.ClientRequest, signal: AbortSignal): void {
  let incoming: http.IncomingMessage | undefined;
  const abort = (): void => {
    if (!incoming?.complete) outgoing.destroy(new Error('given up'));
  };
  outgoing.once('response', (response) => (incoming = response));
  signal.addEventListener('abort', abort, {once: true});
  outgoing.once('close', () => signal.removeEventListener('abort', abort));
}

/** Sends a body as it comes. Stops quietly when the server has gone or has answered without wanting it all. */
async function pump(body: AsyncIterable<Uint8Array>, outgoing: http.ClientRequest): Promise<void> {
  for await (const chunk of body) {
    if (outgoing.destroyed) return;
    if (chunk.length < keptBytesMax && outgoing.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        outgoing.off('drain', done);
        outgoing.off('close', done);
        resolve();
      };
      outgoing.on('close', done);
      if (chunk.length < keptBytesMax) outgoing.on('drain', done);
      else outgoing.write(chunk, done);
    });
  }
  outgoing.end();
}

/** Taken apart by hand: URL would normalise the path, which is signed as it is. */
function parseUrl(url: string): {secure: boolean; host: string; port: number; authority: string; path: string} {
  const match = /^(https?):\/\/((?:\[([0-9a-f:.]+)\]|([^/?#:@[\]]+))(?::(\d+))?)([/?][^#]*)?$/i.exec(url);
  if (!match) throw new WeirError('InvalidArgument', 'not an http(s) URL without user and fragment');
  const [, scheme = '', authority = '', ipv6, name, port, rest = '/'] = match;
  const secure = scheme.toLowerCase() === 'https';
  return {secure, host: ipv6 ?? name ?? '', port: port === undefined ? (secure ? 443 : 80) : Number(port), authority, path: rest.startsWith('/') ? rest : `/${rest}`};
}
