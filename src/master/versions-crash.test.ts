/**
 * Versioned keys, and a crash at every named point of every change to them: afterwards each version has its bytes where the namespace says,
 * nothing of an unacknowledged change is half there, and no bytes lie in Weir's folder that no version owns.
 */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {bytes, context, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import type {Capabilities} from '#understore/under-store.ts';
import {versionIdOf} from '#model/version.ts';

/** Of each key its versions as their bytes, the newest first; `-` is a delete marker; a leading `>` is current. */
type State = Readonly<Record<string, readonly string[]>>;

interface Operation {
  readonly name: string;
  readonly run: (master: Master) => Promise<unknown>;
  readonly after: State;
}

const initial: State = {a: ['>A2', 'A1'], gone: ['-', 'G1'], d: ['>D1']};
const versionOf = async (master: Master, key: string, index: number): Promise<string> => {
  const {entries} = await master.listVersions({directory: bytes('/b/'), prefix: bytes(key), limit: 100}, context);
  const entry = entries[index]!;
  assert.ok('info' in entry);
  return versionIdOf(entry.info.inode);
};
const removeAt = (key: string, index: number) => async (master: Master): Promise<unknown> => master.remove(bytes(`/b/${key}`), {kind: 'file', version: await versionOf(master, key, index)}, context);

const operations: readonly Operation[] = [
  {name: 'put over a version', run: master => put(master, '/b/a', 'A3'), after: {...initial, a: ['>A3', 'A2', 'A1']}},
  {name: 'put over a delete marker', run: master => put(master, '/b/gone', 'G2'), after: {...initial, gone: ['>G2', '-', 'G1']}},
  {name: 'delete a key', run: master => master.remove(bytes('/b/a'), {kind: 'file'}, context), after: {...initial, a: ['-', 'A2', 'A1']}},
  {name: 'delete a key that is not there', run: master => master.remove(bytes('/b/no'), {kind: 'file', deleteMarker: true}, context), after: {...initial, no: ['-']}},
  {name: 'remove the current version', run: removeAt('a', 0), after: {...initial, a: ['>A1']}},
  {name: 'remove the only version', run: removeAt('d', 0), after: {a: initial['a']!, gone: initial['gone']!}},
  {name: 'remove an old version', run: removeAt('a', 1), after: {...initial, a: ['>A2']}},
  {name: 'remove the delete marker', run: removeAt('gone', 0), after: {...initial, gone: ['>G1']}},
];

const stores: Readonly<Record<string, Partial<Capabilities>>> = {
  'that copies': {},
  'that renames': {directories: true, recursiveList: false, rename: 'tree', metadata: false},
};

async function seen(world: World, master: Master): Promise<State> {
  const {outside} = world.store('mem://bucket/');
  const found: Record<string, string[]> = {};
  const places = new Set<string>();
  const {entries} = await master.listVersions({directory: bytes('/b/'), limit: 1000}, context);
  for (const entry of entries) {
    assert.ok('info' in entry);
    const {inode, deleteMarker} = entry.info;
    if (inode.kind === 'directory') continue;
    const {content} = inode;
    assert.equal(content === undefined, deleteMarker === true);
    if (content) {
      assert.equal(outside.object(content.storeKey)?.fingerprint, content.fingerprint, `${entry.key} lies at ${content.storeKey}`);
      assert.ok(!places.has(content.storeKey), `${content.storeKey} belongs to one version`);
      places.add(content.storeKey);
    }
    const current = entry.latest && content !== undefined;
    if (current) assert.equal(content?.storeKey, entry.key, 'what is current lies at its key');
    (found[entry.key] ??= []).push(`${current ? '>' : ''}${content ? Buffer.from(outside.bytes(content.storeKey)!).toString() : '-'}`);
  }
  const stored = outside.keys().filter(key => !key.endsWith('/'));
  assert.deepEqual(new Set(stored), places, 'the store has what the versions are, and nothing else');
  return found;
}

async function prepare(capabilities: Partial<Capabilities>): Promise<World> {
  const world = new World(11);
  world.store('mem://bucket/', capabilities);
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
    for (const [key, body] of [['a', 'A1'], ['a', 'A2'], ['gone', 'G1'], ['d', 'D1']] as const) await put(master, `/b/${key}`, body);
    await master.remove(bytes('/b/gone'), {kind: 'file'}, context);
    await clock.sleep(10_000);
    assert.deepEqual(await seen(world, master), initial);
  });
  return world;
}

async function run(world: World, operation: Operation): Promise<'done' | 'crashed'> {
  let acknowledged = false;
  try {
    await world.life(async (master, {clock}) => {
      await operation.run(master);
      acknowledged = true;
      await clock.sleep(5_000);
    });
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error;
  }
  return acknowledged ? 'done' : 'crashed';
}

for (const [kind, capabilities] of Object.entries(stores)) {
  for (const operation of operations) {
    test(`${operation.name}, on a store ${kind}, whatever the moment of a crash`, async () => {
      const rehearsal = await prepare(capabilities);
      const before = new Map(rehearsal.simulation.pointsHit);
      assert.equal(await run(rehearsal, operation), 'done');
      await rehearsal.life(async master => assert.deepEqual(await seen(rehearsal, master), operation.after));
      for (const [point, hits] of rehearsal.simulation.pointsHit) {
        const count = hits - (before.get(point) ?? 0);
        if (!/^(master|journal)/.test(point)) continue;
        for (let hit = 1; hit <= Math.min(count, point.startsWith('master.') ? 4 : 2); hit++) {
          const world = await prepare(capabilities);
          world.simulation.crashAt(point, hit);
          const outcome = await run(world, operation);
          const where = `${point}, hit ${hit}, ${outcome}`;
          await world.life(async (master, {clock}) => {
            await master.listVersions({directory: bytes('/b/'), limit: 1000}, context);
            await clock.sleep(180_000);
            assert.deepEqual(await master.listJobs(context), [], where);
            await master.refresh(bytes('/b/'), context);
            const state = await seen(world, master);
            const allowed = outcome === 'done' ? [operation.after] : [initial, operation.after];
            assert.ok(allowed.some(one => JSON.stringify(sorted(one)) === JSON.stringify(sorted(state))), `${where}: ${JSON.stringify(state)}`);
          });
        }
      }
    });
  }
}

const sorted = (state: State): [string, readonly string[]][] => Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1));
