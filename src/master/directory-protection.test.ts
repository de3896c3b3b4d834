/** Whose mode and owner a directory has: those that it was given here, else those that its store says. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {bytes, context, mountBucket, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {StoreObject} from '#understore/under-store.ts';

type Protection = Required<Pick<StoreObject, 'mode' | 'uid' | 'gid'>>;

test('mode and owner of a directory that were given here stay, whatever its store says; others are as it says', async () => {
  const world = new World();
  const store = world.store('mem://bucket/', {directories: true, rename: 'tree', metadata: false, permissions: true});
  /** By key: what somebody has made of it in the store. */
  const outside = new Map<string, Protection>();
  const shown = (object: StoreObject): StoreObject => ({...object, ...outside.get(object.key)});
  world.wrap = (inner) => new Proxy(inner, {
    get: (target, name) => {
      if (name === 'stat') return async (...args: Parameters<typeof inner.stat>) => await inner.stat(...args).then((object) => object && shown(object));
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  store.outside.put(bytes('theirs/'), new Uint8Array(0));
  outside.set('theirs/', {mode: 0o750, uid: 5, gid: 6});
  const look = async (master: Master, path: string): Promise<Protection> => {
    const {mode, uid, gid} = (await master.stat(bytes(path), {kind: 'directory'}, context)).inode;
    return {mode, uid, gid};
  };
  await world.life(async (master) => {
    await mountBucket(master, 'always');
    assert.deepEqual(await look(master, '/b/theirs/'), {mode: 0o750, uid: 5, gid: 6});
    outside.set('theirs/', {mode: 0o700, uid: 5, gid: 5});
    assert.deepEqual(await look(master, '/b/theirs/'), {mode: 0o700, uid: 5, gid: 5});
    await master.makeDirectory(bytes('/b/ours/'), {mode: 0o710, existing: 'fail'}, {...context, owner: {uid: 1000, gid: 1001, umask: 0}});
  });
  await world.life(async (master) => {
    assert.deepEqual(await look(master, '/b/ours/'), {mode: 0o710, uid: 1000, gid: 1001}, 'the store has it as 0755 of root');
    await master.setAttributes(bytes('/b/theirs/'), {uid: 7}, {kind: 'directory'}, context);
    outside.set('theirs/', {mode: 0o777, uid: 0, gid: 0});
    assert.deepEqual(await look(master, '/b/theirs/'), {mode: 0o700, uid: 7, gid: 5});
  });
});
