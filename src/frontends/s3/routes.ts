/** Which operation a request asks for: by method, by what it is aimed at, and by its sub-resource. Data, so that it can be read. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {deleteLifecycle, getLifecycle, putLifecycle} from '#frontends/s3/bucket-lifecycle.ts';
import type {S3Target} from '#codec/s3/target.ts';
import {getBucketAcl, getObjectAcl, putBucketAcl, putObjectAcl} from '#frontends/s3/acl.ts';
import {createBucket, deleteBucket, getBucketLocation, headBucket} from '#frontends/s3/bucket.ts';
import {getNotification, putNotification} from '#frontends/s3/bucket-notification.ts';
import {deleteInventoryConfiguration, getInventories, putInventoryConfiguration} from '#frontends/s3/bucket-inventory.ts';
import {bucketConfigurations} from '#frontends/s3/bucket-configuration.ts';
import {deleteBucketCors, getBucketCors, putBucketCors} from '#frontends/s3/bucket-cors.ts';
import {deleteBucketPolicy, getBucketPolicy, getBucketPolicyStatus, putBucketPolicy} from '#frontends/s3/bucket-policy.ts';
import {getBucketVersioning, listObjectVersions, putBucketVersioning} from '#frontends/s3/bucket-versioning.ts';
import {configurationReads} from '#frontends/s3/configuration.ts';
import {deleteWebsite, getWebsite, putWebsite} from '#frontends/s3/bucket-website.ts';
import {completeMultipartUpload} from '#frontends/s3/complete-multipart-upload.ts';
import {copyObject} from '#frontends/s3/copy-object.ts';
import {deleteObject, deleteObjects} from '#frontends/s3/delete-objects.ts';
import {getObjectAttributes} from '#frontends/s3/get-object-attributes.ts';
import {getObject, headObject} from '#frontends/s3/get-object.ts';
import {listBuckets} from '#frontends/s3/list-buckets.ts';
import {listObjects} from '#frontends/s3/list-objects.ts';
import {listParts} from '#frontends/s3/list-parts.ts';
import {listMultipartUploads} from '#frontends/s3/list-uploads.ts';
import {abortMultipartUpload, createMultipartUpload} from '#frontends/s3/multipart.ts';
import {getLegalHold, getObjectLock, getRetention, putLegalHold, putObjectLock, putRetention} from '#frontends/s3/object-lock.ts';
import {
  deleteOwnershipControls, deletePublicAccessBlock, getOwnershipControls, getPublicAccessBlock, putOwnershipControls, putPublicAccessBlock,
} from '#frontends/s3/ownership.ts';
import {putObject} from '#frontends/s3/put-object.ts';
import {restoreObject} from '#frontends/s3/restore-object.ts';
import type {Operation, S3Request} from '#frontends/s3/request.ts';
import {deleteBucketTagging, deleteObjectTagging, getBucketTagging, getObjectTagging, putBucketTagging, putObjectTagging} from '#frontends/s3/tagging.ts';
import {uploadPart, uploadPartCopy} from '#frontends/s3/upload-part.ts';

type Methods = Readonly<Record<string, Operation>>;

/** Query parameters that name a part of a bucket or object rather than a detail of the request. */
const subResources = new Set([
  ...Object.keys(configurationReads),
  ...Object.keys(bucketConfigurations),
  'cors', 'tagging', 'notification', 'website', 'inventory',
  'abac', 'annotation', 'attributes', 'delete', 'legal-hold', 'lifecycle', 'location', 'metadataAnnotationTable', 'metadataConfiguration', 'metadataInventoryTable', 'metadataJournalTable',
  'metadataTable', 'object-lock', 'partNumber', 'policyStatus', 'renameObject', 'restore', 'retention', 'select',
  'session', 'torrent', 'uploadId', 'uploads', 'versioning', 'versions', 'append', 'acl', 'policy', 'ownershipControls', 'publicAccessBlock',
]);

const service: Methods = {GET: listBuckets, HEAD: listBuckets};

const bucket: Readonly<Record<string, Methods>> = {
  '': {GET: listObjects, HEAD: headBucket, PUT: createBucket, DELETE: deleteBucket},
  acl: {GET: getBucketAcl, PUT: putBucketAcl},
  ownershipControls: {GET: getOwnershipControls, PUT: putOwnershipControls, DELETE: deleteOwnershipControls},
  policy: {GET: getBucketPolicy, PUT: putBucketPolicy, DELETE: deleteBucketPolicy},
  policyStatus: {GET: getBucketPolicyStatus},
  publicAccessBlock: {GET: getPublicAccessBlock, PUT: putPublicAccessBlock, DELETE: deletePublicAccessBlock},
  delete: {POST: deleteObjects},
  location: {GET: getBucketLocation},
  uploads: {GET: listMultipartUploads},
  versioning: {GET: getBucketVersioning, PUT: putBucketVersioning},
  versions: {GET: listObjectVersions},
  lifecycle: {GET: getLifecycle, PUT: putLifecycle, DELETE: deleteLifecycle},
  'object-lock': {GET: getObjectLock, PUT: putObjectLock},
  inventory: {GET: getInventories, PUT: putInventoryConfiguration, DELETE: deleteInventoryConfiguration},
  website: {GET: getWebsite, PUT: putWebsite, DELETE: deleteWebsite},
  notification: {GET: getNotification, PUT: putNotification},
  cors: {GET: getBucketCors, PUT: putBucketCors, DELETE: deleteBucketCors},
  tagging: {GET: getBucketTagging, PUT: putBucketTagging, DELETE: deleteBucketTagging},
  ...bucketConfigurations,
};

const object: Readonly<Record<string, Methods>> = {
  retention: {GET: getRetention, PUT: putRetention},
  'legal-hold': {GET: getLegalHold, PUT: putLegalHold},
  '': {GET: getObject, HEAD: headObject, PUT: putObject, DELETE: deleteObject},
  acl: {GET: getObjectAcl, PUT: putObjectAcl},
  attributes: {GET: getObjectAttributes},
  restore: {POST: restoreObject},
  tagging: {GET: getObjectTagging, PUT: putObjectTagging, DELETE: deleteObjectTagging},
  uploads: {POST: createMultipartUpload},
  uploadId: {GET: listParts, PUT: uploadPart, POST: completeMultipartUpload, DELETE: abortMultipartUpload},
};

/** By sub-resource and method: what there is. */
export const operations = {bucket, object};

/** The part of a bucket or object that a request is aimed at; empty: the thing itself. */
export function subResourceOf({query}: S3Target, method: string): string {
  for (const [parameter] of query) {
    if (!subResources.has(parameter)) continue;
    // A part is of its upload; without one it is a part of a finished object, and read like any other range.
    if (parameter === 'partNumber' && (method === 'GET' || method === 'HEAD' || query.some(([other]) => other === 'uploadId'))) continue;
    return parameter;
  }
  return '';
}

const changing: ReadonlySet<string> = new Set(['PUT', 'POST', 'DELETE']);
/** Parameters that may be empty and yet say something about the request itself. */
const detail = /^(x-.*|response-.*|content-.*|versionId|AWSAccessKeyId|Signature|Expires)$/i;

/**
 * Of a request that changes something: a name alone, which Weir does not know. It may be of a part of the bucket or object that S3 has got since:
 * what is meant for that part must not be done to the whole.
 */
function unknownPart({query}: S3Target, method: string): string | undefined {
  if (query.length === 0 || !changing.has(method)) return undefined;
  return query.find(([parameter, value]) => value === '' && !detail.test(parameter))?.[0];
}

/**
 * InvalidArgument and InvalidRequest for what is misplaced, MethodNotAllowed for methods that the resource does not have; of sub-resources
 * that Weir does not carry out, or does not know, an operation that answers NotImplemented.
 */
export function operationOf(request: S3Request, name: string): Operation {
  const {target, exchange: {method}} = request;
  const source = request.header('x-amz-copy-source');
  if (source !== undefined && method !== 'PUT' && (method !== 'POST' || request.query('uploadId') !== undefined)) {
    throw new S3Error('InvalidArgument', 'You can only specify a copy source header for copy requests.', {ArgumentName: 'x-amz-copy-source', ArgumentValue: source});
  }
  if (target.bucket === undefined) {
    const operation = service[method];
    if (!operation) throw notAllowed(method, 'SERVICE', service);
    return operation;
  }
  const unknown = name === '' ? unknownPart(target, method) : undefined;
  if (unknown !== undefined) return notImplemented(unknown);
  const ofKey = target.key !== undefined;
  const methods = (ofKey ? object : bucket)[name];
  const operation = methods ? methods[method] : method === 'GET' ? configurationReads[name] : undefined;
  // A part of an upload has a number.
  if (operation && (operation !== uploadPart || request.query('partNumber') !== undefined)) {
    if (source === undefined) return operation;
    return operation === putObject ? copyObject : operation === uploadPart ? uploadPartCopy : operation;
  }
  const elsewhere = ofKey ? misplaced[`${method} ${name}`] : undefined;
  if (elsewhere) throw elsewhere();
  // Said only to those who may ask.
  if (!methods) return notImplemented(name);
  if (name === 'uploadId') throw notAllowed(method, 'UPLOAD', methods);
  if (!ofKey) throw notAllowed(method, name === 'policy' ? 'BUCKETPOLICY' : 'BUCKET', methods);
  // As S3 says it of a POST that is neither a form nor of an upload.
  throw notAllowed(method, method === 'POST' && name === '' ? 'SERVICE' : 'OBJECT', methods);
}

function notImplemented(what: string): Operation {
  return () => Promise.reject(new S3Error('NotImplemented', 'A header or query you provided implies functionality that is not implemented.', {Header: toText(what as ByteString)}));
}

/** Of a key, by method and sub-resource: what belongs elsewhere. */
const misplaced: Readonly<Record<string, () => S3Error>> = {
  'GET uploads': () => new S3Error('InvalidRequest', 'Key is not expected for the GET method ?uploads subresource'),
  'GET versions': () => new S3Error('InvalidRequest', 'There is no such thing as the ?versions sub-resource for a key'),
  'PUT partNumber': () => new S3Error('InvalidArgument', 'This operation does not accept partNumber without uploadId', {ArgumentName: 'partNumber', ArgumentValue: 'partNumber'}),
};

function notAllowed(method: string, resource: string, methods: Methods): S3Error {
  const fields = {Method: method, ResourceType: resource};
  return new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', fields, {headers: ['Allow', Object.keys(methods).join(', ')]});
}
