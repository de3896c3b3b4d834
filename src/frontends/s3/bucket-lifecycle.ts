/** The lifecycle rules of a bucket. What they say of one object: expiration.ts. */
import {toText} from '#base/byte-string.ts';
import {lifecycleXml, parseLifecycle} from '#codec/s3/lifecycle-xml.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
import type {Settings} from '#model/inode.ts';
import {lifecycleSetting, parseRules} from '#model/lifecycle.ts';

/**
 * Which objects transitions leave alone. There are none here, but clients wait until they hear what they said. "Considerations for
 * transitions using Amazon S3 Lifecycle", S3 User Guide.
 */
const minimumHeader = 'x-amz-transition-default-minimum-object-size';
const minimumSetting = 'lifecycle-minimum';
const minimumDefault = 'all_storage_classes_128K';
const minimums = [minimumDefault, 'varies_by_storage_class'];

async function settingsOf({files, context}: S3Request, {path, inode}: FileInfo): Promise<Settings> {
  return inode.settings === undefined ? {} : (await files.getSettings(path, context)).settings;
}

export const getLifecycle: Operation = async (request) => {
  const settings = await settingsOf(request, await requireBucket(request, bucketOf(request)));
  const text = settings[lifecycleSetting];
  const rules = text === undefined ? [] : parseRules(text);
  if (rules.length === 0) throw new S3Error('NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist', {BucketName: toText(bucketOf(request))});
  await xml(request, lifecycleXml(rules), [minimumHeader, settings[minimumSetting] ?? minimumDefault]);
};

export const putLifecycle: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {[minimumSetting]: before = minimumDefault} = await settingsOf(request, await requireBucket(request, bucket));
  const minimum = request.header(minimumHeader) ?? minimumDefault;
  if (!minimums.includes(minimum)) throw new S3Error('InvalidArgument', `Invalid value for ${minimumHeader}`, {ArgumentName: minimumHeader, ArgumentValue: minimum.slice(0, 100)});
  let unnamed = 0;
  const rules = parseLifecycle(await documentOf(request), () => `${request.requestId}-${++unnamed}`);
  if (minimum !== before) await request.files.setSetting(bucketPath(bucket), minimumSetting, minimum, request.context);
  await request.files.setSetting(bucketPath(bucket), lifecycleSetting, JSON.stringify(rules), request.context);
  await answer(request, 200, [minimumHeader, minimum]);
};

export const deleteLifecycle: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {inode} = await requireBucket(request, bucket);
  if (inode.settings !== undefined) await request.files.setSetting(bucketPath(bucket), lifecycleSetting, null, request.context);
  await answer(request, 204);
};
