/** What copies and parts are called, and where and since when buckets are. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {after, before, test} from 'node:test';
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand, type CreateMultipartUploadCommandInput, GetBucketLocationCommand, GetObjectCommand, HeadBucketCommand,
  HeadObjectCommand, ListBucketsCommand, PutBucketTaggingCommand, PutObjectCommand, UploadPartCommand,
} from '@aws-sdk/client-s3';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'bucket';
const MiB = 1024 * 1024;
const partBytes = [Buffer.alloc(5 * MiB, 'a'), Buffer.from('the end')];
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
});
after(() => gateway[Symbol.asyncDispose]());

async function upload(Key: string, how: Pick<CreateMultipartUploadCommandInput, 'ChecksumAlgorithm' | 'ChecksumType'>): Promise<{readonly whole: string; readonly parts: readonly (string | undefined)[]}> {
  const {UploadId} = await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key, ...how}));
  const sent = [];
  for (const [i, Body] of partBytes.entries()) {
    const {ETag, ChecksumCRC32, ChecksumSHA256} = await gateway.sdk.send(new UploadPartCommand({Bucket, Key, UploadId, PartNumber: i + 1, Body, ChecksumAlgorithm: how.ChecksumAlgorithm}));
    sent.push({ETag, ChecksumCRC32, ChecksumSHA256, PartNumber: i + 1});
  }
  const done = await gateway.sdk.send(new CompleteMultipartUploadCommand({Bucket, Key, UploadId, MultipartUpload: {Parts: sent}}));
  return {whole: (done.ChecksumCRC32 ?? done.ChecksumSHA256)!, parts: sent.map(({ChecksumCRC32, ChecksumSHA256}) => ChecksumCRC32 ?? ChecksumSHA256)};
}

const head = (Key: string, PartNumber?: number) => gateway.sdk.send(new HeadObjectCommand({Bucket, Key, ChecksumMode: 'ENABLED', PartNumber}));

test('a part has its own checksum, of the type that the object has', async () => {
  for (const [ChecksumAlgorithm, ChecksumType, name] of [['CRC32', 'FULL_OBJECT', 'ChecksumCRC32'], ['SHA256', 'COMPOSITE', 'ChecksumSHA256']] as const) {
    const {whole, parts} = await upload('parts', {ChecksumAlgorithm, ChecksumType});
    const all = await head('parts');
    assert.deepEqual([all[name], all.ChecksumType, all.PartsCount], [whole, ChecksumType, undefined]);
    for (const [i, bytes] of partBytes.entries()) {
      const one = await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'parts', PartNumber: i + 1, ChecksumMode: 'ENABLED'}));
      assert.deepEqual(Buffer.from(await one.Body!.transformToByteArray()), bytes);
      const asked = await head('parts', i + 1);
      for (const answer of [one, asked]) assert.deepEqual([answer[name], answer.ChecksumType, answer.PartsCount, answer.ContentLength], [parts[i], ChecksumType, 2, bytes.length]);
    }
    const quiet = await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'parts', PartNumber: 1}));
    assert.deepEqual([quiet[name], quiet.PartsCount], [undefined, 2]);
  }
  const {ChecksumCRC32} = await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'whole', Body: Buffer.from('text'), ChecksumAlgorithm: 'CRC32'}));
  const only = await head('whole', 1);
  assert.deepEqual([only.ChecksumCRC32, only.ChecksumType, only.PartsCount], [ChecksumCRC32, 'FULL_OBJECT', undefined]);
});

test('a copy of parts is one piece, and has the checksum that was asked for', async () => {
  const bytes = Buffer.concat(partBytes);
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
  const sha256 = createHash('sha256').update(bytes).digest('base64');
  const copy = async (from: string, ChecksumAlgorithm?: 'SHA1' | 'SHA256') => {
    const {CopyObjectResult} = await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'copy', CopySource: `${Bucket}/${from}`, ChecksumAlgorithm}));
    const seen = await head('copy');
    assert.equal(seen.ETag, CopyObjectResult!.ETag);
    return seen;
  };
  await upload('composite', {ChecksumAlgorithm: 'SHA256'});
  const whole = await copy('composite');
  assert.deepEqual([whole.ETag, whole.ChecksumSHA256, whole.ChecksumType], [etag, sha256, 'FULL_OBJECT']);
  assert.deepEqual(Buffer.from(await (await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'copy'}))).Body!.transformToByteArray()), bytes);
  const {whole: crc32} = await upload('full', {ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT'});
  const kept = await copy('full');
  assert.deepEqual([kept.ETag, kept.ChecksumCRC32, kept.ChecksumType], [etag, crc32, 'FULL_OBJECT']);
  const other = await copy('full', 'SHA256');
  assert.deepEqual([other.ETag, other.ChecksumCRC32, other.ChecksumSHA256], [etag, undefined, sha256]);
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'plain', Body: Buffer.from('text'), ChecksumAlgorithm: 'CRC32'}));
  const replaced = await copy('plain', 'SHA1');
  assert.deepEqual([replaced.ChecksumCRC32, replaced.ChecksumSHA1], [undefined, createHash('sha1').update('text').digest('base64')]);
});

test('the source of a copy must belong to whom the request says', async () => {
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'mine', Body: Buffer.from('text')}));
  const {Owner} = await gateway.sdk.send(new ListBucketsCommand({}));
  const copy = (ExpectedSourceBucketOwner: string | undefined) => codeOf(gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'copy', CopySource: `${Bucket}/mine`, ExpectedSourceBucketOwner})));
  assert.deepEqual([await copy(Owner!.ID), await copy('111122223333')], ['none', 'AccessDenied']);
});

test('a bucket says when it was made and for which region, whatever is changed of it later', async () => {
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'far', CreateBucketConfiguration: {LocationConstraint: 'eu-west-3'}}));
  const made = async () => (await gateway.sdk.send(new ListBucketsCommand({Prefix: 'far'}))).Buckets!.map(({BucketRegion, CreationDate}) => [BucketRegion, CreationDate!.getTime()]);
  const before = await made();
  assert.equal(before[0]![0], 'eu-west-3');
  while (Date.now() <= Number(before[0]![1])) await new Promise((resolve) => void setImmediate(resolve));
  await gateway.sdk.send(new PutBucketTaggingCommand({Bucket: 'far', Tagging: {TagSet: [{Key: 'a', Value: 'b'}]}}));
  await gateway.sdk.send(new PutObjectCommand({Bucket: 'far', Key: 'a', Body: Buffer.from('text')}));
  assert.deepEqual(await made(), before);
  assert.equal((await gateway.sdk.send(new GetBucketLocationCommand({Bucket: 'far'}))).LocationConstraint, 'eu-west-3');
  assert.equal((await gateway.sdk.send(new HeadBucketCommand({Bucket: 'far'}))).BucketRegion, 'eu-west-3');
  assert.equal((await gateway.sdk.send(new GetBucketLocationCommand({Bucket}))).LocationConstraint, undefined);
  assert.deepEqual((await gateway.sdk.send(new ListBucketsCommand({BucketRegion: 'us-east-1'}))).Buckets!.map(({Name}) => Name), [Bucket]);
});
