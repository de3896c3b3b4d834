/** Multipart uploads: create, part, part by copy, complete, abort, list parts, list uploads. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {requestedChecksums} from '#codec/s3/checksums.ts';
import {writePrecondition} from '#codec/s3/conditions.ts';
import {xmlDate} from '#codec/s3/http-date.ts';
import {encodeKey, keysAPageMax} from '#codec/s3/listing.ts';
import {parseCopyRange} from '#codec/s3/range.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {parseCompleteMultipartUpload} from '#codec/s3/xml-read.ts';
import {element, escapeXml, xmlDocument} from '#codec/s3/xml-write.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {ownerXml, requireBucket} from '#frontends/s3/bucket.ts';
import {copySourceOf, statSource} from '#frontends/s3/copy-object.ts';
import {checksumHeaderPairs, metadataOf} from '#frontends/s3/object-headers.ts';
import {documentOf, uploadOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, etagOf, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import type {Checksums} from '#model/content.ts';

const partNumberMax = 10_000;
/** Of all but the last part. "Amazon S3 multipart upload limits". */
const partBytesMin = 5 * 1024 * 1024;
const checksumElements: Readonly<Record<keyof Checksums, string>> = {
  crc32: 'ChecksumCRC32',
  crc32c: 'ChecksumCRC32C',
  crc64nvme: 'ChecksumCRC64NVME',
  sha1: 'ChecksumSHA1',
  sha256: 'ChecksumSHA256',
};

const checksumsXml = (checksums: Checksums): string => (Object.keys(checksums) as (keyof Checksums)[]).map((name) => element(checksumElements[name], checksums[name]!)).join('');

/** Turns the master's NotFound into S3's word for it. */
async function withUpload<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (isKind(error, 'NotFound')) throw new S3Error('NoSuchUpload', 'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.');
    throw error;
  }
}

function uploadIdOf(request: S3Request): string {
  const id = request.query('uploadId');
  if (!id) throw new S3Error('InvalidArgument', 'This operation does not accept a query-string without an uploadId', {ArgumentName: 'uploadId'});
  return id;
}

function partNumberOf(request: S3Request): number {
  const text = request.query('partNumber') ?? '';
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > partNumberMax) {
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', {ArgumentName: 'partNumber', ArgumentValue: text});
  }
  return number;
}

export const createMultipartUpload: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const key = keyOf(request);
  const {algorithm} = requestedChecksums((name) => request.header(name));
  const type = request.header('x-amz-checksum-type')?.toUpperCase();
  if (type !== undefined && type !== 'FULL_OBJECT' && type !== 'COMPOSITE') throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
  if (type !== undefined && algorithm === undefined) throw new S3Error('InvalidRequest', 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.');
  if (type === 'FULL_OBJECT' && (algorithm === 'sha1' || algorithm === 'sha256')) throw new S3Error('InvalidRequest', `The FULL_OBJECT checksum type cannot be used with the ${algorithm} checksum algorithm.`);
  const upload = await request.files.createUpload(
    objectPath(bucket, key),
    {kind: 'file', parents: 'implied', metadata: metadataOf(request), ...(algorithm ? {checksumAlgorithm: algorithm} : {}), ...(type ? {checksumType: type} : {})},
    request.context,
  );
  const echoed = algorithm ? ['x-amz-checksum-algorithm', algorithm.toUpperCase(), ...(type ? ['x-amz-checksum-type', type] : [])] : [];
  await xml(request, xmlDocument('InitiateMultipartUploadResult', `${element('Bucket', toText(bucket))}${element('Key', toText(key))}${element('UploadId', upload.uploadId)}`), echoed);
};

export const uploadPart: Operation = async (request) => {
  const bucket = bucketOf(request);
  const partNumber = partNumberOf(request);
  const upload = uploadOf(request);
  if (upload.length === undefined) throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  await requireBucket(request, bucket);
  const path = objectPath(bucket, keyOf(request));
  const uploadId = uploadIdOf(request);
  const record = await withUpload(() => request.files.getUpload(path, uploadId, request.context));
  const algorithms = [...new Set([...upload.algorithms, ...(record.checksumAlgorithm ? [record.checksumAlgorithm] : [])])];
  const writer = await request.files.uploadPart(path, uploadId, partNumber, {length: upload.length, checksums: algorithms}, request.context);
  try {
    for await (const chunk of upload.bytes) await writer.write(chunk);
    const part = await writer.commit(upload.expected());
    const sent = Object.fromEntries(Object.entries(part.checksums).filter(([name]) => (upload.algorithms as readonly string[]).includes(name)));
    await answer(request, 200, ['ETag', `"${part.etag}"`, ...checksumHeaderPairs(sent)]);
  } catch (error) {
    await writer.abort();
    throw error;
  }
};

export const uploadPartCopy: Operation = async (request) => {
  const bucket = bucketOf(request);
  const partNumber = partNumberOf(request);
  await requireBucket(request, bucket);
  const path = objectPath(bucket, keyOf(request));
  const uploadId = uploadIdOf(request);
  const record = await withUpload(() => request.files.getUpload(path, uploadId, request.context));
  const source = await statSource(request, copySourceOf(request.header('x-amz-copy-source')!));
  const rangeHeader = request.header('x-amz-copy-source-range');
  const range = rangeHeader === undefined ? {offset: 0, length: source.length} : parseCopyRange(rangeHeader);
  if (!range) {
    const message = 'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy';
    throw new S3Error('InvalidArgument', message, {ArgumentName: 'x-amz-copy-source-range'});
  }
  if (range.offset + range.length > source.length) {
    throw new S3Error('InvalidArgument', `Range specified is not valid for source object of size: ${source.length}`, {ArgumentName: 'x-amz-copy-source-range', ArgumentValue: rangeHeader ?? ''});
  }
  await using file = await request.files.open(source.path, {kind: 'file', range}, request.context);
  const algorithms = record.checksumAlgorithm ? [record.checksumAlgorithm] : [];
  const writer = await request.files.uploadPart(path, uploadId, partNumber, {length: range.length, checksums: algorithms}, request.context);
  try {
    if (range.length > 0) for await (const chunk of bodyChunks(await file.read(range, request.context))) await writer.write(chunk);
    const part = await writer.commit({length: range.length});
    await xml(request, xmlDocument('CopyPartResult', `${element('LastModified', xmlDate(part.modifiedAt))}${element('ETag', `"${part.etag}"`)}${checksumsXml(part.checksums)}`));
  } catch (error) {
    await writer.abort();
    throw error;
  }
};

export const completeMultipartUpload: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const key = keyOf(request);
  const uploadId = uploadIdOf(request);
  const parts = parseCompleteMultipartUpload(await documentOf(request));
  for (let i = 1; i < parts.length; i++) {
    if (parts[i]!.partNumber <= parts[i - 1]!.partNumber) throw new S3Error('InvalidPartOrder', 'The list of parts was not in ascending order. Parts must be ordered by part number.');
  }
  const size = request.header('x-amz-mp-object-size');
  if (size !== undefined && !/^\d{1,15}$/.test(size)) throw new S3Error('InvalidRequest', 'Value for x-amz-mp-object-size header is invalid.');
  const {declared} = requestedChecksums((name) => (name.startsWith('x-amz-checksum-type') ? undefined : request.header(name)));
  const precondition = writePrecondition((name) => request.header(name));
  const bare = parts.map((part) => ({...part, etag: part.etag.replace(/^"|"$/g, '')}));
  try {
    const info = await withUpload(() =>
      request.files.completeUpload(
        objectPath(bucket, key),
        uploadId,
        bare,
        {partBytesMin, ...(precondition ? {precondition} : {}), ...(size === undefined ? {} : {length: Number(size)}), ...(Object.keys(declared).length > 0 ? {checksums: declared} : {})},
        request.context,
      ),
    );
    const checksums = info.inode.content?.checksums ?? {};
    const type = Object.values(checksums).some((value) => /-\d+$/.test(value)) ? 'COMPOSITE' : 'FULL_OBJECT';
    const location = `${request.exchange.secure ? 'https' : 'http'}://${request.header('host') ?? ''}/${encodeKey(bucket)}/${encodeKey(key)}`;
    await xml(
      request,
      xmlDocument(
        'CompleteMultipartUploadResult',
        `${element('Location', location)}${element('Bucket', toText(bucket))}${element('Key', toText(key))}${element('ETag', `"${etagOf(info)}"`)}` +
          `${checksumsXml(checksums)}${Object.keys(checksums).length > 0 ? element('ChecksumType', type) : ''}`,
      ),
    );
  } catch (error) {
    if (isKind(error, 'InvalidArgument') && error.details['partNumber'] !== undefined) {
      const {partNumber, partBytes} = error.details;
      if (partBytes !== undefined) {
        const fields = {ProposedSize: String(partBytes), MinSizeAllowed: String(partBytesMin), PartNumber: String(partNumber)};
        throw new S3Error('EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', fields);
      }
      const message = "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
      throw new S3Error('InvalidPart', message, {PartNumber: String(partNumber)});
    }
    throw error;
  }
};

export const abortMultipartUpload: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  await withUpload(() => request.files.abortUpload(objectPath(bucket, keyOf(request)), uploadIdOf(request), request.context));
  await answer(request, 204);
};

function count(request: S3Request, name: string, fallback: number): number {
  const text = request.query(name) ?? '';
  if (!/^\d{0,10}$/.test(text)) throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`, {ArgumentName: name});
  return text === '' ? fallback : Math.min(keysAPageMax, Number(text));
}

export const listParts: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const key = keyOf(request);
  const path = objectPath(bucket, key);
  const uploadId = uploadIdOf(request);
  const limit = count(request, 'max-parts', keysAPageMax);
  const markerText = request.query('part-number-marker') ?? '';
  if (!/^\d{0,10}$/.test(markerText)) throw new S3Error('InvalidArgument', 'Provided part-number-marker not an integer or within integer range', {ArgumentName: 'part-number-marker'});
  const marker = Number(markerText);
  const upload = await withUpload(() => request.files.getUpload(path, uploadId, request.context));
  const found = limit === 0 ? [] : await request.files.listParts(path, uploadId, marker, limit + 1, request.context);
  const parts = found.slice(0, limit);
  const truncated = found.length > limit;
  const rows = parts.map(
    (part) =>
      `<Part>${element('PartNumber', part.partNumber)}${element('LastModified', xmlDate(part.modifiedAt))}${element('ETag', `"${part.etag}"`)}` +
      `${element('Size', part.length)}${checksumsXml(part.checksums)}</Part>`,
  );
  const who = upload.initiator;
  await xml(
    request,
    xmlDocument(
      'ListPartsResult',
      `${element('Bucket', toText(bucket))}${element('Key', toText(key))}${element('UploadId', uploadId)}<Initiator>${element('ID', who)}${element('DisplayName', who)}</Initiator>${ownerXml(who)}` +
        `${element('StorageClass', 'STANDARD')}${element('PartNumberMarker', String(marker))}${truncated ? element('NextPartNumberMarker', String(parts.at(-1)?.partNumber ?? marker)) : ''}` +
        `${element('MaxParts', String(limit))}${element('IsTruncated', String(truncated))}${upload.checksumAlgorithm ? element('ChecksumAlgorithm', upload.checksumAlgorithm.toUpperCase()) : ''}${rows.join('')}`,
    ),
  );
};

export const listMultipartUploads: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const url = request.query('encoding-type') === 'url';
  const show = (key: ByteString) => (url ? encodeKey(key) : escapeXml(toText(key)));
  const bytes = (name: string) => (request.query(name) ?? '') as ByteString;
  const [prefix, delimiter, keyMarker] = [bytes('prefix'), bytes('delimiter'), bytes('key-marker')];
  const idMarker = request.query('upload-id-marker') ?? '';
  const limit = count(request, 'max-uploads', keysAPageMax);
  const base = bucketPath(bucket);
  const uploads: string[] = [];
  const prefixes: string[] = [];
  let after = keyMarker === '' ? undefined : {key: keyMarker, uploadId: idMarker === '' ? '\uffff' : idMarker};
  let last: {key: ByteString; uploadId: string} | undefined;
  let folded: ByteString | undefined = delimiter !== '' && keyMarker !== '' && keyMarker.endsWith(delimiter) ? keyMarker : undefined;
  let truncated = false;
  scan: for (; limit > 0; ) {
    const found = await request.files.listUploads({directory: base, limit: keysAPageMax, ...(prefix === '' ? {} : {prefix}), ...(after ? {after} : {})}, request.context);
    for (const upload of found) {
      const key = upload.path.slice(base.length) as ByteString;
      after = {key, uploadId: upload.uploadId};
      if (folded !== undefined && key.startsWith(folded)) continue;
      if (uploads.length + prefixes.length >= limit) {
        truncated = true;
        break scan;
      }
      const cut = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      if (cut >= 0) {
        folded = key.slice(0, cut + delimiter.length) as ByteString;
        prefixes.push(`<CommonPrefixes><Prefix>${show(folded)}</Prefix></CommonPrefixes>`);
        last = {key: folded, uploadId: ''};
        continue;
      }
      last = {key, uploadId: upload.uploadId};
      uploads.push(
        `<Upload><Key>${show(key)}</Key>${element('UploadId', upload.uploadId)}<Initiator>${element('ID', upload.initiator)}${element('DisplayName', upload.initiator)}</Initiator>` +
          `${ownerXml(upload.initiator)}${element('StorageClass', 'STANDARD')}${element('Initiated', xmlDate(upload.initiatedAt))}</Upload>`,
      );
    }
    if (found.length < keysAPageMax) break;
  }
  const next = truncated && last ? `<NextKeyMarker>${show(last.key)}</NextKeyMarker>${element('NextUploadIdMarker', last.uploadId)}` : '';
  await xml(
    request,
    xmlDocument(
      'ListMultipartUploadsResult',
      `${element('Bucket', toText(bucket))}<KeyMarker>${show(keyMarker)}</KeyMarker>${element('UploadIdMarker', idMarker)}${next}<Prefix>${show(prefix)}</Prefix>` +
        `${delimiter === '' ? '' : `<Delimiter>${show(delimiter)}</Delimiter>`}${element('MaxUploads', String(limit))}${url ? element('EncodingType', 'url') : ''}` +
        `${element('IsTruncated', String(truncated))}${uploads.join('')}${prefixes.join('')}`,
    ),
  );
};
