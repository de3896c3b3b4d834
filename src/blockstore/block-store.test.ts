import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {type BlockStore, pageBytes} from '#blockstore/block-store.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const open = (runtime: Runtime, quotaBytes = 64 * MiB): Promise<BlockStore> => openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/cache', quotaBytes}]});
const handle = (id: number, length: number) => ({id: id as ContentId, length});
/** Every byte tells its content and its place. */
function bytesOf(id: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (id * 31 + i + (i >>> 8) * 7) & 0xff;
  return bytes;
}

async function warmed(store: BlockStore, runtime: Runtime): Promise<void> {
  while (!store.warm) await runtime.clock.sleep(1);
}

describe('block store', () => {
  it('keeps small and large contents over restarts and power loss, and never gives others or zeros', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const simulation = createSimulation(seed);
      const lengths = [100, 5000, 300 * KiB, 1 * MiB + 17, 200 * KiB];
      await simulation.run(async (runtime) => {
        const store = await open(runtime);
        for (const [i, length] of lengths.entries()) assert.ok(await store.fill(handle(i + 1, length), 0, [bytesOf(i + 1, length)]));
        for (const [i, length] of lengths.entries()) assert.deepEqual(await store.read(handle(i + 1, length), 7, 50), bytesOf(i + 1, length).subarray(7, 57));
        if (seed % 2 === 0) await store.close();
      });
      if (seed % 4 !== 0) simulation.crash();
      await simulation.run(async (runtime) => {
        await using store = await open(runtime);
        await warmed(store, runtime);
        for (const [i, length] of lengths.entries()) {
          const got = await store.read(handle(i + 1, length), 0, length);
          if (got || seed % 4 === 0) assert.deepEqual(got, bytesOf(i + 1, length), `seed ${seed}, content ${i + 1}`);
        }
      });
    }
  });

  it('never forgets dirty and pinned contents', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const simulation = createSimulation(seed);
      await simulation.run(async (runtime) => {
        const store = await open(runtime);
        for (const [id, length] of [[1, 1000], [2, 600 * KiB]] as const) {
          const draft = await store.draft(length);
          await draft!.write(bytesOf(id, length).subarray(500), 500);
          await draft!.write(bytesOf(id, length).subarray(0, 500), 0);
          assert.ok(await draft!.seal(handle(id, length), {dirty: true}));
        }
      });
      simulation.crash();
      await simulation.run(async (runtime) => {
        await using store = await open(runtime, 4 * MiB);
        await warmed(store, runtime);
        for (let id = 10; id < 40; id++) await store.fill(handle(id, 400 * KiB), 0, [bytesOf(id, 400 * KiB)]);
        for (const [id, length] of [[1, 1000], [2, 600 * KiB]] as const) {
          assert.ok(store.presence(id as ContentId)?.dirty, `seed ${seed}`);
          assert.deepEqual(await store.read(handle(id, length), 0, length), bytesOf(id, length));
        }
      });
    }
  });

  it('stays within its quota, never punches what is leased, and goes on after a full disk', async () => {
    const simulation = createSimulation(5);
    await simulation.run(async (runtime) => {
      const quota = 4 * MiB;
      await using store = await open(runtime, quota);
      const used = () => store.status().tiers[0]!.usedBytes;
      await store.fill(handle(1, 512 * KiB), 0, [bytesOf(1, 512 * KiB)]);
      {
        using lease = (await store.lease(handle(1, 512 * KiB), 0, 512 * KiB))!;
        for (let id = 2; id < 60; id++) {
          const length = id % 3 === 0 ? 200 * KiB : 8 * pageBytes;
          await store.fill(handle(id, length), 0, [bytesOf(id, length)]);
          assert.ok(used() <= quota, `${used()} of ${quota}`);
        }
        await store.drop(1 as ContentId);
        const bytes = Buffer.alloc(512 * KiB);
        assert.equal(await lease.read(bytes, lease.offset), bytes.length);
        assert.deepEqual(bytes, bytesOf(1, 512 * KiB));
      }
      simulation.disk.fail('write', 'NoSpace');
      assert.equal(await store.fill(handle(100, 100), 0, [bytesOf(100, 100)]), false);
      assert.equal(store.status().tiers[0]!.state, 'full');
      simulation.disk.heal();
      await runtime.clock.sleep(5000);
      assert.equal(await store.fill(handle(100, 100), 0, [bytesOf(100, 100)]), true);
      assert.equal(store.status().tiers[0]!.state, 'ok');
    });
  });
});
