/** A file's rename on a store that copies, when the store fails: refusals change nothing, and what nobody knows the outcome of is finished. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {type ErrorKind, isKind, WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {UnderStore} from '#understore/under-store.ts';

/** A bucket with `a` and `z`; `fail` is asked before each copy and removal, and after each copy. */
function worldWith(fail: (moment: 'copy' | 'copied' | 'remove') => ErrorKind | undefined): World {
  const world = new World(3);
  const {outside} = world.store('mem://bucket/');
  outside.put(bytes('a'), Buffer.from('A'));
  outside.put(bytes('z'), Buffer.from('Z'));
  const check = (moment: 'copy' | 'copied' | 'remove'): void => {
    const kind = fail(moment);
    if (kind) throw new WeirError(kind, `told to fail at ${moment}`);
  };
  world.wrap = store => new Proxy(store, {
    get: (target, name): unknown => {
      if (name === 'copy') {
        return async (...args: Parameters<UnderStore['copy']>) => {
          check('copy');
          const copy = await target.copy(...args);
          check('copied');
          return copy;
        };
      }
      if (name === 'remove') {
        return async (...args: Parameters<UnderStore['remove']>) => {
          check('remove');
          return await target.remove(...args);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  return world;
}

const rename = async (master: Master): Promise<unknown> => master.rename(bytes('/b/a'), bytes('/b/z'), {replace: true, kind: 'file'}, context);
const stored = (world: World): string[] => world.store('mem://bucket/').outside.keys().map(key => `${key}=${Buffer.from(world.store('mem://bucket/').outside.bytes(key)!).toString()}`);

test('a copy that the store refuses leaves both names as they were', async () => {
  const world = worldWith(moment => (moment === 'copy' ? 'PermissionDenied' : undefined));
  await world.life(async master => {
    await mountBucket(master);
    await assert.rejects(rename(master), error => isKind(error, 'PermissionDenied'));
    assert.deepEqual(await keys(master, '/b/'), ['a', 'z']);
    assert.deepEqual(await master.listJobs(context), []);
    assert.deepEqual(stored(world), ['a=A', 'z=Z']);
  });
});

test('a copy of which nobody knows whether it happened is finished behind, and holds its names until then', async () => {
  let failures = 3;
  const world = worldWith(moment => (moment === 'copied' && failures-- > 0 ? 'Timeout' : undefined));
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await assert.rejects(rename(master), error => isKind(error, 'Timeout'));
    assert.deepEqual(await keys(master, '/b/'), ['a', 'z'], 'one name of the file is seen, the old');
    const [job] = await master.listJobs(context);
    assert.equal(job?.kind, 'move');
    assert.equal(job.path, '/b/z');
    // Who wants to change one of the names waits for the outcome.
    await master.remove(bytes('/b/z'), {kind: 'file'}, context);
    assert.deepEqual(await keys(master, '/b/'), []);
    await clock.sleep(1_000);
    assert.deepEqual(await master.listJobs(context), []);
    assert.deepEqual(stored(world), []);
  });
});

test('an old object that cannot be removed is not shown again, and goes when it can', async () => {
  let failures = 2;
  const world = worldWith(moment => (moment === 'remove' && failures-- > 0 ? 'PermissionDenied' : undefined));
  await world.life(async master => {
    await mountBucket(master);
    await assert.rejects(rename(master), error => isKind(error, 'PermissionDenied'));
    assert.deepEqual(await keys(master, '/b/'), ['z'], 'one name of the file is seen, the new');
    assert.deepEqual(stored(world), ['a=A', 'z=A']);
  });
  // The next life takes it up.
  await world.life(async (master, {clock}) => {
    assert.deepEqual(await keys(master, '/b/'), ['z']);
    await clock.sleep(5_000);
    assert.deepEqual(await master.listJobs(context), []);
    assert.deepEqual(stored(world), ['z=A']);
  });
});

test('what somebody else has put in the place of the old object between two lives stays', async () => {
  const world = worldWith(moment => (moment === 'remove' ? 'Unavailable' : undefined));
  await world.life(async master => {
    await mountBucket(master);
    await assert.rejects(rename(master), error => isKind(error, 'Unavailable'));
  });
  world.store('mem://bucket/').outside.put(bytes('a'), Buffer.from('a new one'));
  await world.life(async (master, {clock}) => {
    await clock.sleep(5_000);
    assert.deepEqual(await master.listJobs(context), []);
    assert.deepEqual(stored(world), ['a=a new one', 'z=A']);
  });
});
