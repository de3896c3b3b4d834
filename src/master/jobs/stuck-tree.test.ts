/** A store that cannot follow the rename of a tree, again and again: who needs it is told, and what waits goes on when it can. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import {bytes, context, mountBucket, put, putBehind, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';

interface Scene {
  readonly world: World;
  readonly outside: ReturnType<World['store']>['outside'];
  readonly faults: Faults;
  readonly master: Master;
  readonly runtime: Runtime;
}

/** `/b/d/f` lies in a store that can copy nothing. */
async function scene(fn: (scene: Scene) => Promise<void>): Promise<void> {
  const world = new World();
  const {outside} = world.store('mem://bucket/');
  const faults = new Faults();
  await world.life(async (master, runtime) => {
    world.wrap = store => withFaults(store, runtime.clock, faults);
    await mountBucket(master);
    await put(master, '/b/d/f', 'moved');
    faults.add({call: 'copy', times: Infinity, error: () => new WeirError('PermissionDenied', 'this may not be copied')});
    await fn({world, outside, faults, master, runtime});
  });
}

test('who needs a tree that cannot move is told so, for as long as it cannot', () => scene(async ({world, outside, faults, master, runtime}) => {
  await master.rename(bytes('/b/d/'), bytes('/b/e/'), {kind: 'directory', replace: false}, context);
  await putBehind(world, master, '/b/other', 'goes on');
  const begun = runtime.clock.monotonicMs();
  const refused = async (): Promise<void> => await assert.rejects(put(master, '/b/e/f', 'new'), error => isKind(error, 'Unavailable') && /may not be copied/.test((error as Error).message));
  await refused();
  assert.ok(runtime.clock.monotonicMs() - begun < 60_000);
  await runtime.clock.sleep(600_000);
  await refused();
  assert.match((await master.explain(bytes('/b/e/f'), {}, context)).reason, /MOVING.*failed.*may not be copied/);
  assert.deepEqual((await master.listJobs(context)).map(({state, lastError}) => [state, lastError]), [['failed', 'this may not be copied']]);
  assert.equal(outside.bytes(bytes('other'))?.length, 7);
  faults.clear();
  await runtime.clock.sleep(120_000);
  await put(master, '/b/e/f', 'new');
  assert.deepEqual(outside.keys().filter(key => !key.endsWith('/')), ['e/f', 'other']);
}));

test('what is pending in a tree that cannot move says why it waits', () => scene(async ({world, outside, faults, master, runtime}) => {
  faults.add({call: 'write', times: 1, error: () => new WeirError('Unavailable', 'not now')});
  await putBehind(world, master, '/b/d/pending', 'waits');
  await master.rename(bytes('/b/d/'), bytes('/b/e/'), {kind: 'directory', replace: false}, context);
  await runtime.clock.sleep(60_000);
  const {entries: [entry]} = await master.listPending({path: bytes('/b/'), limit: 10}, context);
  assert.deepEqual([entry?.path, entry?.lastError], ['/b/e/pending', 'this may not be copied']);
  faults.clear();
  await runtime.clock.sleep(180_000);
  assert.deepEqual(outside.keys().filter(key => !key.endsWith('/')), ['e/f', 'e/pending']);
}));
