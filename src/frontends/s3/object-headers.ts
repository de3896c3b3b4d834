/** Headers that are kept with an object and given back: content headers and `x-amz-meta-…`. "Object metadata", S3 User Guide. */
import {httpDate} from '#codec/s3/http-date.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {element} from '#codec/s3/xml-write.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {etagOf, modifiedOf, type S3Request} from '#frontends/s3/request.ts';
import {expirationHeaders} from '#frontends/s3/expiration.ts';
import {lockHeaders} from '#frontends/s3/object-lock.ts';
import {restoreHeaders} from '#frontends/s3/restore-object.ts';
import {versionHeaders} from '#frontends/s3/versions.ts';
import {persistHeaders} from '#frontends/s3/write-type.ts';
import {taggingHeaders} from '#frontends/s3/tagging.ts';
import type {Checksums, ContentMetadata} from '#model/content.ts';
import type {ChecksumType} from '#model/multipart.ts';
import {sealEntry} from '#model/seal.ts';

const kept = ['content-type', 'content-encoding', 'content-language', 'content-disposition', 'cache-control', 'expires', 'x-amz-website-redirect-location', 'x-amz-storage-class'];
/** Of S3's general purpose buckets. */
const storageClasses: ReadonlySet<string> = new Set(['STANDARD', 'REDUCED_REDUNDANCY', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER', 'DEEP_ARCHIVE', 'GLACIER_IR']);
const metaPrefix = 'x-amz-meta-';
const smallX = 0x78;
const metaBytesMax = 2 * 1024;
const defaultType = 'binary/octet-stream';

/** Header values come as latin-1; what is UTF-8 in them is text. */
function textOf(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}

/** MetadataTooLarge, InvalidStorageClass, InvalidRedirectLocation. */
export function metadataOf(request: S3Request): ContentMetadata {
  const metadata: Record<string, string> = {};
  for (const name of kept) {
    let value = request.header(name);
    if (value === undefined || value === '') continue;
    if (name === 'content-encoding') {
      // aws-chunked is how the body travelled, not what it is.
      if (value.includes('aws-chunked')) value = value.split(',').map((part) => part.trim()).filter((part) => part !== 'aws-chunked').join(', ');
      if (value === '') continue;
    }
    if (name === 'x-amz-storage-class') {
      if (!storageClasses.has(value)) throw new S3Error('InvalidStorageClass', 'The storage class you specified is not valid', {StorageClassRequested: value.slice(0, 100)});
      if (value === 'STANDARD') continue;
    }
    if (name === 'x-amz-website-redirect-location' && !/^(https?:\/\/|\/)/.test(value)) {
      throw new S3Error('InvalidRedirectLocation', "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.");
    }
    metadata[name] = textOf(value);
  }
  let bytes = 0;
  const take = (given: string, value: string): void => {
    // Most headers are shorter, or begin with another letter.
    if (given.length < metaPrefix.length || (given.charCodeAt(0) | 0x20) !== smallX) return;
    const name = given.toLowerCase();
    if (!name.startsWith(metaPrefix) || name === sealEntry) return;
    bytes += name.length - metaPrefix.length + value.length;
    const text = textOf(value.trim());
    metadata[name] = metadata[name] === undefined ? text : `${metadata[name]},${text}`;
  };
  const {rawHeaders} = request.exchange;
  for (let i = 0; i < rawHeaders.length; i += 2) take(rawHeaders[i]!, rawHeaders[i + 1]!);
  // Presigning hoists them into the query.
  for (const [name, value] of request.target.query) take(name, value);
  if (bytes > metaBytesMax) throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size', {Size: String(bytes), MaxSizeAllowed: String(metaBytesMax)});
  return metadata;
}

/** In lists, where unlike in headers that of STANDARD is said too. */
export function storageClassXml(metadata: ContentMetadata | undefined): string {
  const kept = metadata?.['x-amz-storage-class'];
  return kept === undefined ? '<StorageClass>STANDARD</StorageClass>' : element('StorageClass', kept);
}

const ascii = /^[\x20-\x7e\t]*$/;
/** Text as a header value; text beyond ASCII as RFC 2047 says, as S3 does. Never a line break. */
function headerValue(text: string): string {
  return ascii.test(text) ? text : `=?UTF-8?B?${Buffer.from(text, 'utf8').toString('base64')}?=`;
}

const overrides = ['content-type', 'content-language', 'expires', 'cache-control', 'content-disposition', 'content-encoding'];
const overrideNames: ReadonlySet<string> = new Set(overrides.map((name) => `response-${name}`));

export function checksumHeaderPairs(checksums: Checksums): string[] {
  return Object.entries(checksums).flatMap(([name, value]) => [`x-amz-checksum-${name}`, value]);
}

/** What checksums of an object are of: all its bytes, or (`-N`) the checksums of its parts. Undefined when there are none. */
export function checksumTypeOfValues(checksums: Checksums): ChecksumType | undefined {
  const values = Object.values(checksums);
  if (values.length === 0) return undefined;
  return values.some((value) => /-\d+$/.test(value)) ? 'COMPOSITE' : 'FULL_OBJECT';
}

/** Of an object: values and type. */
export function objectChecksumPairs(checksums: Checksums): string[] {
  const type = checksumTypeOfValues(checksums);
  return type ? [...checksumHeaderPairs(checksums), 'x-amz-checksum-type', type] : [];
}

export function asksForChecksums(request: S3Request): boolean {
  return request.header('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
}

/** InvalidRequest: what an answer says of the object is for those to choose who sign. */
export function checkOverrides({identity, target: {query}}: S3Request): void {
  if (query.length === 0 || identity.caller || !query.some(([name]) => overrideNames.has(name))) return;
  throw new S3Error('InvalidRequest', 'Request specific response headers cannot be used for anonymous GET requests.');
}

function overridesOf(request: S3Request): ReadonlyMap<string, string> {
  const replaced = new Map<string, string>();
  for (const name of overrides) {
    const value = request.query(`response-${name}`);
    if (value !== undefined) replaced.set(name, value.replace(/[\0-\x1f\x7f]/g, ''));
  }
  return replaced;
}

/** What GET and HEAD say of an object, beside length and range. */
export function objectHeaders(request: S3Request, info: FileInfo, wholeObject: boolean): string[] {
  const metadata = info.inode.content?.metadata ?? {};
  const headers = ['ETag', `"${etagOf(info)}"`, 'Last-Modified', httpDate(modifiedOf(info)), 'Accept-Ranges', 'bytes', ...versionHeaders(info)];
  const replaced = request.target.query.length > 0 ? overridesOf(request) : undefined;
  headers.push('Content-Type', replaced?.get('content-type') ?? headerValue(metadata['content-type'] ?? defaultType));
  if (replaced) for (const [name, value] of replaced) if (name !== 'content-type') headers.push(name, value);
  for (const name in metadata) if (name !== 'content-type' && name !== sealEntry && !replaced?.has(name)) headers.push(name, headerValue(metadata[name]!));
  const checksums = info.inode.content?.checksums;
  if (wholeObject && checksums && asksForChecksums(request)) headers.push(...objectChecksumPairs(checksums));
  if (info.inode.content?.pending) headers.push(...persistHeaders(info));
  if (info.inode.xattrs) headers.push(...taggingHeaders(info), ...lockHeaders(info), ...restoreHeaders(request.nowMs, info));
  if (request.access.rules.lifecycle) headers.push(...expirationHeaders(request, info));
  return headers;
}

