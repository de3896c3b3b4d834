/** Keys of clients, as clients see them; and what everybody else sees of the objects under them. */
import assert from 'node:assert/strict';
import {createHash, hash} from 'node:crypto';
import {after, before, test} from 'node:test';
import {inspect} from 'node:util';
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand, GetObjectAttributesCommand, GetObjectCommand, type GetObjectCommandInput, HeadObjectCommand,
  ListObjectsV2Command, ListPartsCommand, PutBucketVersioningCommand, PutObjectCommand, type PutObjectCommandInput, type S3ServiceException, UploadPartCommand, UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import {fromText} from '#base/byte-string.ts';
import {systemContext} from '#contracts/context.ts';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';
import {sealEntry} from '#model/seal.ts';
import {bytesOf} from '#worker/fixture.test.ts';

let gateway: Gateway;
const Bucket = 'sealed';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
});
after(() => gateway[Symbol.asyncDispose]());

const keyOf = (fill: number) => {
  const key = createHash('sha256').update(`key ${fill}`).digest();
  return {SSECustomerAlgorithm: 'AES256', SSECustomerKey: key.toString('base64'), SSECustomerKeyMD5: hash('md5', key, 'base64')};
};
const mine = keyOf(7);
const other = keyOf(8);
const asSource = ({SSECustomerAlgorithm: a, SSECustomerKey: k, SSECustomerKeyMD5: m}: typeof mine) => ({CopySourceSSECustomerAlgorithm: a, CopySourceSSECustomerKey: k, CopySourceSSECustomerKeyMD5: m});

const put = (Key: string, Body: Uint8Array, more: Partial<PutObjectCommandInput> = {}) => gateway.sdk.send(new PutObjectCommand({Bucket, Key, Body, ...more}));
const get = async (Key: string, more: Partial<GetObjectCommandInput> = {}): Promise<Buffer> => Buffer.from(await (await gateway.sdk.send(new GetObjectCommand({Bucket, Key, ...more}))).Body!.transformToByteArray());
const patterned = (length: number): Buffer => Buffer.from(Array.from({length}, (_, i) => (i * 31 + (i >> 8)) & 255));
const path = (key: string) => fromText(`/${Bucket}/${key}`);
/** What the store has. */
const stored = async (key: string): Promise<Buffer> => {
  await using file = await gateway.files.open(path(key), {kind: 'file', sealed: true}, systemContext);
  return Buffer.from(await bytesOf(await file.read({offset: 0, length: file.info.length}, systemContext)));
};

async function putParts(Key: string, parts: readonly Buffer[], key: Partial<typeof mine>, numbers = parts.map((_, i) => i + 1)): Promise<string | undefined> {
  const {UploadId} = await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key, ...key}));
  const Parts = [];
  for (const [i, Body] of parts.entries()) {
    const {ETag} = await gateway.sdk.send(new UploadPartCommand({Bucket, Key, UploadId, PartNumber: numbers[i], Body, ...key}));
    Parts.push({ETag, PartNumber: numbers[i]});
  }
  return (await gateway.sdk.send(new CompleteMultipartUploadCommand({Bucket, Key, UploadId, MultipartUpload: {Parts}, ...key}))).ETag;
}

test('bytes come back with their key, the store has others of the same length', async () => {
  const bytes = patterned(100_000);
  const written = await put('whole', bytes, {...mine, Metadata: {a: 'b'}, ChecksumAlgorithm: 'SHA256'});
  assert.deepEqual([written.SSECustomerAlgorithm, written.SSECustomerKeyMD5, written.ServerSideEncryption], ['AES256', mine.SSECustomerKeyMD5, undefined]);
  assert.equal(written.ChecksumSHA256, hash('sha256', bytes, 'base64'), 'checksums are of what the client knows');
  assert.notEqual(written.ETag, `"${hash('md5', bytes)}"`);
  assert.equal((await stored('whole')).length, bytes.length);
  assert.ok(!(await stored('whole')).includes(bytes.subarray(500, 532)));
  const read = await gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'whole', ChecksumMode: 'ENABLED', ...mine}));
  assert.deepEqual([read.SSECustomerAlgorithm, read.SSECustomerKeyMD5, read.Metadata, read.ETag, read.ChecksumSHA256], ['AES256', mine.SSECustomerKeyMD5, {a: 'b'}, written.ETag, written.ChecksumSHA256]);
  assert.ok(Buffer.from(await read.Body!.transformToByteArray()).equals(bytes));
  assert.ok((await get('whole', {...mine, Range: 'bytes=77-90001'})).equals(bytes.subarray(77, 90_002)));
  assert.ok((await get('whole', {...mine, Range: 'bytes=-3'})).equals(bytes.subarray(-3)));
  assert.ok((await get('whole', {...mine, PartNumber: 1})).equals(bytes));
  const head = await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'whole', ...mine}));
  assert.deepEqual([head.ContentLength, head.SSECustomerKeyMD5, head.Metadata], [bytes.length, mine.SSECustomerKeyMD5, {a: 'b'}]);
  assert.equal((await gateway.sdk.send(new ListObjectsV2Command({Bucket, Prefix: 'whole'}))).Contents?.[0]?.Size, bytes.length);
  assert.equal((await gateway.sdk.send(new GetObjectAttributesCommand({Bucket, Key: 'whole', ObjectAttributes: ['ETag', 'ObjectSize'], ...mine}))).ObjectSize, bytes.length);
  await put('nothing', Buffer.alloc(0), mine);
  assert.equal((await get('nothing', mine)).length, 0);
  await put('plain-marker/', Buffer.from('of a directory'));
  assert.equal((await get('plain-marker/')).toString(), 'of a directory');
  await put('marker/', Buffer.from('of a directory'), mine);
  assert.equal((await get('marker/', mine)).toString(), 'of a directory');
});

test('the same bytes under the same key are never stored alike', async () => {
  const bytes = patterned(4096);
  const etags = [(await put('twice', bytes, mine)).ETag];
  const first = await stored('twice');
  etags.push((await put('twice', bytes, mine)).ETag);
  assert.ok(!first.equals(await stored('twice')));
  assert.notEqual(etags[0], etags[1]);
});

test('no key, another key, a key too many: refused, whatever is asked', async () => {
  await put('guarded', Buffer.from('secret'), mine);
  await put('open', Buffer.from('open'));
  const asked = (Key: string, key: object) => [
    ...[{}, {Range: 'bytes=0-1'}, {IfNoneMatch: '*'}, {PartNumber: 1}].map((more) => new GetObjectCommand({Bucket, Key, ...more, ...key})),
    new GetObjectAttributesCommand({Bucket, Key, ObjectAttributes: ['ETag'], ...key}),
  ];
  for (const [Key, key] of [['guarded', {}], ['guarded', other], ['open', mine]] as const) {
    for (const command of asked(Key, key)) assert.equal(await codeOf(gateway.sdk.send(command as GetObjectCommand)), 'InvalidRequest', `${Key} ${command.constructor.name}`);
    await assert.rejects(gateway.sdk.send(new HeadObjectCommand({Bucket, Key, ...key})), (error: S3ServiceException) => error.$metadata.httpStatusCode === 400);
  }
  assert.equal(await codeOf(gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'c', CopySource: `${Bucket}/guarded`}))), 'InvalidRequest');
  assert.equal(await codeOf(gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'c', CopySource: `${Bucket}/guarded`, ...asSource(other)}))), 'InvalidRequest');
  assert.equal(await codeOf(gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'c', CopySource: `${Bucket}/open`, ...asSource(mine)}))), 'InvalidRequest');
});

test('conditions hold of the object’s own ETag', async () => {
  const {ETag} = await put('conditional', Buffer.from('x'), mine);
  assert.equal((await get('conditional', {...mine, IfMatch: ETag})).toString(), 'x');
  assert.equal(await codeOf(get('conditional', {...mine, IfMatch: '"0"'})), 'PreconditionFailed');
  assert.equal(await codeOf(put('conditional', Buffer.from('y'), {...mine, IfNoneMatch: '*'})), 'PreconditionFailed');
  await put('conditional', Buffer.from('y'), {...mine, IfMatch: ETag});
  assert.equal((await get('conditional', mine)).toString(), 'y');
});

test('what was announced of the bytes is checked before they are an object', async () => {
  assert.equal(await codeOf(put('wrong', Buffer.from('x'), {...mine, ContentMD5: hash('md5', 'y', 'base64')})), 'BadDigest');
  assert.equal(await codeOf(put('wrong', Buffer.from('x'), {...mine, ChecksumSHA256: hash('sha256', 'y', 'base64')})), 'BadDigest');
  assert.equal(await codeOf(get('wrong', mine)), 'NoSuchKey');
  await put('right', Buffer.from('x'), {...mine, ContentMD5: hash('md5', 'x', 'base64')});
});

test('parts: each under its own key, ranges across them, one sent twice, other numbers than one to n', async () => {
  const MiB = 1 << 20;
  const parts = [patterned(5 * MiB + 3), patterned(5 * MiB + 1), patterned(77)];
  const whole = Buffer.concat(parts);
  const etag = await putParts('parts', parts, mine, [2, 3, 9]);
  assert.match(etag ?? '', /^"[0-9a-f]{32}-3"$/);
  assert.ok((await get('parts', mine)).equals(whole));
  assert.ok((await get('parts', {...mine, PartNumber: 3})).equals(parts[1]!));
  assert.equal(await codeOf(get('parts', {...mine, PartNumber: 1})), 'InvalidPart');
  assert.ok(!(await stored('parts')).subarray(0, MiB).equals((await stored('parts')).subarray(5 * MiB + 3, 6 * MiB + 3)), 'equal parts are not alike');
  await fc.assert(fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(whole.length - 1), async (a, b) => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    assert.ok((await get('parts', {...mine, Range: `bytes=${from}-${to}`})).equals(whole.subarray(from, to + 1)), `${from}-${to}`);
  }), {numRuns: 8, examples: [[5 * MiB + 2, 5 * MiB + 3], [5 * MiB + 3, 5 * MiB + 3], [whole.length - 78, whole.length - 77]]});
});

test('an upload is under one key from its beginning', async () => {
  const Key = 'one-key';
  const {UploadId, SSECustomerKeyMD5} = await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key, ChecksumAlgorithm: 'CRC32C', ...mine}));
  assert.equal(SSECustomerKeyMD5, mine.SSECustomerKeyMD5);
  const part = (key: object) => gateway.sdk.send(new UploadPartCommand({Bucket, Key, UploadId, PartNumber: 1, Body: Buffer.from('bytes'), ChecksumAlgorithm: 'CRC32C', ...key}));
  assert.deepEqual([await codeOf(part({})), await codeOf(part(other))], ['InvalidRequest', 'InvalidRequest']);
  const first = await part(mine);
  const again = await part(mine);
  assert.equal(first.ETag, again.ETag, 'the same part sent again has the same name');
  assert.equal((await gateway.sdk.send(new ListPartsCommand({Bucket, Key, UploadId, ...mine}))).Parts?.[0]?.ChecksumCRC32C, first.ChecksumCRC32C);
  assert.equal(await codeOf(gateway.sdk.send(new ListPartsCommand({Bucket, Key, UploadId, ...other}))), 'InvalidRequest');
  const {ETag, ChecksumCRC32C} = first;
  const complete = (key: object) => gateway.sdk.send(new CompleteMultipartUploadCommand({Bucket, Key, UploadId, MultipartUpload: {Parts: [{PartNumber: 1, ETag, ChecksumCRC32C}]}, ...key}));
  assert.deepEqual([await codeOf(complete({})), await codeOf(complete(other))], ['InvalidRequest', 'InvalidRequest']);
  await complete(mine);
  assert.equal((await get(Key, mine)).toString(), 'bytes');
  const plain = await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key}));
  assert.equal(await codeOf(gateway.sdk.send(new UploadPartCommand({Bucket, Key, UploadId: plain.UploadId, PartNumber: 1, Body: Buffer.from('x'), ...mine}))), 'InvalidRequest');
});

test('copies from and to every kind', async () => {
  const bytes = patterned(70_009);
  const kinds = [{}, {ServerSideEncryption: 'AES256' as const}, mine, other];
  await put('from-0', bytes, kinds[0]!);
  await put('from-1', bytes, kinds[1]!);
  await put('from-2', bytes, {...mine, Metadata: {kept: 'yes'}});
  await putParts('from-3', [bytes], other);
  for (const [i, source] of kinds.entries()) {
    const sourceKey = 'SSECustomerKey' in source ? asSource(source as typeof mine) : {};
    for (const [j, target] of kinds.entries()) {
      const copied = await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: `copy-${i}-${j}`, CopySource: `${Bucket}/from-${i}`, ...sourceKey, ...target}));
      const targetKey = 'SSECustomerKey' in target ? (target as typeof mine) : undefined;
      assert.equal(copied.SSECustomerKeyMD5, targetKey?.SSECustomerKeyMD5);
      assert.ok((await get(`copy-${i}-${j}`, targetKey ?? {})).equals(bytes), `${i} to ${j}`);
      if (!targetKey) assert.equal((await stored(`copy-${i}-${j}`)).equals(bytes), true);
      const {UploadId} = await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket, Key: 'parted', ...target}));
      const range = {CopySource: `${Bucket}/from-${i}`, CopySourceRange: 'bytes=7-99'};
      const {CopyPartResult} = await gateway.sdk.send(new UploadPartCopyCommand({Bucket, Key: 'parted', UploadId, PartNumber: 1, ...range, ...sourceKey, ...targetKey}));
      await gateway.sdk.send(new CompleteMultipartUploadCommand({Bucket, Key: 'parted', UploadId, MultipartUpload: {Parts: [{PartNumber: 1, ETag: CopyPartResult?.ETag}]}, ...targetKey}));
      assert.ok((await get('parted', targetKey ?? {})).equals(bytes.subarray(7, 100)), `part of ${i} to ${j}`);
    }
  }
  assert.deepEqual((await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'copy-2-0'}))).Metadata, {kept: 'yes'});
  await put('marker-of/', Buffer.from('a directory'), mine);
  await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'marker-copy/', CopySource: `${Bucket}/marker-of/`, ...asSource(mine)}));
  assert.equal((await get('marker-copy/')).toString(), 'a directory');
  // Onto itself: another key.
  await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'from-2', CopySource: `${Bucket}/from-2`, ...asSource(mine), ...other}));
  assert.ok((await get('from-2', other)).equals(bytes));
});

test('each version has its key', async () => {
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'versions'}));
  await gateway.sdk.send(new PutBucketVersioningCommand({Bucket: 'versions', VersioningConfiguration: {Status: 'Enabled'}}));
  const into = {Bucket: 'versions'};
  const first = await put('k', Buffer.from('first'), {...mine, ...into});
  const second = await put('k', Buffer.from('second'), {...other, ...into});
  assert.equal((await get('k', {...into, ...mine, VersionId: first.VersionId})).toString(), 'first');
  assert.equal((await get('k', {...into, ...other, VersionId: second.VersionId})).toString(), 'second');
  assert.equal(await codeOf(get('k', {...into, ...other, VersionId: first.VersionId})), 'InvalidRequest');
});

test('who has no key does not read, but renames, copies, overwrites and removes', async () => {
  await put('file', Buffer.from('sealed bytes'), mine);
  await putParts('parted-file', [patterned(5 << 20), Buffer.from('end')], mine);
  for (const key of ['file', 'parted-file']) {
    const refused = {kind: 'PermissionDenied', message: /SSE-C/};
    await assert.rejects(gateway.files.open(path(key), {kind: 'file'}, systemContext), refused);
    await assert.rejects(gateway.files.open(path(key), {kind: 'file', range: {offset: 0}}, systemContext), refused);
    assert.equal(gateway.files.openNow(path(key), {offset: 0}, systemContext), undefined);
    await assert.rejects(gateway.files.openDraft(await gateway.files.stat(path(key), {kind: 'file'}, systemContext), {empty: false}, systemContext), refused);
    const expected = await get(key, mine);
    await gateway.files.rename(path(key), path(`${key}-2`), {replace: false}, systemContext);
    assert.ok((await get(`${key}-2`, mine)).equals(expected));
    const copied = await gateway.files.copy(path(`${key}-2`), path(key), {kind: 'file'}, systemContext);
    assert.ok((await get(key, mine)).equals(expected), 'a copy by somebody without the key');
    assert.deepEqual(copied.inode.content?.etag, (await gateway.files.stat(path(`${key}-2`), {kind: 'file'}, systemContext)).inode.content?.etag);
  }
  const writer = await gateway.files.create(path('file'), {kind: 'file'}, systemContext);
  await writer.write(Buffer.from('plain'));
  await writer.commit();
  assert.equal((await get('file')).toString(), 'plain');
  await gateway.files.remove(path('parted-file'), {}, systemContext);
});

test('a key goes neither in the clear over a network, nor into logs, the audit log, errors or the store', async () => {
  const links: [string, boolean, string][] = [['192.0.2.1', false, 'InvalidRequest'], ['192.0.2.1', true, 'none'], ['::1', false, 'none'], ['::ffff:127.0.0.1', false, 'none'], ['127.9.9.9', false, 'none']];
  for (const [from, secure, expected] of links) {
    gateway.link = {from, secure};
    assert.equal(await codeOf(get('whole', mine)), expected, from);
    assert.equal(await codeOf(put('over', Buffer.from('x'), mine)), expected, from);
  }
  gateway.link = {from: '127.0.0.1', secure: false};
  await codeOf(put('bad', Buffer.from('x'), {...mine, SSECustomerKeyMD5: other.SSECustomerKeyMD5}));
  const answers = [await codeMessage(put('bad', Buffer.from('x'), {...mine, SSECustomerKey: `${mine.SSECustomerKey.slice(0, -8)}AAA=`})), await codeMessage(get('whole', other)), await codeMessage(get('open', mine))];
  const said = inspect([gateway.lines, gateway.audit, answers], {depth: 12, maxStringLength: Infinity, maxArrayLength: Infinity});
  const kept = inspect(await gateway.files.stat(path('whole'), {kind: 'file'}, systemContext), {depth: 12});
  assert.ok(kept.includes(sealEntry));
  for (const {SSECustomerKey, SSECustomerKeyMD5} of [mine, other]) {
    const secrets = [SSECustomerKey, SSECustomerKey.slice(0, 16), Buffer.from(SSECustomerKey, 'base64').toString('hex'), SSECustomerKeyMD5];
    for (const secret of secrets) assert.ok(!said.includes(secret) && !kept.includes(secret), 'said or kept');
  }
  assert.deepEqual((await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'over', ...mine}))).Metadata, {}, 'what is kept is nobody’s');
});

test('nobody makes an object look sealed', async () => {
  await put('forged', Buffer.from('x'), {Metadata: {'weir-sse-c': 'nonsense'}});
  assert.equal((await get('forged')).toString(), 'x');
});

async function codeMessage(call: Promise<unknown>): Promise<string> {
  return await call.then(() => 'none', (error: Error) => inspect(error, {depth: 12}).replace(/\$response[\s\S]*/, '') + error.message);
}
