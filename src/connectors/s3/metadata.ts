/**
 * Content headers and user metadata, to and from request headers. Headers are ASCII; text beyond that travels as RFC 2047
 * encoded words (`=?UTF-8?B?…?=`), which is also how S3 itself gives back what it was sent as raw UTF-8.
 */
import {WeirError} from '#base/errors.ts';
import type {ContentMetadata} from '#model/content.ts';

const contentHeaders = new Set(['content-type', 'content-encoding', 'content-language', 'content-disposition', 'cache-control', 'expires']);
const userPrefix = 'x-amz-meta-';
const encodedWord = /=\?utf-8\?([bq])\?([^?]*)\?=/gi;
const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const plainValue = /^[\x20-\x7e\t]*$/;

/** InvalidArgument: a name that is no header. */
export function metadataHeaders(metadata: ContentMetadata): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    if (contentHeaders.has(name)) headers[name] = encodeValue(value);
    else if (name.startsWith(userPrefix)) {
      if (!headerName.test(name)) throw new WeirError('InvalidArgument', `not a name of metadata: ${JSON.stringify(name.slice(0, 100))}`);
      headers[name] = encodeValue(value);
    }
  }
  return headers;
}

/** `rawHeaders`: name, value, name, value …; values as latin-1. */
export function metadataFrom(rawHeaders: readonly string[]): ContentMetadata {
  const metadata: Record<string, string> = {};
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (contentHeaders.has(name) || name.startsWith(userPrefix)) metadata[name] = decodeValue(rawHeaders[i + 1]!);
  }
  return metadata;
}

function encodeValue(value: string): string {
  const looksEncoded = value.includes('=?');
  return plainValue.test(value) && !looksEncoded && value.trim() === value ? value : `=?UTF-8?B?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}

function decodeValue(value: string): string {
  const text = plainValue.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8');
  if (!text.includes('=?')) return text;
  return text.replace(/\?=\s+=\?/g, '?==?').replace(encodedWord, (_, encoding: string, encoded: string) => {
    if (encoding.toLowerCase() === 'b') return Buffer.from(encoded, 'base64').toString('utf8');
    const bytes = encoded.replace(/_/g, ' ').replace(/=([0-9a-f]{2})/gi, (_word, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return Buffer.from(bytes, 'latin1').toString('utf8');
  });
}
