/** ASYNC_THROUGH on a real S3 server: while it cannot be reached, through kill -9, and when others have changed what is there. */
import assert from 'node:assert/strict';
import {createHash, randomBytes} from 'node:crypto';
import {readdir} from 'node:fs/promises';
import {test} from 'node:test';
import {eventually, startStack} from './harness.ts';
import {startLink} from '#runtime/node/link/link.ts';

interface Pending {
  readonly entries: readonly {readonly path: string; readonly state: string; readonly failures: number; readonly lastError?: string}[];
}

test('files written while the store is away are kept, shown and brought to it', {timeout: 120_000}, async context => {
  await using stack = await startStack('a store that is away', {mountOptions: ['maxAge=10m', 'writeType=ASYNC_THROUGH']});
  if (!stack) return context.skip('no S3 server');
  const {weir, direct, bucket, store} = stack;
  const pending = async (): Promise<Pending> => weir.rest<Pending>('GET', `persist?path=/${bucket}/`);
  const {s3} = weir;
  const listen = stack.link.address;
  await s3.must('PUT', `/${bucket}/seen`, {body: Buffer.from('seen')});
  await s3.keys(bucket, '');
  await eventually('the store has the first', async () => (await direct.get(bucket, 'seen'))?.toString() === 'seen');
  await eventually('which is known', async () => (await pending()).entries.length === 0);

  await stack.link[Symbol.asyncDispose]();
  const large = Buffer.alloc(3 << 20, 'large ');
  await s3.must('PUT', `/${bucket}/small`, {body: Buffer.from('small')});
  await s3.must('PUT', `/${bucket}/d/large`, {body: large});
  await s3.must('PUT', `/${bucket}/gone`, {body: Buffer.from('gone')});
  const head = await s3.must('HEAD', `/${bucket}/small`);
  assert.equal(head.headers['x-weir-persist'], 'pending');
  await s3.must('DELETE', `/${bucket}/gone`);
  await weir.rest('POST', 'rename', {from: `/${bucket}/small`, to: `/${bucket}/renamed`, replace: false});
  await eventually('a failure is told', async () => (await pending()).entries.some(each => each.failures > 0 && each.lastError !== undefined));

  await weir.kill('SIGKILL');
  await weir.up();
  const after = weir.s3;
  assert.equal((await after.get(bucket, 'renamed'))?.toString(), 'small');
  assert.ok((await after.get(bucket, 'd/large'))?.equals(large));
  assert.deepEqual((await pending()).entries.map(({path}) => path).toSorted(), [`/${bucket}/d/large`, `/${bucket}/renamed`]);
  assert.equal(await direct.get(bucket, 'renamed'), undefined);

  // Somebody else writes what is pending here.
  await direct.must('PUT', `/${bucket}/renamed`, {body: Buffer.from('theirs')});
  await using _back = await startLink({target: {host: '127.0.0.1', port: store.port}, rttMs: 2, bytesPerSecond: 500e6, listen});
  await weir.rest('POST', 'persist', {path: `/${bucket}/`});
  await eventually('the large one is in the store', async () => (await direct.get(bucket, 'd/large'))?.equals(large) === true, 60_000);
  await eventually('the other is in conflict', async () => (await pending()).entries.every(({state}) => state === 'conflict'), 60_000);
  assert.equal((await direct.get(bucket, 'renamed'))?.toString(), 'theirs');
  assert.equal((await after.get(bucket, 'renamed'))?.toString(), 'small');
  await weir.rest('POST', 'persist', {path: `/${bucket}/renamed`, resolve: 'overwrite'});
  await eventually('ours is in the store', async () => (await direct.get(bucket, 'renamed'))?.toString() === 'small', 60_000);
  await eventually('nothing is pending', async () => (await pending()).entries.length === 0);
  assert.deepEqual((await direct.keys(bucket, '')).toSorted(), ['d/large', 'renamed', 'seen']);
  direct.close();
});

test('an upload in parts is kept by the cache, through kills between its steps, and comes to the store in the same parts', {timeout: 180_000}, async context => {
  await using stack = await startStack('an upload behind', {mountOptions: ['maxAge=10m', 'writeType=ASYNC_THROUGH']});
  if (!stack) return context.skip('no S3 server');
  const {weir, direct, bucket, store} = stack;
  await weir.s3.keys(bucket, '');
  const listen = stack.link.address;
  await stack.link[Symbol.asyncDispose]();

  const partBytes = 5 << 20;
  const part = (n: number, length = partBytes): Buffer => Buffer.alloc(length, `part ${n} `);
  const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();
  const begin = async (key: string, headers = {}): Promise<string> => /<UploadId>([^<]*)</.exec((await weir.s3.must('POST', `/${bucket}/${key}`, {query: 'uploads=', headers})).body.toString())![1]!;
  const put = async (key: string, id: string, n: number, body: Buffer, headers = {}): Promise<string> =>
    (await weir.s3.must('PUT', `/${bucket}/${key}`, {query: `partNumber=${n}&uploadId=${id}`, body, headers})).headers.etag!;
  const complete = (key: string, id: string, etags: readonly string[]) => {
    const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join('');
    return weir.s3.must('POST', `/${bucket}/${key}`, {query: `uploadId=${id}`, body: `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`});
  };
  const again = async (): Promise<void> => {
    await weir.kill('SIGKILL');
    await weir.up();
  };
  const drafts = async (): Promise<string[]> => {
    const names = await readdir(weir.home, {recursive: true, withFileTypes: true});
    return names.filter(entry => entry.isFile() && entry.parentPath.endsWith('/drafts') && entry.name.startsWith('upload-')).map(({name}) => name);
  };

  const pieces = [part(1), part(2), part(3), part(4, 70_000)];
  const id = await begin('large');
  const etags = ['', '', '', ''];
  etags[1] = await put('large', id, 2, pieces[1]!);
  etags[0] = await put('large', id, 1, pieces[0]!);
  await again();
  // Killed in the middle of a part that goes on after the restart, and of one that comes again.
  const cut = put('large', id, 3, pieces[2]!).then(() => 'done', () => 'cut');
  await again();
  await cut;
  etags[2] = await put('large', id, 3, pieces[2]!);
  await put('large', id, 1, part(9));
  etags[0] = await put('large', id, 1, pieces[0]!);
  etags[3] = await put('large', id, 4, pieces[3]!);
  await again();
  const listed = (await weir.s3.must('GET', `/${bucket}/large`, {query: `uploadId=${id}`})).body.toString();
  assert.deepEqual(Array.from(listed.matchAll(/<ETag>(?:&quot;|")([0-9a-f]*)/g), ([, etag]) => `"${etag}"`), etags);
  const completed = await complete('large', id, etags);
  assert.equal(completed.headers['x-weir-persist'], 'pending');
  const whole = Buffer.concat(pieces);
  const etag = `"${md5(Buffer.concat(pieces.map(md5))).toString('hex')}-4"`;
  assert.ok((await weir.s3.get(bucket, 'large'))?.equals(whole));
  await again();
  const head = await weir.s3.must('HEAD', `/${bucket}/large`);
  assert.deepEqual([head.headers.etag, head.headers['x-weir-persist']], [etag, 'pending']);
  assert.ok((await weir.s3.get(bucket, 'large'))?.equals(whole));
  await eventually('no draft is left', async () => (await drafts()).length === 0);

  const copying = await begin('copied');
  const copy = await weir.s3.must('PUT', `/${bucket}/copied`, {query: `partNumber=1&uploadId=${copying}`, headers: {'x-amz-copy-source': `/${bucket}/large`, 'x-amz-copy-source-range': `bytes=1000-${partBytes + 2000}`}});
  await complete('copied', copying, [/<ETag>(?:&quot;|")([0-9a-f]*)/.exec(copy.body.toString())![1]!]);
  assert.ok((await weir.s3.get(bucket, 'copied'))?.equals(whole.subarray(1000, partBytes + 2001)));
  const key = randomBytes(32);
  const secret = {
    'x-amz-server-side-encryption-customer-algorithm': 'AES256', 'x-amz-server-side-encryption-customer-key': key.toString('base64'),
    'x-amz-server-side-encryption-customer-key-md5': md5(key).toString('base64'),
  };
  const sealed = await begin('sealed', secret);
  const named = [await put('sealed', sealed, 1, pieces[0]!, secret), await put('sealed', sealed, 2, pieces[3]!, secret)];
  await again();
  await complete('sealed', sealed, named);
  const plain = Buffer.concat([pieces[0]!, pieces[3]!]);
  assert.ok((await weir.s3.must('GET', `/${bucket}/sealed`, {headers: secret})).body.equals(plain));
  const given = await begin('given-up');
  await put('given-up', given, 1, part(1));
  assert.equal((await drafts()).length, 1);
  await weir.s3.must('DELETE', `/${bucket}/given-up`, {query: `uploadId=${given}`});
  assert.deepEqual(await drafts(), []);

  await using _back = await startLink({target: {host: '127.0.0.1', port: store.port}, rttMs: 2, bytesPerSecond: 500e6, listen});
  await weir.rest('POST', 'persist', {path: `/${bucket}/`});
  await eventually('nothing is pending', async () => (await weir.rest<Pending>('GET', `persist?path=/${bucket}/`)).entries.length === 0, 60_000);
  assert.ok((await direct.get(bucket, 'large'))?.equals(whole));
  assert.equal((await direct.must('HEAD', `/${bucket}/large`)).headers.etag, etag);
  assert.ok((await direct.get(bucket, 'copied'))?.equals(whole.subarray(1000, partBytes + 2001)));
  const ciphertext = await direct.get(bucket, 'sealed');
  assert.deepEqual([ciphertext?.length, ciphertext?.includes('part 1 part 1 ')], [plain.length, false]);
  assert.ok((await weir.s3.must('GET', `/${bucket}/sealed`, {headers: secret})).body.equals(plain));
  direct.close();
});
