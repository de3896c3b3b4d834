/**
 * A request of an S3 client in parts that can be changed one by one, and its bytes on the wire. Nothing is checked here: what a mutation
 * made wrong is sent wrong. Text is latin-1, one character a byte, as it is sent.
 */
import {RequestParser} from '#codec/http/request-parser.ts';

export interface Frame {
  readonly data: Buffer;
  /** Instead of the length of the data, in hexadecimal. */
  readonly size?: string;
  /** Behind the size, instead of what the way of signing puts there. */
  readonly extension?: string;
  /** Instead of CR LF behind the data. */
  readonly end?: string;
}

/** An aws-chunked body. The last, empty frame is written by itself. */
export interface Frames {
  frames: Frame[];
  trailers: [name: string, value: string][];
  /** Nothing behind the last frame with data. */
  cut?: boolean;
}

export interface FuzzRequest {
  method: string;
  path: string;
  /** As written; without a value there is no `=`. */
  query: [name: string, value: string | undefined][];
  /** Without those that say how long the body is: `framing` does. */
  headers: [name: string, value: string][];
  body: Buffer | Frames;
  /** `right`: Content-Length as it is. `chunked`: Transfer-Encoding. Otherwise the lines themselves. */
  framing: 'right' | 'chunked' | {readonly lines: string};
  /** Instead of the length of the data in frames. */
  decodedLength?: string;
}

const framingNames = new Set(['content-length', 'transfer-encoding']);
export const isFrames = (body: FuzzRequest['body']): body is Frames => !Buffer.isBuffer(body);

export function headerOf(request: Pick<FuzzRequest, 'headers'>, name: string): string | undefined {
  return request.headers.find(([candidate]) => candidate.toLowerCase() === name)?.[1];
}

export function setHeader(request: FuzzRequest, name: string, value: string): void {
  const at = request.headers.findIndex(([candidate]) => candidate.toLowerCase() === name);
  if (at < 0) request.headers.push([name, value]);
  else request.headers[at] = [request.headers[at]![0], value];
}

export function parseQueryText(text: string): [string, string | undefined][] {
  return text === '' ? [] : text.split('&').map((pair) => {
    const at = pair.indexOf('=');
    return at < 0 ? [pair, undefined] : [pair.slice(0, at), pair.slice(at + 1)];
  });
}

export const queryText = (query: FuzzRequest['query']): string => query.map(([name, value]) => (value === undefined ? name : `${name}=${value}`)).join('&');

/** A recorded request. */
export function parseRecorded(wire: Buffer): FuzzRequest {
  const parser = new RequestParser(64 * 1024);
  parser.push(wire);
  const head = parser.readHead();
  if (!head) throw new Error('a recording that is no request');
  const pieces: Buffer[] = [];
  for (let piece = parser.readBody(); piece; piece = parser.readBody()) pieces.push(Buffer.from(piece));
  const {method, target, rawHeaders} = head;
  const mark = target.indexOf('?');
  const headers = Array.from({length: rawHeaders.length / 2}, (_, i): [string, string] => [rawHeaders[2 * i]!, rawHeaders[2 * i + 1]!]);
  const chunked = headers.some(([name]) => name.toLowerCase() === 'transfer-encoding');
  const body = Buffer.concat(pieces);
  const streaming = headers.some(([name, value]) => name.toLowerCase() === 'x-amz-content-sha256' && value.startsWith('STREAMING-'));
  return {
    method, path: mark < 0 ? target : target.slice(0, mark), query: mark < 0 ? [] : parseQueryText(target.slice(mark + 1)),
    headers: headers.filter(([name]) => !framingNames.has(name.toLowerCase())), body: streaming ? framesOf(body) : body, framing: chunked ? 'chunked' : 'right',
  };
}

/** The frames of an aws-chunked body: a second reader, for telling what an accepted one holds. Throws when it is none. */
export function framesOf(body: Buffer): Frames {
  const frames: Frame[] = [];
  for (let at = 0; ; ) {
    const end = body.indexOf('\r\n', at, 'latin1');
    const [, digits] = /^([0-9a-fA-F]+)/.exec(end < 0 ? '' : body.toString('latin1', at, end)) ?? [];
    if (digits === undefined) throw new Error('no frame begins here');
    const size = Number.parseInt(digits, 16);
    at = end + 2;
    if (size === 0) {
      const lines = body.toString('latin1', at).split('\r\n').filter((line) => line !== '');
      return {frames, trailers: lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)])};
    }
    if (at + size > body.length) throw new Error('a frame ends early');
    frames.push({data: body.subarray(at, at + size)});
    at += size + 2;
  }
}

export const dataOf = (body: FuzzRequest['body']): Buffer => (isFrames(body) ? Buffer.concat(body.frames.map(({data}) => data)) : body);

export function copyOf(request: FuzzRequest): FuzzRequest {
  const {body} = request;
  return {
    ...request, query: request.query.map(([name, value]) => [name, value]), headers: request.headers.map(([name, value]) => [name, value]),
    body: isFrames(body) ? {...body, frames: [...body.frames], trailers: body.trailers.map(([name, value]) => [name, value])} : body,
  };
}

/** Head and body. `body` is written already: chunks are signed by what signed the head. */
export function wireOf({method, path, query, headers, framing}: FuzzRequest, body: Buffer): Buffer {
  const target = query.length === 0 ? path : `${path}?${queryText(query)}`;
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const length = framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : framing === 'right' ? (body.length > 0 || method === 'PUT' || method === 'POST' ? `Content-Length: ${body.length}\r\n` : '') : framing.lines;
  const content = framing === 'chunked' ? Buffer.concat([...(body.length > 0 ? [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')] : []), Buffer.from('0\r\n\r\n')]) : body;
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}${length}\r\n`, 'latin1'), content]);
}
