/** What pending files may still need is kept until it is certain that they do not: single sequences, found by persist-model.test.ts. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, putBehind, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import type {Capabilities, StoreListPage, StoreObject, StoreWrite, UnderStore} from '#understore/under-store.ts';

/** Fails before or behind what it passes on. */
class Trouble {
  /** Of calls, by name. */
  readonly refuses = new Set<string>();
  /** What becomes of the end of a write. */
  finish: 'comes to nothing' | 'is not answered' | 'is well' = 'is well';
  finishes = 0;
  /** Keys of objects that have another mark since, as files on a disk have. */
  readonly renamed = new Set<unknown>();
  wrap = (store: UnderStore): UnderStore => new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (this.refuses.has(name as string)) throw new WeirError('Unavailable', 'the store is busy');
        if (name === 'rename') this.renamed.add(args[1]);
        const answer = await (value as (...a: unknown[]) => Promise<unknown>).apply(target, args);
        if (name === 'stat') return this.#marked(answer as StoreObject | undefined);
        if (name === 'list') return {...(answer as StoreListPage), objects: (answer as StoreListPage).objects.map(object => this.#marked(object))};
        return name === 'write' ? this.#write(answer as StoreWrite) : answer;
      };
    },
  });

  #marked(object: StoreObject | undefined): StoreObject | undefined {
    return object && this.renamed.has(object.key) ? {...object, fingerprint: `${object.fingerprint}, renamed`} : object;
  }

  #write(write: StoreWrite): StoreWrite {
    return {
      ...write,
      finish: async () => {
        this.finishes++;
        if (this.finish === 'comes to nothing') throw new WeirError('Unavailable', 'the request was lost');
        const object = await write.finish();
        if (this.finish === 'is not answered') throw new WeirError('Unavailable', 'the answer was lost');
        return object;
      },
    };
  }
}

interface Scene {
  readonly world: World;
  readonly trouble: Trouble;
  readonly stored: (key: string) => string | undefined;
}

function scene(capabilities: Partial<Capabilities> = {}): Scene {
  const world = new World();
  const trouble = new Trouble();
  world.wrap = trouble.wrap;
  const store = world.store('mem://bucket/', capabilities);
  const stored = (key: string): string | undefined => {
    const found = store.outside.bytes(bytes(key));
    return found && Buffer.from(found).toString();
  };
  return {world, trouble, stored};
}

async function pendingOf(master: Master): Promise<unknown[]> {
  return (await master.listPending({path: bytes('/b/'), limit: 10}, context)).entries.map(({path, state, lastError}) => [path, state, lastError]);
}

/** The power fails at the end of it. */
async function dies(world: World, work: (master: Master, runtime: Runtime) => Promise<void>): Promise<void> {
  await assert.rejects(world.life(async (master, runtime) => {
    await work(master, runtime);
    world.simulation.crash();
    runtime.crashPoint('end');
  }), SimulatedCrash);
}

describe('the bytes of pending files', () => {
  it('stay until it survives power loss that their file was removed', async () => {
    const {world, trouble} = scene();
    trouble.refuses.add('write');
    await world.life(async (master, runtime) => {
      await mountBucket(master);
      const {inode: {content}} = await putBehind(world, master, '/b/a', 'A');
      await runtime.clock.sleep(5_000);
      // Answered before it is synced, which nobody waits for.
      await master.remove(bytes('/b/a'), {kind: 'file'}, {...context, moment: 'safe'});
      await runtime.clock.sleep(100);
      assert.ok(world.cache.has(content!.id));
      await runtime.clock.sleep(2_000);
      assert.ok(!world.cache.has(content!.id));
    });
  });

  it('are where an exchange put them, once it was answered', async () => {
    const {world, trouble, stored} = scene();
    trouble.refuses.add('write');
    await dies(world, async master => {
      await mountBucket(master);
      await keys(master, '/b/');
      await putBehind(world, master, '/b/a', 'A');
      await putBehind(world, master, '/b/b', 'B');
      await master.rename(bytes('/b/a'), bytes('/b/b'), {replace: false, exchange: true}, context);
    });
    trouble.refuses.clear();
    await world.life(async (master, runtime) => {
      await runtime.clock.sleep(60_000);
      assert.deepEqual([stored('a'), stored('b')], ['B', 'A']);
      assert.deepEqual(await pendingOf(master), []);
    });
  });

  it('stay as long as those of another file are compared with them', async () => {
    const {world, trouble, stored} = scene();
    await world.life(async (master, runtime) => {
      await mountBucket(master);
      await keys(master, '/b/');
      const finishes = async (count: number): Promise<void> => {
        while (trouble.finishes < count) await runtime.clock.sleep(10);
      };
      trouble.finish = 'comes to nothing';
      await putBehind(world, master, '/b/file', 'first');
      await finishes(1);
      trouble.finish = 'is not answered';
      await putBehind(world, master, '/b/file', 'other');
      await finishes(2);
      assert.equal(stored('file'), 'other');
      await putBehind(world, master, '/b/new', 'newer');
      await master.rename(bytes('/b/new'), bytes('/b/file'), {replace: true, kind: 'file'}, context);
      trouble.finish = 'is well';
      await runtime.clock.sleep(100_000);
      assert.deepEqual(await pendingOf(master), []);
      assert.equal(stored('file'), 'newer');
      assert.deepEqual([...world.cache.keys()], []);
    });
  });

  it('go over what their tree took along, however often that was tried', async () => {
    const {world, trouble, stored} = scene();
    await world.life(async (master, runtime) => {
      await mountBucket(master);
      await put(master, '/b/t/a', 'old', {writeType: 'CACHE_THROUGH'});
      trouble.refuses.add('write');
      await putBehind(world, master, '/b/t/a', 'newer');
      await runtime.clock.sleep(5_000);
      // Copied, and the old object stays.
      trouble.refuses.add('remove');
      await master.rename(bytes('/b/t/'), bytes('/b/u/'), {replace: false}, context);
      await runtime.clock.sleep(5_000);
      assert.deepEqual([stored('t/a'), stored('u/a')], ['old', 'old']);
      trouble.refuses.clear();
      await runtime.clock.sleep(200_000);
      assert.deepEqual(await pendingOf(master), []);
      assert.deepEqual([stored('t/a'), stored('u/a')], [undefined, 'newer']);
    });
  });

  it('give way to a file that is renamed over theirs by the store, whenever the power fails', async () => {
    for (const point of ['master.rename.copy', 'master.rename.copied', 'master.rename.shown', 'master.rename.remove', 'master.rename.forget']) {
      const {world, trouble, stored} = scene({directories: true, rename: 'tree'});
      world.simulation.crashAt(point);
      await assert.rejects(world.life(async (master, runtime) => {
        await mountBucket(master);
        await put(master, '/b/a', 'whole', {writeType: 'CACHE_THROUGH'});
        trouble.refuses.add('write');
        await putBehind(world, master, '/b/b', 'pending');
        await runtime.clock.sleep(5_000);
        await master.rename(bytes('/b/a'), bytes('/b/b'), {replace: true, kind: 'file'}, context);
      }), SimulatedCrash);
      trouble.refuses.clear();
      await world.life(async (master, runtime) => {
        await runtime.clock.sleep(60_000);
        assert.deepEqual(await keys(master, '/b/'), ['b']);
        assert.deepEqual([await pendingOf(master), stored('a'), stored('b')], [[], undefined, 'whole'], point);
        assert.deepEqual([...world.cache.keys()], []);
      });
    }
  });
});
