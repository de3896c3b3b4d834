/**
 * Sub-resources of buckets and objects that hold configuration. What nobody has configured is answered as S3 answers it; setting what
 * Weir does not carry out is refused, never accepted and forgotten.
 */
import {S3Error, type S3Code} from '#codec/s3/s3-error.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {bucketOf, keyOf, objectPath, type Operation, type S3Request} from '#frontends/s3/request.ts';
import {versionOf} from '#frontends/s3/versions.ts';

async function requireTarget(request: S3Request): Promise<void> {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  if (request.target.key !== undefined) await request.files.stat(objectPath(bucket, keyOf(request)), {kind: 'file', ...versionOf(request)}, request.context);
}

const notConfigured = (code: S3Code, message: string): Operation => async (request) => {
  await requireTarget(request);
  throw new S3Error(code, message);
};

/** GET of a sub-resource. Everything else on one of these, and every sub-resource that is not here, is NotImplemented. */
export const configurationReads: Readonly<Record<string, Operation>> = {
  analytics: notConfigured('NoSuchConfiguration', 'The specified configuration does not exist.'),
  'intelligent-tiering': notConfigured('NoSuchConfiguration', 'The specified configuration does not exist.'),
  inventory: notConfigured('NoSuchConfiguration', 'The specified configuration does not exist.'),
  metrics: notConfigured('NoSuchConfiguration', 'The specified configuration does not exist.'),
  replication: notConfigured('ReplicationConfigurationNotFoundError', 'The replication configuration was not found'),
};
