import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {CreateBucketCommand, GetObjectCommand, HeadObjectCommand, PutBucketVersioningCommand, PutObjectCommand, RestoreObjectCommand} from '@aws-sdk/client-s3';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'archive';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
});
after(() => gateway[Symbol.asyncDispose]());

test('an archived object is restored for its days, another is not', async () => {
  await gateway.sdk.send(new PutBucketVersioningCommand({Bucket, VersioningConfiguration: {Status: 'Enabled'}}));
  const {VersionId} = await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'old', Body: 'x', StorageClass: 'GLACIER'}));
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'old', Body: 'y'}));
  const restore = (Days: number | undefined, version = VersionId) => gateway.sdk.send(new RestoreObjectCommand({Bucket, Key: 'old', ...(version ? {VersionId: version} : {}), RestoreRequest: {Days}}));
  const head = async () => (await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'old', VersionId}))).Restore;
  assert.equal(await head(), undefined);
  assert.deepEqual([await codeOf(restore(1, '')), await codeOf(restore(0)), await codeOf(restore(undefined))], ['InvalidObjectState', 'InvalidArgument', 'MalformedXML']);
  assert.equal((await restore(3)).$metadata.httpStatusCode, 202);
  const [, date] = /^ongoing-request="false", expiry-date="(.* 00:00:00 GMT)"$/.exec((await head()) ?? '') ?? [];
  const days = (Date.parse(date ?? '') - Date.now()) / 86_400_000;
  assert.ok(days > 2.9 && days < 4.1, date);
  assert.equal((await restore(5)).$metadata.httpStatusCode, 200);
  const read = await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'old', VersionId}));
  assert.equal(await read.Body!.transformToString(), 'x');
  assert.ok(read.Restore && !read.Restore.includes(date!), 'for more days');
  assert.equal(await codeOf(gateway.sdk.send(new RestoreObjectCommand({Bucket, Key: 'none', RestoreRequest: {Days: 1}}))), 'NoSuchKey');
});
