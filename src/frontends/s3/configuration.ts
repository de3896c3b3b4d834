/**
 * Sub-resources of buckets and objects that hold configuration. What nobody has configured is answered as S3 answers it; setting what
 * Weir does not carry out is refused, never accepted and forgotten.
 */
import {S3Error, type S3Code} from '#codec/s3/s3-error.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {bucketOf, keyOf, objectPath, type Operation, type S3Request, xml} from '#frontends/s3/request.ts';
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

/** Configurations that have ids, of which there are none: with an id that one, without all. */
const noneOf = (root: string): Operation => async (request) => {
  await requireTarget(request);
  if (request.query('id') !== undefined) throw new S3Error('NoSuchConfiguration', 'The specified configuration does not exist.');
  await xml(request, xmlDocument(root, element('IsTruncated', false)));
};

const always = (root: string, inner: string): Operation => async (request) => {
  await requireTarget(request);
  await xml(request, xmlDocument(root, inner));
};

/** GET of a sub-resource. Everything else on one of these, and every sub-resource that is not here, is NotImplemented. */
export const configurationReads: Readonly<Record<string, Operation>> = {
  abac: always('AbacStatus', element('Status', 'Disabled')),
  analytics: noneOf('ListBucketAnalyticsConfigurationResult'),
  'intelligent-tiering': noneOf('ListBucketIntelligentTieringConfigurationsOutput'),
  metrics: noneOf('ListMetricsConfigurationsResult'),
  replication: notConfigured('ReplicationConfigurationNotFoundError', 'The replication configuration was not found'),
};
