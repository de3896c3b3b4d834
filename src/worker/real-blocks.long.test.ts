/**
 * The worker over the real block store, two tiers on a simulated disk that fails and loses power: as long as the store behind answers, so does the
 * worker, with the bytes of the version that was asked for.
 */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {asciiBytes} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import {Mortal, type Random, randomFrom, twoTiers} from '#blockstore/fixture.test.ts';
import {openBlockStore} from '#blockstore/open-block-store.ts';
import {systemContext} from '#contracts/context.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation, type Simulation} from '#runtime/sim/simulation.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import {bytesOf, contentOf, mount, stamped, workerOver} from '#worker/fixture.test.ts';
import type {Worker} from '#worker/worker.ts';

const lengths = [100, 5000, 200 * KiB, 300 * KiB, MiB + 17, 3 * MiB + 777] as const;
const diskFaults = [['read', 'Io'], ['write', 'Io'], ['write', 'NoSpace'], ['write', 'ReadOnly'], ['sync', 'Io']] as const;

interface Version {
  readonly content: ReadableContent;
  readonly bytes: Buffer;
}

class World {
  readonly simulation: Simulation;
  readonly store: MemoryUnderStore;
  readonly #random: Random;
  readonly #versions: Version[] = [];
  #contents = 0;

  constructor(seed: number) {
    this.simulation = createSimulation(seed);
    this.#random = randomFrom(seed);
    let now = 0n;
    this.store = new MemoryUnderStore({clock: {nowNs: () => ++now}, chunkBytes: 37_001});
    for (let i = 0; i < 2 * lengths.length; i++) this.replace(i);
  }

  get versions(): readonly Version[] {
    return this.#versions;
  }

  /** Somebody else puts a new version of an object into the store. */
  replace(i: number): void {
    const bytes = stamped(`o${i}`, ++this.#contents, lengths[i % lengths.length]!);
    const object = this.store.outside.put(asciiBytes(`o${i}`), bytes);
    this.#versions[i] = {content: contentOf(this.#contents, object.key, object.length, object.fingerprint), bytes};
  }

  /** One life of the machine; it ends at a crash point when told so. What the store answers must be answered. Returns the points passed. */
  async live(work: (worker: Worker, blocks: BlockStore, runtime: Runtime) => Promise<void>, point?: string): Promise<readonly string[]> {
    return await this.simulation.run(async (real) => {
      const mortal = new Mortal(real);
      if (point) mortal.killAt(point, 2);
      const {runtime} = mortal;
      const life = async () => {
        await using blocks = await openBlockStore({runtime, tiers: twoTiers('/cache')});
        await using worker = workerOver(runtime.clock, blocks, this.store);
        await work(worker, blocks, runtime);
        await runtime.clock.sleep(1000);
        assert.equal(worker.heldBytes.now, 0, 'bytes stay in memory');
      };
      await mortal.until(life());
      if (mortal.dead) await mortal.kill();
      return [...mortal.points.keys()];
    });
  }

  async act(worker: Worker, steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const i = Math.floor(this.#random() * this.#versions.length);
      const kind = Math.floor(this.#random() * 20);
      if (kind < 13) await this.read(worker, i);
      else if (kind < 15) await this.#write(worker, i);
      else if (kind === 15) this.replace(i);
      else if (kind === 16) await worker.free([this.#versions[i]!.content.id]);
      else if (kind === 17) this.simulation.disk.heal();
      else if (kind === 18) await this.simulation.runtime.clock.sleep(this.#random() * 3000);
      else {
        const [operation, error] = diskFaults[Math.floor(this.#random() * diskFaults.length)]!;
        this.simulation.disk.fail(operation, error, Math.floor(this.#random() * 20));
      }
    }
  }

  async read(worker: Worker, i: number): Promise<void> {
    const {content, bytes} = this.#versions[i]!;
    const offset = Math.floor(this.#random() * bytes.length);
    const length = 1 + Math.floor(this.#random() * (bytes.length - offset));
    let leased = false;
    try {
      const body = await worker.read(content, {offset, length}, {}, systemContext);
      leased = body.kind === 'lease';
      assert.ok((await bytesOf(body)).equals(bytes.subarray(offset, offset + length)), `object ${i} at ${offset}+${length} has other bytes`);
    } catch (error) {
      // Replaced meanwhile; or handed out as a file that the disk then does not give: whoever sends it breaks off, and the next read goes elsewhere.
      if (isKind(error, 'ContentChanged') && this.store.outside.object(content.storeKey)?.fingerprint !== content.fingerprint) return;
      if (leased && isKind(error, 'Io')) return;
      throw error;
    }
  }

  async #write(worker: Worker, i: number): Promise<void> {
    const bytes = stamped(`o${i}`, ++this.#contents, lengths[i % lengths.length]!);
    const [id, storeKey] = [this.#contents as ContentId, asciiBytes(`o${i}`)];
    const stream = await worker.write({writeId: id, path: asciiBytes(`/m/o${i}`), content: id, mount, storeKey, metadata: {}, writeType: 'CACHE_THROUGH'}, {length: bytes.length}, systemContext);
    for (let at = 0; at < bytes.length; at += 100_000) await stream.write(bytes.subarray(at, at + 100_000));
    const {fingerprint} = await stream.finish(() => Promise.resolve(), {length: bytes.length});
    // What was put last counts, by whomever.
    if (this.store.outside.object(storeKey)?.fingerprint === fingerprint) this.#versions[i] = {content: contentOf(id, storeKey, bytes.length, fingerprint), bytes};
  }
}

describe('a worker over the real block store', () => {
  it('fetches a content once, keeps it over a restart and a kill, and hands it out as a lease', async () => {
    const world = new World(1);
    const whole = async (worker: Worker, i: number) => {
      const {content, bytes} = world.versions[i]!;
      const body = await worker.read(content, {offset: 0, length: bytes.length}, {}, systemContext);
      assert.ok((await bytesOf(body)).equals(bytes));
      return body.kind;
    };
    await world.live(async (worker, _blocks, runtime) => {
      for (let i = 0; i < lengths.length - 1; i++) await Promise.all([whole(worker, i), whole(worker, i)]);
      await runtime.clock.sleep(1000);
    });
    const fetched = world.store.counters.bytesRead;
    assert.equal(fetched, lengths.slice(0, -1).reduce((sum, length) => sum + length, 0));
    for (const end of ['close', 'kill', 'close'] as const) {
      await world.live(async (worker, blocks, runtime) => {
        while (!blocks.warm) await runtime.clock.sleep(1);
        for (let i = 0; i < lengths.length - 1; i++) assert.equal(await whole(worker, i), lengths[i]! > 64 * KiB ? 'lease' : 'bytes');
      });
      if (end === 'kill') world.simulation.kill();
    }
    assert.equal(world.store.counters.bytesRead, fetched);
  });

  it('answers right whatever the cache disks do, over lives that end by any means', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const world = new World(seed);
      const random = randomFrom(seed + 1000);
      for (let life = 0; life < 3; life++) {
        const act = async (worker: Worker) => void (await Promise.all([1, 2, 3].map(() => world.act(worker, 40))));
        await world.live(act).catch((error: unknown) => assert.fail(`seed ${seed}, life ${life}: ${String((error as Error).stack)}`));
        world.simulation.disk.heal();
        if (random() < 0.3) world.simulation.kill();
        else if (random() < 0.5) world.simulation.crash();
      }
    }
  });

  it('answers right after power loss at every point of the block store', async () => {
    const act = (world: World, steps: number) => async (worker: Worker) => void (await Promise.all([1, 2].map(() => world.act(worker, steps))));
    const first = new World(50);
    const points = await first.live(act(first, 60));
    assert.ok(points.length >= 8, points.join(' '));
    for (const point of points) {
      const world = new World(51);
      const failing = (error: unknown) => assert.fail(`${point}: ${String((error as Error).stack)}`);
      await world.live(act(world, 60), point).catch(failing);
      world.simulation.crash();
      world.simulation.disk.heal();
      await world.live(act(world, 40)).catch(failing);
    }
  });

  it('passes everything through while its disks are gone, and caches again when they are back', async () => {
    const world = new World(70);
    await world.live(async (worker, blocks, runtime) => {
      const reads = async (count: number) => {
        for (let times = 0; times < count; times++) {
          await world.read(worker, times % 12);
          await runtime.clock.sleep(20);
        }
      };
      await reads(30);
      for (const operation of ['read', 'write', 'sync'] as const) world.simulation.disk.fail(operation, 'Io');
      await reads(60);
      assert.ok(blocks.status().tiers.some((tier) => tier.state === 'failed'));
      world.simulation.disk.heal();
      await runtime.clock.sleep(5000);
      await reads(24);
      assert.ok(blocks.status().tiers.some((tier) => tier.state === 'ok'));
      assert.ok(blocks.status().contents > 0);
    });
  });
});
