/** Many hands on few keys: writes, deletes and renames at once, with slow stores. When all is quiet, the namespace is what the store has. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {Capabilities, UnderStore} from '#understore/under-store.ts';

type Step = {readonly kind: 'put' | 'delete' | 'rename' | 'exchange' | 'exchangeTrees' | 'renameTree' | 'removeTree' | 'stat' | 'list'; readonly key: string; readonly to: string; readonly wait: number};

const key = fc.constantFrom('a', 'd/a', 'd/b', 'e/a');
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('put', 'put', 'delete', 'rename', 'exchange', 'exchangeTrees', 'renameTree', 'removeTree', 'stat', 'list'), key, to: key, wait: fc.nat(40),
});

/** Answers take a random while, so that requests overtake each other. */
function slow(store: UnderStore, pause: () => Promise<void>): UnderStore {
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function' || name === 'close') return value;
      return async (...args: unknown[]) => {
        await pause();
        const result: unknown = await (value as (...all: unknown[]) => Promise<unknown>).apply(target, args);
        await pause();
        return result;
      };
    },
  });
}

async function take(master: Master, {kind, key: from, to}: Step, body: string): Promise<void> {
  const tree = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/') + 1) : `${path}/`);
  try {
    switch (kind) {
      case 'put':
        return void (await put(master, `/b/${from}`, body));
      case 'delete':
        return void (await master.remove(bytes(`/b/${from}`), {kind: 'file'}, context));
      case 'rename':
        return void (await master.rename(bytes(`/b/${from}`), bytes(`/b/${to}`), {replace: true, kind: 'file'}, context));
      case 'renameTree':
        return void (await master.rename(bytes(`/b/${tree(from)}`), bytes(`/b/${tree(to)}`), {replace: true}, context));
      case 'exchange':
        return void (await master.rename(bytes(`/b/${from}`), bytes(`/b/${to}`), {replace: false, exchange: true}, context));
      case 'exchangeTrees':
        return void (await master.rename(bytes(`/b/${tree(from)}`), bytes(`/b/${tree(to)}`), {replace: false, exchange: true}, context));
      case 'removeTree':
        return void (await master.remove(bytes(`/b/${tree(from)}`), {recursive: true}, context));
      case 'list':
        return void (await keys(master, '/b/'));
      default:
        return void (await master.stat(bytes(`/b/${from}`), {kind: 'file'}, context));
    }
  } catch (error) {
    if (!(error instanceof WeirError) || ['Internal', 'Corrupt', 'Timeout'].includes(error.kind)) throw error;
  }
}

async function play(steps: readonly Step[], freshness: string, capabilities: Partial<Capabilities>): Promise<void> {
  const world = new World(11);
  const bucket = world.store('mem://bucket/', capabilities);
  if (capabilities.directories) for (const each of ['d/', 'e/']) bucket.outside.put(bytes(each), Buffer.alloc(0));
  bucket.outside.put(bytes('d/a'), Buffer.from('first'));
  bucket.outside.put(bytes('e/s/q'), Buffer.from('deep'));
  let runtime: Runtime | undefined;
  const life = world.life.bind(world);
  world.wrap = store => slow(store, async () => {
    if (runtime) await runtime.clock.sleep(1 + Math.floor(runtime.random.number() * 15));
  });
  await life(async (master, machine) => {
    await mountBucket(master, freshness);
    runtime = machine;
    await Promise.all(steps.map(async (each, i) => {
      await machine.clock.sleep(each.wait);
      await take(master, each, `body ${i}`);
    }));
    await machine.clock.sleep(30_000);
    assert.deepEqual(await master.listJobs(context), []);
    // Without asking the store again: what we did ourselves must have left the namespace right.
    const isFile = (each: string): boolean => !each.endsWith('/');
    const known = (await keys(master, '/b/', {view: 'tree'})).filter(isFile);
    assert.deepEqual(known, bucket.outside.keys().filter(isFile), 'the namespace is what the store has');
    for (const each of known) {
      const {inode} = await master.stat(bytes(`/b/${each}`), {kind: 'file'}, context);
      assert.equal(inode.content?.storeKey, each);
      assert.equal(inode.content?.fingerprint, bucket.outside.object(bytes(each))?.fingerprint, `${each} is the store's version`);
    }
  });
}

const kinds: readonly Partial<Capabilities>[] = [{}, {rename: 'file'}, {directories: true, rename: 'tree', metadata: false}, {recursiveList: false, listAfter: false, copy: false}];

for (const freshness of ['immutable', 'always']) {
  test(`after quiescence namespace and store agree (${freshness})`, async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, {maxLength: 12}), fc.constantFrom(...kinds), async (steps, kind) => await play(steps, freshness, kind)), {numRuns: 60});
  });
}

const directories: Partial<Capabilities> = {directories: true, rename: 'tree', metadata: false};

test('a tree that nobody has listed is seen where it was moved, whatever was known of that place', async () => {
  for (const [recursiveList, first] of [[false, 'children'], [true, 'tree'], [false, 'stat']] as const) {
    const world = new World(12);
    const {outside} = world.store('mem://bucket/', {...directories, recursiveList});
    for (const each of ['d/', 'e/', 'e/sub/']) outside.put(bytes(each), Buffer.alloc(0));
    for (const each of ['e/x', 'e/sub/y']) outside.put(bytes(each), Buffer.from('there'));
    await world.life(async (master) => {
      await mountBucket(master, 'immutable');
      if (first === 'stat') await assert.rejects(master.stat(bytes('/b/d/x'), {kind: 'file'}, context), {kind: 'NotFound'});
      else assert.deepEqual(await keys(master, '/b/d/', {view: first}), []);
      await master.rename(bytes('/b/e/'), bytes('/b/d/'), {replace: true}, context);
      await master.stat(bytes('/b/d/x'), {kind: 'file'}, context);
      assert.deepEqual(await keys(master, '/b/d/', {view: 'tree'}), ['sub/', 'sub/y', 'x']);
      assert.deepEqual(await keys(master, '/b/', {view: 'tree'}), ['d/', 'd/sub/', 'd/sub/y', 'd/x']);
    });
  }
});

test('a listing beside an exchange and a rename of trees does not take them for empty', async () => {
  const steps = [['exchangeTrees', 'd/a', 'e/a', 0], ['renameTree', 'e/a', 'd/b', 5], ['list', 'a', 'a', 18], ['put', 'a', 'a', 33], ['put', 'a', 'a', 21]] as const;
  await play(steps.map(([kind, from, to, wait]) => ({kind, key: from, to, wait})), 'immutable', directories);
});

test('a tree takes the place of no directory of which the store has more than was known', async () => {
  for (const capabilities of kinds) {
    const world = new World(12);
    const {outside} = world.store('mem://bucket/', capabilities);
    if (capabilities.directories) for (const each of ['d/', 'e/']) outside.put(bytes(each), Buffer.alloc(0));
    for (const each of ['d/x', 'e/x']) outside.put(bytes(each), Buffer.from(each));
    await world.life(async (master) => {
      await mountBucket(master, 'immutable');
      await assert.rejects(master.rename(bytes('/b/e/'), bytes('/b/d/'), {replace: true}, context), {kind: 'DirectoryNotEmpty'});
      for (const each of ['d/x', 'e/x']) assert.equal(Buffer.from(outside.bytes(bytes(each))!).toString(), each);
    });
  }
});

test('nor of one that was exchanged with it meanwhile', async () => {
  await play([{kind: 'renameTree', key: 'd/b', to: 'e/a', wait: 0}, {kind: 'exchangeTrees', key: 'd/a', to: 'e/a', wait: 0}], 'always', directories);
});

test('a directory does not vanish because what it holds is not to be believed yet', async () => {
  const world = new World(13);
  const {outside} = world.store('mem://bucket/', {recursiveList: false});
  const listing = Promise.withResolvers<void>();
  const refused = Promise.withResolvers<void>();
  world.wrap = store => new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name !== 'list') return value.bind(target) as unknown;
      return async (...args: Parameters<UnderStore['list']>) => {
        const page = await target.list(...args);
        if (args[0].prefix === 'e/s/') {
          listing.resolve();
          await refused.promise;
        }
        return page;
      };
    },
  });
  for (const each of ['d/a', 'e/s/q']) outside.put(bytes(each), Buffer.from('there'));
  await world.life(async (master) => {
    await mountBucket(master, 'immutable');
    const all = keys(master, '/b/', {view: 'tree'});
    await listing.promise;
    // A turn of the tree, and no change.
    await assert.rejects(master.rename(bytes('/b/d/'), bytes('/b/e/'), {replace: true}, context), {kind: 'DirectoryNotEmpty'});
    refused.resolve();
    assert.deepEqual(await all, ['d/', 'd/a', 'e/', 'e/s/', 'e/s/q']);
  });
});

test('a listing beside a rename of a tree that is refused sees what is in both', async () => {
  const steps = [['list', 'a', 'a', 7], ['exchangeTrees', 'e/s/q', 'd/b', 0], ['renameTree', 'd/a', 'e/a', 0]] as const;
  await play(steps.map(([kind, from, to, wait]) => ({kind, key: from, to, wait})), 'immutable', directories);
});

test('a tree takes the place of no directory that has gone meanwhile with the only file that was known of it', async () => {
  const steps = [['renameTree', 'd/b', 'e/a'], ['put', 'e/a', 'a'], ['delete', 'e/a', 'a']] as const;
  await play(steps.map(([kind, from, to]) => ({kind, key: from, to, wait: 0})), 'immutable', {recursiveList: false, listAfter: false, copy: false});
});
