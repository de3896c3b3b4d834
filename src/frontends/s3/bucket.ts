/** Buckets: the directories of the namespace's root. ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {encodeTags} from '#codec/s3/tagging.ts';
import {isBucketName} from '#codec/s3/target.ts';
import {parseCreateBucket} from '#codec/s3/create-bucket.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import type {FileInfo} from '#contracts/master-api.ts';

const uploadsAPage = 1000;
export const region = 'us-east-1';

export function noSuchBucket(bucket: ByteString): S3Error {
  return new S3Error('NoSuchBucket', 'The specified bucket does not exist.', {BucketName: toText(bucket)});
}

export async function findBucket(request: S3Request, bucket: ByteString): Promise<FileInfo | undefined> {
  try {
    const info = await request.files.stat(bucketPath(bucket), {kind: 'directory'}, request.context);
    return info.inode.kind === 'directory' ? info : undefined;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}

/** NoSuchBucket. */
export async function requireBucket(request: S3Request, bucket: ByteString): Promise<FileInfo> {
  const found = await findBucket(request, bucket);
  if (!found) throw noSuchBucket(bucket);
  return found;
}

/** A bucket that was made with object lock keeps versions from the beginning. */
async function enableObjectLock({files, context}: S3Request, path: ByteString): Promise<void> {
  await files.setSetting(path, 'versioning', 'Enabled', context);
  await files.setSetting(path, 'object-lock', '{}', context);
}

export const ownerXml = (name: string): string => `<Owner>${element('ID', name)}${element('DisplayName', name)}</Owner>`;

export const createBucket: Operation = async (request) => {
  const bucket = bucketOf(request);
  if (!isBucketName(bucket)) throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', {BucketName: toText(bucket)});
  const document = await documentOf(request);
  const {tags = []} = document.length > 0 ? parseCreateBucket(document) : {};
  const setting = encodeTags(tags);
  try {
    await request.files.makeDirectory(bucketPath(bucket), {existing: 'fail'}, request.context);
    if (setting !== '') await request.files.setSetting(bucketPath(bucket), 'tagging', setting, request.context);
    if (request.header('x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true') await enableObjectLock(request, bucketPath(bucket));
  } catch (error) {
    if (!isKind(error, 'AlreadyExists')) throw error;
    // There is one owner: whoever may ask owns it. S3 answers so in us-east-1, and clients make their bucket before each upload.
  }
  await answer(request, 200, ['Location', `/${bucket}`, 'x-amz-bucket-arn', `arn:aws:s3:::${bucket}`]);
};

export const headBucket: Operation = async (request) => {
  await requireBucket(request, bucketOf(request));
  await answer(request, 200, ['x-amz-bucket-region', region]);
};

export const deleteBucket: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  try {
    await request.files.remove(bucketPath(bucket), {recursive: false, kind: 'directory'}, request.context);
  } catch (error) {
    if (isKind(error, 'NotFound')) throw noSuchBucket(bucket);
    if (isKind(error, 'DirectoryNotEmpty')) throw new S3Error('BucketNotEmpty', 'The bucket you tried to delete is not empty.', {BucketName: toText(bucket)});
    if (isKind(error, 'Busy')) throw new S3Error('OperationAborted', 'The bucket is a mount point; unmount it instead (weir mount rm).');
    throw error;
  }
  await abortUploads(request, bucket);
  await answer(request, 204);
};

/** What was being uploaded into a bucket that is gone; a new one of its name begins without it. */
async function abortUploads({files, context}: S3Request, bucket: ByteString): Promise<void> {
  for (;;) {
    const uploads = await files.listUploads({directory: bucketPath(bucket), limit: uploadsAPage}, context);
    for (const {path, uploadId} of uploads) {
      try {
        await files.abortUpload(path, uploadId, context);
      } catch (error) {
        // Ended meanwhile by its own client.
        if (!isKind(error, 'NotFound')) throw error;
      }
    }
    if (uploads.length < uploadsAPage) return;
  }
}

export const getBucketLocation: Operation = async (request) => {
  await requireBucket(request, bucketOf(request));
  await xml(request, xmlDocument('LocationConstraint', ''));
};
