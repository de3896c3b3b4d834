/** Cancelled jobs: what the store has by then is what the namespace shows, and stays so. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Capabilities, UnderStore} from '#understore/under-store.ts';

/** A bucket with t/0 to t/9; a call of `method` whose number is in `stuck` never succeeds. */
function worldWith(method: 'copy' | 'remove' | 'rename', fails: (key: string) => boolean, capabilities: Partial<Capabilities> = {}): World {
  const world = new World(11);
  const {outside} = world.store('mem://bucket/', capabilities);
  if (capabilities.directories) outside.put(bytes('t/'), Buffer.alloc(0));
  for (let i = 0; i < 10; i++) outside.put(bytes(`t/${i}`), Buffer.from(String(i)));
  world.wrap = store => new Proxy(store, {
    get: (target, name): unknown => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return async (...args: Parameters<UnderStore['remove']>) => {
        if (name === method && [args[0]].flat().some(key => fails(key))) throw new WeirError('PermissionDenied', `told to fail for ${String(args[0])}`);
        return await (value as (...args: unknown[]) => Promise<unknown>).apply(target, args);
      };
    },
  });
  return world;
}

const stored = (world: World): string[] => world.store('mem://bucket/').outside.keys().filter(key => !key.endsWith('/'));
const files = async (master: Master): Promise<string[]> => (await keys(master, '/b/', {view: 'tree'})).filter(key => !key.endsWith('/'));

async function cancelOnly(master: Master): Promise<void> {
  const [job, ...more] = await master.listJobs(context);
  assert.ok(job && more.length === 0);
  assert.equal(job.state, 'failed');
  await master.cancelJob(job.id, context);
  assert.deepEqual(await master.listJobs(context), []);
  await assert.rejects(master.cancelJob(job.id, context), error => isKind(error, 'NotFound'));
}

test('a move that is cancelled has moved what it has moved', async () => {
  const world = worldWith('copy', key => key === 't/7');
  let left: string[] = [];
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'immutable');
    await master.rename(bytes('/b/t/'), bytes('/b/w/'), {replace: false}, context);
    await clock.sleep(2_000);
    assert.equal((await files(master)).length, 10);
    await cancelOnly(master);
    left = stored(world);
    assert.ok(left.includes('t/7') && left.includes('w/0'), left.join());
    assert.deepEqual(await files(master), left, 'the namespace is what the store has');
    // The names are free again.
    await put(master, '/b/t/7', 'again');
  });
  await world.life(async (master, {clock}) => {
    await clock.sleep(2_000);
    assert.deepEqual(await master.listJobs(context), []);
    assert.deepEqual(await files(master), left);
    assert.deepEqual(stored(world), left);
  });
});

test('a removal that is cancelled leaves what it has not removed, also below what only it had implied', async () => {
  const world = worldWith('remove', key => key === 'i/j/t/7');
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'immutable');
    for (let i = 0; i < 10; i++) await put(master, `/b/i/j/t/${i}`, String(i));
    await master.remove(bytes('/b/i/j/t/'), {recursive: true}, context);
    await clock.sleep(2_000);
    assert.deepEqual((await files(master)).filter(key => key.startsWith('i/')), []);
    await cancelOnly(master);
    const left = stored(world);
    assert.ok(left.includes('i/j/t/7'));
    assert.deepEqual(await files(master), left);
    assert.equal((await master.usage(bytes('/b/'), context)).files, left.length);
  });
});

test('the rename of a tree that the store cannot make is given back to who asked', async () => {
  const world = worldWith('rename', () => true, {directories: true, recursiveList: false, rename: 'tree', metadata: false});
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'immutable');
    const renaming = assert.rejects(master.rename(bytes('/b/t/'), bytes('/b/w/'), {replace: false}, context), error => isKind(error, 'Cancelled'));
    await clock.sleep(2_000);
    await cancelOnly(master);
    await renaming;
    assert.deepEqual(await files(master), stored(world));
  });
});

test('a rename of one file that hangs between its two names is cancelled to what the store has', async () => {
  const world = worldWith('remove', key => key === 't/1');
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'immutable');
    await assert.rejects(master.rename(bytes('/b/t/1'), bytes('/b/t/one'), {replace: false, kind: 'file'}, context), error => isKind(error, 'PermissionDenied'));
    await clock.sleep(2_000);
    await cancelOnly(master);
    assert.deepEqual(await files(master), stored(world));
    assert.ok(stored(world).includes('t/1') && stored(world).includes('t/one'));
  });
});

test('a job that waits for its turn is cancelled too', async () => {
  const world = worldWith('copy', key => key.endsWith('/7'));
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'immutable');
    for (const tree of ['a', 'b', 'c', 'd', 'e']) {
      await put(master, `/b/${tree}/7`, tree);
      await master.rename(bytes(`/b/${tree}/`), bytes(`/b/moved-${tree}/`), {replace: false}, context);
    }
    await clock.sleep(100);
    for (const job of await master.listJobs(context)) await master.cancelJob(job.id, context);
    assert.deepEqual(await files(master), stored(world));
  });
});
