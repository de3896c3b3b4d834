/** Bytes that the log carries for the cache, and power loss. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import type {ContentId} from '#base/ids.ts';
import {bytes, context, mountBucket, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const body = Buffer.from('carried');
const object = {length: body.length, fingerprint: '', etag: 'e', checksums: {}, pending: true} as const;

/** As a small PUT: the cache has the bytes, and may lose them with the power. */
async function putCarried(world: World, master: Master, path = '/b/file'): Promise<ContentId> {
  assert.ok(master.mayCarry(body.length));
  const ticket = master.beginWriteNow(bytes(path), {writeType: 'ASYNC_THROUGH', length: body.length}, context)!;
  world.cache.set(ticket.content, body);
  await master.commitWriteNow(ticket, object, context, body);
  return ticket.content;
}

function scene() {
  const world = new World();
  const store = world.store('mem://bucket/');
  /** Nothing is brought there before this says so. */
  const arrives = Promise.withResolvers<void>();
  world.wrap = (target) => new Proxy(target, {
    get: (of, name) => {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (name === 'write') await arrives.promise;
        return await (value as (...a: unknown[]) => Promise<unknown>).apply(of, args);
      };
    },
  });
  const stored = (): string | undefined => {
    const found = store.outside.bytes(bytes('file'));
    return found && Buffer.from(found).toString();
  };
  return {world, arrives, stored};
}

/** A life that ends with the power. */
async function cutOff(world: World, work: (master: Master, sleep: (ms: number) => Promise<void>) => Promise<void>): Promise<void> {
  await assert.rejects(world.life(async (master, runtime) => {
    await work(master, (ms) => runtime.clock.sleep(ms));
    world.simulation.crash();
    await new Promise(() => {});
  }), SimulatedCrash);
}

describe('bytes that the log carries', () => {
  it('come back to a cache that the power took them from, and go to the store', async () => {
    const {world, arrives, stored} = scene();
    let content: ContentId | undefined;
    await cutOff(world, async (master) => {
      await mountBucket(master);
      content = await putCarried(world, master);
    });
    world.cache.delete(content!);
    arrives.resolve();
    await world.life(async (_master, runtime) => {
      await runtime.clock.sleep(1_000);
      assert.equal(stored(), 'carried');
    });
  });

  it('are carried on while the cache does not make them last', async () => {
    const {world, arrives, stored} = scene();
    let content: ContentId | undefined;
    const {makeDurable} = world.lasting;
    await cutOff(world, async (master, sleep) => {
      await mountBucket(master);
      world.lasting = {...world.lasting, makeDurable: async (ids) => ids.map(() => false)};
      content = await putCarried(world, master);
      // The log is cut behind it.
      await sleep(10_000);
    });
    world.cache.delete(content!);
    const {keep} = world.lasting;
    world.lasting = {...world.lasting, makeDurable, keep: async () => false};
    await cutOff(world, async () => {});
    world.lasting = {...world.lasting, keep};
    arrives.resolve();
    await world.life(async (_master, runtime) => {
      await runtime.clock.sleep(1_000);
      assert.equal(stored(), 'carried');
    });
  });

  it('do not come back when they last, or when nobody needs them', async () => {
    const {world, arrives} = scene();
    const asked: ContentId[] = [];
    let content: ContentId | undefined;
    await cutOff(world, async (master, sleep) => {
      await mountBucket(master);
      world.lasting = {...world.lasting, makeDurable: async (ids) => ids.map((id) => asked.push(id) > 0)};
      content = await putCarried(world, master);
      await sleep(10_000);
    });
    assert.deepEqual(asked, [content]);
    const kept: ContentId[] = [];
    world.lasting = {...world.lasting, keep: async (id) => kept.push(id) > 0};
    arrives.resolve();
    await cutOff(world, async (master, sleep) => {
      assert.deepEqual(kept, []);
      await putCarried(world, master, '/b/other');
      while ((await master.listPending({path: bytes('/b/'), limit: 1}, context)).entries.length > 0) await sleep(1);
    });
    await world.life(async () => assert.deepEqual(kept, []));
  });
});
