/** ASYNC_THROUGH on a real S3 server: while it cannot be reached, through kill -9, and when others have changed what is there. */
import assert from 'node:assert/strict';
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
