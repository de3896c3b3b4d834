/** Files with several names beside a simple model; at every moment the store has each file once, under one of its names, and in the end under its first. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {type ErrorKind, WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, putBehind, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';
import type {Capabilities} from '#understore/under-store.ts';

const directoryStore: Partial<Capabilities> = {directories: true, recursiveList: false, rename: 'tree', metadata: false};
const stored = (world: World): Map<string, string> => {
  const {outside} = world.store('mem://bucket/');
  return new Map(outside.keys().filter(key => !key.endsWith('/')).map(key => [key, Buffer.from(outside.bytes(key)!).toString()]));
};

/** Text by name, read where the namespace says. */
async function seen(master: Master): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const key of await keys(master, '/b/', {view: 'tree'})) {
    if (key.endsWith('/')) continue;
    const {inode} = await master.stat(bytes(`/b/${key}`), {kind: 'file'}, context);
    const {mount, storeKey, fingerprint} = inode.content!;
    const read = await master.stores.get(mount).read(storeKey, {ifFingerprint: fingerprint}, context);
    found.set(key, Buffer.concat(await Array.fromAsync(read.body)).toString());
  }
  return found;
}

interface Step {
  readonly what: 'put' | 'link' | 'remove' | 'rename' | 'exchange' | 'exchange trees' | 'rename tree' | 'remove tree' | 'refresh';
  readonly name: string;
  readonly other: string;
}

const name = fc.constantFrom('a', 'b', 'd/a', 'd/b', 'e/a');
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('put', 'put', 'put', 'link', 'link', 'link', 'link', 'remove', 'rename', 'rename', 'exchange', 'exchange trees', 'rename tree', 'remove tree', 'refresh'), name, other: name,
});

async function refused(kinds: readonly ErrorKind[], work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return false;
  } catch (error) {
    if (error instanceof WeirError && kinds.includes(error.kind)) return true;
    throw error;
  }
}

test('random links, renames, removals and writes', {timeout: 120_000}, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, {minLength: 20, maxLength: 40, size: 'max'}), fc.boolean(), async (steps, directories) => {
    const world = new World(4);
    world.store('mem://bucket/', directories ? directoryStore : {});
    await world.life(async (master, {clock}) => {
      await mountBucket(master, 'always');
      for (const directory of ['d', 'e']) await master.makeDirectory(bytes(`/b/${directory}`), {}, context);
      // Names to files; a file is an object of its own.
      let names = new Map<string, {text: string}>();
      for (const [i, {what, name: from, other}] of steps.entries()) {
        const file = names.get(from);
        const [path, target] = [bytes(`/b/${from}`), bytes(`/b/${other}`)];
        const haveParents = await refused(['NotFound'], async () => master.stat(bytes(`/b/${other.includes('/') ? `${other[0]}/` : ''}`), {kind: 'directory'}, context)) === false;
        if (what === 'put') {
          await put(master, `/b/${from}`, `text ${i}`);
          names.set(from, {text: `text ${i}`});
        } else if (what === 'refresh') {
          await master.refresh(bytes('/b/'), context);
        } else if (what === 'rename tree') {
          if (await refused(['NotFound', 'AlreadyExists', 'DirectoryNotEmpty'], async () => master.rename(bytes('/b/d/'), bytes('/b/e/'), {replace: true}, context))) continue;
          names = new Map(Array.from(names, ([key, each]) => [key.startsWith('d/') ? `e${key.slice(1)}` : key, each]));
        } else if (what === 'exchange trees') {
          const swap = async (): Promise<unknown> => master.rename(bytes('/b/d/'), bytes('/b/e/'), {replace: false, exchange: true}, context);
          if (await refused(directories ? ['NotFound'] : ['NotFound', 'InvalidArgument'], swap)) continue;
          names = new Map(Array.from(names, ([key, each]) => [key.replace(/^[de]\//, top => (top === 'd/' ? 'e/' : 'd/')), each]));
        } else if (what === 'remove tree') {
          const directory = `${from[0] === 'd' ? 'd' : 'e'}/`;
          if (await refused(['NotFound'], async () => master.remove(bytes(`/b/${directory}`), {recursive: true}, context))) continue;
          for (const key of [...names.keys()].filter(each => each.startsWith(directory))) names.delete(key);
        } else if (!file) continue;
        else if (what === 'remove') {
          await master.remove(path, {kind: 'file'}, context);
          names.delete(from);
        } else if (what === 'link') {
          const no = await refused(['AlreadyExists', 'NotFound'], async () => master.link(path, target, context));
          assert.equal(no, names.has(other) || !haveParents, `step ${i}`);
          if (!no) names.set(other, file);
        } else if (what === 'exchange') {
          const swapped = names.get(other);
          const no = await refused(['NotFound'], async () => master.rename(path, target, {replace: false, exchange: true}, context));
          assert.equal(no, swapped === undefined, `step ${i}`);
          if (!swapped) continue;
          names.set(from, swapped);
          names.set(other, file);
        } else if (from !== other && haveParents) {
          await master.rename(path, target, {replace: true, kind: 'file'}, context);
          if (names.get(other) === file) continue;
          names.delete(from);
          names.set(other, file);
        }
        const expected = Object.fromEntries(Array.from(names, ([key, {text}]) => [key, text]));
        assert.deepEqual(Object.fromEntries(await seen(master)), expected, `step ${i}`);
        for (const key of names.keys()) {
          const {inode} = await master.stat(bytes(`/b/${key}`), {kind: 'file'}, context);
          assert.equal(inode.links ?? 1, [...names.values()].filter(each => each === names.get(key)).length, `links of ${key} at step ${i}`);
        }
      }
      await clock.sleep(10_000);
      assert.deepEqual(await master.listJobs(context), []);
      const left = stored(world);
      assert.deepEqual([...left.values()].toSorted(), [...new Set(names.values())].map(each => each.text).toSorted(), 'each file is in the store once');
      for (const [key, text] of left) assert.equal(names.get(key)?.text, text, `${key} is one of its names`);
    });
  }), {numRuns: 60});
});

test('what happens to the object happens to the file, whatever its name; an object under another of its names takes that', async () => {
  const world = new World(5);
  const {outside} = world.store('mem://bucket/');
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'always');
    await put(master, '/b/first', 'one');
    for (const further of ['second', 'third']) await master.link(bytes('/b/first'), bytes(`/b/${further}`), context);
    assert.deepEqual([...stored(world)], [['first', 'one']]);
    assert.deepEqual(await master.usage(bytes('/b/'), context), {files: 3, directories: 1, bytes: 3});
    await clock.sleep(10);
    outside.put(bytes('first'), Buffer.from('two'));
    await clock.sleep(10);
    assert.deepEqual([...(await seen(master))], [['first', 'two'], ['second', 'two'], ['third', 'two']]);
    outside.put(bytes('second'), Buffer.from('own'));
    await clock.sleep(10);
    assert.deepEqual([...(await seen(master))], [['first', 'two'], ['second', 'own'], ['third', 'two']]);
    // One of two names of an open file goes: it stays where it is, and is no orphan.
    const {inode: {id}} = await master.stat(bytes('/b/first'), {kind: 'file'}, context);
    await master.retain(id, 'test', context);
    await master.remove(bytes('/b/first'), {kind: 'file'}, context);
    const left = await master.retain(id, 'test', context);
    assert.equal(left.path, '/b/third');
    assert.ok(left.inode.ctime > left.inode.mtime, 'losing a name changes its attributes');
    assert.equal(stored(world).get('third'), 'two');
    await master.release(id, 'test', context);
    await clock.sleep(10);
    outside.remove(bytes('third'));
    await clock.sleep(10);
    await assert.rejects(master.stat(bytes('/b/third'), {kind: 'file'}, context), {kind: 'NotFound'});
  });
});

test('what cannot have several names is refused', async () => {
  const world = new World(5);
  world.store('mem://bucket/');
  world.store('mem://other/');
  await world.life(async master => {
    await mountBucket(master);
    await mountBucket(master, 'maxAge=60s', '/o', 'mem://other/');
    await put(master, '/b/d/file', 'x');
    await master.makeSymlink(bytes('/b/d/symlink'), bytes('file'), context);
    const refusal = async (from: string, to: string, kind: ErrorKind): Promise<void> => assert.rejects(master.link(bytes(from), bytes(to), context), {kind});
    await refusal('/b/d', '/b/e', 'PermissionDenied');
    await refusal('/b/d/none', '/b/d/again', 'NotFound');
    await refusal('/b/d/file', '/b/d/symlink', 'AlreadyExists');
    await refusal('/b/d/file', '/b/none/file', 'NotFound');
    await refusal('/b/d/file', '/o/file', 'CrossMount');
    assert.deepEqual([...stored(world)], [['d/file', 'x']]);
  });
});

test('where versions are kept a file has one name, however it comes there', async () => {
  const world = new World();
  world.store('mem://bucket/', directoryStore);
  await world.life(async (master) => {
    await mountBucket(master, 'maxAge=60s', '/m');
    const refused = async (call: Promise<unknown>, kind: ErrorKind): Promise<void> => await assert.rejects(call, {kind});
    const enable = (): Promise<unknown> => master.setSetting(bytes('/m/'), 'versioning', 'Enabled', context);
    await master.makeDirectory(bytes('/m/d/'), {}, context);
    await put(master, '/m/a', 'shared');
    await master.link(bytes('/m/a'), bytes('/m/d/b'), context);
    await refused(enable(), 'Conflict');
    await master.remove(bytes('/m/a'), {kind: 'file'}, context);
    await enable();
    await refused(master.link(bytes('/m/d/b'), bytes('/m/a'), context), 'Unsupported');
  });
  // Of one mount, two directories of the root.
  await new World().life(async (master) => {
    for (const name of ['plain', 'plain/d', 'kept']) await master.makeDirectory(bytes(`/${name}/`), {}, context);
    await master.setSetting(bytes('/kept/'), 'versioning', 'Enabled', context);
    await put(master, '/plain/d/a', 'shared');
    await master.link(bytes('/plain/d/a'), bytes('/plain/b'), context);
    for (const [from, to, kind] of [['plain/b', 'kept/b', 'file'], ['plain/d/a', 'kept/b', 'file'], ['plain/d/', 'kept/d/', 'directory']] as const) {
      await assert.rejects(master.rename(bytes(`/${from}`), bytes(`/${to}`), {replace: true, kind}, context), {kind: 'Unsupported'});
    }
    await master.remove(bytes('/plain/b'), {kind: 'file'}, context);
    await master.rename(bytes('/plain/d/'), bytes('/kept/d/'), {replace: true, kind: 'directory'}, context);
    assert.deepEqual(await keys(master, '/kept/', {}), ['d/a']);
  });
});

const stores = [['renames', directoryStore], ['copies', {}]] as const;
for (const [kind, capabilities] of stores) test(`a symbolic link takes the place of a file and leaves nothing of it in a store that ${kind}; renamed, it stays`, async () => {
  const world = new World();
  const {outside} = world.store('mem://bucket/', capabilities);
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await put(master, '/b/d/file', 'replaced');
    await put(master, '/b/d/pending', 'as it was');
    await putBehind(world, master, '/b/d/pending', 'replaced');
    for (const name of ['file', 'pending']) {
      await master.makeSymlink(bytes(`/b/d/link to ${name}`), bytes('target'), context);
      await master.rename(bytes(`/b/d/link to ${name}`), bytes(`/b/d/${name}`), {kind: 'file', replace: true}, context);
      await master.rename(bytes(`/b/d/${name}`), bytes(`/b/d/moved ${name}`), {kind: 'file', replace: true}, context);
    }
    await runtime.clock.sleep(61_000);
    assert.deepEqual((await keys(master, '/b/d/')).toSorted(), ['moved file', 'moved pending']);
    await master.refresh(bytes('/b/d'), context);
    assert.deepEqual((await keys(master, '/b/d/')).toSorted(), ['moved file', 'moved pending']);
    for (const name of ['file', 'pending']) assert.equal((await master.stat(bytes(`/b/d/moved ${name}`), {kind: 'file'}, context)).inode.target, 'target');
    assert.deepEqual(outside.keys().filter(key => !key.endsWith('/')), []);
  });
});

test('a symbolic link that was exchanged with a file is still there when its store is asked', async () => {
  const world = new World();
  world.store('mem://bucket/', directoryStore);
  await world.life(async master => {
    await mountBucket(master);
    await put(master, '/b/file', 'x');
    await master.makeSymlink(bytes('/b/link'), bytes('target'), context);
    await master.rename(bytes('/b/file'), bytes('/b/link'), {kind: 'file', replace: false, exchange: true}, context);
    await master.refresh(bytes('/b/'), context);
    assert.deepEqual(await keys(master, '/b/'), ['file', 'link']);
    assert.equal((await master.stat(bytes('/b/file'), {kind: 'file'}, context)).inode.target, 'target');
    assert.deepEqual([...stored(world)], [['link', 'x']]);
  });
});

test('a pending file of several names comes to its store also when one of them gets another file', async () => {
  for (const name of ['b', 'a']) {
    const world = new World();
    world.store('mem://bucket/', directoryStore);
    await world.life(async (master, runtime) => {
      const faults = new Faults();
      world.wrap = store => withFaults(store, runtime.clock, faults);
      await mountBucket(master);
      faults.add({call: 'write', times: 2, error: () => new WeirError('Unavailable', 'not now')});
      await putBehind(world, master, '/b/a', 'first');
      await master.link(bytes('/b/a'), bytes('/b/b'), context);
      await putBehind(world, master, `/b/${name}`, 'second');
      const both = new Map([['a', 'first'], ['b', 'first'], [name, 'second']]);
      await runtime.clock.sleep(60_000);
      assert.deepEqual(await seen(master), both);
      assert.deepEqual(stored(world), both);
    });
  }
});
