/** Conditions of policies on what requests and their documents say, as a user meets them. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {
  CompleteMultipartUploadCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectAttributesCommand, GetObjectCommand, PutObjectCommand,
  PutObjectLegalHoldCommand, PutObjectRetentionCommand, PutObjectTaggingCommand, type S3Client, UploadPartCommand,
} from '@aws-sdk/client-s3';
import {systemContext} from '#contracts/context.ts';
import {codeIn, codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
let carol: S3Client;
const Bucket = 'vault';
const Key = 'k';
const as = systemContext;
const dayMs = 86_400_000;
const resource = [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`];

before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket, ObjectLockEnabledForBucket: true}));
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key, Body: 'x'}));
  await gateway.identity.putPolicy('none', JSON.stringify({Version: '2012-10-17', Statement: [{Effect: 'Deny', Action: 's3:DeleteBucket', Resource: '*'}]}), as);
  await gateway.identity.addUser('carol', {policies: ['none']}, as);
  carol = gateway.client(await gateway.identity.addKey('carol', {}, as));
});
after(() => gateway[Symbol.asyncDispose]());

const may = (...statements: object[]) =>
  gateway.identity.putInlinePolicy({user: 'carol'}, 'all', JSON.stringify({Version: '2012-10-17', Statement: statements.map((one) => ({Effect: 'Allow', Resource: resource, ...one}))}), as);
const tag = (value: string) => codeOf(carol.send(new PutObjectTaggingCommand({Bucket, Key, Tagging: {TagSet: [{Key: 'class', Value: value}]}})));
const retain = (days: number, Mode: 'GOVERNANCE' | 'COMPLIANCE' = 'GOVERNANCE') =>
  codeOf(carol.send(new PutObjectRetentionCommand({Bucket, Key, Retention: {Mode, RetainUntilDate: new Date(Date.now() + days * dayMs - 1000)}, BypassGovernanceRetention: true})));

test('tags that a document sets are asked about like those of a header', async () => {
  await may({Action: 's3:PutObjectTagging', Condition: {StringEquals: {'s3:RequestObjectTag/class': 'open'}}});
  assert.deepEqual([await tag('open'), await tag('secret')], ['none', 'AccessDenied']);
  await may({Action: 's3:*'}, {Effect: 'Deny', Action: 's3:PutObjectTagging', Condition: {StringEquals: {'s3:RequestObjectTag/class': 'secret'}}});
  assert.deepEqual([await tag('open'), await tag('secret')], ['none', 'AccessDenied']);
  await may({Action: 's3:*'}, {Effect: 'Deny', Action: 's3:PutObjectTagging', Condition: {'ForAnyValue:StringEquals': {'s3:RequestObjectTagKeys': ['class']}}});
  assert.equal(await tag('open'), 'AccessDenied');
  await may({Action: 's3:GetObject'});
  const malformed = await gateway.send({method: 'PUT', target: `/${Bucket}/${Key}?tagging`, headers: ['host', 's3.test', 'content-length', '1'], body: Buffer.from('<')});
  assert.equal(codeIn(malformed), 'AccessDenied', 'what is wrong with a document is said only to those who may put it');
});

test('so are the mode and the length of a retention, and a legal hold', async () => {
  await may({Action: 's3:*'}, {Effect: 'Deny', Action: 's3:PutObjectRetention', Condition: {NumericGreaterThan: {'s3:object-lock-remaining-retention-days': '10'}}});
  assert.deepEqual([await retain(10), await retain(11)], ['none', 'AccessDenied']);
  const put = (days: number) => codeOf(carol.send(new PutObjectCommand({Bucket, Key: 'new', Body: 'x', ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date(Date.now() + days * dayMs - 1000)})));
  assert.deepEqual([await put(10), await put(11)], ['none', 'AccessDenied']);
  await may({Action: 's3:*'}, {Effect: 'Deny', Action: 's3:PutObjectRetention', Condition: {StringEquals: {'s3:object-lock-mode': 'COMPLIANCE'}}});
  assert.deepEqual([await retain(1, 'COMPLIANCE'), await retain(2)], ['AccessDenied', 'none']);
  const hold = (Status: 'ON' | 'OFF') => codeOf(carol.send(new PutObjectLegalHoldCommand({Bucket, Key, LegalHold: {Status}})));
  await may({Action: 's3:PutObjectLegalHold', Condition: {StringEquals: {'s3:object-lock-legal-hold': 'OFF'}}});
  assert.deepEqual([await hold('ON'), await hold('OFF')], ['AccessDenied', 'none']);
});

test('old signatures are refused where a policy wants young ones', async () => {
  const policy = {Version: '2012-10-17', Statement: [{Effect: 'Deny', Principal: '*', Action: 's3:GetObject', Resource: resource[1], Condition: {NumericGreaterThan: {'s3:signatureAge': '60000'}}}]};
  const asked = async (ageMs: number) => (await gateway.signed('GET', `/${Bucket}/${Key}`, undefined, undefined, new Date(Date.now() - ageMs))).status;
  assert.equal(await asked(120_000), 200);
  assert.equal((await gateway.signed('PUT', `/${Bucket}?policy`, undefined, JSON.stringify(policy))).status, 204);
  assert.deepEqual([await asked(120_000), await asked(0)], [403, 200]);
  assert.equal((await gateway.signed('DELETE', `/${Bucket}?policy`)).status, 204);
});

test('writes can be made to be conditional, and the steps of an upload in parts are none', async () => {
  await may({Action: 's3:*'}, {Effect: 'Deny', Action: 's3:PutObject', Condition: {Null: {'s3:if-none-match': 'true'}, Bool: {'s3:ObjectCreationOperation': 'true'}}});
  const put = (more: object) => codeOf(carol.send(new PutObjectCommand({Bucket, Key: 'once', Body: 'x', ...more})));
  assert.deepEqual([await put({}), await put({IfNoneMatch: '*'}), await put({IfNoneMatch: '*'})], ['AccessDenied', 'none', 'PreconditionFailed']);
  const {UploadId} = await carol.send(new CreateMultipartUploadCommand({Bucket, Key: 'parts'}));
  const {ETag} = await carol.send(new UploadPartCommand({Bucket, Key: 'parts', UploadId, PartNumber: 1, Body: 'x'}));
  const complete = (more: object) => codeOf(carol.send(new CompleteMultipartUploadCommand({Bucket, Key: 'parts', UploadId, MultipartUpload: {Parts: [{PartNumber: 1, ETag}]}, ...more})));
  assert.deepEqual([await complete({}), await complete({IfNoneMatch: '*'})], ['AccessDenied', 'none']);
});

test('who may not read an object does not learn of it by conditions and attributes', async () => {
  const {ETag} = await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'secret', Body: 'x'}));
  const asked = {Bucket, Key: 'secret'};
  await may({Action: ['s3:PutObject', 's3:DeleteObject', 's3:GetObjectAttributes']});
  const attempts = async () => [
    await codeOf(carol.send(new GetObjectAttributesCommand({...asked, ObjectAttributes: ['ETag']}))),
    await codeOf(carol.send(new PutObjectCommand({...asked, Body: 'y', IfMatch: '"another"'}))),
    await codeOf(carol.send(new DeleteObjectCommand({...asked, IfMatch: '"another"'}))),
    (await carol.send(new DeleteObjectsCommand({Bucket, Delete: {Objects: [{Key: 'secret', ETag: '"another"'}]}}))).Errors?.[0]?.Code,
  ];
  assert.deepEqual(await attempts(), ['AccessDenied', 'AccessDenied', 'AccessDenied', 'AccessDenied']);
  await may({Action: ['s3:PutObject', 's3:DeleteObject', 's3:GetObjectAttributes', 's3:GetObject']});
  assert.deepEqual(await attempts(), ['none', 'PreconditionFailed', 'PreconditionFailed', 'PreconditionFailed']);
  assert.equal(await codeOf(carol.send(new DeleteObjectCommand({...asked, IfMatch: ETag}))), 'none');
  assert.equal(await codeOf(carol.send(new GetObjectCommand(asked))), 'AccessDenied', 'nor that it is gone, without ListBucket');
});
