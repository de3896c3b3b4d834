/** UploadPart and UploadPartCopy. */
import {xmlDate} from '#codec/s3/http-date.ts';
import {parseCopyRange} from '#codec/s3/range.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {defaultAlgorithm} from '#codec/s3/checksums.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {requireSame} from '#frontends/s3/copy-bytes.ts';
import {copySourceOf, sourceVersionHeaders, statSource} from '#frontends/s3/copy-object.ts';
import {customerKeyOf, encryptionHeaders, encryptionOfObject, refuseEncryptionHeader} from '#frontends/s3/encryption.ts';
import {checksumsXml, partNumberMax, shownChecksums, uploadIdOf, withUpload} from '#frontends/s3/multipart.ts';
import {checksumHeaderPairs} from '#frontends/s3/object-headers.ts';
import {requireDigest} from '#frontends/s3/object-lock.ts';
import {uploadOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {openerOf} from '#frontends/s3/opening.ts';
import {sealingOfPart, writeSealed} from '#frontends/s3/sealing.ts';
import {versionOption} from '#frontends/s3/versions.ts';
import type {ChecksumAlgorithm} from '#model/content.ts';
import {lockAttributeNames} from '#model/object-lock.ts';

function partNumberOf(request: S3Request): number {
  const text = request.query('partNumber') ?? '';
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > partNumberMax) {
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive.', {ArgumentName: 'partNumber', ArgumentValue: text});
  }
  return number;
}

/** What is computed of a part: what the upload was created with, else the default, by which the whole object will be known. */
function partAlgorithms(upload: UploadRecord, used: ChecksumAlgorithm | undefined): readonly ChecksumAlgorithm[] {
  const {checksumAlgorithm: wanted, checksumType} = upload;
  if (wanted === undefined) return used === undefined || used === defaultAlgorithm ? [defaultAlgorithm] : [defaultAlgorithm, used];
  if (used === undefined ? checksumType === 'COMPOSITE' : used !== wanted) {
    const actual = used === undefined ? 'null' : used.toUpperCase();
    throw new S3Error('InvalidRequest', `Checksum Type mismatch occurred, expected checksum Type: ${wanted.toUpperCase()}, actual checksum Type: ${actual}`);
  }
  return [wanted];
}

const noBytes = {kind: 'bytes', length: 0, bytes: new Uint8Array(0)} as const;

export const uploadPart: Operation = async (request) => {
  const bucket = bucketOf(request);
  const uploadId = uploadIdOf(request);
  const partNumber = partNumberOf(request);
  refuseEncryptionHeader(request);
  const key = customerKeyOf(request);
  const body = uploadOf(request);
  if (body.length === undefined) throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  await requireBucket(request, bucket);
  const path = objectPath(bucket, keyOf(request));
  const upload = await withUpload(uploadId, () => request.files.getUpload(path, uploadId, request.context));
  requireDigest(request, body, lockAttributeNames.some((name) => upload.xattrs?.[name] !== undefined), 'Put Part');
  const sealing = sealingOfPart(request, upload, key);
  const checksums = partAlgorithms(upload, body.algorithm);
  const writer = await request.files.uploadPart(path, uploadId, partNumber, {length: body.length, checksums: sealing ? [] : checksums}, request.context);
  if (writer.copies && !sealing) request.exchange.body.lend?.();
  try {
    const sealed = sealing && (await writeSealed(request, writer, body.bytes, {sealing, checksums, expected: body.expected}));
    if (!sealed) for await (const chunk of body.bytes) await writer.write(chunk);
    const part = await withUpload(uploadId, () => (sealed ? writer.commit({}, sealed) : writer.commit(body.expected())));
    const shown = shownChecksums(part.checksums, body.algorithm ?? upload.checksumAlgorithm);
    await answer(request, 200, ['ETag', `"${part.etag}"`, ...encryptionHeaders(encryptionOfObject(upload.metadata, key)), ...checksumHeaderPairs(shown)]);
  } catch (error) {
    await writer.abort();
    throw error;
  }
};

export const uploadPartCopy: Operation = async (request) => {
  const bucket = bucketOf(request);
  const uploadId = uploadIdOf(request);
  const partNumber = partNumberOf(request);
  const from = copySourceOf(request.header('x-amz-copy-source')!);
  const rangeHeader = request.header('x-amz-copy-source-range');
  const wanted = rangeHeader === undefined ? undefined : parseCopyRange(rangeHeader);
  if (rangeHeader !== undefined && !wanted) {
    const message = 'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy';
    throw new S3Error('InvalidArgument', message, {ArgumentName: 'x-amz-copy-source-range', ArgumentValue: rangeHeader});
  }
  const key = customerKeyOf(request);
  const sourceKey = customerKeyOf(request, 'source');
  await requireBucket(request, bucket);
  const path = objectPath(bucket, keyOf(request));
  const upload = await withUpload(uploadId, () => request.files.getUpload(path, uploadId, request.context));
  const sealing = sealingOfPart(request, upload, key);
  const source = await statSource(request, from);
  const length = source.inode.content?.length ?? source.length;
  const range = wanted ?? {offset: 0, length};
  if (range.offset + range.length > length) {
    throw new S3Error('InvalidRange', `Range specified is not valid for source object of size: ${length}`, {ArgumentName: 'x-amz-copy-source-range', ArgumentValue: String(length)});
  }
  await using file = await request.files.open(source.path, {kind: 'file', range, sealed: true, ...versionOption(from.version)}, request.context);
  requireSame(file.info, source);
  const opened = await openerOf(request, file.info, sourceKey);
  const checksums = [upload.checksumAlgorithm ?? defaultAlgorithm];
  const writer = await request.files.uploadPart(path, uploadId, partNumber, {length: range.length, checksums: sealing ? [] : checksums}, request.context);
  try {
    const bytes = bodyChunks(range.length > 0 ? await opened(range, await file.read(range, request.context)) : noBytes);
    const expected = {length: range.length};
    const sealed = sealing && (await writeSealed(request, writer, bytes, {sealing, checksums, expected: () => expected}));
    if (!sealed) for await (const chunk of bytes) await writer.write(chunk);
    const part = await withUpload(uploadId, () => writer.commit(expected, sealed));
    const shown = checksumsXml(shownChecksums(part.checksums, upload.checksumAlgorithm));
    const told = [...sourceVersionHeaders(source), ...encryptionHeaders(encryptionOfObject(upload.metadata, key))];
    await xml(request, xmlDocument('CopyPartResult', `${element('LastModified', xmlDate(part.modifiedAt))}${element('ETag', `"${part.etag}"`)}${shown}`), told);
  } catch (error) {
    await writer.abort();
    throw error;
  }
};
