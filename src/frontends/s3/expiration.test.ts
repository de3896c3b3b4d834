import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteBucketLifecycleCommand, GetBucketLifecycleConfigurationCommand, GetObjectCommand, HeadObjectCommand,
  PutBucketLifecycleConfigurationCommand, PutObjectCommand, UploadPartCommand,
} from '@aws-sdk/client-s3';
import {Gateway} from '#frontends/s3/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'ending';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
});
after(() => gateway[Symbol.asyncDispose]());

test('whoever writes or reads an object is told when and by which rule it ends', async () => {
  const put = (Key: string, Tagging?: string) => gateway.sdk.send(new PutObjectCommand({Bucket, Key, Body: 'x', Tagging}));
  assert.equal((await put('logs/before')).Expiration, undefined);
  const Rules = [
    {ID: 'a rule', Status: 'Enabled' as const, Filter: {Prefix: 'logs/'}, Expiration: {Days: 2}}, {ID: 'later', Status: 'Enabled' as const, Filter: {Prefix: ''}, Expiration: {Date: new Date('2999-01-01T00:00:00Z')}},
    {ID: 'tagged', Status: 'Enabled' as const, Filter: {Tag: {Key: 'class', Value: 'short'}}, Expiration: {Days: 1}},
  ];
  await gateway.sdk.send(new PutBucketLifecycleConfigurationCommand({Bucket, LifecycleConfiguration: {Rules}}));
  const {Expiration} = await put('logs/a');
  const [, date, rule] = /^expiry-date="(.*)", rule-id="(.*)"$/.exec(Expiration ?? '') ?? [];
  assert.equal(rule, 'a%20rule');
  const days = (Date.parse(date ?? '') - Date.now()) / 86_400_000;
  assert.ok(days > 1.9 && days < 3.1 && date?.endsWith('00:00:00 GMT'), date);
  const get = async (Key: string) => {
    const answer = await gateway.sdk.send(new GetObjectCommand({Bucket, Key}));
    await answer.Body!.transformToString();
    return answer.Expiration;
  };
  const head = async (Key: string) => (await gateway.sdk.send(new HeadObjectCommand({Bucket, Key}))).Expiration;
  assert.deepEqual([await get('logs/a'), await head('logs/a'), await get('logs/before')], [Expiration, Expiration, Expiration]);
  assert.match((await put('other'))!.Expiration!, /rule-id="later"$/);
  assert.match((await put('other', 'class=short'))!.Expiration!, /rule-id="tagged"$/);
  assert.match((await get('other'))!, /rule-id="tagged"$/);
  assert.match((await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'copy', CopySource: `${Bucket}/logs/a`}))).Expiration!, /rule-id="later"$/);
  const {UploadId} = await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key: 'logs/parts'}));
  const {ETag} = await gateway.sdk.send(new UploadPartCommand({Bucket, Key: 'logs/parts', UploadId, PartNumber: 1, Body: 'x'}));
  assert.equal((await gateway.sdk.send(new CompleteMultipartUploadCommand({Bucket, Key: 'logs/parts', UploadId, MultipartUpload: {Parts: [{PartNumber: 1, ETag}]}}))).Expiration, Expiration);
  await gateway.sdk.send(new DeleteBucketLifecycleCommand({Bucket}));
  assert.deepEqual([await get('logs/a'), await head('logs/a')], [undefined, undefined]);
});

test('what is said of the smallest objects that change their class is heard again', async () => {
  const Rules = [{ID: 'a', Status: 'Enabled' as const, Filter: {Prefix: ''}, Expiration: {Days: 2}}];
  const put = (TransitionDefaultMinimumObjectSize?: 'varies_by_storage_class') =>
    gateway.sdk.send(new PutBucketLifecycleConfigurationCommand({Bucket, LifecycleConfiguration: {Rules}, TransitionDefaultMinimumObjectSize}));
  const get = async () => (await gateway.sdk.send(new GetBucketLifecycleConfigurationCommand({Bucket}))).TransitionDefaultMinimumObjectSize;
  assert.deepEqual([(await put()).TransitionDefaultMinimumObjectSize, await get()], ['all_storage_classes_128K', 'all_storage_classes_128K']);
  assert.deepEqual([(await put('varies_by_storage_class')).TransitionDefaultMinimumObjectSize, await get()], ['varies_by_storage_class', 'varies_by_storage_class']);
  assert.deepEqual([(await put()).TransitionDefaultMinimumObjectSize, await get()], ['all_storage_classes_128K', 'all_storage_classes_128K']);
});
