/** GET of a range: one request, also for an object of which nothing is known. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {HttpClientResponse} from '#runtime/http.ts';
import type {StoreCallOptions, StoreObject, StoreRead, StoreReadRequest} from '#understore/under-store.ts';
import type {S3Client} from '#connectors/s3/client.ts';
import {rangeTotal} from '#connectors/s3/errors.ts';
import {announcedLength, conditionHeaders, objectFrom} from '#connectors/s3/objects.ts';

export async function statObject(client: S3Client, key: ByteString, options: StoreCallOptions): Promise<StoreObject | undefined> {
  if (client.fullKey(key) === '') return undefined;
  try {
    const response = await client.sendForHeaders({method: 'HEAD', key, headers: {'x-amz-checksum-mode': 'ENABLED'}, signal: options.signal});
    return objectFrom(key, response, announcedLength(response));
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}

export async function readObject(client: S3Client, key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
  if (client.fullKey(key) === '') throw new WeirError('NotFound', 'the mounted prefix itself is no object');
  const {ifFingerprint} = request;
  const range = rangeHeader(request);
  const headers = {...(range === undefined ? {} : {range}), ...(ifFingerprint === undefined ? {} : conditionHeaders(ifFingerprint, 'read'))};
  let response: HttpClientResponse;
  try {
    response = await client.send({method: 'GET', key, headers, signal: options.signal});
  } catch (error) {
    if (isKind(error, 'PreconditionFailed')) throw changed(key, error);
    if (isKind(error, 'RangeNotSatisfiable')) return await outOfRange(client, key, request, error, options);
    throw error;
  }
  try {
    return interpret(key, request, response);
  } catch (error) {
    response.body.destroy();
    throw error;
  }
}

function rangeHeader({offset = 0, length}: StoreReadRequest): string | undefined {
  if (offset < 0) return `bytes=${offset}`;
  if (length === undefined) return offset === 0 ? undefined : `bytes=${offset}-`;
  return `bytes=${offset}-${offset + Math.max(1, length) - 1}`;
}

function interpret(key: ByteString, request: StoreReadRequest, response: HttpClientResponse): StoreRead {
  const announced = announcedLength(response);
  const wanted = request.offset ?? 0;
  let size = announced;
  let start = 0;
  if (response.status === 206) {
    const range = /^bytes (\d{1,15})-\d{1,15}\/\d{1,15}$/.exec(response.header('content-range') ?? '');
    size = rangeTotal(response.header('content-range')) ?? Number.NaN;
    start = Number(range?.[1] ?? Number.NaN);
    const asked = wanted < 0 ? Math.max(0, size + wanted) : wanted;
    if (start !== asked) throw new WeirError('Unavailable', `${toText(key)}: the store answered another range than was asked for`);
  }
  const object = objectFrom(key, response, size);
  if (request.ifFingerprint !== undefined && object.fingerprint !== request.ifFingerprint) throw changed(key);
  // Where the store has ignored the range, the beginning is read and thrown away.
  const offset = wanted < 0 ? Math.max(0, size + wanted) : wanted;
  if (offset > 0 && offset >= size) throw new WeirError('RangeNotSatisfiable', `${toText(key)} has ${size} bytes; the range starts at ${offset}`, {details: {length: size}});
  const length = Math.min(request.length ?? size, size - offset);
  if (length > start + announced - offset) throw new WeirError('Unavailable', `${toText(key)}: the store answered ${announced} bytes of the ${length} that were asked for`);
  return {object, offset, length, body: cutBody(response.body, offset - start, length, key), ...(response.giveBack ? {giveBack: response.giveBack} : {})};
}

/** An empty object satisfies no range; its beginning may be read all the same. */
async function outOfRange(client: S3Client, key: ByteString, request: StoreReadRequest, error: WeirError, options: StoreCallOptions): Promise<StoreRead> {
  const object = await statObject(client, key, options);
  if (!object) throw new WeirError('NotFound', `${toText(key)} does not exist`);
  if (request.ifFingerprint !== undefined && object.fingerprint !== request.ifFingerprint) throw changed(key);
  if (object.length === 0 && (request.offset ?? 0) <= 0) return {object, offset: 0, length: 0, body: nothing};
  throw new WeirError('RangeNotSatisfiable', `${toText(key)} has ${object.length} bytes; the range starts behind`, {cause: error, details: {length: object.length}});
}

const nothing: AsyncIterable<Uint8Array> = {[Symbol.asyncIterator]: () => ({next: async () => ({done: true, value: undefined})})};

/** Exactly `length` bytes after `skip`, or Unavailable. The answer is destroyed when the receiver stops early. */
export function cutBody(source: HttpClientResponse['body'], skip: number, length: number, key: ByteString): AsyncIterable<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let toSkip = skip;
  let left = length;
  const body: AsyncIterator<Uint8Array> = {
    async next() {
      for (;;) {
        if (left === 0) {
          await finish(iterator, source);
          return {done: true, value: undefined};
        }
        const result = await iterator.next();
        if (result.done) throw new WeirError('Unavailable', `${toText(key)}: the store broke off ${left} bytes before the end`);
        let chunk = result.value;
        if (toSkip > 0) {
          const skipped = Math.min(toSkip, chunk.length);
          toSkip -= skipped;
          chunk = chunk.subarray(skipped);
        }
        if (chunk.length > left) chunk = chunk.subarray(0, left);
        if (chunk.length === 0) continue;
        left -= chunk.length;
        return {done: false, value: chunk};
      }
    },
    async return() {
      source.destroy();
      return {done: true, value: undefined};
    },
  };
  return {[Symbol.asyncIterator]: () => body};
}

/** Reads the end of the message, so that the connection can be used again; what goes on is broken off. */
async function finish(iterator: AsyncIterator<Uint8Array>, source: HttpClientResponse['body']): Promise<void> {
  const rest = await iterator.next();
  if (!rest.done) source.destroy();
}

function changed(key: ByteString, cause?: unknown): WeirError {
  return new WeirError('ContentChanged', `${toText(key)} is another version now`, cause === undefined ? undefined : {cause});
}
