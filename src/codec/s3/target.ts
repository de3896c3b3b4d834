/**
 * Request targets of S3, undecoded until here: bucket, key and query as bytes. Nothing is normalised: `//`, `.` and `..` are data.
 */
import {type ByteString, isUtf8} from '#base/byte-string.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {type QueryPairs, uriDecode} from '#codec/s3/sigv4.ts';

export const keyBytesMax = 1024;

export interface S3Target {
  /** Before the `?`, as sent. */
  readonly rawPath: string;
  readonly query: QueryPairs;
  /** Undefined: the service itself. */
  readonly bucket?: ByteString;
  /** Undefined: the bucket itself. */
  readonly key?: ByteString;
  /** The bucket was named by the host, not by the path. */
  readonly hostBucket?: true;
}

/** Pairs of a query string, decoded to bytes; a name without `=` has an empty value. */
export function parseQuery(text: string): QueryPairs {
  if (text === '') return [];
  const pairs: [string, string][] = [];
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const decode = (part: string) => uriDecode(part.includes('+') ? part.replaceAll('+', ' ') : part);
    pairs.push(at < 0 ? [decode(pair), ''] : [decode(pair.slice(0, at)), decode(pair.slice(at + 1))]);
  }
  return pairs;
}

/** The bucket that a Host header names: what stands before one of the base domains. Undefined: path style. */
export function bucketOfHost(host: string | undefined, baseDomains: readonly string[]): string | undefined {
  if (host === undefined) return undefined;
  const name = host.replace(/:\d+$/, '').toLowerCase();
  for (const domain of baseDomains) if (name.length > domain.length + 1 && name.endsWith(`.${domain}`)) return name.slice(0, -domain.length - 1);
  return undefined;
}

/** InvalidURI for what cannot be a key, KeyTooLongError. */
export function parseTarget(target: string, hostBucket: string | undefined): S3Target {
  // An absolute form (RFC 9112, 3.2.2) names the host again; only its path counts.
  const absolute = target.charCodeAt(0) === 0x2f ? undefined : /^https?:\/\/[^/?]*([^]*)$/i.exec(target)?.[1];
  const raw = absolute === undefined ? target : absolute.startsWith('/') ? absolute : `/${absolute}`;
  if (raw.charCodeAt(0) !== 0x2f) throw new S3Error('InvalidURI', "Couldn't parse the specified URI.");
  const mark = raw.indexOf('?');
  const rawPath = mark < 0 ? raw : raw.slice(0, mark);
  const query = mark < 0 ? [] : parseQuery(raw.slice(mark + 1));
  const path = uriDecode(rawPath);
  let bucket: string | undefined = hostBucket;
  let key: string;
  if (hostBucket === undefined) {
    const slash = path.indexOf('/', 1);
    bucket = slash < 0 ? path.slice(1) : path.slice(1, slash);
    key = slash < 0 ? '' : path.slice(slash + 1);
  } else key = path.slice(1);
  if (!bucket) {
    if (key !== '') throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.');
    return {rawPath, query};
  }
  const style = hostBucket === undefined ? {} : {hostBucket: true as const};
  if (key === '') return {rawPath, query, bucket: bucket as ByteString, ...style};
  if (key.length > keyBytesMax) throw new S3Error('KeyTooLongError', 'Your key is too long', {Size: String(key.length), MaxSizeAllowed: String(keyBytesMax)});
  if (key.includes('\0') || !isUtf8(key as ByteString)) throw new S3Error('InvalidURI', "Couldn't parse the specified URI.");
  return {rawPath, query, bucket: bucket as ByteString, key: key as ByteString, ...style};
}

/** What S3 keeps for itself. "Bucket naming rules", S3 User Guide. */
const reservedName = /^(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/;

/** Names that S3 allows for buckets: 3 to 63 of a–z, 0–9, `.` and `-`, no address, no two dots together. */
export function isBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) && !/\.\.|\.-|-\./.test(name) && !/^\d+\.\d+\.\d+\.\d+$/.test(name) && !reservedName.test(name);
}
