/** What S3 says about an object, in headers and listings. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {checksumAlgorithms, type Checksums, type ContentMetadata, type TimeNs} from '#model/content.ts';
import type {HttpClientResponse} from '#runtime/http.ts';
import type {StoreObject} from '#understore/under-store.ts';
import {metadataFrom} from '#connectors/s3/metadata.ts';

/** Marks the fingerprint of an object for which the store has no ETag. */
const dateMark = '@';

/** The object that an answer to GET or HEAD describes; `length` is the whole object's. */
export function objectFrom(key: ByteString, response: HttpClientResponse, length: number): StoreObject {
  const etag = unquote(response.header('etag') ?? '');
  const modified = response.header('last-modified');
  return makeObject(key, {etag, length, modified, checksums: checksumsFrom(response), metadata: metadataFrom(response.rawHeaders)});
}

export function makeObject(
  key: ByteString,
  {etag, length, modified, checksums, metadata}: {etag: string; length: number; modified: string | undefined; checksums?: Checksums; metadata?: ContentMetadata},
): StoreObject {
  return {
    key,
    kind: key.endsWith('/') ? 'directory' : 'file',
    length,
    // Listings and headers write dates in different forms: the second is what they agree on.
    fingerprint: etag === '' ? `${dateMark}${parseTime(modified) / 1_000_000_000n}` : etag,
    etag,
    modified: parseTime(modified),
    checksums: checksums ?? {},
    ...(metadata === undefined ? {} : {metadata}),
  };
}

/**
 * Headers that make a request conditional on a version. Without an ETag there is only the second in which the object changed; stores that
 * compare it with a time in nanoseconds refuse their own objects, so a `read` (or a copy) asks for the second after it: what the answer says
 * of itself is compared all the same.
 */
export function conditionHeaders(fingerprint: string, use: 'read' | 'copy' | 'write'): Record<string, string> {
  const prefix = use === 'copy' ? 'x-amz-copy-source-' : '';
  if (fingerprint.startsWith(dateMark)) return {[`${prefix}if-unmodified-since`]: new Date((Number(fingerprint.slice(dateMark.length)) + (use === 'write' ? 0 : 1)) * 1000).toUTCString()};
  return {[`${prefix}if-match`]: `"${fingerprint}"`};
}

export function unquote(etag: string): string {
  return etag.replace(/^W\//, '').replace(/^"(.*)"$/s, '$1');
}

/** The size that a header announces. Unavailable when there is none: then nothing can tell a cut body from a whole one. */
export function announcedLength(response: HttpClientResponse): number {
  const text = response.header('content-length') ?? '';
  if (!/^\d{1,15}$/.test(text)) throw new WeirError('Unavailable', `the store did not say how long its answer is (content-length ${JSON.stringify(text.slice(0, 30))})`);
  return Number(text);
}

function checksumsFrom(response: HttpClientResponse): Checksums {
  const found: Record<string, string> = {};
  for (const name of checksumAlgorithms) {
    const value = response.header(`x-amz-checksum-${name}`);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

function parseTime(text: string | undefined): TimeNs {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return BigInt(Number.isFinite(ms) ? ms : 0) * 1_000_000n;
}
