/** Presigned URLs whose headers are in the query, as the SDK for JavaScript makes them: there they mean what they mean as headers. */
import assert from 'node:assert/strict';
import {hash} from 'node:crypto';
import {after, before, test} from 'node:test';
import {
  CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand, GetObjectCommand, GetObjectTaggingCommand, HeadObjectCommand, ListMultipartUploadsCommand, PutObjectCommand,
} from '@aws-sdk/client-s3';
import {getSignedUrl} from '@aws-sdk/s3-request-presigner';
import {type Answer, codeIn, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'bucket';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket, ObjectLockEnabledForBucket: true}));
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'from', Body: 'source'}));
});
after(() => gateway[Symbol.asyncDispose]());

/** Its types are made for others than ours (exactOptionalPropertyTypes). */
const presign = getSignedUrl as unknown as (client: object, command: object, options: {readonly expiresIn: number}) => Promise<string>;

async function use(method: string, command: object, body?: string): Promise<{readonly answer: Answer; readonly query: URLSearchParams}> {
  const url = new URL(await presign(gateway.sdk, command, {expiresIn: 60}));
  const headers = ['host', url.host, ...(body === undefined ? [] : ['content-length', String(body.length), 'content-md5', hash('md5', body, 'base64')])];
  return {answer: await gateway.send({method, target: url.pathname + url.search, headers, ...(body === undefined ? {} : {body: Buffer.from(body)})}), query: url.searchParams};
}

test('an object is written as its URL says', async () => {
  const lock = {ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: new Date(Date.now() + 3_600_000)} as const;
  const command = new PutObjectCommand({Bucket, Key: 'k', StorageClass: 'STANDARD_IA', Tagging: 'a=1', Metadata: {m: 'v'}, WebsiteRedirectLocation: '/there', ...lock});
  const {answer, query} = await use('PUT', command, 'text');
  assert.equal(answer.status, 200, answer.body.toString());
  assert.ok(query.has('x-amz-storage-class') && query.has('x-amz-object-lock-mode'), 'hoisted');
  const head = await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'k'}));
  assert.deepEqual([head.StorageClass, head.Metadata, head.ObjectLockMode, head.WebsiteRedirectLocation], ['STANDARD_IA', {m: 'v'}, 'GOVERNANCE', '/there']);
  assert.deepEqual((await gateway.sdk.send(new GetObjectTaggingCommand({Bucket, Key: 'k'}))).TagSet, [{Key: 'a', Value: '1'}]);
});

test('a copy is a copy, and not an empty object', async () => {
  const {answer, query} = await use('PUT', new CopyObjectCommand({Bucket, Key: 'to', CopySource: `${Bucket}/from`}), '');
  assert.ok(query.has('x-amz-copy-source'), 'hoisted');
  assert.equal(answer.status, 200, answer.body.toString());
  assert.equal(await (await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'to'}))).Body!.transformToString(), 'source');
});

test('an upload begins as its URL says, and a bucket of somebody else is refused', async () => {
  const {answer} = await use('POST', new CreateMultipartUploadCommand({Bucket, Key: 'parts', StorageClass: 'GLACIER', ChecksumAlgorithm: 'SHA256'}), '');
  assert.equal(answer.status, 200, answer.body.toString());
  const [upload] = (await gateway.sdk.send(new ListMultipartUploadsCommand({Bucket}))).Uploads!;
  assert.deepEqual([upload!.StorageClass, upload!.ChecksumAlgorithm], ['GLACIER', 'SHA256']);
  const refused = await use('GET', new GetObjectCommand({Bucket, Key: 'from', ExpectedBucketOwner: '999999999999'}));
  assert.equal(codeIn(refused.answer), 'AccessDenied');
});
