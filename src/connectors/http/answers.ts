/** What a web server's answer says about a file, and the bytes that were asked for. */
import {hash} from 'node:crypto';
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentMetadata} from '#model/content.ts';
import type {HttpClientResponse} from '#runtime/http.ts';
import type {StoreObject, StoreRead, StoreReadRequest} from '#understore/under-store.ts';

const metadataNames = new Set(['content-type', 'content-language', 'content-disposition', 'cache-control']);

/** The announced length of the body; undefined where the server says none. */
export function lengthOf(response: HttpClientResponse): number | undefined {
  const text = response.header('content-length');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * The fingerprint is the ETag with its quotes when it is a strong one, which makes reads conditional; else the date of the last
 * change and the length, which are compared with each answer.
 */
export function objectFrom(key: ByteString, response: HttpClientResponse, length: number): StoreObject {
  const etag = response.header('etag');
  const modified = response.header('last-modified') ?? '';
  const strong = etag !== undefined && /^"[\x21\x23-\x7e]+"$/.test(etag);
  const fingerprint = strong ? etag : `${etag ?? ''} ${modified} ${length}`;
  const metadata: Record<string, string> = {};
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
    const name = response.rawHeaders[i]!.toLowerCase();
    if (metadataNames.has(name)) metadata[name] = Buffer.from(response.rawHeaders[i + 1]!, 'latin1').toString('utf8');
  }
  const ms = Date.parse(modified);
  return {
    key, kind: 'file', length, fingerprint,
    // Nobody should take a web server's ETag for the MD5 of the bytes.
    etag: `${hash('md5', fingerprint)}-1`,
    modified: BigInt(Number.isFinite(ms) ? ms : 0) * 1_000_000n,
    checksums: {},
    metadata: metadata satisfies ContentMetadata,
  };
}

/** Takes over the answer to a GET. NotFound, ContentChanged, RangeNotSatisfiable; where it throws, the caller destroys the answer. */
export function readBody(key: ByteString, request: StoreReadRequest, response: HttpClientResponse): StoreRead {
  const {status} = response;
  if (status === 404 || status === 410) throw new WeirError('NotFound', `${toText(key)} does not exist`);
  if (status === 412) throw changed(key);
  const contentRange = response.header('content-range') ?? '';
  if (status === 416) {
    const size = /^bytes \*\/(\d{1,15})$/.exec(contentRange)?.[1];
    throw new WeirError('RangeNotSatisfiable', `${toText(key)}: the range starts behind the end`, {details: size === undefined ? {} : {length: Number(size)}});
  }
  const announced = lengthOf(response);
  if (announced === undefined) throw new WeirError('Unsupported', `${toText(key)}: the server does not say how long the file is, so a cut answer could not be told from a whole one`);
  let start = 0;
  let size = announced;
  if (status === 206) {
    const range = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(contentRange);
    if (!range) throw new WeirError('Unavailable', `${toText(key)}: the server answered a part and did not say which`);
    start = Number(range[1]);
    size = Number(range[2]);
  }
  const object = objectFrom(key, response, size);
  if (request.ifFingerprint !== undefined && object.fingerprint !== request.ifFingerprint) throw changed(key);
  const wanted = request.offset ?? 0;
  const offset = wanted < 0 ? Math.max(0, size + wanted) : wanted;
  if (offset > 0 && offset >= size) throw new WeirError('RangeNotSatisfiable', `${toText(key)} has ${size} bytes; the range starts at ${offset}`, {details: {length: size}});
  const length = Math.min(request.length ?? size, size - offset);
  if (offset < start || offset + length > start + announced) throw new WeirError('Unavailable', `${toText(key)}: the server answered another range than was asked for`);
  return {object, offset, length, body: cut(response.body, offset - start, length, key)};
}

/** Exactly `length` bytes after `skip`, or Unavailable. A server without ranges sends the file from its beginning, and goes on behind the end. */
function cut(source: HttpClientResponse['body'], skip: number, length: number, key: ByteString): AsyncIterable<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]();
  let toSkip = skip;
  let left = length;
  const body: AsyncIterator<Uint8Array> = {
    async next() {
      while (left > 0) {
        const result = await chunks.next();
        if (result.done) throw new WeirError('Unavailable', `${toText(key)}: the server broke off ${left} bytes before the end`);
        const from = Math.min(toSkip, result.value.length);
        toSkip -= from;
        const chunk = result.value.subarray(from, from + left);
        left -= chunk.length;
        if (chunk.length > 0) return {done: false, value: chunk};
      }
      // The end of the message, if this was it, lets the connection be used again.
      if (!(await chunks.next()).done) source.destroy();
      return {done: true, value: undefined};
    },
    async return() {
      source.destroy();
      return {done: true, value: undefined};
    },
  };
  return {[Symbol.asyncIterator]: () => body};
}

function changed(key: ByteString): WeirError {
  return new WeirError('ContentChanged', `${toText(key)} is another version now`);
}
