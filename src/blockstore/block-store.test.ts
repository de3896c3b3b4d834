import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {type BlockStore, blockBytes, pageBytes} from '#blockstore/block-store.ts';
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

  it('leases on the spot what is verified and open, and holds it as any lease does', async () => {
    const simulation = createSimulation(3);
    const lengths = [5000, 1 * MiB + 17];
    await simulation.run(async (runtime) => {
      const store = await open(runtime);
      for (const [i, length] of lengths.entries()) await store.fill(handle(i + 1, length), 0, [bytesOf(i + 1, length)]);
      await store.close();
    });
    await simulation.run(async (runtime) => {
      await using store = await open(runtime);
      await warmed(store, runtime);
      for (const [i, length] of lengths.entries()) {
        const content = handle(i + 1, length);
        assert.equal(store.leaseNow(content, 7, 4000), undefined, 'nobody has verified it in this life');
        (await store.lease(content, 0, length))![Symbol.dispose]();
        assert.equal(store.leaseNow(content, 0, 0), undefined);
        using lease = store.leaseNow(content, 7, 4000)!;
        await store.drop(content.id);
        assert.equal(store.leaseNow(content, 7, 4000), undefined);
        const got = Buffer.alloc(4000);
        assert.equal(await lease.read(got, lease.offset), 4000);
        assert.deepEqual(got, bytesOf(i + 1, length).subarray(7, 4007));
        assert.ok(Array.from({length: 20}, () => lease.resident).includes(true), 'it is in memory most of the times that one looks');
        assert.ok(store.status().tiers[0]!.usedBytes > 0, 'what is leased counts');
      }
    });
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

  it('keeps what is dirty behind what was only cached, in one segment, over power loss', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const simulation = createSimulation(seed);
      const [cached, first, second] = [handle(1, 3000), handle(2, 200), handle(3, 700)];
      await simulation.run(async (runtime) => {
        const store = await open(runtime);
        assert.ok(await store.keep(first, [bytesOf(first.id, first.length)]));
        assert.ok(await store.fill(cached, 0, [bytesOf(cached.id, cached.length)]));
        assert.ok(await store.keep(second, [bytesOf(second.id, second.length)]));
      });
      simulation.crash();
      await simulation.run(async (runtime) => {
        await using store = await open(runtime);
        await warmed(store, runtime);
        for (const {id, length} of [first, second]) assert.deepEqual(await store.read({id, length}, 0, length), bytesOf(id, length), `seed ${seed}, content ${id}`);
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

  it('keeps the contents of a tier when another one is replaced', async () => {
    await createSimulation(11).run(async (runtime) => {
      // The fast tier is too small for a segment, so everything goes to the slow one.
      const openWith = (fast: string) =>
        openBlockStore({
          runtime,
          tiers: [
            {name: 'SSD', directory: fast, quotaBytes: 512 * KiB},
            {name: 'HDD', directory: '/slow', quotaBytes: 64 * MiB},
          ],
        });
      // A tier that has seen more lives than the other.
      for (let life = 0; life < 3; life++) await (await openBlockStore({runtime, tiers: [{name: 'SSD', directory: '/old', quotaBytes: 4 * MiB}]})).close();
      const filled = [handle(1, 200 * KiB)];
      for (const [life, fast] of ['/old', '/old', '/new', '/new', '/old'].entries()) {
        await using store = await openWith(fast);
        await warmed(store, runtime);
        for (const content of life === 0 ? [] : filled) assert.deepEqual(await store.read(content, 0, content.length), bytesOf(content.id, content.length), `life ${life}, content ${content.id}`);
        if (life > 0) filled.push(handle(life * 2, 1000), handle(life * 2 + 1, 2 * MiB));
        for (const content of filled) assert.ok(await store.fill(content, 0, [bytesOf(content.id, content.length)]));
      }
    });
  });

  it('counts what is there before it is loaded, and remembers what was dropped', async () => {
    await createSimulation(12).run(async (runtime) => {
      const quota = 4 * MiB;
      const contents = Array.from({length: 15}, (_, i) => handle(i + 1, 200 * KiB));
      {
        await using store = await open(runtime, quota);
        for (const content of contents) assert.ok(await store.fill(content, 0, [bytesOf(content.id, content.length)]));
        await store.drop(contents[12]!.id);
      }
      await using store = await open(runtime, quota);
      const before = store.status().tiers[0]!.usedBytes;
      assert.ok(before >= 14 * 200 * KiB, `${before} are counted at the start`);
      for (let id = 100; id < 120; id++) {
        await store.fill(handle(id, 200 * KiB), 0, [bytesOf(id, 200 * KiB)]);
        assert.ok(store.status().tiers[0]!.usedBytes <= quota);
      }
      await warmed(store, runtime);
      assert.equal(store.presence(contents[12]!.id), undefined);
    });
  });

  it('brings nothing back that is dropped while the logs are still read', async () => {
    await createSimulation(17).run(async (runtime) => {
      const lengths = [5000, 600 * KiB];
      {
        await using store = await open(runtime);
        for (const [i, length] of lengths.entries()) await store.fill(handle(i + 1, length), 0, [bytesOf(i + 1, length)]);
        for (const i of lengths.keys()) store.pin((i + 1) as ContentId, true);
      }
      // A log that is read slowly: the store answers before it knows.
      let logsAreRead = () => {};
      const wait = new Promise<void>((resolve) => (logsAreRead = resolve));
      const slow: Runtime = {
        ...runtime,
        disk: {
          ...runtime.disk,
          open: async (path, options) => {
            if (String(path).endsWith('.log') && options.mode === 'read') await wait;
            return await runtime.disk.open(path, options);
          },
        },
      };
      for (const from of [slow, runtime]) {
        await using store = await open(from);
        if (from === slow) for (const i of lengths.keys()) await store.drop((i + 1) as ContentId);
        logsAreRead();
        await warmed(store, runtime);
        for (const i of lengths.keys()) {
          assert.equal(store.presence((i + 1) as ContentId), undefined);
          store.pin((i + 1) as ContentId, false);
        }
        assert.equal(store.status().contents, 0);
      }
    });
  });

  it('answers small reads on the spot after a restart, without a first read', async () => {
    await createSimulation(13).run(async (runtime) => {
      const content = handle(1, 5000);
      {
        await using store = await open(runtime);
        assert.ok(await store.fill(content, 0, [bytesOf(1, 5000)]));
      }
      await using store = await open(runtime);
      await warmed(store, runtime);
      // The simulated page cache misses now and then.
      const answers = Array.from({length: 20}, () => store.readResident(content, 10, 100));
      assert.ok(answers.some((bytes) => bytes !== undefined));
      for (const bytes of answers) if (bytes) assert.deepEqual(bytes, bytesOf(1, 5000).subarray(10, 110));
      const into = new Uint8Array(102);
      const copied = Array.from({length: 20}, () => store.readResident(content, 10, 100, into.subarray(1, 101)));
      assert.ok(copied.some((bytes) => bytes !== undefined));
      assert.deepEqual(into, Uint8Array.from([0, ...bytesOf(1, 5000).subarray(10, 110), 0]), 'where they were asked for');
    });
  });

  it('drops a content as a whole where holes cannot be punched', async () => {
    await createSimulation(14).run(async (runtime) => {
      const punchless: Runtime = {
        ...runtime,
        disk: {
          ...runtime.disk,
          open: async (path, options) => {
            const file = await runtime.disk.open(path, options);
            file.punch = () => Promise.reject(new WeirError('Unsupported', 'no holes here'));
            return file;
          },
        },
      };
      await using store = await open(punchless, 4 * MiB);
      const big = handle(1, 3 * blockBytes);
      for (const block of [0, 1, 2]) assert.ok(await store.fill(big, block * 1024, [bytesOf(block, MiB)]));
      for (let id = 2; id < 6; id++) assert.ok(await store.fill(handle(id, MiB), 0, [bytesOf(id, MiB)]), `content ${id}`);
      assert.equal(store.status().tiers[0]!.state, 'ok');
      assert.ok(store.status().tiers[0]!.usedBytes <= 4 * MiB);
    });
  });

  it('punches no hole into a file that the kernel was given, also in an earlier life: it goes as a whole', async () => {
    for (const [lending, again] of [[true, false], [true, true], [false, false], [false, true]] as const) {
      await createSimulation(16).run(async (runtime) => {
        let punched = 0;
        const counting: Runtime = {
          ...runtime,
          disk: {
            ...runtime.disk,
            open: async (path, options) => {
              const file = await runtime.disk.open(path, options);
              const punch = file.punch.bind(file);
              file.punch = (...range) => (punched++, punch(...range));
              return file;
            },
          },
        };
        const big = handle(1, 3 * blockBytes);
        const press = async (store: BlockStore) => {
          for (let id = 2; id < 8; id++) assert.ok(await store.fill(handle(id, MiB), 0, [bytesOf(id, MiB)]), `content ${id}`);
          assert.equal(store.presence(big.id), undefined);
        };
        {
          await using store = await open(counting, 6 * MiB);
          for (const block of [0, 1, 2]) assert.ok(await store.fill(big, block * 1024, [bytesOf(block, MiB)]));
          if (lending) {
            using lease = await store.lease(big, 0, MiB);
            assert.ok(await lease!.lend!());
          }
          if (!again) await press(store);
        }
        if (again) {
          await using store = await open(counting, 6 * MiB);
          await warmed(store, runtime);
          await press(store);
        }
        assert.equal(punched > 0, !lending);
      });
    }
  });

  it('writes a page once, however many fill it', async () => {
    const simulation = createSimulation(15);
    await simulation.run(async (runtime) => {
      await using store = await open(runtime);
      const content = handle(1, MiB);
      const before = simulation.disk.counts.bytesWritten;
      const kept = await Promise.all([0, 4, 8].map((first) => store.fill(content, first, [bytesOf(1, MiB).subarray(first * pageBytes, (first + 8) * pageBytes)])));
      assert.deepEqual(kept, [true, true, true]);
      const written = simulation.disk.counts.bytesWritten - before;
      assert.ok(written >= MiB && written < MiB + 64 * KiB, `${written} bytes`);
      assert.deepEqual(await store.read(content, 0, MiB), bytesOf(1, MiB));
    });
  });

  it('keeps what was announced to be larger, and what came in any order', async () => {
    const simulation = createSimulation(17);
    await simulation.run(async (runtime) => {
      await using store = await open(runtime);
      for (const [id, length, announced, pieces] of [[1, 1000, 600 * KiB, [[0, 1000]]], [2, 0, 600 * KiB, []], [3, 300 * KiB, 300 * KiB, [[100_000, 300 * KiB], [0, 70_000], [70_000, 100_000]]]] as const) {
        for (const dirty of [false, true]) {
          const content = handle(id * 10 + Number(dirty), length);
          const draft = (await (dirty ? store.lastingDraft(announced) : store.draft(announced)))!;
          for (const [start, end] of pieces) await draft.write(bytesOf(content.id, length).subarray(start, end), start);
          assert.equal(await draft.seal(content, {dirty}), true);
          assert.deepEqual(Buffer.from((await store.read(content, 0, length))!), bytesOf(content.id, length));
        }
      }
    });
  });

  it('is as before when a dirty draft cannot be synced', async () => {
    for (const length of [1000, 600 * KiB]) {
      const simulation = createSimulation(16);
      await simulation.run(async (runtime) => {
        await using store = await open(runtime);
        const content = handle(1, length);
        const seal = async () => {
          const draft = (await store.draft(length))!;
          await draft.write(bytesOf(1, length), 0);
          return await draft.seal(content, {dirty: true});
        };
        simulation.disk.fail('sync', 'Io');
        assert.equal(await seal(), false);
        assert.equal(store.presence(content.id), undefined);
        simulation.disk.heal();
        await runtime.clock.sleep(5000);
        assert.equal(await seal(), true);
        simulation.disk.fail('sync', 'Io');
        await seal();
        assert.ok(store.presence(content.id)?.dirty, 'the older dirty copy stays');
        assert.deepEqual(await store.read(content, 0, length), bytesOf(1, length));
        simulation.disk.heal();
      });
    }
  });
});
