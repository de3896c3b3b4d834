/** Uploads in parts as clients see them beside each other: listed, aborted and completed by several at once. */
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {
  AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateBucketCommand, CreateMultipartUploadCommand, HeadObjectCommand, ListMultipartUploadsCommand, ListPartsCommand, UploadPartCommand,
} from '@aws-sdk/client-s3';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'bucket';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
});
after(() => gateway[Symbol.asyncDispose]());

const start = async (Key: string, more: object = {}) => ({Bucket, Key, UploadId: (await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key, ...more}))).UploadId!});

test('who completes an upload at the same time as others has the same answer', async () => {
  const upload = await start('together');
  const {ETag} = await gateway.sdk.send(new UploadPartCommand({...upload, PartNumber: 1, Body: 'all'}));
  const complete = () => gateway.sdk.send(new CompleteMultipartUploadCommand({...upload, MultipartUpload: {Parts: [{PartNumber: 1, ETag}]}}));
  const answers = await Promise.all([complete(), complete(), complete(), complete()]);
  assert.deepEqual(new Set(answers.map((answer) => answer.ETag)).size, 1);
  const head = (PartNumber?: number) => gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'together', ChecksumMode: 'ENABLED', PartNumber}));
  assert.deepEqual([(await head()).ChecksumType, (await head(1)).ChecksumType, (await head(1)).PartsCount], ['FULL_OBJECT', undefined, 1], 'nobody asked for checksums of parts');
});

test('what a completion says of sizes and of checksums of parts', async () => {
  const upload = await start('said', {ChecksumAlgorithm: 'SHA1'});
  const part = async (PartNumber: number, bytes: number) => {
    const {ETag, ChecksumSHA1} = await gateway.sdk.send(new UploadPartCommand({...upload, PartNumber, Body: Buffer.alloc(bytes), ChecksumAlgorithm: 'SHA1'}));
    return {PartNumber, ETag, ChecksumSHA1};
  };
  const [first, second] = [await part(1, 5 * 1024 * 1024), await part(2, 1)];
  const complete = (Parts: object[], more: object = {}) => gateway.sdk.send(new CompleteMultipartUploadCommand({...upload, MultipartUpload: {Parts}, ...more}));
  const missing = 'The upload was created using a sha1 checksum. The complete request must include the checksum for each part. It was missing for part 1 in the request.';
  await assert.rejects(complete([{...first, ChecksumSHA1: undefined}, second]), {name: 'InvalidRequest', message: missing});
  const size = "The provided 'x-amz-mp-object-size' header value 7 does not match what was computed: 5242881";
  await assert.rejects(complete([first, second], {MpuObjectSize: 7}), {name: 'InvalidRequest', message: size});
  const none = [first, second].map(({PartNumber, ETag}) => ({PartNumber, ETag}));
  await assert.rejects(complete(none, {ChecksumSHA1: second.ChecksumSHA1}), {name: 'BadDigest', message: 'The SHA1 you specified did not match the calculated checksum.'});
  assert.match((await complete(none)).ChecksumSHA1!, /-2$/);
});

test('listings begin behind a key, or behind an upload of it', async () => {
  const uploads = [await start('list/a'), await start('list/b', {ChecksumAlgorithm: 'CRC32C', ChecksumType: 'FULL_OBJECT'}), await start('list/b'), await start('list/c')];
  const list = async (more: object) => (await gateway.sdk.send(new ListMultipartUploadsCommand({Bucket, Prefix: 'list/', ...more}))).Uploads ?? [];
  const ids = async (more: object) => (await list(more)).map(({UploadId}) => uploads.findIndex((upload) => upload.UploadId === UploadId));
  assert.deepEqual(await ids({}), [0, 1, 2, 3]);
  assert.deepEqual(await ids({KeyMarker: 'list/b'}), [3]);
  assert.deepEqual(await ids({KeyMarker: 'list/b', UploadIdMarker: uploads[1]!.UploadId}), [2, 3]);
  assert.deepEqual(await ids({KeyMarker: 'list/b', UploadIdMarker: '0'.repeat(32)}), [1, 2, 3], 'one that has gone since it was listed');
  assert.equal(await codeOf(list({KeyMarker: 'list/b', UploadIdMarker: 'none'})), 'InvalidArgument');
  assert.equal(await codeOf(list({KeyMarker: 'list/b', UploadIdMarker: uploads[3]!.UploadId})), 'InvalidArgument', 'of another key');
  const [, second] = await list({});
  assert.deepEqual([second?.ChecksumAlgorithm, second?.ChecksumType], ['CRC32C', 'FULL_OBJECT']);
  const parts = await gateway.sdk.send(new ListPartsCommand(uploads[1]!));
  assert.deepEqual([parts.ChecksumAlgorithm, parts.ChecksumType], ['CRC32C', 'FULL_OBJECT']);
});

test('an upload is aborted only where it began when it is said to have', async () => {
  const upload = await start('abort');
  const [{Initiated} = {}] = (await gateway.sdk.send(new ListMultipartUploadsCommand({Bucket, Prefix: 'abort'}))).Uploads ?? [];
  const abort = (IfMatchInitiatedTime: Date) => codeOf(gateway.sdk.send(new AbortMultipartUploadCommand({...upload, IfMatchInitiatedTime})));
  assert.equal(await abort(new Date(Initiated!.getTime() - 1000)), 'PreconditionFailed');
  assert.equal(await abort(Initiated!), 'none');
});
