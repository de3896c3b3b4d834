/** ListParts. */
import {toText} from '#base/byte-string.ts';
import {countOf, keysAPageMax} from '#codec/s3/listing.ts';
import {xmlDate} from '#codec/s3/http-date.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {PartRecord} from '#contracts/writing.ts';
import {customerKeyOf} from '#frontends/s3/encryption.ts';
import {checkUploadKey} from '#frontends/s3/sealing.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {checksumsXml, checksumXml, shownChecksums, uploadIdOf, whoseXml, withUpload} from '#frontends/s3/multipart.ts';
import {storageClassXml} from '#frontends/s3/object-headers.ts';
import {bucketOf, keyOf, objectPath, type Operation, xml} from '#frontends/s3/request.ts';

export const listParts: Operation = async (request) => {
  const bucket = bucketOf(request);
  const key = keyOf(request);
  const path = objectPath(bucket, key);
  const uploadId = uploadIdOf(request);
  const limit = countOf(request.query('max-parts'), 'max-parts', keysAPageMax);
  const marker = countOf(request.query('part-number-marker'), 'part-number-marker', 0, Number.MAX_SAFE_INTEGER);
  await requireBucket(request, bucket);
  const upload = await withUpload(uploadId, () => request.files.getUpload(path, uploadId, request.context));
  checkUploadKey(upload, customerKeyOf(request), {optional: true});
  const found = limit === 0 ? [] : await withUpload(uploadId, () => request.files.listParts(path, uploadId, marker, limit + 1, request.context));
  const parts = found.slice(0, limit);
  const {checksumAlgorithm: algorithm} = upload;
  const row = (part: PartRecord) =>
    `<Part>${element('PartNumber', part.partNumber)}${element('LastModified', xmlDate(part.modifiedAt))}${element('ETag', `"${part.etag}"`)}` +
    `${element('Size', part.length)}${checksumsXml(shownChecksums(part.checksums, algorithm))}</Part>`;
  const named = `${element('Bucket', toText(bucket))}${element('Key', toText(key))}${element('UploadId', uploadId)}`;
  const page =
    `${storageClassXml(upload.metadata)}${element('PartNumberMarker', marker)}${element('NextPartNumberMarker', parts.at(-1)?.partNumber ?? 0)}` +
    `${element('MaxParts', limit)}${element('IsTruncated', found.length > limit)}`;
  await xml(request, xmlDocument('ListPartsResult', named + whoseXml(request, upload) + page + checksumXml(upload) + parts.map(row).join('')));
};
