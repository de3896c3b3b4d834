/** PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus. */
import {parseBucketPolicy} from '#codec/s3/policy/document.ts';
import {isPublicPolicy} from '#codec/s3/policy/public.ts';
import {accessDenied, S3Error} from '#codec/s3/s3-error.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import {accessSettings} from '#frontends/s3/access/bucket-rules.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, xml} from '#frontends/s3/request.ts';

export const putBucketPolicy: Operation = async (request) => {
  const bucket = bucketOf(request);
  const text = (await documentOf(request)).toString('utf8');
  const document = parseBucketPolicy(text, bucket);
  if (request.access.rules.block?.BlockPublicPolicy && isPublicPolicy(document)) throw accessDenied();
  await request.files.setSetting(bucketPath(bucket), accessSettings.policy, text, request.context);
  await answer(request, 204);
};

export const getBucketPolicy: Operation = async (request) => {
  const {settings} = await request.files.getSettings(bucketPath(bucketOf(request)), request.context);
  const text = settings[accessSettings.policy];
  if (text === undefined) throw new S3Error('NoSuchBucketPolicy', 'The bucket policy does not exist');
  const bytes = Buffer.from(text, 'utf8');
  await answer(request, 200, ['Content-Type', 'application/json'], {kind: 'bytes', length: bytes.length, bytes});
};

export const deleteBucketPolicy: Operation = async (request) => {
  if (request.access.rules.policy) await request.files.setSetting(bucketPath(bucketOf(request)), accessSettings.policy, null, request.context);
  await answer(request, 204);
};

export const getBucketPolicyStatus: Operation = (request) => xml(request, xmlDocument('PolicyStatus', element('IsPublic', request.access.rules.policyIsPublic)));
