/** Object lock as a client sees it. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {
  CreateBucketCommand, CreateMultipartUploadCommand, DeleteObjectCommand, GetObjectLockConfigurationCommand, GetObjectRetentionCommand, HeadObjectCommand, PutBucketVersioningCommand, PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand, PutObjectRetentionCommand, UploadPartCommand,
} from '@aws-sdk/client-s3';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'locked';
const later = (days: number): Date => new Date(Math.ceil(Date.now() / 1000) * 1000 + days * 86_400_000);
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket, ObjectLockEnabledForBucket: true}));
});
after(() => gateway[Symbol.asyncDispose]());

test('a retained version is deleted only by who may override governance and says so', async () => {
  const until = later(2);
  const {VersionId} = await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'a', Body: Buffer.from('x'), ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: until}));
  const head = await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'a'}));
  assert.deepEqual([head.ObjectLockMode, head.ObjectLockRetainUntilDate], ['GOVERNANCE', until]);
  assert.equal(await codeOf(gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'a', VersionId}))), 'AccessDenied');
  const shorter = new PutObjectRetentionCommand({Bucket, Key: 'a', Retention: {Mode: 'GOVERNANCE', RetainUntilDate: later(1)}});
  assert.equal(await codeOf(gateway.sdk.send(shorter)), 'AccessDenied');
  const strict = {Mode: 'COMPLIANCE', RetainUntilDate: later(3)} as const;
  await gateway.sdk.send(new PutObjectRetentionCommand({Bucket, Key: 'a', Retention: strict, BypassGovernanceRetention: true}));
  assert.deepEqual((await gateway.sdk.send(new GetObjectRetentionCommand({Bucket, Key: 'a'}))).Retention, strict);
  assert.equal(await codeOf(gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'a', VersionId, BypassGovernanceRetention: true}))), 'AccessDenied');
  assert.equal((await gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'a'}))).DeleteMarker, true);
});

test('a legal hold keeps a version until it is off', async () => {
  const {VersionId} = await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'held', Body: Buffer.from('x'), ObjectLockLegalHoldStatus: 'ON'}));
  assert.equal(await codeOf(gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'held', VersionId, BypassGovernanceRetention: true}))), 'AccessDenied');
  await gateway.sdk.send(new PutObjectLegalHoldCommand({Bucket, Key: 'held', LegalHold: {Status: 'OFF'}}));
  await gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'held', VersionId}));
});

test('the default retention holds for what is written after it, and versioning cannot be suspended', async () => {
  const ObjectLockConfiguration = {ObjectLockEnabled: 'Enabled', Rule: {DefaultRetention: {Mode: 'GOVERNANCE', Days: 1}}} as const;
  await gateway.sdk.send(new PutObjectLockConfigurationCommand({Bucket, ObjectLockConfiguration}));
  assert.deepEqual((await gateway.sdk.send(new GetObjectLockConfigurationCommand({Bucket}))).ObjectLockConfiguration, ObjectLockConfiguration);
  const {VersionId} = await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'default', Body: Buffer.from('x')}));
  assert.equal((await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'default'}))).ObjectLockMode, 'GOVERNANCE');
  assert.equal(await codeOf(gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'default', VersionId}))), 'AccessDenied');
  assert.equal(await codeOf(gateway.sdk.send(new PutBucketVersioningCommand({Bucket, VersioningConfiguration: {Status: 'Suspended'}}))), 'InvalidBucketState');
});

test('a bucket without object lock has nothing to lock', async () => {
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'plain'}));
  assert.equal(await codeOf(gateway.sdk.send(new PutObjectCommand({Bucket: 'plain', Key: 'a', Body: Buffer.from('x'), ObjectLockLegalHoldStatus: 'ON'}))), 'InvalidRequest');
  assert.equal(await codeOf(gateway.sdk.send(new GetObjectLockConfigurationCommand({Bucket: 'plain'}))), 'ObjectLockConfigurationNotFoundError');
});

test('headers are looked at before the bucket is', async () => {
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'plain'}));
  const put = (days: number) => gateway.sdk.send(new PutObjectCommand({Bucket: 'plain', Key: 'a', Body: 'x', ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: later(days)}));
  assert.equal(await codeOf(put(-1)), 'InvalidArgument');
  await assert.rejects(put(1), {name: 'InvalidRequest', message: 'Bucket is missing ObjectLockConfiguration'});
});

test('bytes that are locked as they come prove to be what was sent', async () => {
  const plain = gateway.client({accessKeyId: 'key', secretAccessKey: 'secret'}, {requestChecksumCalculation: 'WHEN_REQUIRED'});
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'proved', ObjectLockEnabledForBucket: true}));
  const wanted = {Bucket: 'proved', Key: 'a'};
  const body = {...wanted, Body: Buffer.from('x')};
  const proof = {ContentMD5: 'ndTkYSaMgDT1yFZOFVxnpg=='};
  const said = (what: string) => ({name: 'InvalidRequest', message: `Content-MD5 OR x-amz-checksum- HTTP header is required for ${what} requests with Object Lock parameters`});
  const held = {ObjectLockLegalHoldStatus: 'ON'} as const;
  const put = (more: object): Promise<unknown> => plain.send(new PutObjectCommand({...body, ...more}));
  await put({});
  await assert.rejects(put(held), said('Put Object'));
  await assert.rejects(put({ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: later(1)}), said('Put Object'));
  await put({...held, ...proof});
  await put({...held, ChecksumCRC32: 'jNwWgw=='});
  const [locked, free] = await Promise.all([held, {}].map((lock) => plain.send(new CreateMultipartUploadCommand({...wanted, ...lock}))));
  const part = (UploadId: string | undefined, more: object): Promise<unknown> => plain.send(new UploadPartCommand({...body, UploadId, PartNumber: 1, ...more}));
  await assert.rejects(part(locked!.UploadId, {}), said('Put Part'));
  await part(locked!.UploadId, proof);
  await part(free!.UploadId, {});
  await plain.send(new PutObjectLockConfigurationCommand({Bucket: 'proved', ObjectLockConfiguration: {ObjectLockEnabled: 'Enabled', Rule: {DefaultRetention: {Mode: 'GOVERNANCE', Days: 1}}}}));
  await assert.rejects(put({}), said('Put Object'));
  await assert.rejects(part(free!.UploadId, {}), said('Put Part'));
  await put(proof);
});
