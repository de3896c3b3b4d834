/** The lifecycle rules of a bucket. What they say of one object: expiration.ts. */
import {toText} from '#base/byte-string.ts';
import {lifecycleXml, parseLifecycle} from '#codec/s3/lifecycle-xml.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {lifecycleSetting, type LifecycleRule, parseRules} from '#model/lifecycle.ts';

async function rulesOf(request: S3Request, bucketInfo: FileInfo): Promise<readonly LifecycleRule[]> {
  if (bucketInfo.inode.settings === undefined) return [];
  const {settings} = await request.files.getSettings(bucketPath(bucketOf(request)), request.context);
  const text = settings[lifecycleSetting];
  return text === undefined ? [] : parseRules(text);
}

export const getLifecycle: Operation = async (request) => {
  const rules = await rulesOf(request, await requireBucket(request, bucketOf(request)));
  if (rules.length === 0) throw new S3Error('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist', {BucketName: toText(bucketOf(request))});
  await xml(request, lifecycleXml(rules));
};

export const putLifecycle: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  let unnamed = 0;
  const rules = parseLifecycle(await documentOf(request), () => `${request.requestId}-${++unnamed}`);
  await request.files.setSetting(bucketPath(bucket), lifecycleSetting, JSON.stringify(rules), request.context);
  await answer(request, 200);
};

export const deleteLifecycle: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {inode} = await requireBucket(request, bucket);
  if (inode.settings !== undefined) await request.files.setSetting(bucketPath(bucket), lifecycleSetting, null, request.context);
  await answer(request, 204);
};
