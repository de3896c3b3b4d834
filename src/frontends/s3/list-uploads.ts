/** ListMultipartUploads. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {xmlDate} from '#codec/s3/http-date.ts';
import {isKind} from '#base/errors.ts';
import {countOf, encodeKey, isUrlEncoded, keysAPageMax} from '#codec/s3/listing.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {element, escapeXml, xmlDocument} from '#codec/s3/xml-write.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {checksumXml, whoseXml} from '#frontends/s3/multipart.ts';
import {storageClassXml} from '#frontends/s3/object-headers.ts';
import {bucketOf, bucketPath, type Operation, xml} from '#frontends/s3/request.ts';

/** What may have been the id of an upload, also when that has gone since: who aborts what a page lists goes on behind it. */
const idForm = /^[0-9a-f]{32}$/;
const invalidMarker = (marker: string) => new S3Error('InvalidArgument', 'Invalid uploadId marker', {ArgumentName: 'upload-id-marker', ArgumentValue: marker.slice(0, 200)});

export const listMultipartUploads: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const url = isUrlEncoded(request.query('encoding-type'));
  const show = (key: ByteString) => (url ? encodeKey(key) : escapeXml(toText(key)));
  const bytes = (name: string) => (request.query(name) ?? '') as ByteString;
  const [prefix, delimiter, keyMarker] = [bytes('prefix'), bytes('delimiter'), bytes('key-marker')];
  const idMarker = request.query('upload-id-marker') ?? '';
  const limit = countOf(request.query('max-uploads'), 'max-uploads', keysAPageMax);
  const base = bucketPath(bucket);
  const uploads: string[] = [];
  const prefixes: string[] = [];
  if (keyMarker !== '' && idMarker !== '' && !idForm.test(idMarker)) throw invalidMarker(idMarker);
  let after = keyMarker === '' ? undefined : {key: keyMarker, uploadId: idMarker};
  let last: {key: ByteString; uploadId: string} | undefined;
  let folded: ByteString | undefined = delimiter !== '' && keyMarker !== '' && keyMarker.endsWith(delimiter) ? keyMarker : undefined;
  let truncated = false;
  const page = async (asked: Parameters<typeof request.files.listUploads>[0]) => {
    try {
      return await request.files.listUploads(asked, request.context);
    } catch (error) {
      throw isKind(error, 'InvalidArgument') && error.details['uploadId'] === idMarker ? invalidMarker(idMarker) : error;
    }
  };
  scan: for (; limit > 0; ) {
    const found = await page({directory: base, limit: keysAPageMax, ...(prefix === '' ? {} : {prefix}), ...(after ? {after} : {})});
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
        `<Upload><Key>${show(key)}</Key>${element('UploadId', upload.uploadId)}${whoseXml(request, upload)}` +
          `${storageClassXml(upload.metadata)}${element('Initiated', xmlDate(upload.initiatedAt))}${checksumXml(upload)}</Upload>`,
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
