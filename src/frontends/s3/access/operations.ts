/**
 * What a request needs permission for, as data: by what it is aimed at, its sub-resource and its method. Source: "Required permissions for
 * Amazon S3 API operations" and, for access control lists, "Mapping of ACL permissions and access policy permissions". What is not
 * here is for the bucket's owner alone.
 */
import type {Permission} from '#codec/s3/acl.ts';

export interface Need {
  /** In small letters. */
  readonly action: string;
  /** The same of one version of an object. */
  readonly versioned?: string;
  readonly on: 'service' | 'bucket' | 'object';
  /** The grant that gives it too. */
  readonly grant?: {readonly of: 'bucket' | 'object'; readonly permission: Permission};
  /** It reads or changes an object that is there: whose that is matters. */
  readonly existing?: true;
}

type Table = Readonly<Record<string, Readonly<Record<string, Need>>>>;

const bucket = (action: string, permission?: Permission): Need => ({action: `s3:${action.toLowerCase()}`, on: 'bucket', ...(permission ? {grant: {of: 'bucket', permission}} : {})});
const object = (action: string, versioned?: string, permission?: Permission): Need => ({
  action: `s3:${action.toLowerCase()}`, on: 'object', existing: true, ...(versioned ? {versioned: `s3:${versioned.toLowerCase()}`} : {}), ...(permission ? {grant: {of: 'object', permission}} : {}),
});
/** What makes or removes a key: the bucket's list decides, not the object's. */
const write = (action: string, versioned?: string): Need => ({
  action: `s3:${action.toLowerCase()}`, on: 'object', grant: {of: 'bucket', permission: 'WRITE'}, ...(versioned ? {versioned: `s3:${versioned.toLowerCase()}`} : {}),
});

export const needs = {
  listAllMyBuckets: {action: 's3:listallmybuckets', on: 'service'},
  listBucket: bucket('ListBucket', 'READ'),
  getObject: object('GetObject', 'GetObjectVersion', 'READ'),
  putObject: write('PutObject'),
  putObjectAcl: object('PutObjectAcl', 'PutObjectVersionAcl', 'WRITE_ACP'),
  putObjectTagging: object('PutObjectTagging', 'PutObjectVersionTagging'),
  putObjectRetention: object('PutObjectRetention'),
  putObjectLegalHold: object('PutObjectLegalHold'),
  bypassGovernance: object('BypassGovernanceRetention'),
  deleteObject: write('DeleteObject', 'DeleteObjectVersion'),
} satisfies Readonly<Record<string, Need>>;

/** GET, PUT and DELETE of a document that a bucket is configured with. */
const settings = (get: string, put: string, remove = put): Readonly<Record<string, Need>> => ({GET: bucket(get), PUT: bucket(put), DELETE: bucket(remove)});

export const bucketNeeds: Table = {
  '': {GET: needs.listBucket, HEAD: needs.listBucket, PUT: bucket('CreateBucket'), DELETE: bucket('DeleteBucket'), POST: needs.putObject},
  abac: settings('GetBucketAbac', 'PutBucketAbac'),
  accelerate: settings('GetAccelerateConfiguration', 'PutAccelerateConfiguration'),
  acl: {GET: bucket('GetBucketAcl', 'READ_ACP'), PUT: bucket('PutBucketAcl', 'WRITE_ACP')},
  analytics: settings('GetAnalyticsConfiguration', 'PutAnalyticsConfiguration'),
  cors: settings('GetBucketCORS', 'PutBucketCORS'),
  encryption: settings('GetEncryptionConfiguration', 'PutEncryptionConfiguration'),
  'intelligent-tiering': settings('GetIntelligentTieringConfiguration', 'PutIntelligentTieringConfiguration'),
  inventory: settings('GetInventoryConfiguration', 'PutInventoryConfiguration'),
  lifecycle: settings('GetLifecycleConfiguration', 'PutLifecycleConfiguration'),
  location: {GET: bucket('GetBucketLocation')},
  logging: settings('GetBucketLogging', 'PutBucketLogging'),
  metrics: settings('GetMetricsConfiguration', 'PutMetricsConfiguration'),
  notification: settings('GetBucketNotification', 'PutBucketNotification'),
  'object-lock': settings('GetBucketObjectLockConfiguration', 'PutBucketObjectLockConfiguration'),
  ownershipControls: settings('GetBucketOwnershipControls', 'PutBucketOwnershipControls'),
  policy: settings('GetBucketPolicy', 'PutBucketPolicy', 'DeleteBucketPolicy'),
  policyStatus: {GET: bucket('GetBucketPolicyStatus')},
  publicAccessBlock: settings('GetBucketPublicAccessBlock', 'PutBucketPublicAccessBlock'),
  replication: settings('GetReplicationConfiguration', 'PutReplicationConfiguration'),
  requestPayment: settings('GetBucketRequestPayment', 'PutBucketRequestPayment'),
  tagging: settings('GetBucketTagging', 'PutBucketTagging'),
  uploads: {GET: bucket('ListBucketMultipartUploads', 'READ')},
  versioning: settings('GetBucketVersioning', 'PutBucketVersioning'),
  versions: {GET: bucket('ListBucketVersions', 'READ'), HEAD: bucket('ListBucketVersions', 'READ')},
  website: settings('GetBucketWebsite', 'PutBucketWebsite', 'DeleteBucketWebsite'),
};

export const objectNeeds: Table = {
  '': {GET: needs.getObject, HEAD: needs.getObject, PUT: needs.putObject, DELETE: needs.deleteObject, POST: needs.putObject},
  acl: {GET: object('GetObjectAcl', 'GetObjectVersionAcl', 'READ_ACP'), PUT: needs.putObjectAcl},
  attributes: {GET: object('GetObjectAttributes', 'GetObjectVersionAttributes', 'READ')},
  'legal-hold': {GET: object('GetObjectLegalHold'), PUT: needs.putObjectLegalHold},
  partNumber: {GET: needs.getObject, HEAD: needs.getObject},
  restore: {POST: object('RestoreObject')},
  retention: {GET: object('GetObjectRetention'), PUT: needs.putObjectRetention},
  select: {POST: needs.getObject},
  tagging: {GET: object('GetObjectTagging', 'GetObjectVersionTagging'), PUT: needs.putObjectTagging, DELETE: object('DeleteObjectTagging', 'DeleteObjectVersionTagging')},
  torrent: {GET: object('GetObjectTorrent', 'GetObjectVersionTorrent')},
  uploads: {POST: needs.putObject},
  uploadId: {GET: write('ListMultipartUploadParts'), PUT: needs.putObject, POST: needs.putObject, DELETE: write('AbortMultipartUpload')},
};
