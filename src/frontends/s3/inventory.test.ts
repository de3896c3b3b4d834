/** Inventories as clients set them up, and the reports that come of them. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {after, before, test} from 'node:test';
import {gunzipSync} from 'node:zlib';
import {
  CreateBucketCommand, DeleteBucketInventoryConfigurationCommand, DeleteObjectCommand, GetBucketInventoryConfigurationCommand, GetObjectCommand, type InventoryConfiguration,
  ListBucketInventoryConfigurationsCommand, ListObjectsV2Command, PutBucketInventoryConfigurationCommand, PutBucketVersioningCommand, PutObjectCommand,
} from '@aws-sdk/client-s3';
import {fromText} from '#base/byte-string.ts';
import {getInventory, InventorySchedule, runInventory} from '#client/inventory/inventories.ts';
import {produceReport} from '#client/inventory/report.ts';
import {systemContext} from '#contracts/context.ts';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Log} from '#runtime/log.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

let gateway: Gateway;
const runtime = createNodeRuntime();
const ignore = (): void => undefined;
const quiet: Log = {debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => quiet};
const [Bucket, reports] = ['counted', 'reports'];
const configuration = (Id: string, more: Partial<InventoryConfiguration> = {}): InventoryConfiguration => ({
  Id, IsEnabled: true, IncludedObjectVersions: 'Current', Schedule: {Frequency: 'Daily'}, OptionalFields: ['Size', 'ETag'],
  Destination: {S3BucketDestination: {Bucket: `arn:aws:s3:::${reports}`, Format: 'CSV', Prefix: 'inv/'}}, ...more,
});
const configure = async (one: InventoryConfiguration, id = one.Id): Promise<void> => void (await gateway.sdk.send(new PutBucketInventoryConfigurationCommand({Bucket, Id: id, InventoryConfiguration: one})));
const read = async (Key: string): Promise<Buffer> => Buffer.from(await (await gateway.sdk.send(new GetObjectCommand({Bucket: reports, Key}))).Body!.transformToByteArray());
const written = async (Prefix: string): Promise<string[]> => ((await gateway.sdk.send(new ListObjectsV2Command({Bucket: reports, Prefix}))).Contents ?? []).map(({Key}) => Key!);

before(async () => {
  gateway = await Gateway.start();
  for (const name of [Bucket, reports]) await gateway.sdk.send(new CreateBucketCommand({Bucket: name}));
  for (const Key of ['a', 'dir/b c', 'dir/ü,"']) await gateway.sdk.send(new PutObjectCommand({Bucket, Key, Body: Key}));
});
after(() => gateway[Symbol.asyncDispose]());

test('configurations are set, given back, listed in pages, and removed', async () => {
  assert.deepEqual((await gateway.sdk.send(new ListBucketInventoryConfigurationsCommand({Bucket}))).InventoryConfigurationList, undefined);
  assert.equal(await codeOf(gateway.sdk.send(new GetBucketInventoryConfigurationCommand({Bucket, Id: 'x'}))), 'NoSuchConfiguration');
  for (let i = 0; i < 102; i++) await configure(configuration(`id-${String(i).padStart(3, '0')}`));
  const {InventoryConfiguration} = await gateway.sdk.send(new GetBucketInventoryConfigurationCommand({Bucket, Id: 'id-007'}));
  assert.deepEqual(InventoryConfiguration, configuration('id-007'));
  const first = await gateway.sdk.send(new ListBucketInventoryConfigurationsCommand({Bucket}));
  assert.deepEqual([first.InventoryConfigurationList?.length, first.IsTruncated], [100, true]);
  const rest = await gateway.sdk.send(new ListBucketInventoryConfigurationsCommand({Bucket, ContinuationToken: first.NextContinuationToken}));
  assert.deepEqual([rest.InventoryConfigurationList?.map(({Id}) => Id), rest.IsTruncated], [['id-100', 'id-101'], false]);
  for (let i = 0; i < 102; i++) await gateway.sdk.send(new DeleteBucketInventoryConfigurationCommand({Bucket, Id: `id-${String(i).padStart(3, '0')}`}));
  assert.equal(await codeOf(gateway.sdk.send(new DeleteBucketInventoryConfigurationCommand({Bucket, Id: 'id-007'}))), 'NoSuchConfiguration');
  assert.equal(await codeOf(configure(configuration('x'), 'y')), 'InvalidArgument');
  assert.equal(await codeOf(configure(configuration('x', {Destination: {S3BucketDestination: {Bucket: 'arn:aws:s3:::nowhere', Format: 'CSV'}}}))), 'InvalidArgument');
});

test('who may not write into the destination does not set one up', async () => {
  await gateway.identity.addUser('other', {}, systemContext);
  const sdk = gateway.client(await gateway.identity.addKey('other', {}, systemContext));
  await sdk.send(new CreateBucketCommand({Bucket: 'others'}));
  assert.equal(await codeOf(sdk.send(new PutBucketInventoryConfigurationCommand({Bucket: 'others', Id: 'x', InventoryConfiguration: configuration('x')}))), 'AccessDenied');
  sdk.destroy();
});

test('a report: manifest, its checksum, rows', async () => {
  await configure(configuration('report', {OptionalFields: ['ETag', 'Size', 'StorageClass', 'IsMultipartUploaded', 'EncryptionStatus', 'ChecksumAlgorithm', 'ObjectLockMode']}));
  const {rows, manifest} = await runInventory(gateway.files, runtime, fromText(Bucket), 'report', systemContext);
  assert.equal(rows, 3);
  const key = manifest.slice(`/${reports}/`.length);
  assert.match(key, /^inv\/counted\/report\/\d{4}-\d\d-\d\dT\d\d-\d\dZ\/manifest\.json$/);
  const text = await read(key);
  assert.equal((await read(key.replace('.json', '.checksum'))).toString(), createHash('md5').update(text).digest('hex'));
  const {files: [file, ...more], ...said} = JSON.parse(text.toString()) as {files: {key: string; size: number; MD5checksum: string}[]; creationTimestamp: string};
  assert.deepEqual(more, []);
  assert.match(said.creationTimestamp, /^\d{13}$/);
  assert.deepEqual({...said, creationTimestamp: ''}, {
    sourceBucket: Bucket, destinationBucket: `arn:aws:s3:::${reports}`, version: '2016-11-30', creationTimestamp: '', fileFormat: 'CSV',
    fileSchema: 'Bucket, Key, Size, StorageClass, ETag, IsMultipartUploaded, EncryptionStatus, ObjectLockMode, ChecksumAlgorithm',
  });
  const data = await read(file!.key);
  assert.deepEqual([data.length, createHash('md5').update(data).digest('hex')], [file!.size, file!.MD5checksum]);
  const etag = (body: string): string => createHash('md5').update(body).digest('hex');
  assert.deepEqual(gunzipSync(data).toString().split('\n'), [
    `"counted","a","1","STANDARD","${etag('a')}","false","NOT-SSE","","CRC32"`, `"counted","dir/b%20c","7","STANDARD","${etag('dir/b c')}","false","NOT-SSE","","CRC32"`,
    `"counted","dir/%C3%BC%2C%22","8","STANDARD","${etag('dir/ü,"')}","false","NOT-SSE","","CRC32"`, '',
  ]);
  const [hive] = await written('inv/counted/report/hive/');
  assert.equal((await read(hive!)).toString(), `s3://${reports}/${file!.key}\n`);
});

test('versions and delete markers, only below a prefix, in several files', async () => {
  const versioned = 'versioned';
  await gateway.sdk.send(new CreateBucketCommand({Bucket: versioned}));
  await gateway.sdk.send(new PutBucketVersioningCommand({Bucket: versioned, VersioningConfiguration: {Status: 'Enabled'}}));
  const [first, second] = [await gateway.sdk.send(new PutObjectCommand({Bucket: versioned, Key: 'p/k', Body: '1'})), await gateway.sdk.send(new PutObjectCommand({Bucket: versioned, Key: 'p/k', Body: '22'}))];
  const marker = await gateway.sdk.send(new DeleteObjectCommand({Bucket: versioned, Key: 'p/k'}));
  await gateway.sdk.send(new PutObjectCommand({Bucket: versioned, Key: 'q', Body: 'not this'}));
  const inventory = {id: 'v', enabled: true, destination: reports, versions: 'All', frequency: 'Daily', fields: ['Size'], prefix: 'p'} as const;
  const {files} = await produceReport({files: gateway.files, runtime}, fromText(versioned), inventory, systemContext, 2);
  assert.equal(files.length, 2);
  const rows = (await Promise.all(files.map(async ({key}) => gunzipSync(await read(key)).toString()))).join('').split('\n');
  assert.deepEqual(rows, [`"versioned","p/k","${marker.VersionId}","true","true",""`, `"versioned","p/k","${second.VersionId}","false","false","2"`, `"versioned","p/k","${first.VersionId}","false","false","1"`, '']);
});

test('many rows: pieces of one file that every reader takes for one text', async () => {
  const rows = 30_000;
  const {inode} = await gateway.files.stat(fromText(`/${Bucket}/a`), {kind: 'file'}, systemContext);
  // A listing of more than the store has.
  const many = Object.create(gateway.files, {
    list: {value: async ({after: from}: {after?: string}) => {
      const start = from === undefined ? 0 : Number(from) + 1;
      const entries = Array.from({length: Math.min(1_000, rows - start)}, (_, i) => ({key: String(start + i).padStart(8, '0'), info: {inode, length: 1, path: '', mount: 1}}));
      return {entries, ...(start + entries.length < rows ? {next: entries.at(-1)!.key} : {})};
    }},
    stat: {value: gateway.files.stat.bind(gateway.files)}, create: {value: gateway.files.create.bind(gateway.files)},
  }) as typeof gateway.files;
  const inventory = {id: 'many', enabled: true, destination: reports, versions: 'Current', frequency: 'Daily', fields: ['Size', 'LastModifiedDate', 'ETag']} as const;
  const report = await produceReport({files: many, runtime}, fromText(Bucket), inventory, systemContext);
  assert.equal(report.rows, rows);
  const text = gunzipSync(await read(report.files[0]!.key)).toString();
  assert.equal(text.split('\n').length, rows + 1);
  assert.match(text, /^"counted","00000000","1",[^]*"counted","00029999","1",/);
});

test('the schedule produces what is due, once', async () => {
  let now = runtime.clock.nowMs();
  const clock: Clock = Object.create(runtime.clock, {nowMs: {value: () => now}, after: {value: () => ({[Symbol.dispose]: () => undefined})}}) as Clock;
  await configure(configuration('daily'));
  await configure(configuration('off', {IsEnabled: false}));
  await using schedule = new InventorySchedule({files: gateway.files, runtime: {...runtime, clock, log: quiet}});
  const count = async (): Promise<number> => (await written('inv/counted/daily/')).filter((key) => key.endsWith('manifest.checksum')).length;
  for (const [hours, expected] of [[0, 1], [1, 1], [23, 2]] as const) {
    now += hours * 3_600_000;
    await schedule.look();
    assert.equal(await count(), expected, `after ${hours} hours more`);
  }
  assert.deepEqual(await written('inv/counted/off/'), []);
  assert.equal((await getInventory(gateway.files, fromText(Bucket), 'daily', systemContext))?.frequency, 'Daily');
});
