/** CopyObject, and the source of UploadPartCopy. */
import {type ByteString, isUtf8, toText} from '#base/byte-string.ts';
import {algorithmNamed} from '#codec/s3/checksums.ts';
import {judge, parseConditions, writePrecondition} from '#codec/s3/conditions.ts';
import {xmlDate} from '#codec/s3/http-date.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {uriDecode} from '#codec/s3/sigv4.ts';
import {keyBytesMax} from '#codec/s3/target.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import {isKind} from '#base/errors.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {aclAttributes} from '#frontends/s3/access/granting.ts';
import {needs} from '#frontends/s3/access/operations.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {checkTaggingDirective, copiedTagging} from '#frontends/s3/tagging.ts';
import {copyBytes} from '#frontends/s3/copy-bytes.ts';
import {asksForEncryption, customerKeyOf, encryptionHeaders, encryptionOf, keptEncryption, withoutEncryption} from '#frontends/s3/encryption.ts';
import {metadataOf} from '#frontends/s3/object-headers.ts';
import {bucketOf, etagOf, keyOf, modifiedOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {expirationHeaders} from '#frontends/s3/expiration.ts';
import {lockAttributes} from '#frontends/s3/object-lock.ts';
import {checkKey, isSealedFile} from '#frontends/s3/opening.ts';
import {versionHeaders, versionOption} from '#frontends/s3/versions.ts';
import type {ContentMetadata} from '#model/content.ts';
import {writeTypeOf} from '#frontends/s3/write-type.ts';

export interface CopySource {
  readonly bucket: ByteString;
  readonly key: ByteString;
  readonly version?: string;
}

const versionMark = '?versionId=';

/**
 * `x-amz-copy-source`: `[/]bucket/key[?versionId=…]`, percent-encoded, and as in a query `+` is a space: s5cmd sends it so, and
 * rclone escapes `+` because of it. Only a separator that is not encoded is one: an encoded one belongs to the key. InvalidArgument.
 */
export function copySourceOf(header: string): CopySource {
  const invalid = (what: string, value: string) => new S3Error('InvalidArgument', `Invalid copy source ${what}`, {ArgumentName: 'x-amz-copy-source', ArgumentValue: value});
  if (/%(?![0-9a-fA-F]{2})/.test(header)) throw invalid('encoding', header);
  const mark = header.lastIndexOf(versionMark);
  const version = mark < 0 ? undefined : uriDecode(header.slice(mark + versionMark.length));
  const path = uriDecode((mark < 0 ? header : header.slice(0, mark)).replaceAll('+', ' ')).replace(/^\//, '');
  const slash = path.indexOf('/');
  if (slash === 0 || path === '') throw invalid('bucket name', toText(path as ByteString));
  if (slash < 0 || slash === path.length - 1) throw invalid('object key', '');
  const key = path.slice(slash + 1) as ByteString;
  if (key.length > keyBytesMax || key.includes('\0') || !isUtf8(key)) throw invalid('object key', toText(key));
  return {bucket: path.slice(0, slash) as ByteString, key, ...versionOption(version)};
}

/** The source as it is now, its conditions checked. NoSuchBucket, AccessDenied, NoSuchKey, PreconditionFailed. */
export async function statSource(request: S3Request, source: CopySource): Promise<FileInfo> {
  await requireBucket(request, source.bucket);
  const owner = request.header('x-amz-source-expected-bucket-owner');
  if (owner !== undefined) await request.access.expectOwner(source.bucket, owner);
  await request.access.demand(needs.getObject, {...source, versionId: source.version});
  let info: FileInfo;
  try {
    info = await request.files.stat(objectPath(source.bucket, source.key), {kind: 'file', ...versionOption(source.version)}, request.context);
  } catch (error) {
    if (isKind(error, 'NotFound') && error.details['s3'] === 'NoSuchVersion') {
      throw new S3Error('NoSuchVersion', 'The specified version does not exist.', {Key: source.key, VersionId: source.version ?? ''});
    }
    if (isKind(error, 'NotFound', 'NotADirectory')) throw new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: toText(source.key)});
    throw error;
  }
  if (info.deleteMarker) throw new S3Error('InvalidRequest', 'The source of a copy request may not specifically refer to a delete marker by version id.');
  const conditions = parseConditions((name) => request.header(name), 'x-amz-copy-source-');
  if (conditions && judge(conditions, etagOf(info), Number(modifiedOf(info) / 1_000_000_000n) * 1000) !== 'pass') {
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.');
  }
  return info;
}

/** Which version was copied. */
export function sourceVersionHeaders(info: FileInfo): readonly string[] {
  const [, version] = versionHeaders(info);
  return version === undefined ? [] : ['x-amz-copy-source-version-id', version];
}

/** Unlike the rest of its metadata these belong to the object alone, whatever the directive says. */
const notCopied = ['x-amz-website-redirect-location', 'x-amz-storage-class'];

function copiedMetadata(given: ContentMetadata, directive: string, source: FileInfo): ContentMetadata {
  if (directive === 'REPLACE') return given;
  const metadata: Record<string, string> = {...withoutEncryption(source.inode.content?.metadata ?? {})};
  for (const name of notCopied) {
    delete metadata[name];
    if (given[name] !== undefined) metadata[name] = given[name];
  }
  return metadata;
}

export const copyObject: Operation = async (request) => {
  const bucket = bucketOf(request);
  const key = keyOf(request);
  const encryption = await encryptionOf(request, await requireBucket(request, bucket));
  const sourceKey = customerKeyOf(request, 'source');
  const source = copySourceOf(request.header('x-amz-copy-source')!);
  const directive = request.header('x-amz-metadata-directive')?.toUpperCase() ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE') throw new S3Error('InvalidArgument', 'Unknown metadata directive.', {ArgumentName: 'x-amz-metadata-directive'});
  checkTaggingDirective(request);
  const given = metadataOf(request);
  const named = request.header('x-amz-checksum-algorithm');
  const checksum = named === undefined ? undefined : algorithmNamed(named);
  const changes = directive === 'REPLACE' || asksForEncryption(request) || notCopied.some((name) => request.header(name) !== undefined);
  if (!changes && source.version === undefined && source.bucket === bucket && source.key === key) {
    const message = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
    throw new S3Error('InvalidRequest', message);
  }
  const info = await statSource(request, source);
  checkKey(info, sourceKey);
  const precondition = writePrecondition((name) => request.header(name));
  const lock = await lockAttributes(request);
  const path = objectPath(bucket, key);
  const options = {
    kind: 'file',
    ...(source.version === undefined ? {} : {sourceVersion: source.version}),
    xattrs: {...copiedTagging(request, info), ...lock, ...aclAttributes(request)},
    onePiece: checksum ? {checksum} : {},
    sourcePrecondition: {ifMatch: etagOf(info)},
    metadata: {...copiedMetadata(given, directive, info), ...keptEncryption(encryption)},
    ...(precondition ? {precondition} : {}),
    ...writeTypeOf(request),
  } as const;
  const opensOrSeals = encryption.key !== undefined || isSealedFile(info);
  const copied = await (opensOrSeals ? copyBytes(request, info, path, {...options, sourceKey, key: encryption.key}) : request.files.copy(info.path, path, options, request.context));
  const checksums = Object.entries(copied.inode.content?.checksums ?? {}).map(([name, value]) => element(`Checksum${name.toUpperCase()}`, value));
  const result = `${element('LastModified', xmlDate(modifiedOf(copied)))}${element('ETag', `"${etagOf(copied)}"`)}${checksums.join('')}`;
  await xml(request, xmlDocument('CopyObjectResult', result), [...versionHeaders(copied), ...sourceVersionHeaders(info), ...expirationHeaders(request, copied), ...encryptionHeaders(encryption)]);
};
