/** Events of a bucket, told to a real HTTP server by a process that is killed in between. */
import assert from 'node:assert/strict';
import {createHmac} from 'node:crypto';
import {once} from 'node:events';
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {after, describe, test} from 'node:test';
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteObjectCommand, GetBucketNotificationConfigurationCommand, PutBucketNotificationConfigurationCommand,
  PutObjectCommand, PutObjectTaggingCommand, S3Client as AwsS3Client, UploadPartCommand,
} from '@aws-sdk/client-s3';
import {eventually, Weir} from './harness.ts';

const secret = 'of both';
interface Told {
  readonly event: string;
  readonly key: string;
  readonly sequencer: string;
}

const told: Told[] = [];
const wrong: string[] = [];
let refuse = 0;
const receiver = createServer((request, response) => {
  void (async () => {
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['x-weir-signature'])) ?? [];
    if (signature !== createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')) wrong.push(body);
    if (refuse > 0) {
      refuse--;
      response.writeHead(503).end();
      return;
    }
    const {Records: [record] = []} = JSON.parse(body) as {Records?: {eventName: string; s3: {object: {key: string; sequencer: string}}}[]};
    told.push({event: record?.eventName ?? 'test', key: decodeURIComponent((record?.s3.object.key ?? '').replaceAll('+', ' ')), sequencer: record?.s3.object.sequencer ?? ''});
    response.writeHead(200).end();
  })();
});
receiver.listen(0, '127.0.0.1');
await once(receiver, 'listening');
const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/events`;
const weir = await Weir.start({args: []});
const clientOf = (): AwsS3Client => {
  const {s3, accessKeyId, secretAccessKey} = weir.ready;
  return new AwsS3Client({endpoint: s3, region: 'us-east-1', forcePathStyle: true, credentials: {accessKeyId, secretAccessKey}, maxAttempts: 1});
};
const Bucket = 'told';

describe('events of a bucket', () => {
  after(async () => {
    await weir[Symbol.asyncDispose]();
    receiver.closeAllConnections();
    receiver.close();
  });

  test('a stock client configures it and is told of what it does; so is who uses REST', async () => {
    const s3 = clientOf();
    await weir.rest('PUT', 'webhooks', {name: 'hook', url, secret});
    await s3.send(new CreateBucketCommand({Bucket}));
    const QueueArn = 'arn:weir:sqs::hook:webhook';
    const Configuration = {QueueConfigurations: [{Id: 'mine', QueueArn, Events: ['s3:ObjectCreated:*' as const, 's3:ObjectRemoved:*' as const, 's3:ObjectTagging:*' as const]}]};
    const unknown = {QueueConfigurations: [{QueueArn: 'arn:weir:sqs::no:webhook', Events: ['s3:ObjectCreated:*' as const]}]};
    await assert.rejects(s3.send(new PutBucketNotificationConfigurationCommand({Bucket, NotificationConfiguration: unknown})), {name: 'InvalidArgument'});
    await s3.send(new PutBucketNotificationConfigurationCommand({Bucket, NotificationConfiguration: Configuration}));
    const {QueueConfigurations} = await s3.send(new GetBucketNotificationConfigurationCommand({Bucket}));
    assert.deepEqual(QueueConfigurations, Configuration.QueueConfigurations);
    await eventually('the test has come', async () => told.some(({event}) => event === 'test'));
    const Key = 'a b/ü+.txt';
    await s3.send(new PutObjectCommand({Bucket, Key, Body: 'hello'}));
    await s3.send(new CopyObjectCommand({Bucket, Key: 'copy', CopySource: `${Bucket}/${encodeURIComponent(Key)}`}));
    await s3.send(new PutObjectTaggingCommand({Bucket, Key, Tagging: {TagSet: [{Key: 'a', Value: 'b'}]}}));
    const {UploadId} = await s3.send(new CreateMultipartUploadCommand({Bucket, Key: 'parts'}));
    const {ETag} = await s3.send(new UploadPartCommand({Bucket, Key: 'parts', UploadId, PartNumber: 1, Body: 'x'}));
    await s3.send(new CompleteMultipartUploadCommand({Bucket, Key: 'parts', UploadId, MultipartUpload: {Parts: [{PartNumber: 1, ETag}]}}));
    await s3.send(new DeleteObjectCommand({Bucket, Key}));
    const response = await weir.restResponse('PUT', `content?path=${encodeURIComponent(`/${Bucket}/by-rest`)}`, {body: 'rest'});
    assert.ok(response.ok, await response.text());
    const expected = [
      `ObjectCreated:Put ${Key}`, 'ObjectCreated:Copy copy', `ObjectTagging:Put ${Key}`, 'ObjectCreated:CompleteMultipartUpload parts', `ObjectRemoved:Delete ${Key}`, 'ObjectCreated:Put by-rest',
    ].sort();
    const shown = (): string[] => told.filter(({event}) => event !== 'test').map(({event, key}) => `${event} ${key}`).sort();
    await eventually('all is told', async () => shown().length >= expected.length);
    assert.deepEqual(shown(), expected);
    assert.deepEqual(wrong, []);
    s3.destroy();
  });

  test('killed while many write and the receiver refuses some: every acknowledged write is told, in order for each key, and nothing that is not there', async () => {
    const acknowledged = new Map<string, number>();
    const attempted = new Map<string, number>();
    for (let round = 0; round < 3; round++) {
      const s3 = clientOf();
      refuse = 5;
      const write = async (writer: number): Promise<void> => {
        for (let i = 0; ; i++) {
          const Key = `kill/${writer}/${i % 5}`;
          attempted.set(Key, (attempted.get(Key) ?? 0) + 1);
          try {
            await s3.send(new PutObjectCommand({Bucket, Key, Body: `${round} ${i}`}));
          } catch {
            return;
          }
          acknowledged.set(Key, (acknowledged.get(Key) ?? 0) + 1);
        }
      };
      const writers = Array.from({length: 6}, (_, i) => write(i));
      const before = acknowledged.size;
      await eventually('they write', async () => acknowledged.size > before || told.length > 100 * (round + 1), 10_000);
      await weir.kill();
      await Promise.all(writers);
      s3.destroy();
      await weir.up();
    }
    // What was told again after a kill counts once.
    const events = (key: string): string[] => [...new Set(told.filter(one => one.key === key).map(({sequencer}) => sequencer))];
    const missing = (): string[] => [...acknowledged].filter(([key, count]) => events(key).length < count).map(([key, count]) => `${key}: ${events(key).length} of ${count}`);
    await eventually('all is told', async () => missing().length === 0, 60_000).catch((error: unknown) => assert.fail(`${String(error)}: ${missing().join(', ')}`));
    for (const [key, count] of attempted) {
      const sequencers = events(key);
      assert.ok(sequencers.length <= count, `${key} was told ${sequencers.length} times, and written at most ${count}`);
      assert.deepEqual(sequencers, sequencers.toSorted(), `${key} is told in order`);
    }
    assert.deepEqual(wrong, []);
    assert.ok(acknowledged.size > 0);
  });
});
