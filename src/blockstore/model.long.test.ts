/** The promises of block-store.ts under random work, restarts, kills and power loss at every crash point; and faults that this must find. */
import assert from 'node:assert/strict';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import {Model, randomFrom, twoTiers} from '#blockstore/fixture.test.ts';
import {LargeContents} from '#blockstore/files/large-contents.ts';
import {TierLog} from '#blockstore/tier-log.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

const steps = 60;
const ends = ['close', 'kill', 'power loss'] as const;

/** Some lives of a store on a simulated disk; answers the crash points passed. */
async function simulate(seed: number, lives: number, at?: {point: string; hit: number}, change: (runtime: Runtime) => Runtime = (runtime) => runtime): Promise<Map<string, number>> {
  const simulation = createSimulation(seed);
  const random = randomFrom(seed);
  const model = new Model(random, twoTiers('/cache'));
  const points = new Map<string, number>();
  for (let life = 0; life < lives; life++) {
    const end = at && life === 1 ? 'power loss' : ends[Math.floor(random() * ends.length)]!;
    const passed = await simulation.run((runtime) => model.live(change(runtime), steps, end, life === 1 ? at : undefined));
    for (const [point, hits] of passed) points.set(point, (points.get(point) ?? 0) + hits);
    if (end === 'power loss') simulation.crash();
  }
  return points;
}

describe('block store model', () => {
  it('holds over random lives on a simulated disk', async () => {
    for (let seed = 1; seed <= 5; seed++) await simulate(seed, 4).catch((error: unknown) => assert.fail(`seed ${seed}: ${String((error as Error).stack)}`));
  });

  it('holds with a fast tier in memory', async () => {
    for (let seed = 40; seed <= 42; seed++) {
      const simulation = createSimulation(seed);
      const model = new Model(randomFrom(seed), twoTiers('/cache', 'MEM'));
      for (const end of ['kill', 'close', 'power loss', 'close'] as const) {
        await simulation.run((runtime) => model.live(runtime, steps, end));
        if (end === 'power loss') simulation.crash();
      }
    }
  });

  it('holds after power loss at every crash point', async () => {
    const points = await simulate(100, 3);
    for (const point of ['beforeTierMove', 'afterTierCopy', 'afterTierMove']) assert.ok(points.has(`blockstore.${point}`), point);
    assert.ok(points.size >= 14, [...points.keys()].join(' '));
    for (const point of points.keys()) {
      for (const hit of [1, 3]) await simulate(100 + hit, 3, {point, hit}).catch((error: unknown) => assert.fail(`${point}, hit ${hit}: ${String((error as Error).stack)}`));
    }
  });

  it('holds over random lives and kills on a real disk', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'weir-blocks-'));
    try {
      const random = randomFrom(7);
      const model = new Model(random, twoTiers(directory));
      const runtime = createNodeRuntime({log: {level: 'silent'}});
      for (let life = 0; life < 4; life++) await model.live(runtime, steps, life % 2 === 0 ? 'kill' : 'close');
      for (const point of ['beforeTierMove', 'afterTierCopy', 'afterTierMove']) await model.live(runtime, steps, 'kill', {point: `blockstore.${point}`, hit: 2});
    } finally {
      await rm(directory, {recursive: true});
    }
  });

  it('finds an eviction of what is leased', async () => {
    await assert.rejects(
      planted(LargeContents.prototype, 'mayEvict', () => true, () => manySeeds((seed) => simulate(seed, 2))),
      /leased/,
    );
  });

  it('finds a dead entry that is not logged', async () => {
    await assert.rejects(
      planted(TierLog.prototype, 'appendDead', () => {}, () => manySeeds((seed) => simulate(seed, 4))),
      /was dropped and is back/,
    );
  });

  it('finds a checksum that is not verified', async () => {
    await assert.rejects(
      planted(LargeContents.prototype, 'verify', (content, first, last) => Promise.resolve(content.hasAll(first, last)), () => manySeeds((seed) => simulate(seed, 4))),
      /content \d+ (at|is lost)|a lease reads whole/,
    );
  });

  it('finds a page that is present before it is written', async () => {
    const early = (runtime: Runtime): Runtime => ({
      ...runtime,
      disk: {
        ...runtime.disk,
        open: async (name, options) => {
          const file = await runtime.disk.open(name, options);
          const write = file.write.bind(file);
          if (String(name).includes('/files/')) {
            file.write = (buffers, position) => {
              void runtime.clock.sleep(1).then(() => write(buffers, position)).catch(() => {});
              return Promise.resolve();
            };
          }
          return file;
        },
      },
    });
    await assert.rejects(
      manySeeds((seed) => simulate(seed, 1, undefined, early)),
      /content \d+ (at|is lost)|reads as long as it was written/,
    );
  });
});

async function manySeeds(run: (seed: number) => Promise<unknown>): Promise<void> {
  for (let seed = 1; seed <= 20; seed++) await run(seed);
}

async function planted<T extends object, K extends keyof T>(prototype: T, name: K, fault: T[K], run: () => Promise<void>): Promise<void> {
  const right = prototype[name];
  prototype[name] = fault;
  try {
    await run();
  } finally {
    prototype[name] = right;
  }
}
