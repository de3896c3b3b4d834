import assert from 'node:assert/strict';
import {createHmac} from 'node:crypto';
import {after, test} from 'node:test';
import {CreateBucketCommand, GetObjectCommand, GetObjectTaggingCommand} from '@aws-sdk/client-s3';
import {Gateway} from '#frontends/s3/fixture.test.ts';

const gateway = await Gateway.start();
after(() => gateway[Symbol.asyncDispose]());
const Bucket = 'forms';
await gateway.sdk.send(new CreateBucketCommand({Bucket}));

const policyOf = (conditions: unknown[]) => Buffer.from(JSON.stringify({expiration: '2999-01-01T00:00:00Z', conditions: [{bucket: Bucket}, ['starts-with', '$key', ''], ...conditions]})).toString('base64');

function send(fields: Record<string, string>, conditions: unknown[], file = 'bytes', secret = 'secret') {
  const policy = policyOf(conditions);
  const signed = {...fields, AWSAccessKeyId: 'key', policy, signature: createHmac('sha1', secret).update(policy).digest('base64')};
  const part = (name: string, value: string, more = '') => `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
  const body = `${Object.entries(signed).map(([name, value]) => part(name, value)).join('')}${part('file', file, '; filename="C:\\dir\\f.txt"')}--b--\r\n`;
  return gateway.send({method: 'POST', target: `/${Bucket}`, headers: ['Content-Type', 'multipart/form-data; boundary=b', 'Host', 's3.test'], body: Buffer.from(body)});
}

test('a form makes an object as its fields say', async () => {
  const tagging = '<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>';
  const fields = {key: 'up/${filename}', 'Content-Type': 'text/plain', 'x-amz-meta-a': 'ü\r\nx: y', 'x-amz-meta-b\n': 'c', tagging, success_action_status: '201'};
  const any = (field: string) => ['starts-with', `$${field}`, ''];
  const conditions = [['eq', '$content-type', 'text/plain'], any('x-amz-meta-a'), any('x-amz-meta-b\n'), any('tagging'), {success_action_status: '201'}, ['content-length-range', 1, 10]];
  const made = await send(fields, conditions);
  assert.equal(made.status, 201, made.body.toString());
  assert.match(made.body.toString(), /<PostResponse>.*<Key>up\/f\.txt<\/Key>/);
  const got = await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'up/f.txt'}));
  assert.deepEqual([await got.Body!.transformToString(), got.ContentType, got.TagCount, Object.keys(got.Metadata!)], ['bytes', 'text/plain', 1, ['a']]);
  assert.deepEqual((await gateway.sdk.send(new GetObjectTaggingCommand({Bucket, Key: 'up/f.txt'}))).TagSet, [{Key: 'a', Value: '1'}]);
  const redirected = await send({key: 'r', success_action_redirect: 'http://x/y'}, [['starts-with', '$success_action_redirect', 'http://']]);
  assert.deepEqual([redirected.status, redirected.headers['location']], [303, `http://x/y?bucket=forms&key=r&etag=%22${redirected.headers['etag']!.slice(1, -1)}%22`]);
});

test('a form that its policy does not allow makes nothing', async () => {
  const refused = async (status: number, ...args: Parameters<typeof send>) => assert.equal((await send(...args)).status, status);
  await refused(403, {key: 'no'}, [], 'bytes', 'wrong');
  await refused(403, {key: 'no', acl: 'private'}, []);
  await refused(400, {key: 'no'}, [['content-length-range', 0, 4]]);
  await refused(400, {key: 'no'}, [['content-length-range', 6, 9]]);
  await refused(400, {key: 'no', 'x-amz-checksum-crc32': 'AAAAAA=='}, []);
  await assert.rejects(gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'no'})), {name: 'NoSuchKey'});
});
