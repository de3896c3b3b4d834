/** CopyObject: what comes along, what does not, and what is refused before anything is copied. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {CopyObjectCommand, CreateBucketCommand, HeadObjectCommand, PutObjectCommand} from '@aws-sdk/client-s3';
import {codeIn, codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'bucket';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
});
after(() => gateway[Symbol.asyncDispose]());

const copy = (Key: string, more: object = {}) => gateway.sdk.send(new CopyObjectCommand({Bucket, Key, CopySource: `${Bucket}/from`, ...more}));
const head = (Key: string) => gateway.sdk.send(new HeadObjectCommand({Bucket, Key}));

test('a redirect and a storage class belong to one object alone', async () => {
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'from', Body: 'text', WebsiteRedirectLocation: '/here', StorageClass: 'STANDARD_IA', Metadata: {a: '1'}}));
  await copy('to');
  const {WebsiteRedirectLocation, StorageClass, Metadata} = await head('to');
  assert.deepEqual([WebsiteRedirectLocation, StorageClass, Metadata], [undefined, undefined, {a: '1'}]);
  await copy('to', {WebsiteRedirectLocation: '/there'});
  assert.equal((await head('to')).WebsiteRedirectLocation, '/there');
  assert.equal(await codeOf(copy('to', {WebsiteRedirectLocation: 'ftp://there'})), 'InvalidRedirectLocation');
  assert.equal(await codeOf(copy('to', {Metadata: {['k'.repeat(2048)]: 'v'}})), 'MetadataTooLarge');
  assert.equal(await codeOf(copy('from')), 'InvalidRequest');
  assert.equal(await codeOf(copy('from', {StorageClass: 'STANDARD'})), 'none', 'onto itself, with another storage class');
});

test('a source that is not one, or not whose it should be', async () => {
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'from', Body: 'text'}));
  for (const [source, message] of [['bucket/%ZZ', 'encoding'], ['%', 'encoding'], ['bucket/%1', 'encoding'], ['bucket', 'object key'], ['bucket/', 'object key'], ['//from', 'bucket name']] as const) {
    const answer = await gateway.send({method: 'PUT', target: '/bucket/to', headers: ['x-amz-copy-source', source]});
    assert.equal(codeIn(answer), 'AccessDenied', 'nobody has signed');
    await assert.rejects(copy('to', {CopySource: source}), {name: 'InvalidArgument', message: `Invalid copy source ${message}`}, source);
  }
  assert.equal(await codeOf(copy('none', {CopySource: `${Bucket}/none`, ChecksumAlgorithm: 'ROT13'})), 'InvalidRequest');
});
