/** The front end as clients see it: what comes back is what was sent, refusals are S3's, and signatures cover what matters. */
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {Readable} from 'node:stream';
import {after, before, test} from 'node:test';
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand, DeleteBucketCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectAttributesCommand,
  GetObjectCommand, HeadObjectCommand,
  ListBucketsCommand, ListMultipartUploadsCommand, ListObjectsV2Command, PutObjectCommand, UploadPartCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import {codeIn, codeOf, Gateway} from '#frontends/s3/fixture.test.ts';
import {operations} from '#frontends/s3/routes.ts';

let gateway: Gateway;
const Bucket = 'bucket';
before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket}));
});
after(() => gateway[Symbol.asyncDispose]());

const put = (Key: string, text: string) => gateway.sdk.send(new PutObjectCommand({Bucket, Key, Body: Buffer.from(text)}));
const get = async (Key: string): Promise<string> => (await gateway.sdk.send(new GetObjectCommand({Bucket, Key}))).Body!.transformToString();
const md5 = (text: string): string => `"${createHash('md5').update(text).digest('hex')}"`;

const signed: Gateway['signed'] = (...request) => gateway.signed(...request);

test('objects come back as they were sent, whatever their keys', async () => {
  const unit = fc.oneof(fc.string({unit: 'binary', minLength: 1, maxLength: 3}), fc.constantFrom('/', '//', '.', '..', '%2F', '+', ' ', '?', '#', '&', "'", '*', '\u{1F600}'));
  const isKey = (key: string): boolean => key.isWellFormed() && !/^\/|\/$|[\0-\x1f\ufffe\uffff]|^\.weir/.test(key);
  const keyOf = fc.array(unit, {minLength: 1, maxLength: 5}).map((parts) => parts.join('')).filter(isKey);
  await fc.assert(
    fc.asyncProperty(keyOf, fc.string({maxLength: 50}), async (key, text) => {
      const {ETag} = await gateway.sdk.send(new PutObjectCommand({Bucket, Key: key, Body: Buffer.from(`.${text}`), Metadata: {m: 'v'}, ContentType: 'text/x'}));
      assert.equal(ETag, md5(`.${text}`));
      const got = await gateway.sdk.send(new GetObjectCommand({Bucket, Key: key}));
      assert.deepEqual([await got.Body!.transformToString(), got.Metadata, got.ContentType, got.ETag], [`.${text}`, {m: 'v'}, 'text/x', ETag]);
      await gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: key}));
      assert.equal(await codeOf(get(key)), 'NoSuchKey');
    }),
    {numRuns: 60},
  );
});

test('every way to send a body arrives, and none that was changed', async () => {
  const text = 'x'.repeat(70_000);
  await put('whole', text);
  for (const requestChecksumCalculation of ['WHEN_SUPPORTED', 'WHEN_REQUIRED'] as const) {
    const sdk = gateway.client({accessKeyId: 'key', secretAccessKey: 'secret'}, {requestChecksumCalculation});
    await sdk.send(new PutObjectCommand({Bucket, Key: 'stream', Body: Readable.from([text.slice(0, 9000), text.slice(9000)]), ContentLength: text.length}));
    assert.equal(await get('stream'), text, requestChecksumCalculation);
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
      if (ChecksumAlgorithm !== 'CRC64NVME') await sdk.send(new PutObjectCommand({Bucket, Key: ChecksumAlgorithm, Body: Buffer.from(text), ChecksumAlgorithm}));
    }
  }
  assert.equal(codeIn(await signed('PUT', '/bucket/hashed', undefined, 'bytes')), '');
  assert.equal(await get('hashed'), 'bytes');
  const sha = (body: string) => createHash('sha256').update(body).digest('hex');
  const changed = await signed('PUT', '/bucket/hashed', (headers) => headers, 'bytes').then(async () => {
    const signer = {'x-amz-content-sha256': sha('others')};
    return signed('PUT', '/bucket/hashed', (headers) => ({...headers, ...signer}), 'other!');
  });
  assert.equal(codeIn(changed), 'SignatureDoesNotMatch');
  assert.equal(codeIn(await signed('PUT', '/bucket/hashed', (headers) => ({...headers, 'content-md5': Buffer.alloc(16).toString('base64')}), 'bytes2')), 'BadDigest');
  assert.equal(await get('hashed'), 'bytes');
});

test('who may not ask is refused by name', async () => {
  const list = (accessKeyId: string, secretAccessKey: string) => codeOf(gateway.client({accessKeyId, secretAccessKey}).send(new ListBucketsCommand()));
  assert.equal(await list('key', 'secret'), 'none');
  assert.equal(await list('key', 'wrong'), 'SignatureDoesNotMatch');
  assert.equal(await list('nobody', 'secret'), 'InvalidAccessKeyId');
  assert.equal(codeIn(await gateway.send({method: 'GET', target: '/'})), 'AccessDenied');
  assert.equal(codeIn(await signed('GET', '/bucket/?prefix=a%20b')), '');
  assert.equal(codeIn(await signed('GET', '/bucket/', (headers) => ({...headers, 'x-amz-date': '20200101T000000Z'}))), 'AuthorizationHeaderMalformed');
  assert.equal(codeIn(await signed('GET', '/bucket/', undefined, undefined, new Date(0))), 'RequestTimeTooSkewed');
  await put('whole', 'x');
  const smuggled = await signed('PUT', '/bucket/stolen', (headers) => ({...headers, 'X-Amz-Copy-Source': '/bucket/whole'}));
  assert.deepEqual([smuggled.status, codeIn(smuggled)], [403, 'AccessDenied'], 'a header that changes the request must be signed');
  assert.match(smuggled.body.toString(), /<HeadersNotSigned>x-amz-copy-source</);
});

test('what is not found is told as what it is, and the error behind it is logged', async () => {
  assert.match((await signed('GET', '/bucket/none-%C3%A9')).body.toString(), /<Key>none-é<\/Key>/);
  const copied = await gateway.sdk.send(new CopyObjectCommand({Bucket, Key: 'to', CopySource: `${Bucket}/from`})).catch((error: unknown) => error as {name: string; Key?: string});
  assert.deepEqual([(copied as {name?: string}).name, (copied as {Key?: string}).Key], ['NoSuchKey', 'from'], 'the key that is missing, not the one that was to be made');
  assert.equal(await codeOf(gateway.sdk.send(new UploadPartCommand({Bucket, Key: 'to', UploadId: 'none', PartNumber: 1, Body: Buffer.from('x')}))), 'NoSuchUpload');
  gateway.lines.length = 0;
  assert.equal(codeIn(await signed('GET', '/bucket/none')), 'NoSuchKey');
  const [line] = gateway.lines.filter(({message}) => message === 's3: not found');
  assert.ok(line);
  assert.match(String(line.fields?.['error']), /none/);
  assert.equal(line.fields?.['method'], 'GET');
});

test('refusals carry their request id, and what has no body has none', async () => {
  const missing = await signed('GET', '/bucket/missing?x=1');
  assert.deepEqual([missing.status, codeIn(missing)], [404, 'NoSuchKey']);
  assert.equal(/<RequestId>(\w+)</.exec(missing.body.toString())![1], missing.headers['x-amz-request-id']);
  const head = await signed('HEAD', '/bucket/missing');
  assert.deepEqual([head.status, head.body.length], [404, 0]);
  await put('there', 'text');
  const found = await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'there'}));
  assert.deepEqual([found.ContentLength, found.ETag], [4, md5('text')]);
  const same = await signed('GET', '/bucket/there', (headers) => ({...headers, 'if-none-match': md5('text')}));
  assert.deepEqual([same.status, same.handedBytes, same.headers['etag']], [304, 0, md5('text')]);
  assert.equal(codeIn(await signed('GET', '/nowhere/missing')), 'NoSuchBucket');
  assert.equal(codeIn(await signed('PATCH', '/bucket/there')), 'MethodNotAllowed');
  assert.equal(codeIn(await signed('GET', '/bucket/there?torrent')), 'NotImplemented');
});

test('conditions and ranges', async () => {
  await put('c', 'hello world');
  const read = (more: object) => gateway.sdk.send(new GetObjectCommand({Bucket, Key: 'c', ...more}));
  const write = (more: object) => codeOf(gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'c', Body: Buffer.from('new'), ...more})));
  assert.equal(await (await read({Range: 'bytes=2-4', IfMatch: md5('hello world')})).Body!.transformToString(), 'llo');
  assert.equal(await (await read({Range: 'bytes=-5'})).Body!.transformToString(), 'world');
  assert.equal((await read({Range: 'bytes= -5'})).ContentLength, 11, 'what is no range is none');
  assert.equal(await codeOf(read({Range: 'bytes=11-'})), 'InvalidRange');
  assert.equal(await codeOf(read({IfMatch: '"other"'})), 'PreconditionFailed');
  assert.equal(await codeOf(read({IfUnmodifiedSince: new Date(0)})), 'PreconditionFailed');
  assert.equal(await write({IfNoneMatch: '*'}), 'PreconditionFailed');
  assert.equal(await write({IfMatch: '"other"'}), 'PreconditionFailed');
  assert.equal(await write({IfNoneMatch: '"other"'}), 'NotImplemented');
  assert.equal(await write({IfMatch: md5('hello world')}), 'none');
  assert.equal(await get('c'), 'new');
  const {LastModified} = await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'c'}));
  const remove = (more: object) => codeOf(gateway.sdk.send(new DeleteObjectCommand({Bucket, Key: 'c', ...more})));
  assert.equal(await remove({IfMatchSize: 4}), 'PreconditionFailed');
  assert.equal(await remove({IfMatchSize: 3, IfMatchLastModifiedTime: new Date(0)}), 'PreconditionFailed');
  const listed = await gateway.sdk.send(new DeleteObjectsCommand({Bucket, Delete: {Objects: [{Key: 'c', Size: 4}]}}));
  assert.equal(listed.Errors?.[0]?.Code, 'PreconditionFailed');
  assert.equal(await remove({IfMatchSize: 3, IfMatchLastModifiedTime: LastModified}), 'none');
  assert.equal(await remove({IfMatchSize: 3}), 'none', 'what is not there is deleted already');
});

test('copies take or replace metadata, and not onto themselves for nothing', async () => {
  await gateway.sdk.send(new PutObjectCommand({Bucket, Key: 'from +é', Body: Buffer.from('text'), Metadata: {a: '1'}}));
  const copy = (Key: string, more: object = {}) => gateway.sdk.send(new CopyObjectCommand({Bucket, Key, CopySource: `${Bucket}/${encodeURIComponent('from +é')}`, ...more}));
  assert.equal((await copy('to')).CopyObjectResult?.ETag, md5('text'));
  assert.deepEqual([await get('to'), (await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'to'}))).Metadata], ['text', {a: '1'}]);
  assert.equal(await codeOf(copy('from +é')), 'InvalidRequest');
  await copy('from +é', {MetadataDirective: 'REPLACE', Metadata: {b: '2'}});
  assert.deepEqual((await gateway.sdk.send(new HeadObjectCommand({Bucket, Key: 'from +é'}))).Metadata, {b: '2'});
  assert.equal(await codeOf(copy('to', {CopySourceIfMatch: '"other"'})), 'PreconditionFailed');
  assert.equal(await codeOf(copy('to', {CopySource: `${Bucket}/none`})), 'NoSuchKey');
});

test('uploads in parts are whole or refused, and go with their bucket', async () => {
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'parts'}));
  const start = async (Key: string) => ({Bucket: 'parts', Key, UploadId: (await gateway.sdk.send(new CreateMultipartUploadCommand({Bucket: 'parts', Key}))).UploadId!});
  const upload = await start('k');
  const part = async (PartNumber: number, bytes: number) => ({PartNumber, ETag: (await gateway.sdk.send(new UploadPartCommand({...upload, PartNumber, Body: Buffer.alloc(bytes, PartNumber)}))).ETag});
  const complete = (Parts: {PartNumber: number; ETag: string | undefined}[]) => gateway.sdk.send(new CompleteMultipartUploadCommand({...upload, MultipartUpload: {Parts}}));
  const [large, small] = [await part(1, 5 * 1024 * 1024), await part(2, 10)];
  const tiny = await part(3, 1);
  assert.equal(await codeOf(complete([large, small, tiny])), 'EntityTooSmall');
  assert.equal(await codeOf(complete([small, large])), 'InvalidPartOrder');
  assert.equal(await codeOf(complete([{PartNumber: 1, ETag: '"00"'}])), 'InvalidPart');
  assert.match((await complete([large, small])).ETag!, /^"[0-9a-f]{32}-2"$/);
  const again = await complete([large, small]);
  assert.match(again.ETag!, /^"[0-9a-f]{32}-2"$/, 'who did not hear that it is complete may ask again');
  const head = (more: object = {}) => gateway.sdk.send(new HeadObjectCommand({Bucket: 'parts', Key: 'k', ChecksumMode: 'ENABLED', ...more}));
  assert.deepEqual([(await head()).ContentLength, (await head()).ChecksumCRC64NVME, (await head()).ChecksumType], [5 * 1024 * 1024 + 10, again.ChecksumCRC64NVME, 'FULL_OBJECT']);
  const second = await gateway.sdk.send(new GetObjectCommand({Bucket: 'parts', Key: 'k', PartNumber: 2}));
  assert.deepEqual([await second.Body!.transformToString(), second.PartsCount, second.ContentRange], ['\x02'.repeat(10), 2, 'bytes 5242880-5242889/5242890']);
  assert.equal(await codeOf(gateway.sdk.send(new GetObjectCommand({Bucket: 'parts', Key: 'k', PartNumber: 3}))), 'InvalidPart', 'a part that was not used is none');
  const attributes = await gateway.sdk.send(new GetObjectAttributesCommand({Bucket: 'parts', Key: 'k', ObjectAttributes: ['ETag', 'Checksum', 'ObjectParts', 'ObjectSize'], MaxParts: 1}));
  assert.deepEqual([attributes.ETag, attributes.ObjectSize, attributes.ObjectParts?.TotalPartsCount, attributes.ObjectParts?.IsTruncated], [again.ETag!.slice(1, -1), 5 * 1024 * 1024 + 10, 2, true]);
  assert.deepEqual(attributes.ObjectParts?.Parts?.map(({PartNumber, Size}) => [PartNumber, Size]), [[1, 5 * 1024 * 1024]]);
  await gateway.sdk.send(new PutObjectCommand({Bucket: 'parts', Key: 'k', Body: 'other'}));
  assert.equal(await codeOf(complete([large, small])), 'NoSuchUpload', 'what it became is gone');
  await start('left');
  assert.equal(await codeOf(gateway.sdk.send(new DeleteBucketCommand({Bucket: 'parts'}))), 'BucketNotEmpty');
  const deleted = await gateway.sdk.send(new DeleteObjectsCommand({Bucket: 'parts', Delete: {Objects: [{Key: 'k'}, {Key: 'never was'}]}}));
  assert.deepEqual([deleted.Deleted?.map(({Key}) => Key), deleted.Errors], [['k', 'never was'], undefined]);
  await gateway.sdk.send(new DeleteBucketCommand({Bucket: 'parts'}));
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'parts'}));
  assert.equal((await gateway.sdk.send(new ListMultipartUploadsCommand({Bucket: 'parts'}))).Uploads, undefined);
  assert.equal((await gateway.sdk.send(new ListObjectsV2Command({Bucket: 'parts'}))).KeyCount, 0);
});

test('every operation on a bucket looks whose it is', async () => {
  const owner = (await gateway.sdk.send(new ListBucketsCommand({}))).Owner!.ID!;
  await put('owned', 'text');
  const asking = (method: string, target: string, expected: string) => signed(method, target, undefined, undefined, undefined, {'x-amz-expected-bucket-owner': expected});
  for (const [table, target] of [[operations.bucket, '/bucket'], [operations.object, '/bucket/owned']] as const) {
    for (const [name, methods] of Object.entries(table)) {
      for (const method of Object.keys(methods)) {
        // A form says nothing in headers; what is deleted last would be missed.
        if ((name === '' && method === 'POST') || method === 'DELETE') continue;
        const ask = (expected: string) => asking(method, `${target}${name === '' ? '' : `?${name}=${name === 'uploadId' ? '&partNumber=1' : ''}`}`, expected);
        assert.equal((await ask('111122223333')).status, 403, `${method} ?${name}`);
        assert.notEqual((await ask(owner)).status, 403, `${method} ?${name}`);
      }
    }
  }
  for (const target of ['/bucket/owned', '/bucket']) assert.equal(codeIn(await asking('DELETE', target, '111122223333')), 'AccessDenied');
});

test('a bucket that is deleted while buckets are listed is left out', async () => {
  const leaving = 'leaving-soon';
  await gateway.sdk.send(new CreateBucketCommand({Bucket: leaving, CreateBucketConfiguration: {LocationConstraint: 'eu-central-1'}}));
  const {files} = gateway;
  const getSettings = files.getSettings.bind(files);
  let asked = 0;
  files.getSettings = async (path, context) => {
    files.getSettings = getSettings;
    asked++;
    await gateway.sdk.send(new DeleteBucketCommand({Bucket: leaving}));
    return await getSettings(path, context);
  };
  const {Buckets} = await gateway.sdk.send(new ListBucketsCommand({Prefix: leaving}));
  assert.deepEqual([Buckets ?? [], asked], [[], 1]);
});
