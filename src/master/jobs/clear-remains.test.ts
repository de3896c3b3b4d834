/** A tree that is renamed to where its store has something of which the namespace knows nothing. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {bytes, context, mountBucket, put, World} from '#master/fixture.test.ts';
import {type StoreCall, StoreLayer} from '#understore/layers/layer.ts';
import type {StoreCallOptions, UnderStore} from '#understore/under-store.ts';

class BeforeRename extends StoreLayer {
  readonly #before: () => void;

  constructor(inner: UnderStore, before: () => void) {
    super(inner);
    this.#before = before;
  }

  protected override around<T>(call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    if (call.name === 'rename') this.#before();
    return run(options);
  }
}

/** Renames `d/` to `e/`, in which the store has `left` by then. */
async function renamedOver(left: readonly string[]): Promise<{readonly keys: readonly string[]; readonly failure: string | undefined}> {
  const world = new World();
  const {outside} = world.store('mem://bucket/', {rename: 'tree', directories: true, recursiveList: false, metadata: false});
  let failure: string | undefined;
  let unseen = left;
  world.wrap = (store) => new BeforeRename(store, () => {
    for (const key of unseen) outside.put(bytes(key), Buffer.from(key.endsWith('/') ? '' : 'of others'));
    unseen = [];
  });
  await world.life(async (master, runtime) => {
    await mountBucket(master, 'immutable');
    await put(master, '/b/d/f', 'moved');
    const renamed = master.rename(bytes('/b/d/'), bytes('/b/e/'), {kind: 'directory', replace: false}, context);
    await Promise.race([renamed.catch(() => undefined), runtime.clock.sleep(10_000)]);
    failure = (await master.listJobs(context)).find(({lastError}) => lastError !== undefined)?.lastError;
  });
  return {keys: outside.keys(), failure};
}

test('empty directories that a store has kept do not stand in the way of a tree', async () => {
  for (const left of [['e/'], ['e/', 'e/s/'], ['e/', 'e/s/', 'e/s/t/', 'e/u/']]) {
    assert.deepEqual(await renamedOver(left), {keys: ['e/', 'e/f'], failure: undefined}, left.join(' '));
  }
});

test('what others have put there stays, and the tree waits', async () => {
  const left = ['e/', 'e/s/', 'e/s/other', 'e/u/'];
  const {keys, failure} = await renamedOver(left);
  for (const key of [...left, 'd/f']) assert.ok(keys.includes(key), key);
  assert.match(failure ?? '', /not empty/);
});
