import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {CreateBucketCommand, CreateMultipartUploadCommand, GetObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command, ListObjectVersionsCommand, ListPartsCommand,
  PutBucketVersioningCommand, PutObjectCommand, RestoreObjectCommand} from '@aws-sdk/client-s3';
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

test('lists say the storage class, and to those who ask whether what is archived is at hand', async () => {
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'cold', Body: 'x', StorageClass: 'DEEP_ARCHIVE'}));
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'warm', Body: 'x'}));
  await gateway.sdk.send(new RestoreObjectCommand({Bucket, Key: 'cold', RestoreRequest: {Days: 1}}));
  const listed = async (OptionalObjectAttributes?: ['RestoreStatus']) => {
    const [keys, versions] = [await gateway.sdk.send(new ListObjectsV2Command({Bucket, OptionalObjectAttributes})), await gateway.sdk.send(new ListObjectVersionsCommand({Bucket, OptionalObjectAttributes}))];
    return [keys.Contents!, versions.Versions!].map((list) => list.filter(({Key}) => Key !== 'old').map(({Key, StorageClass, RestoreStatus: status}) => [Key, StorageClass, status?.IsRestoreInProgress]));
  };
  const plain = [['cold', 'DEEP_ARCHIVE', undefined], ['warm', 'STANDARD', undefined]];
  const told = [['cold', 'DEEP_ARCHIVE', false], ['warm', 'STANDARD', undefined]];
  assert.deepEqual(await listed(), [plain, plain]);
  assert.deepEqual(await listed(['RestoreStatus']), [told, told]);
  const {UploadId} = await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key: 'parts', StorageClass: 'STANDARD_IA'}));
  const {Uploads} = await gateway.sdk.send(new ListMultipartUploadsCommand({Bucket}));
  assert.deepEqual([Uploads![0]!.StorageClass, (await gateway.sdk.send(new ListPartsCommand({Bucket, Key: 'parts', UploadId}))).StorageClass], ['STANDARD_IA', 'STANDARD_IA']);
  assert.equal(await codeOf(gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'k', Body: 'x', StorageClass: 'LUKEWARM' as 'GLACIER'}))), 'InvalidStorageClass');
});
