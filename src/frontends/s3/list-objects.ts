/** ListObjects and ListObjectsV2. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {xmlDate} from '#codec/s3/http-date.ts';
import {encodeKey, encodeToken, type ListParameters, parseList} from '#codec/s3/listing.ts';
import {element, escapeXml, XmlWriter} from '#codec/s3/xml-write.ts';
import type {ListEntry, ListPage} from '#contracts/listings.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {checksumOf, ownersOf} from '#frontends/s3/listed-objects.ts';
import {storageClassXml} from '#frontends/s3/object-headers.ts';
import {bucketOf, bucketPath, etagOf, modifiedOf, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {restoreStatusOf} from '#frontends/s3/restore-object.ts';

/** Of keys of some 60 bytes; longer ones make the document grow as it is written. */
const entryBytesExpected = 400;
const headBytesExpected = 4096;

async function page(request: S3Request, bucket: ByteString, parameters: ListParameters): Promise<ListPage> {
  if (parameters.limit === 0) {
    await requireBucket(request, bucket);
    return {entries: []};
  }
  const {prefix, delimiter, after, limit} = parameters;
  // The bucket must be there: an empty listing of nothing would look like an empty bucket.
  await requireBucket(request, bucket);
  return request.files.list(
    {directory: bucketPath(bucket), view: 'keys', limit, ...(prefix === '' ? {} : {prefix}), ...(delimiter === undefined ? {} : {delimiter}), ...(after === undefined ? {} : {after})},
    request.context,
  );
}

export const listObjects: Operation = async (request) => {
  const bucket = bucketOf(request);
  const parameters = parseList(request.target.query);
  const {entries, next} = await page(request, bucket, parameters);
  const show = parameters.urlEncoding ? encodeKey : (key: ByteString) => escapeXml(toText(key));
  const ownerOf = ownersOf(request);
  const restored = restoreStatusOf(request);
  const contents = (entry: Extract<ListEntry, {info: unknown}>) =>
    `<Contents><Key>${show(entry.key)}</Key><LastModified>${xmlDate(modifiedOf(entry.info))}</LastModified><ETag>&quot;${escapeXml(etagOf(entry.info))}&quot;</ETag>${checksumOf(entry.info)}` +
    `<Size>${entry.info.inode.content?.length ?? entry.info.length}</Size>${parameters.fetchOwner ? ownerOf(entry.info) : ''}${storageClassXml(entry.info.inode.content?.metadata)}${restored(entry.info)}</Contents>`;
  const {version, prefix, delimiter, limit} = parameters;
  // The old listing says the prefix as it is: clients do not decode it there.
  const optional = (name: string, value: ByteString | undefined) => (value === undefined ? '' : `<${name}>${show(value)}</${name}>`);
  const head =
    `${element('Name', toText(bucket))}<Prefix>${version === 1 ? escapeXml(toText(prefix)) : show(prefix)}</Prefix>` +
    (version === 1
      ? `<Marker>${show(parameters.marker ?? ('' as ByteString))}</Marker>${next !== undefined && delimiter !== undefined ? optional('NextMarker', next) : ''}`
      : `${parameters.continuationToken === undefined ? '' : element('ContinuationToken', parameters.continuationToken)}` +
        `${next === undefined ? '' : element('NextContinuationToken', encodeToken(next))}${element('KeyCount', String(entries.length))}${optional('StartAfter', parameters.startAfter)}`) +
    `${element('MaxKeys', String(limit))}${optional('Delimiter', delimiter)}${parameters.urlEncoding ? element('EncodingType', 'url') : ''}` +
    element('IsTruncated', String(next !== undefined));
  const document = new XmlWriter('ListBucketResult', headBytesExpected + entries.length * entryBytesExpected);
  document.add(head);
  for (const entry of entries) if ('info' in entry) document.add(contents(entry));
  for (const entry of entries) if ('folded' in entry) document.add(`<CommonPrefixes><Prefix>${show(entry.key)}</Prefix></CommonPrefixes>`);
  await xml(request, document.end());
};
