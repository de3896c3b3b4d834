/** Versions as a client sees them: ids in headers, delete markers, lists, copies and deletes of one version. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {
  CopyObjectCommand, CreateBucketCommand, DeleteObjectCommand, DeleteObjectsCommand, GetBucketVersioningCommand, GetObjectCommand, HeadObjectCommand, ListObjectVersionsCommand, PutBucketVersioningCommand,
  PutObjectCommand, S3ServiceException,
} from '@aws-sdk/client-s3';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'versions';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
  assert.equal((await gateway.sdk.send(new GetBucketVersioningCommand({Bucket}))).Status, undefined);
  await gateway.sdk.send(new PutBucketVersioningCommand({Bucket, VersioningConfiguration: {Status: 'Enabled'}}));
});
after(() => gateway[Symbol.asyncDispose]());

const put = async (Key: string, text: string) => (await gateway.sdk.send(new PutObjectCommand({Bucket, Key, Body: Buffer.from(text)}))).VersionId;
const get = async (Key: string, VersionId?: string): Promise<string> => (await gateway.sdk.send(new GetObjectCommand({Bucket, Key, VersionId}))).Body!.transformToString();
const list = async (Prefix: string, more: {MaxKeys?: number; KeyMarker?: string; VersionIdMarker?: string | undefined} = {}) => await gateway.sdk.send(new ListObjectVersionsCommand({Bucket, Prefix, ...more}));

test('each put is a version, read by its id until it is deleted by it', async () => {
  const [first, second] = [await put('a/k', 'one'), await put('a/k', 'two')];
  assert.deepEqual([await get('a/k'), await get('a/k', first), await get('a/k', second)], ['two', 'one', 'two']);
  const {Versions} = await list('a/');
  assert.deepEqual(Versions?.map(({VersionId, IsLatest, Size}) => [VersionId, IsLatest, Size]), [[second, true, 3], [first, false, 3]]);
  const page = await list('a/', {MaxKeys: 1});
  assert.deepEqual([page.IsTruncated, page.NextKeyMarker, page.NextVersionIdMarker], [true, 'a/k', second]);
  assert.deepEqual((await list('a/', {KeyMarker: 'a/k', VersionIdMarker: second})).Versions?.map(({VersionId}) => VersionId), [first]);
  assert.equal((await list('a/', {KeyMarker: 'a/k'})).Versions, undefined, 'behind a key are none of its versions');
  await gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'a/k', VersionId: second}));
  assert.equal(await get('a/k'), 'one');
  assert.equal(await codeOf(gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'a/k', VersionId: second}))), 'NoSuchVersion');
  assert.equal(await codeOf(gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'a/k', VersionId: 'nonsense'}))), 'InvalidArgument');
});

test('a delete marker hides a key, says so, and gives it back when it is deleted', async () => {
  const version = await put('marked', 'text');
  const deleted = await gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'marked'}));
  assert.equal(deleted.DeleteMarker, true);
  const refusal = await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'marked'})).catch((error: unknown) => error);
  assert.ok(refusal instanceof S3ServiceException && refusal.name === 'NoSuchKey');
  assert.equal(await codeOf(gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'marked', VersionId: deleted.VersionId}))), 'MethodNotAllowed');
  assert.equal(await get('marked', version), 'text');
  const {DeleteMarkers} = await list('marked');
  assert.deepEqual(DeleteMarkers?.map(({VersionId, IsLatest}) => [VersionId, IsLatest]), [[deleted.VersionId, true]]);
  const {Deleted} = await gateway.sdk.send(new DeleteObjectsCommand({Bucket, Delete: {Objects: [{Key: 'marked', VersionId: deleted.VersionId}]}}));
  assert.deepEqual(Deleted, [{Key: 'marked', VersionId: deleted.VersionId, DeleteMarker: true, DeleteMarkerVersionId: deleted.VersionId}]);
  assert.equal(await get('marked'), 'text');
});

test('an old version is copied, over its own key too', async () => {
  const [first, second] = [await put('copied', 'old'), await put('copied', 'new')];
  const copy = await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'copied', CopySource: `${Bucket}/copied?versionId=${first}`}));
  assert.equal(copy.CopySourceVersionId, first);
  assert.deepEqual([await get('copied'), await get('copied', second)], ['old', 'new']);
  await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'copied', CopySource: `${Bucket}/copied`, MetadataDirective: 'REPLACE', Metadata: {a: 'b'}}));
  const head = await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'copied'}));
  assert.deepEqual([head.Metadata, await get('copied'), (await list('copied')).Versions?.length], [{a: 'b'}, 'old', 4]);
});

test('suspended versioning writes null versions', async () => {
  const version = await put('null', 'kept');
  await gateway.sdk.send(new PutBucketVersioningCommand({Bucket, VersioningConfiguration: {Status: 'Suspended'}}));
  assert.deepEqual([await put('null', 'n1'), await put('null', 'n2')], [undefined, undefined]);
  assert.deepEqual([await get('null'), await get('null', 'null'), await get('null', version)], ['n2', 'n2', 'kept']);
  assert.deepEqual((await list('null')).Versions?.map(({VersionId}) => VersionId), ['null', version]);
});
