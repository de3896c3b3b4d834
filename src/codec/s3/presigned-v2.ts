/**
 * Presigned URLs of Signature Version 2, which boto3 still makes for custom endpoints. Source: "Signing and authenticating REST requests"
 * of the S3 API reference (HMAC-SHA1 over method, type and a canonical resource).
 */
import {createHmac} from 'node:crypto';
import {S3Error} from '#codec/s3/s3-error.ts';
import {type QueryPairs, sameSignature, uriEncode} from '#codec/s3/sigv4.ts';

/** Query parameters that are part of the resource. */
const resourceParameters = new Set([
  'accelerate', 'acl', 'analytics', 'cors', 'delete', 'inventory', 'lifecycle', 'location', 'logging', 'metrics', 'notification', 'object-lock', 'partNumber', 'policy', 'replication', 'requestPayment',
  'response-cache-control', 'response-content-disposition', 'response-content-encoding', 'response-content-language', 'response-content-type', 'response-expires', 'restore', 'select', 'select-type',
  'tagging', 'torrent', 'uploadId', 'uploads', 'versionId', 'versioning', 'versions', 'website',
]);

const hoisted = /^(x-amz-.*|content-md5|content-type)$/i;

export interface PresignedV2 {
  readonly method: string;
  /** Path as sent, `/bucket/key`. */
  readonly resource: string;
  /** [name, value …] as sent. */
  readonly headers: readonly string[];
  readonly query: QueryPairs;
  readonly secret: string;
  readonly nowMs: number;
}

/** Base64 of the 20 bytes of an HMAC-SHA1. */
const signatureForm = /^[A-Za-z0-9+/]{27}=$/;

/** InvalidRequest (what cannot be a signature of version 2 is answered as S3 answers where it knows version 4 only), AccessDenied (expired), SignatureDoesNotMatch. */
export function verifyPresignedV2({method, resource, headers, query, secret, nowMs}: PresignedV2): void {
  const get = (name: string) => query.find(([candidate]) => candidate === name)?.[1];
  const signature = get('Signature') ?? '';
  if (!signatureForm.test(signature)) throw new S3Error('InvalidRequest', 'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.');
  const expires = get('Expires') ?? '';
  if (!/^\d{1,12}$/.test(expires)) throw new S3Error('AccessDenied', 'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters');
  if (Number(expires) * 1000 < nowMs) throw new S3Error('AccessDenied', 'Request has expired', {Expires: expires});
  const lower = new Map<string, string[]>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase();
    lower.set(name, [...(lower.get(name) ?? []), headers[i + 1]!.trim()]);
  }
  // boto3 hoists what it has signed of the headers into the query.
  for (const [name, value] of query) if (hoisted.test(name)) lower.set(name.toLowerCase(), [value]);
  const amz = [...lower].filter(([name]) => name.startsWith('x-amz-')).sort(([a], [b]) => (a < b ? -1 : 1));
  const parameters = query
    .filter(([name]) => resourceParameters.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`));
  const before = [method, lower.get('content-md5')?.[0] ?? '', lower.get('content-type')?.[0] ?? '', expires, ...amz.map(([name, values]) => `${name}:${values.join(',')}`)].join('\n');
  const signed = (path: string): string => `${before}\n${path}${parameters.length > 0 ? `?${parameters.join('&')}` : ''}`;
  const fits = (text: string): boolean => sameSignature(createHmac('sha1', secret).update(text, 'latin1').digest('base64'), signature);
  const text = signed(resource);
  // boto3 sends `/bucket` and signs `/bucket/`.
  if (!fits(text) && !(/^\/[^/]+$/.test(resource) && fits(signed(`${resource}/`)))) {
    throw new S3Error('SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.', {StringToSign: uriEncode(text, true)});
  }
}
