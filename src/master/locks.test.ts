import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import {Locks} from '#master/locks.ts';
import {endOfFile} from '#model/file-locks.ts';

const never = new AbortController().signal;
const request = (owner: string, type: LockRequest['type'], more: Partial<LockRequest> = {}): LockRequest => ({inode: 5 as InodeId, whole: false, holder: 'one', owner, pid: 7, start: 0, end: endOfFile, ...more, type});

/** Whether it is still waited for, after everything that could happen has. */
async function waits(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  await new Promise(resolve => setImmediate(resolve));
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
}

test('locks are granted, refused, waited for in order, and let go', async () => {
  const locks = new Locks();
  assert.equal(await locks.lock(request('a', 'write', {end: 9}), false, never), undefined);
  const conflict = await locks.lock(request('b', 'read', {start: 5}), false, never);
  assert.deepEqual([conflict?.start, conflict?.end, conflict?.pid, conflict?.type], [0, 9, 7, 'write']);
  assert.equal(locks.test(request('b', 'write', {start: 10})), undefined);
  assert.equal(await locks.lock(request('b', 'write', {whole: true}), false, never), undefined, 'flock does not see fcntl');
  const first = locks.lock(request('b', 'write', {start: 5, end: 5}), true, never);
  const second = locks.lock(request('c', 'read', {start: 5, end: 6}), true, never);
  assert.deepEqual([await waits(first), await waits(second)], [true, true]);
  await locks.lock(request('a', 'none', {start: 5}), false, never);
  assert.deepEqual([await waits(first), await waits(second)], [false, true]);
  await locks.lock(request('b', 'read', {start: 5, end: 5}), false, never);
  assert.equal(await waits(second), false, 'a lock that became a shared one lets others in');
  locks.releaseHolder('one');
  assert.equal(locks.count, 0);
});

test('who waits may go, and a holder that ends takes its locks along', async () => {
  const locks = new Locks();
  await locks.lock(request('a', 'write', {holder: 'two'}), false, never);
  const impatient = new AbortController();
  const gone = locks.lock(request('a', 'write'), true, impatient.signal);
  const next = locks.lock(request('b', 'write'), true, never);
  impatient.abort();
  await assert.rejects(gone, {kind: 'Cancelled'});
  locks.releaseHolder('two');
  assert.equal(await next, undefined);
  locks.releaseHolder('one');
  assert.equal(locks.count, 0);
});

test('waiting that would never end is refused; two who change shared locks of the whole file are served one by one', async () => {
  const locks = new Locks();
  for (const [owner, start] of [['a', 0], ['b', 1], ['c', 2]] as const) await locks.lock(request(owner, 'write', {start, end: start}), false, never);
  const a = locks.lock(request('a', 'write', {start: 1, end: 1}), true, never);
  const b = locks.lock(request('b', 'write', {start: 2, end: 2}), true, never);
  await assert.rejects(locks.lock(request('c', 'write', {end: 0}), true, never), {kind: 'Deadlock'});
  await locks.lock(request('c', 'none'), false, never);
  await b;
  await locks.lock(request('b', 'none'), false, never);
  await a;
  const whole = {whole: true, inode: 6 as InodeId};
  for (const owner of ['a', 'b']) await locks.lock(request(owner, 'read', whole), false, never);
  const up = locks.lock(request('a', 'write', whole), true, never);
  assert.equal(await waits(up), true);
  await locks.lock(request('b', 'write', whole), true, never);
  assert.equal(await waits(up), true);
  await locks.lock(request('b', 'none', whole), false, never);
  await up;
});
