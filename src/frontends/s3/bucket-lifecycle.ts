/** The lifecycle of a bucket: its rules, and what they say of one object (`x-amz-expiration`). */
import {toText} from '#base/byte-string.ts';
import {httpDate} from '#codec/s3/http-date.ts';
import {lifecycleXml, parseLifecycle} from '#codec/s3/lifecycle-xml.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {decodeTags, taggingXattr} from '#codec/s3/tagging.ts';
import type {FileInfo} from '#contracts/master-api.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, keyOf, modifiedOf, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import {firstEnd, lifecycleSetting, type LifecycleRule, parseRules} from '#model/lifecycle.ts';

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

/** When an object will end, and by which rule; nothing where the bucket has no rules. */
export async function expirationHeaders(request: S3Request, bucketInfo: FileInfo, {inode, length, ...info}: FileInfo): Promise<readonly string[]> {
  const rules = await rulesOf(request, bucketInfo);
  if (rules.length === 0) return [];
  const stored = inode.xattrs?.[taggingXattr];
  const tags = () => new Map(stored ? decodeTags(Buffer.from(stored).toString('latin1')).map(({key, value}) => [key, value]) : []);
  const end = firstEnd(rules, {key: toText(keyOf(request)), bytes: inode.content?.length ?? length, tags}, Number(modifiedOf({inode, length, ...info}) / 1_000_000n));
  return end ? ['x-amz-expiration', `expiry-date="${httpDate(BigInt(end.endMs) * 1_000_000n)}", rule-id="${encodeURIComponent(end.rule.id)}"`] : [];
}
