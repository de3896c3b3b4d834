import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {after, test} from 'node:test';
import {
  CopyObjectCommand, CreateBucketCommand, DeleteBucketEncryptionCommand, GetBucketEncryptionCommand, GetObjectCommand, PutBucketEncryptionCommand, PutObjectCommand, type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

const gateway = await Gateway.start();
after(() => gateway[Symbol.asyncDispose]());
const Bucket = 'sealed';
await gateway.sdk.send(new CreateBucketCommand({Bucket}));

const put = (more: Partial<PutObjectCommandInput>) => gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'k', Body: 'bytes', ...more}));
const byDefault = (SSEAlgorithm: 'AES256' | 'aws:kms') =>
  gateway.sdk.send(new PutBucketEncryptionCommand({Bucket, ServerSideEncryptionConfiguration: {Rules: [{ApplyServerSideEncryptionByDefault: {SSEAlgorithm}}]}}));

test('what is carried out is said again, and all else refused', async () => {
  assert.equal((await put({})).ServerSideEncryption, undefined);
  assert.equal((await put({ServerSideEncryption: 'AES256'})).ServerSideEncryption, 'AES256');
  assert.equal((await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'k'}))).ServerSideEncryption, 'AES256');
  assert.equal((await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'copy', CopySource: `${Bucket}/k`}))).ServerSideEncryption, undefined, 'a copy is asked for its own');
  assert.equal((await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'copy'}))).ServerSideEncryption, undefined);
  assert.equal(await codeOf(put({ServerSideEncryption: 'aws:kms'})), 'NotImplemented');
  assert.equal(await codeOf(put({SSEKMSKeyId: 'key'})), 'InvalidArgument');
  const key = Buffer.alloc(32, 7);
  const own = {SSECustomerAlgorithm: 'AES256', SSECustomerKey: key.toString('base64'), SSECustomerKeyMD5: createHash('md5').update(key).digest('base64')};
  assert.equal(await codeOf(put({...own, ServerSideEncryption: 'AES256'})), 'InvalidArgument');
});

test('a bucket encrypts by default what does not say', async () => {
  const configured = () => gateway.sdk.send(new GetBucketEncryptionCommand({Bucket}));
  assert.equal(await codeOf(configured()), 'ServerSideEncryptionConfigurationNotFoundError');
  await byDefault('AES256');
  assert.equal((await put({})).ServerSideEncryption, 'AES256');
  await byDefault('aws:kms');
  assert.equal((await configured()).ServerSideEncryptionConfiguration?.Rules?.[0]?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm, 'aws:kms');
  assert.equal(await codeOf(put({})), 'NotImplemented', 'nothing is stored with less than the bucket asks for');
  await gateway.sdk.send(new DeleteBucketEncryptionCommand({Bucket}));
  assert.equal((await put({})).ServerSideEncryption, undefined);
});
