/** Tags: of objects, an extended attribute of the inode; of buckets, one of their settings. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {countTags, decodeTags, encodeTags, parseTagging, parseTaggingHeader, taggingXml, taggingXattr} from '#codec/s3/tagging.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {needs} from '#frontends/s3/access/operations.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, isShown, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {refuseMarker, versionHeaders, versionOf} from '#frontends/s3/versions.ts';
import type {Inode} from '#model/inode.ts';

const setting = 'tagging';

type Xattrs = NonNullable<Inode['xattrs']>;

const encoded = (text: string): Xattrs => (text === '' ? {} : {[taggingXattr]: Buffer.from(text, 'latin1')});

/** What a new object begins with: the tags of `x-amz-tagging`, by their keys, as S3 gives them back. */
export function taggingOf(request: S3Request): Xattrs {
  const header = request.header('x-amz-tagging');
  return header === undefined || header === '' ? {} : encoded(encodeTags([...parseTaggingHeader(header)].sort((a, b) => (a.key < b.key ? -1 : 1))));
}

/** InvalidArgument. */
export function checkTaggingDirective(request: S3Request): void {
  const directive = request.header('x-amz-tagging-directive') ?? 'COPY';
  if (directive !== 'COPY' && directive !== 'REPLACE') throw new S3Error('InvalidArgument', 'Unknown tagging directive.', {ArgumentName: 'x-amz-tagging-directive', ArgumentValue: directive});
}

/** Of a copy: the source's or the request's, as `x-amz-tagging-directive` says. */
export function copiedTagging(request: S3Request, source: FileInfo): Xattrs {
  if (request.header('x-amz-tagging-directive') === 'REPLACE') return taggingOf(request);
  const tags = source.inode.xattrs?.[taggingXattr];
  return tags ? {[taggingXattr]: tags} : {};
}

/** `x-amz-tagging-count` of GET and HEAD; nothing without tags. */
export function taggingHeaders(info: FileInfo): readonly string[] {
  const tags = info.inode.xattrs?.[taggingXattr];
  return tags ? ['x-amz-tagging-count', String(countTags(tags))] : [];
}

async function statObject(request: S3Request): Promise<FileInfo> {
  const info = await request.files.stat(objectPath(bucketOf(request), keyOf(request)), {kind: 'file', ...versionOf(request)}, request.context);
  refuseMarker(info);
  if (!isShown(info)) throw new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: keyOf(request)});
  return info;
}

export const getObjectTagging: Operation = async (request) => {
  const info = await statObject(request);
  const tags = info.inode.xattrs?.[taggingXattr];
  await xml(request, taggingXml(tags ? decodeTags(Buffer.from(tags).toString('latin1')) : []), versionHeaders(info));
};

export const putObjectTagging: Operation = async (request) => {
  const tags = parseTagging(await documentOf(request), 'object');
  const text = encodeTags(tags);
  await request.access.demand(needs.putObjectTagging, undefined, {requestTags: Object.fromEntries(tags.map(({key, value}) => [key, value]))});
  const info = await statObject(request);
  const {path, inode} = info;
  await request.files.setAttributes(path, {xattrs: {[taggingXattr]: text === '' ? null : Buffer.from(text, 'latin1')}}, {kind: inode.kind === 'directory' ? 'directory' : 'file', ...versionOf(request)}, request.context);
  await answer(request, 200, versionHeaders(info));
};

export const deleteObjectTagging: Operation = async (request) => {
  const info = await statObject(request);
  const {path, inode} = info;
  if (inode.xattrs?.[taggingXattr]) await request.files.setAttributes(path, {xattrs: {[taggingXattr]: null}}, {kind: inode.kind === 'directory' ? 'directory' : 'file', ...versionOf(request)}, request.context);
  await answer(request, 204, versionHeaders(info));
};

export const getBucketTagging: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const {settings} = await request.files.getSettings(bucketPath(bucket), request.context);
  const text = settings[setting];
  if (text === undefined) throw new S3Error('NoSuchTagSet', 'The TagSet does not exist.', {BucketName: bucket});
  await xml(request, taggingXml(decodeTags(text)));
};

export const putBucketTagging: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const text = encodeTags(parseTagging(await documentOf(request), 'bucket'));
  await request.files.setSetting(bucketPath(bucket), setting, text, request.context);
  await answer(request, 204);
};

export const deleteBucketTagging: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  await request.files.setSetting(bucketPath(bucket), setting, null, request.context);
  await answer(request, 204);
};
