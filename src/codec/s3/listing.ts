/** Parameters of ListObjects and ListObjectsV2, and their continuation tokens. */
import {type ByteString, isUtf8} from '#base/byte-string.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {type QueryPairs, uriEncode} from '#codec/s3/sigv4.ts';

export const keysAPageMax = 1000;

export interface ListParameters {
  readonly version: 1 | 2;
  readonly prefix: ByteString;
  readonly delimiter?: ByteString;
  /** Only keys after this one, whichever parameter said so. */
  readonly after?: ByteString;
  readonly limit: number;
  readonly urlEncoding: boolean;
  /** As sent, to be echoed. */
  readonly marker?: ByteString;
  readonly startAfter?: ByteString;
  readonly continuationToken?: string;
  readonly fetchOwner: boolean;
}

/** A number of a query: `fallback` when it was not sent, cut to `max`. InvalidArgument. */
export function countOf(text: string | undefined, name: string, fallback: number, max = keysAPageMax): number {
  if (text === undefined || text === '') return fallback;
  const fields = {ArgumentName: name, ArgumentValue: text};
  if (/^-\d{1,10}$/.test(text)) throw new S3Error('InvalidArgument', `Argument ${text} must be an integer between 0 and 2147483647`, fields);
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0x7fff_ffff) throw new S3Error('InvalidArgument', `Provided ${text.slice(0, 100)} not an integer or within integer range`, fields);
  return Math.min(max, Number(text));
}

/** `encoding-type`. InvalidArgument. */
export function isUrlEncoded(encoding: string | undefined): boolean {
  if (encoding !== undefined && encoding !== 'url') throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request', {ArgumentName: 'encoding-type'});
  return encoding === 'url';
}

/** Opaque to clients; holds the last key, so that it outlives restarts and deletions. */
export function encodeToken(after: ByteString): string {
  return Buffer.from(`1${after}`, 'latin1').toString('base64url');
}

/** InvalidArgument for what never was a token. */
export function decodeToken(token: string): ByteString {
  const bytes = Buffer.from(token, 'base64url').toString('latin1');
  if (!/^[\w-]+$/.test(token) || !bytes.startsWith('1')) throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {ArgumentName: 'continuation-token'});
  return bytes.slice(1) as ByteString;
}

export function parseList(query: QueryPairs): ListParameters {
  const get = (name: string) => query.find(([candidate]) => candidate === name)?.[1];
  const bytes = (name: string): ByteString | undefined => {
    const value = get(name);
    if (value === undefined || value === '') return undefined;
    if (!isUtf8(value as ByteString)) throw new S3Error('InvalidArgument', `${name} is not valid UTF-8`, {ArgumentName: name});
    return value as ByteString;
  };
  const type = get('list-type');
  if (type !== undefined && type !== '2') throw new S3Error('InvalidArgument', 'Invalid List Type specified in Request', {ArgumentName: 'list-type'});
  const urlEncoding = isUrlEncoded(get('encoding-type'));
  const limit = countOf(get('max-keys'), 'max-keys', keysAPageMax);
  const prefix = bytes('prefix') ?? ('' as ByteString);
  const delimiter = bytes('delimiter');
  const shared = {prefix, ...(delimiter === undefined ? {} : {delimiter}), limit, urlEncoding};
  if (type === undefined) {
    const marker = bytes('marker');
    return {version: 1, ...shared, fetchOwner: true, ...(marker === undefined ? {} : {marker, after: marker})};
  }
  const token = get('continuation-token');
  const startAfter = bytes('start-after');
  const after = token ? decodeToken(token) : startAfter;
  return {
    version: 2,
    ...shared,
    fetchOwner: get('fetch-owner') === 'true',
    ...(after === undefined ? {} : {after}),
    ...(token === undefined ? {} : {continuationToken: token}),
    ...(startAfter === undefined ? {} : {startAfter}),
  };
}

const plainKey = /^[A-Za-z0-9\-._~/]*$/;

/** A key as an answer shows it under encoding-type=url: `/` stays. */
export function encodeKey(key: ByteString): string {
  return plainKey.test(key) ? key : uriEncode(key, true);
}
