/** CompleteMultipartUpload. */
import {toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {checksumTypeOf, completedChecksums, defaultAlgorithm, isDigest} from '#codec/s3/checksums.ts';
import {writePrecondition} from '#codec/s3/conditions.ts';
import {encodeKey} from '#codec/s3/listing.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {partsOf, type RequestedPart, XmlReader} from '#codec/s3/xml-read.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import type {CustomerKey} from '#codec/s3/customer-key.ts';
import {customerKeyOf, encryptionHeaders, encryptionOfObject} from '#frontends/s3/encryption.ts';
import {expirationHeaders} from '#frontends/s3/expiration.ts';
import {checksumsXml, uploadIdOf, withUpload} from '#frontends/s3/multipart.ts';
import {checksumTypeOfValues} from '#frontends/s3/object-headers.ts';
import {readDocument} from '#frontends/s3/request-body.ts';
import {bucketOf, etagOf, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {checkKey} from '#frontends/s3/opening.ts';
import {checkUploadKey} from '#frontends/s3/sealing.ts';
import {versionHeaders} from '#frontends/s3/versions.ts';
import {persistHeaders} from '#frontends/s3/write-type.ts';
import type {ChecksumAlgorithm} from '#model/content.ts';
import {isSealed} from '#model/seal.ts';

/** Of all but the last part. "Amazon S3 multipart upload limits". */
const partBytesMin = 5 * 1024 * 1024;
const partsLookedAtMax = 1000;

function objectBytesOf(request: S3Request): number | undefined {
  const text = request.header('x-amz-mp-object-size');
  if (text === undefined) return undefined;
  if (/^-\d{1,15}$/.test(text)) throw new S3Error('InvalidRequest', `Value for x-amz-mp-object-size header is less than zero: '${text}'`);
  if (!/^\d{1,15}$/.test(text)) throw new S3Error('InvalidRequest', 'Value for x-amz-mp-object-size header is invalid.');
  return Number(text);
}

/** Who says the checksum of one part must say those of all; who says none leaves it to what was kept. */
function checkParts(parts: readonly RequestedPart[], {checksumAlgorithm: algorithm, checksumType}: UploadRecord): void {
  const said = checksumType === 'COMPOSITE' && parts.some(({checksums}) => Object.keys(checksums).length > 0);
  parts.forEach(({partNumber, checksums}, i) => {
    if (i > 0 && partNumber <= parts[i - 1]!.partNumber) throw new S3Error('InvalidPartOrder', 'The list of parts was not in ascending order. Parts must be ordered by part number.');
    const values = Object.entries(checksums) as [ChecksumAlgorithm, string][];
    const wrong = values.length > 1 ? values : values.filter(([name, value]) => !isDigest(value, name));
    if (wrong.length > 0) throw new S3Error('InvalidArgument', 'Invalid Base64 or multiple checksums present in request', {ArgumentName: 'Checksum', ArgumentValue: wrong.map(([, value]) => value).join(', ')});
    if (said && values.length === 0) {
      const message = `The upload was created using a ${algorithm} checksum. The complete request must include the checksum for each part. It was missing for part ${partNumber} in the request.`;
      throw new S3Error('InvalidRequest', message);
    }
  });
}

export const completeMultipartUpload: Operation = async (request) => {
  const bucket = bucketOf(request);
  const key = keyOf(request);
  const path = objectPath(bucket, key);
  const uploadId = uploadIdOf(request);
  const length = objectBytesOf(request);
  const checksums = completedChecksums(request.exchange.rawHeaders);
  const type = checksumTypeOf((name) => request.header(name));
  const customerKey = customerKeyOf(request);
  const precondition = writePrecondition((name) => request.header(name));
  const document = new XmlReader();
  await readDocument(request, (chunk) => document.write(chunk), false);
  const parts = partsOf(document.end('CompleteMultipartUpload'));
  await requireBucket(request, bucket);
  let upload: UploadRecord;
  try {
    upload = await withUpload(uploadId, () => request.files.getUpload(path, uploadId, request.context));
  } catch (error) {
    return answerCompletedBefore(request, uploadId, customerKey, error);
  }
  checkUploadKey(upload, customerKey, {optional: !(await usesChecksums(request, upload))});
  if (type && type !== upload.checksumType) {
    throw new S3Error('InvalidRequest', `The upload was created using the ${upload.checksumType ?? 'null'} checksum mode. The complete request must use the same checksum mode.`);
  }
  checkParts(parts, upload);
  const options = {partBytesMin, ...(precondition ? {precondition} : {}), ...(length === undefined ? {} : {length}), ...(Object.keys(checksums).length > 0 ? {checksums} : {})};
  try {
    // NotFound may also be of the object that a precondition asks for.
    const info = await request.files.completeUpload(path, uploadId, parts, options, request.context);
    await answerCompleted(request, info, customerKey);
  } catch (error) {
    if (isKind(error, 'NotFound')) return answerCompletedBefore(request, uploadId, customerKey, error);
    throw sizeErrorOf(error, length) ?? partErrorOf(error, parts, uploadId);
  }
};

/** The key of a sealed upload is "required only when the object was created using a checksum algorithm" (API reference): asked for once, or sent with a part. */
async function usesChecksums({files, context}: S3Request, upload: UploadRecord): Promise<boolean> {
  if (upload.checksumAlgorithm || !isSealed(upload)) return upload.checksumAlgorithm !== undefined;
  const parts = await files.listParts(upload.path, upload.uploadId, 0, partsLookedAtMax, context);
  return parts.some(({checksums}) => Object.keys(checksums).some((name) => name !== defaultAlgorithm));
}

/** Clients that did not hear that it is complete ask again; otherwise throws `error`. */
async function answerCompletedBefore(request: S3Request, uploadId: string, customerKey: CustomerKey | undefined, error: unknown): Promise<void> {
  const done = await completedBefore(request, uploadId);
  if (!done) throw error;
  if (customerKey) checkKey(done, customerKey);
  return answerCompleted(request, done, customerKey);
}

/** What this upload became already. */
async function completedBefore(request: S3Request, uploadId: string): Promise<FileInfo | undefined> {
  try {
    const info = await request.files.stat(objectPath(bucketOf(request), keyOf(request)), {kind: 'file'}, request.context);
    return info.inode.content?.upload?.id === uploadId ? info : undefined;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}

function answerCompleted(request: S3Request, info: FileInfo, customerKey: CustomerKey | undefined): Promise<void> {
  const bucket = bucketOf(request);
  const key = keyOf(request);
  const checksums = info.inode.content?.checksums ?? {};
  const location = `${request.exchange.secure ? 'https' : 'http'}://${request.header('host') ?? ''}/${encodeKey(bucket)}/${encodeKey(key)}`;
  const named = `${element('Location', location)}${element('Bucket', toText(bucket))}${element('Key', toText(key))}${element('ETag', `"${etagOf(info)}"`)}`;
  const type = checksumTypeOfValues(checksums);
  const document = xmlDocument('CompleteMultipartUploadResult', `${named}${checksumsXml(checksums)}${type ? element('ChecksumType', type) : ''}`);
  return xml(request, document, [...versionHeaders(info), ...expirationHeaders(request, info), ...persistHeaders(info), ...encryptionHeaders(encryptionOfObject(info.inode.content?.metadata, customerKey))]);
}

function sizeErrorOf(error: unknown, length: number | undefined): S3Error | undefined {
  if (!isKind(error, 'InvalidArgument') || error.details['objectBytes'] === undefined) return undefined;
  return new S3Error('InvalidRequest', `The provided 'x-amz-mp-object-size' header value ${length} does not match what was computed: ${error.details['objectBytes']}`);
}

/** What is wrong with a part, in S3's words. */
function partErrorOf(error: unknown, parts: readonly RequestedPart[], uploadId: string): unknown {
  if (!isKind(error, 'InvalidArgument') || error.details['partNumber'] === undefined) return error;
  const {partNumber, partBytes} = error.details;
  const etag = parts.find((part) => part.partNumber === partNumber)?.etag ?? '';
  if (partBytes !== undefined) {
    const fields = {ETag: etag, ProposedSize: String(partBytes), MinSizeAllowed: String(partBytesMin), PartNumber: String(partNumber)};
    return new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', fields);
  }
  const message = "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
  return new S3Error('InvalidPart', message, {UploadId: uploadId, PartNumber: String(partNumber), ETag: etag});
}
