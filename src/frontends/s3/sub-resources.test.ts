/** Parts of buckets and objects that Weir has not, or that S3 has got since: nothing that is meant for one of them is done to the whole. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {
  CreateBucketCommand, DeleteObjectCommand, GetBucketPolicyStatusCommand, GetObjectAclCommand, GetObjectCommand, ListMultipartUploadsCommand, PutBucketPolicyCommand, PutBucketVersioningCommand, PutObjectAclCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import {codeIn, codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'bucket';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'empty'}));
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'k', Body: 'x'}));
});
after(() => gateway[Symbol.asyncDispose]());

const text = async (): Promise<string> => (await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'k'}))).Body!.transformToString();

test('what is meant for a part is not done to the whole', async () => {
  const parts = ['annotation', 'metadataConfiguration', 'metadataInventoryTable', 'metadataJournalTable', 'metadataAnnotationTable', 'metadataTable', 'abac', 'session', 'somethingNew'];
  for (const part of parts) {
    for (const [method, target, body] of [['PUT', '/bucket/k', 'other'], ['DELETE', '/bucket/k', undefined], ['DELETE', '/empty', undefined], ['PUT', '/empty', ''], ['PUT', '/made', '']] as const) {
      const {status} = await gateway.signed(method, `${target}?${part}=`, undefined, body);
      assert.ok(status === 501 || (target === '/made' && status === 404), `${method} ${target}?${part} ${status}`);
    }
  }
  for (const named of ['annotation&annotationName=a', 'somethingNew&name=a']) assert.equal(codeIn(await gateway.signed('DELETE', `/bucket/k?${named}`)), 'NotImplemented', named);
  assert.equal(await text(), 'x');
  assert.deepEqual([(await gateway.signed('HEAD', '/empty')).status, (await gateway.signed('HEAD', '/made')).status], [200, 404]);
  assert.equal((await gateway.signed('GET', '/bucket/k?somethingNew=')).status, 200, 'what reads does no harm');
  assert.equal((await gateway.signed('PUT', '/bucket/other?x-id=PutObject', undefined, 'y')).status, 200);
});

test('an appendix does not become the object', async () => {
  assert.equal(await codeOf(gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'k', Body: 'more', WriteOffsetBytes: 1}))), 'NotImplemented');
  assert.equal(await text(), 'x');
});

test('access of attributes is off, as by default', async () => {
  assert.match((await gateway.signed('GET', '/bucket?abac=')).body.toString(), /<AbacStatus [^>]*><Status>Disabled<\/Status><\/AbacStatus>/);
});

test('a policy is public or not, one that is not there is not', async () => {
  const status = () => gateway.sdk.send(new GetBucketPolicyStatusCommand({Bucket}));
  assert.equal((await status()).PolicyStatus?.IsPublic, false);
  const Policy = JSON.stringify({Version: '2012-10-17', Statement: [{Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${Bucket}/k`}]});
  await gateway.sdk.send(new PutBucketPolicyCommand({Bucket, Policy}));
  assert.equal((await status()).PolicyStatus?.IsPublic, true);
});

test('a delete marker has no list of grants, a directory has', async () => {
  assert.equal((await gateway.signed('PUT', '/bucket/dir/', undefined, '')).status, 200);
  await gateway.sdk.send(new PutObjectAclCommand({Bucket, Key: 'dir/', ACL: 'public-read'}));
  assert.equal((await gateway.sdk.send(new GetObjectAclCommand({Bucket, Key: 'dir/'}))).Grants?.length, 2);
  await gateway.sdk.send(new PutBucketVersioningCommand({Bucket, VersioningConfiguration: {Status: 'Enabled'}}));
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'gone', Body: 'x'}));
  const {VersionId} = await gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'gone'}));
  assert.equal(await codeOf(gateway.sdk.send(new GetObjectAclCommand({Bucket, Key: 'gone', VersionId}))), 'MethodNotAllowed');
  assert.equal(await codeOf(gateway.sdk.send(new PutObjectAclCommand({Bucket, Key: 'gone', VersionId, ACL: 'private'}))), 'MethodNotAllowed');
});

test('uploads are listed in an encoding that there is', async () => {
  assert.equal(await codeOf(gateway.sdk.send(new ListMultipartUploadsCommand({Bucket, EncodingType: 'base64' as 'url'}))), 'InvalidArgument');
});
