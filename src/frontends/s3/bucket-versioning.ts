/** GetBucketVersioning, PutBucketVersioning, ListObjectVersions. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {xmlDate} from '#codec/s3/http-date.ts';
import {encodeKey} from '#codec/s3/listing.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {parseVersioning, parseVersionList, type VersionListParameters} from '#codec/s3/versioning-xml.ts';
import {element, escapeXml, optionalElement, xmlDocument} from '#codec/s3/xml-write.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {VersionEntry, VersionPage} from '#contracts/listings.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {checksumOf, ownersOf} from '#frontends/s3/listed-objects.ts';
import {storageClassXml} from '#frontends/s3/object-headers.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, etagOf, modifiedOf, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {restoreStatusOf} from '#frontends/s3/restore-object.ts';
import {versionOption} from '#frontends/s3/versions.ts';
import {versionIdOf} from '#model/version.ts';

export const getBucketVersioning: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const {settings} = await request.files.getSettings(bucketPath(bucket), request.context);
  await xml(request, xmlDocument('VersioningConfiguration', optionalElement('Status', settings['versioning'])));
};

export const putBucketVersioning: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const status = parseVersioning(await documentOf(request));
  try {
    await request.files.setSetting(bucketPath(bucket), 'versioning', status, request.context);
  } catch (error) {
    if (!isKind(error, 'Conflict')) throw error;
    throw new S3Error('InvalidBucketState', 'An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.');
  }
  await answer(request, 200);
};

async function page(request: S3Request, bucket: ByteString, parameters: VersionListParameters): Promise<VersionPage> {
  const {prefix, delimiter, keyMarker, versionMarker, limit} = parameters;
  if (limit === 0) return {entries: []};
  const after = keyMarker === '' ? undefined : {key: keyMarker, ...versionOption(versionMarker)};
  return await request.files.listVersions(
    {directory: bucketPath(bucket), limit, ...(prefix === '' ? {} : {prefix}), ...(delimiter === undefined ? {} : {delimiter}), ...(after ? {after} : {})}, request.context,
  );
}

export const listObjectVersions: Operation = async (request) => {
  const bucket = bucketOf(request);
  const parameters = parseVersionList(request.target.query);
  await requireBucket(request, bucket);
  const {entries, next} = await page(request, bucket, parameters);
  const {prefix, delimiter, keyMarker, versionMarker, limit, urlEncoding} = parameters;
  const show = urlEncoding ? encodeKey : (key: ByteString) => escapeXml(toText(key));
  const ownerOf = ownersOf(request);
  const restored = restoreStatusOf(request);
  let versions = '';
  let prefixes = '';
  for (const entry of entries) {
    if ('info' in entry) versions += versionXml(entry, show(entry.key), ownerOf(entry.info), restored);
    else prefixes += `<CommonPrefixes><Prefix>${show(entry.key)}</Prefix></CommonPrefixes>`;
  }
  const nextXml = next === undefined ? '' : `<NextKeyMarker>${show(next.key)}</NextKeyMarker>${optionalElement('NextVersionIdMarker', next.version)}`;
  const head =
    `${element('Name', toText(bucket))}<Prefix>${show(prefix)}</Prefix><KeyMarker>${show(keyMarker)}</KeyMarker>${element('VersionIdMarker', versionMarker ?? '')}${nextXml}${element('MaxKeys', limit)}` +
    `${delimiter === undefined ? '' : `<Delimiter>${show(delimiter)}</Delimiter>`}${urlEncoding ? element('EncodingType', 'url') : ''}${element('IsTruncated', next !== undefined)}`;
  await xml(request, xmlDocument('ListVersionsResult', head + versions + prefixes));
};

function versionXml({info, latest}: Extract<VersionEntry, {info: unknown}>, key: string, owner: string, restored: (info: FileInfo) => string): string {
  const {inode, deleteMarker} = info;
  const what = `<Key>${key}</Key>${element('VersionId', versionIdOf(inode))}${element('IsLatest', latest)}${element('LastModified', xmlDate(modifiedOf(info)))}`;
  if (deleteMarker) return `<DeleteMarker>${what}${owner}</DeleteMarker>`;
  const sized = `${element('Size', inode.content?.length ?? info.length)}${owner}${storageClassXml(inode.content?.metadata)}`;
  return `<Version>${what}<ETag>&quot;${escapeXml(etagOf(info))}&quot;</ETag>${checksumOf(info)}${sized}${restored(info)}</Version>`;
}
