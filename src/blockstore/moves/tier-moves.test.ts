import assert from 'node:assert/strict';
import {existsSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {type BlockStore, blockBytes, pageBytes, type TierOptions} from '#blockstore/block-store.ts';
import {bytesOf} from '#blockstore/fixture.test.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const handle = (id: number, length: number) => ({id: id as ContentId, length});
const large = 512 * KiB;
const small = 5000;

const tiersOf = (fast: number, slow: number, name = 'SSD'): readonly TierOptions[] => [
  {name, directory: '/fast', quotaBytes: fast},
  {name: 'HDD', directory: '/slow', quotaBytes: slow},
];

const fill = (store: BlockStore, id: number, length: number) => store.fill(handle(id, length), 0, [bytesOf(id, 0, length)]);
const tierOf = (store: BlockStore, id: number) => store.places(id as ContentId).map(({tier}) => tier).join(' ');

async function readWhole(store: BlockStore, id: number, length: number): Promise<void> {
  const bytes = await store.read(handle(id, length), 0, length);
  assert.ok(bytes, `content ${id} is not there`);
  assertSame(bytes, id, 0);
}

/** Without the comparison that a failed deepEqual would make of so much. */
function assertSame(bytes: Uint8Array | undefined, id: number, offset: number): void {
  assert.ok(bytes && bytesOf(id, offset, bytes.length).equals(bytes), `content ${id} has other bytes`);
}

/** Lets fills, and the moves behind them, come to rest. */
const settle = (runtime: Runtime) => runtime.clock.sleep(5000);

async function simulated(seed: number, tiers: readonly TierOptions[], work: (store: BlockStore, runtime: Runtime) => Promise<void>): Promise<void> {
  await createSimulation(seed).run(async (runtime) => {
    await using store = await openBlockStore({runtime, tiers});
    await settle(runtime);
    await work(store, runtime);
  });
}

describe('moves between tiers', () => {
  it('give what a fast tier has no room for to the slow one, and lose nothing', async () => {
    await simulated(1, tiersOf(4 * MiB, 64 * MiB), async (store, runtime) => {
      for (let id = 1; id <= 40; id++) {
        assert.ok(await fill(store, id, large));
        await settle(runtime);
        assert.ok(await fill(store, 100 + id, 100 * KiB));
        await settle(runtime);
      }
      for (let id = 1; id <= 40; id++) {
        await readWhole(store, id, large);
        await readWhole(store, 100 + id, 100 * KiB);
      }
      const [fast, slow] = store.status().tiers;
      assert.equal(fast!.evictedBytes, 0);
      assert.ok(fast!.demotedBytes > 15 * MiB && slow!.usedBytes > 15 * MiB, `${fast!.demotedBytes} bytes were moved down`);
      assert.equal(tierOf(store, 1), 'HDD');
      assert.equal(tierOf(store, 101), 'HDD');
      assert.equal(tierOf(store, 40), 'SSD');
    });
  });

  it('bring up what is read again and again, and only that', async () => {
    await simulated(2, tiersOf(16 * MiB, 128 * MiB), async (store, runtime) => {
      for (let id = 1; id <= 40; id++) {
        await fill(store, id, large);
        await fill(store, 100 + id, small);
        await settle(runtime);
      }
      for (let id = 200; id < 400; id++) {
        await fill(store, id, 100 * KiB);
        await settle(runtime);
      }
      assert.equal(tierOf(store, 1), 'HDD');
      assert.equal(tierOf(store, 101), 'HDD');
      await readWhole(store, 2, large);
      await readWhole(store, 102, small);
      for (let times = 0; times < 3; times++) {
        await readWhole(store, 1, large);
        await readWhole(store, 101, small);
        await settle(runtime);
      }
      assert.equal(tierOf(store, 1), 'SSD');
      assert.equal(tierOf(store, 101), 'SSD');
      assert.equal(tierOf(store, 2), 'HDD');
      assert.equal(tierOf(store, 102), 'HDD');
      await readWhole(store, 1, large);
      await readWhole(store, 101, small);
      assert.equal(store.status().tiers[1]!.promotedBytes, large + small);
    });
  });

  it('leave what is leased as it is until the lease ends', async () => {
    await simulated(3, tiersOf(4 * MiB, 64 * MiB), async (store, runtime) => {
      for (let id = 1; id <= 20; id++) {
        await fill(store, id, large);
        await settle(runtime);
      }
      const lease = (await store.lease(handle(1, large), 0, large))!;
      for (let times = 0; times < 3; times++) await readWhole(store, 1, large);
      await settle(runtime);
      assert.equal(tierOf(store, 1), 'SSD');
      const used = store.status().tiers[1]!.usedBytes;
      const bytes = Buffer.alloc(large);
      assert.equal(await lease.read(bytes, lease.offset), large);
      assertSame(bytes, 1, 0);
      lease[Symbol.dispose]();
      await settle(runtime);
      assert.equal(store.status().tiers[1]!.usedBytes, used - large, 'the bytes count until then, and no longer');
    });
  });

  it('spread a content over tiers, by blocks, and read over the seam', async () => {
    await simulated(4, tiersOf(4 * MiB, 64 * MiB), async (store, runtime) => {
      const content = handle(1, 2 * blockBytes);
      const around = 8 * pageBytes;
      const firstPage = (blockBytes - around) / pageBytes;
      assert.ok(await store.fill(content, firstPage, [bytesOf(1, blockBytes - around, around)]));
      for (let id = 2; id <= 12; id++) {
        await fill(store, id, large);
        await settle(runtime);
      }
      assert.ok(await store.fill(content, blockBytes / pageBytes, [bytesOf(1, blockBytes, around)]));
      assert.equal(tierOf(store, 1), 'SSD HDD');
      assert.deepEqual(store.missing(content, firstPage, firstPage + 15), []);
      assertSame(await store.read(content, blockBytes - around, 2 * around), 1, blockBytes - around);
      assert.equal(await store.lease(content, blockBytes - around, 2 * around), undefined);
      assert.equal(store.presence(content.id)!.presentBytes, 2 * around);
      await store.drop(content.id);
      assert.equal(tierOf(store, 1), '');
    });
  });

  it('give no place in a full slow tier to what is seen once', async () => {
    await simulated(5, tiersOf(4 * MiB, 8 * MiB), async (store, runtime) => {
      const pass = async (from: number) => {
        for (let id = from; id < from + 40; id++) {
          await fill(store, id, large);
          await settle(runtime);
        }
      };
      await pass(1);
      const demoted = store.status().tiers[0]!.demotedBytes;
      await pass(100);
      const [fast, slow] = store.status().tiers;
      assert.ok(fast!.demotedBytes <= demoted + 2 * large, `${fast!.demotedBytes - demoted} bytes of a scan were moved down`);
      assert.equal(slow!.evictedBytes, 0);
    });
  });

  it('take what is pinned out of memory, and never anything that must stay into it', async () => {
    await simulated(6, tiersOf(4 * MiB, 64 * MiB, 'MEM'), async (store, runtime) => {
      for (const [id, length] of [[1, large], [2, small]] as const) {
        await fill(store, id, length);
        assert.equal(tierOf(store, id), 'MEM');
        store.pin(id as ContentId, true);
        await settle(runtime);
        assert.equal(tierOf(store, id), 'HDD');
        for (let times = 0; times < 4; times++) await readWhole(store, id, length);
        await settle(runtime);
        assert.equal(tierOf(store, id), 'HDD');
      }
    });
  });

  it('do not carry over what does not match its checksum', async () => {
    await simulated(7, tiersOf(4 * MiB, 64 * MiB), async (store, runtime) => {
      await fill(store, 1, large);
      await settle(runtime);
      const {disk} = runtime;
      for (const folder of await disk.readDirectory('/fast/files')) {
        for (const name of await disk.readDirectory(`/fast/files/${folder}`)) {
          await using file = await disk.open(`/fast/files/${folder}/${name}`, {mode: 'write'});
          await file.write([Buffer.from('wrong')], 3 * pageBytes + 17);
        }
      }
      for (let id = 2; id <= 12; id++) {
        await fill(store, id, large);
        await settle(runtime);
      }
      assert.equal(tierOf(store, 1), 'HDD');
      assert.deepEqual(store.missing(handle(1, large), 0, 7), [{first: 3, count: 1}]);
      assertSame(await store.read(handle(1, large), 0, 3 * pageBytes), 1, 0);
    });
  });

  it('work between real memory and a real disk, and a restart finds what they moved', async () => {
    const memory = await mkdtemp(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'weir-moves-'));
    const disk = await mkdtemp(path.join(tmpdir(), 'weir-moves-'));
    const runtime = createNodeRuntime({log: {level: 'silent'}});
    const openIt = () => openBlockStore({runtime, tiers: [{name: 'MEM', directory: memory, quotaBytes: 8 * MiB}, {name: 'HDD', directory: disk, quotaBytes: 128 * MiB}]});
    const until = async (holds: () => boolean) => {
      while (!holds()) await runtime.clock.sleep(1);
    };
    try {
      {
        await using store = await openIt();
        await until(() => store.warm);
        for (let id = 1; id <= 30; id++) {
          assert.ok(await fill(store, id, large));
          assert.ok(await fill(store, 100 + id, small));
          await until(() => store.status().tiers[0]!.usedBytes < 7 * MiB);
        }
        await until(() => tierOf(store, 1) === 'HDD');
        for (let id = 1; id <= 30; id++) {
          await readWhole(store, id, large);
          await readWhole(store, 100 + id, small);
        }
        while (tierOf(store, 1) !== 'MEM') {
          await readWhole(store, 1, large);
          await runtime.clock.sleep(1);
        }
        await readWhole(store, 1, large);
      }
      await using store = await openIt();
      await until(() => store.warm);
      for (let id = 1; id <= 30; id++) {
        await readWhole(store, id, large);
        await readWhole(store, 100 + id, small);
      }
    } finally {
      for (const directory of [memory, disk]) await rm(directory, {recursive: true});
    }
  });

  it('blame the disk that cannot be read, and leave the other one alone', async () => {
    const simulation = createSimulation(9);
    await simulation.run(async (runtime) => {
      await using store = await openBlockStore({runtime, tiers: tiersOf(4 * MiB, 64 * MiB)});
      await settle(runtime);
      simulation.disk.fail('read', 'Io');
      for (let id = 1; id <= 12; id++) {
        await fill(store, id, large);
        await settle(runtime);
      }
      assert.equal(store.status().tiers[1]!.state, 'ok');
      assert.equal(store.status().tiers[1]!.usedBytes, 0);
      simulation.disk.heal();
      for (let id = 1; id <= 12; id++) {
        const bytes = await store.read(handle(id, large), 0, large);
        if (bytes) assertSame(bytes, id, 0);
      }
    });
  });

  it('stop when the slow disk fails, and go on evicting', async () => {
    const simulation = createSimulation(8);
    await simulation.run(async (runtime) => {
      await using store = await openBlockStore({runtime, tiers: tiersOf(4 * MiB, 64 * MiB)});
      await settle(runtime);
      await fill(store, 1, large);
      await fill(store, 2, large);
      simulation.disk.fail('sync', 'Io');
      for (let id = 3; id <= 30; id++) assert.ok(await fill(store, id, large), `content ${id}`);
      await settle(runtime);
      const [fast, slow] = store.status().tiers;
      assert.equal(fast!.demotedBytes, 0);
      assert.ok(fast!.usedBytes <= 4 * MiB);
      assert.equal(slow!.usedBytes, 0, 'nothing of a move that failed is counted');
      simulation.disk.heal();
      await settle(runtime);
      for (let id = 31; id <= 60; id++) {
        await fill(store, id, large);
        await settle(runtime);
      }
      assert.ok(store.status().tiers[0]!.demotedBytes > 0);
    });
  });
});
