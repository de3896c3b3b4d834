/** Multipart uploads: create and abort, and what all their operations share. */
import {fromBytes, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {decodeAcl} from '#codec/s3/acl.ts';
import {uploadChecksums} from '#codec/s3/checksums.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {ownerXml} from '#codec/s3/access-documents.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {aclAttributes} from '#frontends/s3/access/granting.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {encryptionHeaders, encryptionOf, keptEncryption} from '#frontends/s3/encryption.ts';
import {aclAttribute} from '#frontends/s3/access/request-access.ts';
import {metadataOf} from '#frontends/s3/object-headers.ts';
import {sealUpload} from '#frontends/s3/sealing.ts';
import {lockAttributes} from '#frontends/s3/object-lock.ts';
import {taggingOf} from '#frontends/s3/tagging.ts';
import {answer, bucketOf, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {writeTypeOf} from '#frontends/s3/write-type.ts';
import type {ChecksumAlgorithm, Checksums} from '#model/content.ts';

export const partNumberMax = 10_000;

export const checksumsXml = (checksums: Checksums): string =>
  (Object.keys(checksums) as ChecksumAlgorithm[]).map((name) => element(`Checksum${name.toUpperCase()}`, checksums[name]!)).join('');

/** What the upload was created with. */
export const checksumXml = ({checksumAlgorithm, checksumType}: UploadRecord): string =>
  `${checksumAlgorithm ? element('ChecksumAlgorithm', checksumAlgorithm.toUpperCase()) : ''}${checksumType ? element('ChecksumType', checksumType) : ''}`;

/** Only the one that this upload uses: what Weir computes beside it is its own affair. */
export function shownChecksums(checksums: Checksums, algorithm: ChecksumAlgorithm | undefined): Checksums {
  const value = algorithm && checksums[algorithm];
  return value === undefined ? {} : {[algorithm!]: value};
}

export function noSuchUpload(uploadId: string): S3Error {
  return new S3Error('NoSuchUpload', 'The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.', {UploadId: uploadId});
}

/** Turns the master's NotFound into S3's word for it. */
export async function withUpload<T>(uploadId: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw isKind(error, 'NotFound') ? noSuchUpload(uploadId) : error;
  }
}

export function uploadIdOf(request: S3Request): string {
  const id = request.query('uploadId');
  if (id) return id;
  throw new S3Error('InvalidArgument', 'This operation does not accept partNumber without uploadId', {ArgumentName: 'partNumber', ArgumentValue: request.query('partNumber') ?? ''});
}

export const createMultipartUpload: Operation = async (request) => {
  const bucket = bucketOf(request);
  const key = keyOf(request);
  const checksums = uploadChecksums((name) => request.header(name));
  const encryption = await encryptionOf(request, await requireBucket(request, bucket));
  const metadata = {...metadataOf(request), ...(encryption.key ? sealUpload(request, encryption.key) : keptEncryption(encryption))};
  const xattrs = {...taggingOf(request), ...(await lockAttributes(request)), ...aclAttributes(request)};
  const upload = await request.files.createUpload(objectPath(bucket, key), {kind: 'file', parents: 'implied', metadata, xattrs, ...checksums, ...writeTypeOf(request)}, request.context);
  const {checksumAlgorithm, checksumType} = checksums;
  const echoed = checksumAlgorithm && checksumType ? ['x-amz-checksum-algorithm', checksumAlgorithm.toUpperCase(), 'x-amz-checksum-type', checksumType] : [];
  const named = `${element('Bucket', toText(bucket))}${element('Key', toText(key))}${element('UploadId', upload.uploadId)}`;
  await xml(request, xmlDocument('InitiateMultipartUploadResult', named), [...echoed, ...encryptionHeaders(encryption)]);
};

/** `x-amz-if-match-initiated-time`, in whole seconds; one of the future says nothing, as other dates of conditions. PreconditionFailed. */
async function checkInitiated(request: S3Request, uploadId: string): Promise<void> {
  const wanted = Date.parse(request.header('x-amz-if-match-initiated-time') ?? '');
  if (Number.isNaN(wanted) || wanted > request.nowMs) return;
  const {initiatedAt} = await withUpload(uploadId, () => request.files.getUpload(objectPath(bucketOf(request), keyOf(request)), uploadId, request.context));
  if (Number(initiatedAt / 1_000_000_000n) * 1000 !== wanted) throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.', {Condition: 'x-amz-if-match-initiated-time'});
}

export const abortMultipartUpload: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const uploadId = uploadIdOf(request);
  await checkInitiated(request, uploadId);
  await withUpload(uploadId, () => request.files.abortUpload(objectPath(bucket, keyOf(request)), uploadId, request.context));
  await answer(request, 204);
};

/** Who began an upload, and who will own what it becomes. */
export function whoseXml({access}: S3Request, {initiator, xattrs}: UploadRecord): string {
  const kept = xattrs?.[aclAttribute];
  const {id, displayName} = access.directory.ownerByName(initiator);
  return `<Initiator>${element('ID', id)}${element('DisplayName', displayName)}</Initiator>${ownerXml(access.ownerOf(kept && decodeAcl(fromBytes(kept))))}`;
}
