/** Files that are open keep their bytes, whatever happens to their names, until the last holder lets go; then nothing of them stays. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import type {InodeId} from '#base/ids.ts';
import {bytes, context, keys, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Content} from '#model/content.ts';
import type {Capabilities} from '#understore/under-store.ts';

const directoryStore: Partial<Capabilities> = {directories: true, recursiveList: false, rename: 'tree', metadata: false};
const idOf = async (master: Master, path: string): Promise<InodeId> => (await master.stat(bytes(path), {kind: 'file'}, context)).inode.id;
const stored = (world: World): string[] => world.store('mem://bucket/').outside.keys().filter(key => !key.endsWith('/'));

async function textOf(master: Master, {mount, storeKey, fingerprint}: Content): Promise<string> {
  const read = await master.stores.get(mount).read(storeKey, {ifFingerprint: fingerprint}, context);
  return Buffer.concat(await Array.fromAsync(read.body)).toString();
}

interface Step {
  readonly what: 'put' | 'remove' | 'rename' | 'retain' | 'release';
  readonly name: string;
  readonly other: string;
  readonly holder: string;
  /** On the spot, where that is possible. */
  readonly now: boolean;
}

const name = fc.constantFrom('a', 'b', 'c');
const step: fc.Arbitrary<Step> = fc.record({what: fc.constantFrom('put', 'put', 'remove', 'rename', 'retain', 'retain', 'release'), name, other: name, holder: fc.constantFrom('x', 'y'), now: fc.boolean()});

test('who opens a file that is about to be replaced waits for that', async () => {
  const world = new World();
  world.store('mem://bucket/');
  await world.life(async master => {
    await mountBucket(master);
    await put(master, '/b/file', 'first');
    const id = await idOf(master, '/b/file');
    const ticket = await master.beginWrite(bytes('/b/file'), {}, context);
    const write = await master.stores.get(ticket.mount).write({key: ticket.storeKey, metadata: {}}, context);
    await write.write(Buffer.from('second'));
    await master.prepareCommit(ticket, context);
    assert.equal(master.retainNow(id, 'mount'), undefined);
    const opening = assert.rejects(master.retain(id, 'mount', context), {kind: 'NotFound'}, 'its bytes would go with the next step');
    const object = await write.finish();
    await master.commitWrite(ticket, {...object, mtime: object.modified}, context);
    await opening;
    assert.equal((await master.retain(await idOf(master, '/b/file'), 'mount', context)).length, 6);
  });
});

test('random names come and go over open files', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, {maxLength: 25}), fc.boolean(), async (steps, directories) => {
    const world = new World(4);
    world.store('mem://bucket/', directories ? directoryStore : {});
    await world.life(async (master, {clock}) => {
      await mountBucket(master);
      const names = new Map<string, {id: InodeId; text: string}>();
      const held = new Map<string, {id: InodeId; text: string}>();
      for (const [i, {what, name: from, other, holder, now}] of steps.entries()) {
        const file = names.get(from);
        if (what === 'put') {
          await put(master, `/b/${from}`, `text ${i}`);
          names.set(from, {id: await idOf(master, `/b/${from}`), text: `text ${i}`});
        } else if (what === 'release') {
          for (const [key, {id}] of held) if (key.startsWith(holder) && !(now && master.releaseNow(id, holder))) await master.release(id, holder, context);
          for (const key of held.keys()) if (key.startsWith(holder)) held.delete(key);
        } else if (!file) continue;
        else if (what === 'remove') {
          await master.remove(bytes(`/b/${from}`), {kind: 'file'}, context);
          names.delete(from);
        } else if (what === 'retain') {
          if (!now || !master.retainNow(file.id, holder)) await master.retain(file.id, holder, context);
          held.set(`${holder} ${file.id}`, file);
        } else if (from !== other) {
          await master.rename(bytes(`/b/${from}`), bytes(`/b/${other}`), {replace: true, kind: 'file'}, context);
          names.delete(from);
          names.set(other, file);
        }
        for (const {id, text} of held.values()) {
          const info = await master.retain(id, [...held.entries()].find(([, each]) => each.id === id)![0].slice(0, 1), context);
          assert.equal(await textOf(master, info.inode.content!), text, `step ${i}`);
          assert.equal(info.path === '', ![...names.values()].some(each => each.id === id));
        }
      }
      for (const holder of ['x', 'y']) await master.hold(holder, [], context);
      await clock.sleep(10_000);
      assert.deepEqual(stored(world), [...names.keys()].toSorted(), 'nothing of what was open stays in the store');
      assert.deepEqual((await keys(master, '/b/')).toSorted(), [...names.keys()].toSorted());
      assert.equal((await master.usage(bytes('/b/'), context)).files, names.size);
    });
  }), {numRuns: 60});
});

test('a start clears away what nobody comes back for', async () => {
  const world = new World(6);
  world.store('mem://bucket/');
  let [kept, lost]: InodeId[] = [];
  await world.life(async master => {
    await mountBucket(master);
    for (const key of ['kept', 'lost', 'named']) await put(master, `/b/${key}`, key);
    [kept, lost] = [await idOf(master, '/b/kept'), await idOf(master, '/b/lost')];
    await master.hold('mount', [kept, lost, await idOf(master, '/b/named')], context);
    await master.retain(kept, 'other', context);
    for (const key of ['kept', 'lost']) await master.remove(bytes(`/b/${key}`), {kind: 'file'}, context);
    assert.equal(stored(world).length, 3);
  });
  world.returning = ['mount'];
  await world.life(async (master, {clock}) => {
    // It comes back, and has only one of them still open.
    await master.hold('mount', [kept!], context);
    await clock.sleep(10_000);
    assert.equal(await textOf(master, (await master.retain(kept!, 'mount', context)).inode.content!), 'kept');
    await assert.rejects(master.retain(lost!, 'mount', context), {kind: 'NotFound'});
    assert.equal(stored(world).length, 2);
  });
  world.returning = [];
  await world.life(async (master, {clock}) => {
    await clock.sleep(10_000);
    await assert.rejects(master.retain(kept!, 'mount', context), {kind: 'NotFound'});
    assert.deepEqual(stored(world), ['named']);
  });
});

test('what went from the store by other hands, or with a whole tree, is an orphan all the same', async () => {
  const world = new World(6);
  const bucket = world.store('mem://bucket/');
  await world.life(async (master, {clock}) => {
    await mountBucket(master, 'always');
    for (const key of ['x', 't/y']) await put(master, `/b/${key}`, key);
    const ids = [await idOf(master, '/b/x'), await idOf(master, '/b/t/y')];
    await master.hold('mount', ids, context);
    await clock.sleep(10);
    bucket.outside.remove(bytes('x'));
    await assert.rejects(master.stat(bytes('/b/x'), {kind: 'file'}, context), {kind: 'NotFound'});
    await master.remove(bytes('/b/t/'), {recursive: true}, context);
    await clock.sleep(5_000);
    for (const id of ids) assert.equal((await master.retain(id, 'mount', context)).path, '');
    assert.deepEqual(world.dropped, [], 'what is cached of them stays');
    await master.hold('mount', [], context);
    await clock.sleep(5_000);
    assert.equal(world.dropped.length, 2);
    assert.deepEqual(stored(world), []);
  });
});
