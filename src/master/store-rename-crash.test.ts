/** A file's rename by its store, when the process dies at any of its steps, twice even, or the store fails: the same file, once, and its stored answer. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {WeirError} from '#base/errors.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {bytes, context, keys, mountBucket, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import type {Capabilities, UnderStore} from '#understore/under-store.ts';

const once: CallContext = {...context, moment: 'safe', request: {client: 'mount', counter: 7, acknowledged: 0}};
const rename = async (master: Master, to = '/b/z'): Promise<FileInfo> => await master.rename(bytes('/b/a'), bytes(to), {replace: true, kind: 'either'}, once);
const held = async (master: Master, path: string): Promise<FileInfo> => {
  const {inode: {id}} = await master.stat(bytes(path), {kind: 'file'}, context);
  return await master.retain(id, 'mount', context);
};
const stored = (world: World): string[] => {
  const {outside} = world.store('mem://bucket/');
  return outside.keys().filter(key => !key.endsWith('/')).map(key => `${key}=${Buffer.from(outside.bytes(key)!).toString()}`);
};

async function readOf(master: Master, {inode: {content}}: FileInfo): Promise<string> {
  const read = await master.stores.get(content!.mount).read(content!.storeKey, {ifFingerprint: content!.fingerprint}, context);
  return Buffer.concat(await Array.fromAsync(read.body)).toString();
}

async function prepared(capabilities: Partial<Capabilities> = {rename: 'tree', directories: true, recursiveList: false, metadata: false}): Promise<World> {
  const world = new World(5);
  world.returning = ['mount'];
  const {outside} = world.store('mem://bucket/', capabilities);
  outside.put(bytes('a'), Buffer.from('A'));
  outside.put(bytes('z'), Buffer.from('zz'));
  await world.life(master => mountBucket(master, 'immutable'));
  return world;
}

const dies = (life: Promise<unknown>): Promise<void> => assert.rejects(life, error => error instanceof SimulatedCrash);

for (const point of ['note', 'store', 'commit']) for (const open of [false, true]) for (const again of [false, true]) {
  test(`a crash at ${point} of a rename over ${open ? 'an open' : 'a'} file${again ? ', and at the look at the store' : ''}`, async () => {
    const world = await prepared();
    let source: FileInfo | undefined;
    let replaced: FileInfo | undefined;
    world.simulation.crashAt(`master.rename.${point}`, 1, 'kill');
    await dies(world.life(async master => {
      source = await held(master, '/b/a');
      if (open) replaced = await held(master, '/b/z');
      await rename(master);
    }));
    if (again && point !== 'note') {
      world.simulation.crashAt('master.rename.looked', 1, 'kill');
      await dies(world.life(() => Promise.resolve()));
    }
    await world.life(async (master, {clock}) => {
      const made = point === 'commit';
      // Before anything else is asked, and without the store.
      assert.equal((await master.retain(source!.inode.id, 'mount', context)).path, made ? '/b/z' : '/b/a');
      if (replaced) await master.retain(replaced.inode.id, 'mount', context);
      const {path, inode} = await rename(master);
      assert.deepEqual([path, inode.id], ['/b/z', source!.inode.id]);
      assert.deepEqual(await keys(master, '/b/', {view: 'children'}), ['z']);
      assert.equal(await readOf(master, await master.stat(bytes('/b/z'), {kind: 'file'}, context)), 'A');
      if (replaced) {
        const orphan = await master.retain(replaced.inode.id, 'mount', context);
        assert.deepEqual([orphan.path, await readOf(master, orphan)], ['', 'zz']);
        await master.release(orphan.inode.id, 'mount', context);
      }
      await clock.sleep(60_000);
      assert.deepEqual(await master.listJobs(context), []);
      assert.deepEqual(stored(world), ['z=A']);
    });
  });
}

for (const point of ['copy', 'copied', 'shown']) test(`a crash at ${point} of a rename over an open file by a store that copies: asked again, it has the answer of the first`, async () => {
  const world = await prepared({});
  const files: FileInfo[] = [];
  world.simulation.crashAt(`master.rename.${point}`, 1, 'kill');
  await dies(world.life(async master => {
    files.push(await held(master, '/b/a'), await held(master, '/b/z'));
    await rename(master);
  }));
  await world.life(async (master, {clock}) => {
    const [source, replaced] = files as [FileInfo, FileInfo];
    assert.equal((await rename(master)).inode.id, source.inode.id);
    assert.deepEqual(await keys(master, '/b/', {view: 'children'}), ['z']);
    assert.equal(await readOf(master, await master.retain(replaced.inode.id, 'mount', context)), 'zz');
    await master.release(replaced.inode.id, 'mount', context);
    await clock.sleep(60_000);
    assert.deepEqual([stored(world), await master.listJobs(context)], [['z=A'], []]);
  });
});

test('what somebody else has done to both keys between two lives is found, and nothing was renamed', async () => {
  const world = await prepared();
  world.simulation.crashAt('master.rename.store', 1, 'kill');
  await dies(world.life(async master => {
    for (const path of ['/b/a', '/b/z']) await master.stat(bytes(path), {kind: 'file'}, context);
    await rename(master);
  }));
  world.store('mem://bucket/').outside.remove(bytes('a'));
  await world.life(async master => {
    assert.deepEqual(await keys(master, '/b/', {view: 'children'}), ['z']);
    assert.equal(await readOf(master, await master.stat(bytes('/b/z'), {kind: 'file'}, context)), 'zz');
    await assert.rejects(rename(master), {kind: 'NotFound'});
  });
});

/** Renames to keys fail after they were made, and looks at the store from then on. */
function failing(world: World, fails: {rename: boolean; stat: boolean}): void {
  let broken = false;
  world.wrap = store => new Proxy(store, {
    get: (target, name): unknown => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const result: unknown = await (value as (...args: unknown[]) => unknown).apply(target, args);
        const place = String(args[1]);
        if (place.startsWith('.weir/')) return result;
        if (name === 'rename' && fails.rename) broken = fails.stat;
        if ((name === 'rename' && fails.rename) || (name === 'stat' && broken && fails.stat)) throw new WeirError('Unavailable', `told to fail after ${name}`);
        return result;
      };
    },
  }) satisfies UnderStore;
}

test('a store that fails after it has renamed has renamed', async () => {
  const world = await prepared();
  const fails = {rename: false, stat: false};
  failing(world, fails);
  await world.life(async master => {
    const {inode} = await master.stat(bytes('/b/a'), {kind: 'file'}, context);
    fails.rename = true;
    assert.equal((await rename(master)).inode.id, inode.id);
    assert.deepEqual(await keys(master, '/b/', {view: 'children'}), ['z']);
  });
  assert.deepEqual(stored(world), ['z=A']);
});

test('a store that does not tell whether it has renamed is asked behind, and nobody else gets at the keys', async () => {
  const world = await prepared();
  const fails = {rename: false, stat: false};
  failing(world, fails);
  await world.life(async (master, {clock}) => {
    const source = await held(master, '/b/a');
    const replaced = await held(master, '/b/z');
    Object.assign(fails, {rename: true, stat: true});
    await assert.rejects(rename(master), {kind: 'Unavailable'});
    const [job] = await master.listJobs(context);
    assert.equal(job?.path, '/b/z');
    Object.assign(fails, {rename: false, stat: false});
    await clock.sleep(5_000);
    assert.deepEqual(await master.listJobs(context), []);
    assert.equal((await rename(master)).inode.id, source.inode.id);
    assert.equal(await readOf(master, await master.retain(replaced.inode.id, 'mount', context)), 'zz');
    assert.deepEqual(await keys(master, '/b/', {view: 'children'}), ['z']);
    await master.release(replaced.inode.id, 'mount', context);
    await clock.sleep(60_000);
  });
  assert.deepEqual(stored(world), ['z=A']);
});
