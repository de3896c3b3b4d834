/** PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy, GetBucketPolicyStatus. */
import {parseBucketPolicy} from '#codec/s3/policy/document.ts';
import {withPrincipalForm} from '#codec/s3/policy/principal-form.ts';
import {isPublicPolicy} from '#codec/s3/policy/public.ts';
import {accessDenied, S3Error} from '#codec/s3/s3-error.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import {accessSettings} from '#frontends/s3/access/bucket-rules.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';

/** "If you are using an identity other than the owner's account, S3 returns 405 Method Not Allowed." Whatever the policy itself allows. */
function refuseOutsider({access: {caller, rules}, exchange}: S3Request): void {
  if (caller && (caller.kind === 'root' || caller.owner.id === rules.owner.id)) return;
  throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {Method: exchange.method, ResourceType: 'BUCKETPOLICY'});
}

export const putBucketPolicy: Operation = async (request) => {
  const bucket = bucketOf(request);
  refuseOutsider(request);
  const {directory, rules} = request.access;
  const text = withPrincipalForm((await documentOf(request)).toString('utf8'), (accessKeyId) => directory.find(accessKeyId)?.caller.arn);
  const document = parseBucketPolicy(text, bucket);
  if (rules.block?.BlockPublicPolicy && isPublicPolicy(document)) throw accessDenied();
  await request.files.setSetting(bucketPath(bucket), accessSettings.policy, text, request.context);
  await answer(request, 204);
};

export const getBucketPolicy: Operation = async (request) => {
  refuseOutsider(request);
  const {settings} = await request.files.getSettings(bucketPath(bucketOf(request)), request.context);
  const text = settings[accessSettings.policy];
  if (text === undefined) throw new S3Error('NoSuchBucketPolicy', 'The bucket policy does not exist.');
  const bytes = Buffer.from(text, 'utf8');
  await answer(request, 200, ['Content-Type', 'application/json'], {kind: 'bytes', length: bytes.length, bytes});
};

export const deleteBucketPolicy: Operation = async (request) => {
  refuseOutsider(request);
  if (request.access.rules.policy) await request.files.setSetting(bucketPath(bucketOf(request)), accessSettings.policy, null, request.context);
  await answer(request, 204);
};

/** Where there is no policy, it is not public: ceph's tests that are held true of S3 (test_get_publicpolicy_acl_bucket_policy_status) begin so. */
export const getBucketPolicyStatus: Operation = (request) => xml(request, xmlDocument('PolicyStatus', element('IsPublic', request.access.rules.policyIsPublic)));
