/** Buckets: the directories of the namespace's root. ListBuckets, CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {encodeTags} from '#codec/s3/tagging.ts';
import {isBucketName} from '#codec/s3/target.ts';
import {encodeAcl} from '#codec/s3/acl.ts';
import {objectOwnershipOf} from '#codec/s3/access-documents.ts';
import {parseCreateBucket} from '#codec/s3/create-bucket.ts';
import {xmlDocument} from '#codec/s3/xml-write.ts';
import {accessSettings} from '#frontends/s3/access/bucket-rules.ts';
import {checkedGrants, givenAcl, grantsOfHeaders} from '#frontends/s3/access/granting.ts';
import {checkEnforceable} from '#frontends/s3/ownership.ts';
import {defaultRegion, locationOf, locationSetting, regionOf} from '#frontends/s3/bucket-location.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, noSuchBucket, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Settings} from '#model/inode.ts';
import {objectLockSetting} from '#model/object-lock.ts';

const uploadsAPage = 1000;

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

/** The list and the ownership that a new bucket begins with, by its headers. */
function rulesOfNew(request: S3Request): Settings {
  const {directory, caller} = request.access;
  const owner = caller!.owner;
  const ownershipHeader = request.header('x-amz-object-ownership');
  const ownership = ownershipHeader === undefined ? undefined : objectOwnershipOf(ownershipHeader);
  if (ownershipHeader !== undefined && !ownership) throw new S3Error('InvalidArgument', `Invalid x-amz-object-ownership header: ${ownershipHeader.slice(0, 100)}`, {ArgumentName: 'x-amz-object-ownership'});
  const given = givenAcl(request);
  const grants = given && given.canned !== 'private' ? checkedGrants(grantsOfHeaders(given, owner, owner), directory, undefined) : undefined;
  if (ownership) checkEnforceable(ownership, grants, owner.id);
  return {...(ownership ? {[accessSettings.ownership]: ownership} : {}), ...(grants ? {[accessSettings.acl]: encodeAcl({grants})} : {})};
}

export const createBucket: Operation = async (request) => {
  const {files, context, access} = request;
  const bucket = bucketOf(request);
  if (!isBucketName(bucket)) throw new S3Error('InvalidBucketName', 'The specified bucket is not valid.', {BucketName: toText(bucket)});
  const document = await documentOf(request);
  const {tags = [], locationConstraint = defaultRegion} = document.length > 0 ? parseCreateBucket(document) : {};
  const tagging = encodeTags(tags);
  // One that is made with object lock keeps versions from the beginning.
  const locked = request.header('x-amz-bucket-object-lock-enabled')?.toLowerCase() === 'true';
  const settings: Settings = {
    ...rulesOfNew(request), ...(tagging === '' ? {} : {tagging}), ...(locationConstraint === defaultRegion ? {} : {[locationSetting]: locationConstraint}),
    ...(locked ? {versioning: 'Enabled', [objectLockSetting]: '{}'} : {}),
  };
  const path = bucketPath(bucket);
  const made = ['Location', `/${bucket}`, 'x-amz-bucket-arn', `arn:aws:s3:::${bucket}`];
  try {
    // In one transaction with its rules: a bucket that is to be private, or locked, never was anything else.
    await files.makeDirectory(path, {existing: 'fail', settings}, context);
  } catch (error) {
    if (!isKind(error, 'AlreadyExists')) throw error;
    const {inode} = await requireBucket(request, bucket);
    const owner = access.directory.ownerOfUid(inode.uid) ?? access.directory.root;
    if (owner.id !== access.caller!.owner.id) {
      const message = 'The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.';
      throw new S3Error('BucketAlreadyExists', message, {BucketName: toText(bucket)});
    }
    // Its owner is answered so in us-east-1, and clients make their bucket before each upload.
    return answer(request, 200, made);
  }
  await answer(request, 200, made);
};

export const headBucket: Operation = async (request) => {
  await answer(request, 200, ['x-amz-bucket-region', await regionOf(request, await requireBucket(request, bucketOf(request)))]);
};

export const deleteBucket: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  try {
    await request.files.remove(bucketPath(bucket), {recursive: false, kind: 'directory'}, request.context);
  } catch (error) {
    if (isKind(error, 'NotFound')) throw noSuchBucket(bucket);
    if (isKind(error, 'DirectoryNotEmpty')) {
      const versioned = (await request.files.getSettings(bucketPath(bucket), request.context)).settings['versioning'] !== undefined;
      throw new S3Error('BucketNotEmpty', `The bucket you tried to delete is not empty.${versioned ? ' You must delete all versions in the bucket.' : ''}`, {BucketName: toText(bucket)});
    }
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
  const location = await locationOf(request, await requireBucket(request, bucketOf(request)));
  await xml(request, xmlDocument('LocationConstraint', location ?? ''));
};
