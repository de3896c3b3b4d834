/** When what goes on behind rests for those who work with files, and when it does not. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {WeirError} from '#base/errors.ts';
import {Foreground} from '#base/foreground.ts';
import {bytes, context, keys, mountBucket, putBehind, World} from '#master/fixture.test.ts';
import {GivingWay} from '#master/persist/giving-way.ts';
import type {Clock} from '#runtime/clock.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

interface Scene {
  readonly clock: Clock;
  readonly foreground: Foreground;
  readonly giving: GivingWay;
  /** Lets time pass in which so many requests come. */
  readonly work: (ms: number, requests: number) => Promise<void>;
  presses: boolean;
}

async function scene(fn: (scene: Scene) => Promise<void>): Promise<void> {
  await createSimulation(1).run(async ({clock}) => {
    const foreground = new Foreground();
    const work: Scene['work'] = async (ms, requests) => {
      await clock.sleep(ms);
      foreground.requests += requests;
    };
    const at: Scene = {clock, foreground, work, presses: false, giving: new GivingWay({clock, foreground, presses: () => at.presses})};
    await fn(at);
  });
}

const {signal} = new AbortController();

describe('giving way', () => {
  it('rests while requests come fast, and not when they stop or are few', () => scene(async ({giving, work, clock}) => {
    assert.equal(giving.restMs(undefined), 0);
    await work(400, 400);
    assert.ok(giving.restMs(undefined) > 0);
    await work(10, 0);
    assert.ok(giving.restMs(undefined) > 0, 'a moment without a request says nothing');
    await work(400, 0);
    assert.equal(giving.restMs(clock.steadyMs()), 0);
    await work(400, 3);
    assert.equal(giving.restMs(clock.steadyMs()), 0);
  }));

  it('rests while something becomes pending, and while an answer is under way', () => scene(async ({giving, work, foreground}) => {
    giving.added();
    assert.ok(giving.restMs(undefined) > 0);
    await work(1_000, 0);
    assert.equal(giving.restMs(undefined), 0);
    const {promise, resolve} = Promise.withResolvers<void>();
    const answered = foreground.counted(() => promise)('a request');
    assert.ok(giving.restMs(undefined) > 0);
    resolve();
    await answered;
    await work(1_000, 0);
    assert.equal(giving.restMs(undefined), 0);
    await assert.rejects(foreground.counted(() => Promise.reject(new WeirError('Io', 'planted')))('a request'));
    assert.deepEqual([foreground.requests, foreground.underWay], [2, 0]);
  }));

  it('does not rest where that would hurt', () => scene(async at => {
    const {giving, work, clock} = at;
    await work(400, 400);
    assert.ok(giving.restMs(clock.steadyMs() - 1_000) > 0);
    assert.equal(giving.restMs(clock.steadyMs() - 10 * 60_000), 0, 'it has waited too long');
    at.presses = true;
    assert.equal(giving.restMs(clock.steadyMs()), 0);
  }));

  it('lets large files take a step now and then, all of them together', () => scene(async ({giving, work, clock, foreground}) => {
    const since = clock.steadyMs();
    const began = clock.monotonicMs();
    const steps: number[] = [];
    const bytes: number[] = [];
    const done = Promise.all(Array.from({length: 3}, async () => {
      for (let step = 0; step < 4; step++) {
        bytes.push(await giving.turn({since, isAwaited: false}, signal));
        steps.push(clock.monotonicMs() - began);
      }
    }));
    assert.equal((await Promise.race([done, clock.sleep(1)])) !== undefined, true, 'nobody works');
    steps.length = 0;
    const [whole] = bytes;
    assert.ok(bytes.every(step => step === whole));
    await work(400, 400);
    const slow = Promise.all([0, 1].map(async () => {
      for (let step = 0; step < 2; step++) {
        assert.ok((await giving.turn({since, isAwaited: false}, signal)) < whole!);
        steps.push(clock.monotonicMs());
      }
    }));
    await giving.turn({since, isAwaited: true}, signal);
    assert.equal(steps.length, 1);
    for (let passed = 0; passed < 3_000; passed += 100) await work(100, 100);
    await slow;
    assert.equal(steps.length, 4);
    for (let i = 1; i < 4; i++) assert.ok(steps[i]! - steps[i - 1]! >= 300, String(steps));
    const stop = new AbortController();
    const waiting = giving.turn({since, isAwaited: false}, stop.signal).then(() => giving.turn({since, isAwaited: false}, stop.signal));
    foreground.underWay++;
    stop.abort(new WeirError('Cancelled', 'planted'));
    await assert.rejects(waiting);
  }));
});

interface Behind {
  /** Files that the store has got. */
  readonly stored: () => number;
  /** Lets time pass in which so many requests come. */
  readonly work: (ms: number, requests: number) => Promise<void>;
  readonly persist: (file: number) => Promise<void>;
}

/** So many files for a store of this machine become pending, of `filesMax` that may be. */
async function behind(count: number, filesMax: number, fn: (behind: Behind) => Promise<void>): Promise<void> {
  const world = new World();
  world.backlog = {filesMax};
  const store = world.store('mem://bucket/', {localFile: true, togetherBytesMax: 1_000});
  await world.life(async (master, {clock}) => {
    await mountBucket(master);
    await keys(master, '/b/');
    for (let i = 0; i < count; i++) await putBehind(world, master, `/b/${i}`, String(i));
    await fn({
      stored: () => Array.from({length: count}, (_, i) => store.outside.bytes(bytes(String(i)))).filter(found => found !== undefined).length,
      work: async (ms, requests) => {
        for (let passed = 0; passed < ms; passed += 10) {
          world.foreground.requests += (requests * 10) / ms;
          await clock.sleep(10);
        }
      },
      persist: async file => void (await master.persist(bytes(`/b/${file}`), {}, context)),
    });
  });
}

describe('what a store of this machine is to get', () => {
  it('comes little by little while programs work, and at once when they pause', () => behind(1_200, 10_000, async ({stored, work, persist}) => {
    const before = stored();
    await work(2_000, 2_000);
    const slowly = stored();
    assert.ok(slowly - before >= 4 * 32 && slowly - before <= 6 * 32, `it has got ${slowly - before}`);
    await persist(1_199);
    await work(50, 50);
    assert.ok(stored() > slowly && stored() <= slowly + 33, 'somebody waits for one file, and not for the others');
    await work(1_500, 0);
    assert.equal(stored(), 1_200);
  }));

  it('comes as fast as it can when much is waiting', () => behind(300, 400, async ({stored, work}) => {
    await work(600, 600);
    const begun = stored();
    assert.ok(begun >= 100, `it has ${begun}: what is over half of what may wait`);
    await work(4_000, 4_000);
    assert.equal(stored(), 300);
  }));
});
