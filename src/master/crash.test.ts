/** A crash at every named point of every operation that has more than one step; then recovery, and the store and the namespace agree. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {bytes, context, keys, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import type {Capabilities} from '#understore/under-store.ts';

interface Operation {
  readonly name: string;
  /** Done before anything can crash. */
  readonly prepare?: (master: Master) => Promise<unknown>;
  /** What it has made of `initial`. */
  readonly before?: Readonly<Record<string, string>>;
  readonly run: (master: Master) => Promise<unknown>;
  /** Only stores that rename trees can. */
  readonly treesOnly?: true;
  /** Keys with contents after it; before it they are `initial`. */
  readonly after: Readonly<Record<string, string>>;
}

/** Written through Weir, which implies the directories. */
const implied: Readonly<Record<string, string>> = {'i/j/t/1': '1', 'i/j/t/2': '2'};
const initial: Readonly<Record<string, string>> = {'t/a': 'A', 't/d/b': 'B', 't/d/c': 'C', 'u/z': 'Z', ...implied};
const {'t/a': _a, ...withoutA} = initial;
const {'u/z': _z, ...withoutU} = initial;
const {'t/a': _ta, ...withoutBoth} = withoutU;
const {'i/j/t/1': _1, 'i/j/t/2': _2, ...withoutI} = initial;

const operations: readonly Operation[] = [
  {name: 'put a new key', run: master => put(master, '/b/n/new', 'N'), after: {...initial, 'n/new': 'N'}},
  {name: 'put over a key', run: master => put(master, '/b/t/a', 'A2'), after: {...initial, 't/a': 'A2'}},
  {name: 'delete a file', run: master => master.remove(bytes('/b/t/a'), {kind: 'file'}, context), after: withoutA},
  {name: 'rename a file', run: master => master.rename(bytes('/b/t/a'), bytes('/b/v/a'), {replace: false, kind: 'file'}, context), after: {...withoutA, 'v/a': 'A'}},
  {name: 'rename over a file', run: master => master.rename(bytes('/b/t/a'), bytes('/b/u/z'), {replace: true, kind: 'file'}, context), after: {...withoutA, 'u/z': 'A'}},
  {name: 'delete an open file', run: async master => whileOpen(master, '/b/t/a', async () => master.remove(bytes('/b/t/a'), {kind: 'file'}, context)), after: withoutA},
  {name: 'put over an open file', run: async master => whileOpen(master, '/b/t/a', async () => put(master, '/b/t/a', 'A2')), after: {...initial, 't/a': 'A2'}},
  {
    name: 'rename over an open file', after: {...withoutA, 'u/z': 'A'},
    run: async master => whileOpen(master, '/b/u/z', async () => master.rename(bytes('/b/t/a'), bytes('/b/u/z'), {replace: true, kind: 'file'}, context)),
  },
  {
    name: 'remove the first of two names', prepare: async master => master.link(bytes('/b/t/a'), bytes('/b/u/a2'), context), before: {...initial, 'u/a2': 'A'},
    run: async master => master.remove(bytes('/b/t/a'), {kind: 'file'}, context), after: {...withoutA, 'u/a2': 'A'},
  },
  {
    name: 'put over the first of two names', prepare: async master => master.link(bytes('/b/t/a'), bytes('/b/u/a2'), context), before: {...initial, 'u/a2': 'A'},
    run: async master => put(master, '/b/t/a', 'A2'), after: {...initial, 't/a': 'A2', 'u/a2': 'A'},
  },
  {
    name: 'rename a further name over a file', prepare: async master => master.link(bytes('/b/t/a'), bytes('/b/u/a2'), context), before: {...initial, 'u/a2': 'A'},
    run: async master => master.rename(bytes('/b/u/a2'), bytes('/b/u/z'), {replace: true, kind: 'file'}, context), after: {...initial, 'u/z': 'A'},
  },
  {
    name: 'remove a tree whose files have names elsewhere', prepare: async master => master.link(bytes('/b/t/a'), bytes('/b/u/a2'), context), before: {...initial, 'u/a2': 'A'},
    run: async master => master.remove(bytes('/b/t/'), {recursive: true}, context), after: {'u/z': 'Z', 'u/a2': 'A', ...implied},
  },
  {
    name: 'rename a tree whose files have names elsewhere', prepare: async master => master.link(bytes('/b/t/a'), bytes('/b/u/a2'), context), before: {...initial, 'u/a2': 'A'},
    run: async master => master.rename(bytes('/b/t/'), bytes('/b/w/'), {replace: false}, context), after: {'w/a': 'A', 'w/d/b': 'B', 'w/d/c': 'C', 'u/z': 'Z', 'u/a2': 'A', ...implied},
  },
  {name: 'rename a tree', run: master => master.rename(bytes('/b/t/'), bytes('/b/w/'), {replace: false}, context), after: {'w/a': 'A', 'w/d/b': 'B', 'w/d/c': 'C', 'u/z': 'Z', ...implied}},
  {name: 'exchange two files, rename a way', run: master => exchange(master, '/b/t/a', '/b/u/z'), after: {...initial, 't/a': 'Z', 'u/z': 'A'}},
  {
    name: 'exchange a file of two names with another', prepare: async master => master.link(bytes('/b/t/a'), bytes('/b/u/a2'), context), before: {...initial, 'u/a2': 'A'},
    run: async master => exchange(master, '/b/t/a', '/b/u/z'), after: {...initial, 't/a': 'Z', 'u/z': 'A', 'u/a2': 'A'},
  },
  {name: 'exchange two trees', run: master => exchange(master, '/b/t/', '/b/u/'), after: {'u/a': 'A', 'u/d/b': 'B', 'u/d/c': 'C', 't/z': 'Z', ...implied}, treesOnly: true},
  {
    name: 'exchange two trees whose files have names elsewhere', prepare: async master => master.link(bytes('/b/t/a'), bytes('/b/u/a2'), context), before: {...initial, 'u/a2': 'A'},
    run: async master => exchange(master, '/b/t/', '/b/u/'), after: {'u/a': 'A', 'u/d/b': 'B', 'u/d/c': 'C', 't/z': 'Z', 't/a2': 'A', ...implied}, treesOnly: true,
  },
  {name: 'exchange a file with a tree', run: master => exchange(master, '/b/t/a', '/b/u/'), after: {...withoutBoth, u: 'A', 't/a/z': 'Z'}, treesOnly: true},
  {name: 'remove a tree from a directory that only it implies', run: master => master.remove(bytes('/b/i/j/t/'), {recursive: true}, context), after: withoutI},
  {name: 'rename a tree out of a directory that only it implies', run: master => master.rename(bytes('/b/i/j/t/'), bytes('/b/w/'), {replace: false}, context), after: {...withoutI, 'w/1': '1', 'w/2': '2'}},
  {name: 'remove a tree', run: master => master.remove(bytes('/b/u/'), {recursive: true}, context), after: withoutU},
];

/** Until the work is done, and the file is read through what was opened: it still has the bytes that it had. */
async function whileOpen(master: Master, path: string, work: () => Promise<unknown>): Promise<void> {
  const {inode: {id}} = await master.stat(bytes(path), {kind: 'file'}, context);
  const before = await master.retain(id, 'test', context);
  await work();
  const {path: now, inode: {content}} = await master.retain(id, 'test', context);
  assert.equal(now, '');
  assert.equal(content!.id, before.inode.content!.id);
  const read = await master.stores.get(content!.mount).read(content!.storeKey, {ifFingerprint: content!.fingerprint}, context);
  assert.equal(Buffer.concat(await Array.fromAsync(read.body)).toString(), path.at(-1)!.toUpperCase());
  await master.release(id, 'test', context);
  await assert.rejects(master.retain(id, 'test', context), {kind: 'NotFound'});
}

function exchange(master: Master, from: string, to: string): Promise<unknown> {
  return master.rename(bytes(from), bytes(to), {replace: false, exchange: true}, context);
}

const stores: Readonly<Record<string, Partial<Capabilities>>> = {
  'that copies': {},
  'that renames files': {rename: 'file'},
  'with directories': {directories: true, recursiveList: false, rename: 'tree', metadata: false},
};

function contents(world: World): Record<string, string> {
  const {outside} = world.store('mem://bucket/');
  return Object.fromEntries(outside.keys().filter(key => !key.endsWith('/')).map(key => [key, Buffer.from(outside.bytes(key)!).toString()]));
}

async function seen(world: World, master: Master): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const key of await keys(master, '/b/', {view: 'tree'})) {
    if (key.endsWith('/')) continue;
    const {inode} = await master.stat(bytes(`/b/${key}`), {kind: 'file'}, context);
    const object = world.store('mem://bucket/').outside.object(inode.content!.storeKey);
    assert.equal(object?.fingerprint, inode.content!.fingerprint, `${key} is the version that the store has`);
    found[key] = Buffer.from(world.store('mem://bucket/').outside.bytes(inode.content!.storeKey)!).toString();
  }
  return found;
}

async function prepare(capabilities: Partial<Capabilities>, operation: Operation): Promise<World> {
  const world = new World(7);
  const bucket = world.store('mem://bucket/', capabilities);
  for (const [key, body] of Object.entries(initial)) if (!(key in implied)) bucket.outside.put(bytes(key), Buffer.from(body));
  if (capabilities.directories) for (const key of ['t/', 't/d/', 'u/', 'v/', 'n/']) bucket.outside.put(bytes(key), Buffer.alloc(0));
  await world.life(async master => {
    // Where nothing is ever asked again, a crash between store and commit must still come to light.
    await mountBucket(master, capabilities.directories ? 'immutable' : 'maxAge=60s');
    for (const [key, body] of Object.entries(implied)) await put(master, `/b/${key}`, body);
    await operation.prepare?.(master);
    await seen(world, master);
  });
  return world;
}

async function run(world: World, operation: Operation): Promise<'done' | 'crashed'> {
  let acknowledged = false;
  try {
    await world.life(async (master, runtime) => {
      await operation.run(master);
      acknowledged = true;
      await runtime.clock.sleep(5_000);
    });
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  }
  return acknowledged ? 'done' : 'crashed';
}

for (const [kind, capabilities] of Object.entries(stores)) {
  for (const operation of operations) {
    // What a store's abilities do not matter for is tried on one kind.
    if (operation.treesOnly && capabilities.rename !== 'tree') continue;
    if (kind === 'that renames files' && !/tree|rename a|open|names/.test(operation.name)) continue;
    test(`${operation.name}, on a store ${kind}, whatever the moment of a crash`, async () => {
      const {before: initialState = initial} = operation;
      const rehearsal = await prepare(capabilities, operation);
      const before = new Map(rehearsal.simulation.pointsHit);
      assert.equal(await run(rehearsal, operation), 'done');
      agree(operation.after, contents(rehearsal), operation, 'rehearsal');
      for (const [point, hits] of rehearsal.simulation.pointsHit) {
        const count = hits - (before.get(point) ?? 0);
        if (!/^(master|journal)/.test(point)) continue;
        for (let hit = 1; hit <= Math.min(count, point.startsWith('master.') ? 4 : 1); hit++) {
          const world = await prepare(capabilities, operation);
          world.simulation.crashAt(point, hit);
          const outcome = await run(world, operation);
          const where = `${point}, hit ${hit}, ${outcome}`;
          await world.life(async (master, runtime) => {
            // A listing that begins at once must not be wrong, whatever jobs do meanwhile: one name of everything, never both or none.
            const atOnce = (await keys(master, '/b/', {view: 'tree'})).filter(key => !key.endsWith('/'));
            assert.ok([initialState, operation.after].some(state => Object.keys(state).toSorted().join() === atOnce.join()), `${where}: at once ${atOnce.join()}`);
            await runtime.clock.sleep(180_000);
            assert.deepEqual(await master.listJobs(context), [], where);
            const namespace = await seen(world, master);
            agree(namespace, contents(world), operation, where);
            const allowed = outcome === 'done' ? [operation.after] : [initialState, operation.after];
            const left = world.store('mem://bucket/').outside.keys().filter(key => key.startsWith('i/') && key.endsWith('/'));
            if (/implies/.test(operation.name) && !('i/j/t/1' in namespace)) assert.deepEqual(left, [], `${where}: empty directories stay in the store`);
            assert.ok(allowed.some(state => isSame(state, namespace)), `${where}: ${JSON.stringify(namespace)}`);
          });
        }
      }
    });
  }
}

/** The namespace is what the store has; of a file with several names the store has one. */
function agree(namespace: Readonly<Record<string, string>>, store: Readonly<Record<string, string>>, {prepare: links}: Operation, where: string): void {
  if (!links) return assert.deepEqual(store, namespace, `${where}: the namespace is what the store has`);
  for (const [key, text] of Object.entries(store)) assert.equal(namespace[key], text, `${where}: ${key}`);
  assert.deepEqual(Object.values(store).toSorted(), [...new Set(Object.values(namespace))].toSorted(), `${where}: each file is in the store once`);
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  return Object.keys(a).length === Object.keys(b).length && Object.keys(a).every(key => a[key] === b[key]);
}
