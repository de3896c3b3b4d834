/**
 * Random writes, overwrites, renames, deletes and links beside a map of what must be there, on stores that are slow, fail before and after they
 * have done what was asked, and are changed by others; with crashes at any named point. In the end the store holds what the namespace shows:
 * nothing acknowledged is lost, nothing that was removed comes back, nothing that others have put there is overwritten.
 */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, putBehind, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {Content} from '#model/content.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import type {Capabilities, StoreWrite, UnderStore} from '#understore/under-store.ts';

/** A seeded source of random numbers (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a mistake would look like; each must be found. */
export type Fault = 'forgets what is pending' | 'overwrites what others changed' | 'answers for what it did not write';

const names = ['a', 'b', 'd/a', 'd/b', 'd/e/c', 't/x', 't/y'];
const absent = undefined;
const ownPoints = ['master.persist.noted', 'master.persist.sent', 'master.persist.shown', 'master.rename.unborn'];
type State = string | undefined;

class Model {
  /** Key to what it may be: more than one after a call without an answer. */
  readonly states = new Map<string, Set<State>>();

  get(key: string): State {
    const states = this.states.get(key);
    return states ? [...states][0] : absent;
  }

  unsure = false;
  readonly #story: string[] = [];

  tell(what: string): void {
    this.#story.push(what);
  }

  existing(): string[] {
    return [...this.states].filter(([, states]) => !states.has(absent)).map(([key]) => key);
  }

  /** Both before and after are possible until the call has answered. */
  async change(changes: readonly (readonly [string, State])[], call: () => Promise<unknown>): Promise<void> {
    const before = changes.map(([key]) => [key, this.get(key)] as const);
    const told = changes.map(([key, after]) => `${key}=${after}`).join(' ');
    this.tell(`${told} …`);
    changes.forEach(([key, after], i) => this.states.set(key, new Set([before[i]![1], after])));
    try {
      await call();
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      this.tell(`${told}: ${error.kind} ${error.message}`);
      // A refusal changes nothing; a store that failed may have done it or not.
      if (isKind(error, 'Unavailable', 'Timeout', 'Cancelled', 'Io')) this.unsure = true;
      else for (const [key, state] of before) this.states.set(key, new Set([state]));
      return;
    }
    this.tell(`${told} done`);
    for (const [key, after] of changes) this.states.set(key, new Set([after]));
  }

  #told(key: string): string {
    return this.#story.filter(line => line.includes(`${key}=`) || line.startsWith('---')).slice(-25).join('\n');
  }

  settle(found: ReadonlyMap<string, string>, where: string): void {
    for (const [key, states] of this.states) assert.ok(states.has(found.get(key)), `${where}: ${key} is ${found.get(key)}, and may be ${[...states].join(' or ')}\n${this.#told(key)}`);
    for (const key of found.keys()) assert.ok(this.states.has(key), `${where}: ${key} is there and was never written\n${this.#told(key)}`);
    this.states.clear();
    this.unsure = false;
    this.tell(`--- ${where}`);
    for (const [key, body] of found) this.states.set(key, new Set([body]));
  }
}

function shaky(store: UnderStore, random: () => number, mood: {trouble: number}, runtime: () => Runtime | undefined, fault: Fault | undefined): UnderStore {
  const wait = async (): Promise<void> => {
    if (random() < 0.5) await runtime()?.clock.sleep(Math.ceil(random() * 30));
  };
  const fail = (): void => {
    if (random() < mood.trouble) throw new WeirError('Unavailable', 'the store is in trouble');
  };
  const shakyWrite = (write: StoreWrite): StoreWrite => ({
    write: async chunk => {
      await wait();
      fail();
      if (fault !== 'answers for what it did not write') await write.write(chunk);
    },
    finish: async () => {
      await wait();
      fail();
      const object = await write.finish();
      await wait();
      fail();
      return object;
    },
    abort: () => write.abort(),
  });
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
      if (name === 'write') {
        return async (request: Parameters<UnderStore['write']>[0], options: Parameters<UnderStore['write']>[1]) => {
          await wait();
          fail();
          const {condition, ...unconditional} = request;
          const {length: _, ...unmeasured} = unconditional;
          const asked = fault === 'overwrites what others changed' ? unconditional : fault === 'answers for what it did not write' ? unmeasured : request;
          return shakyWrite(await target.write(condition && asked === request ? request : asked, options));
        };
      }
      if (name === 'close') return call;
      return async (...args: unknown[]) => {
        await wait();
        return await call(...args);
      };
    },
  });
}

async function shown(world: World, master: Master): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const key of await keys(master, '/b/', {view: 'tree'})) {
    if (key.endsWith('/')) continue;
    const read = async (): Promise<readonly [Content, Uint8Array | undefined]> => {
      const content = (await master.stat(bytes(`/b/${key}`), {kind: 'file'}, context)).inode.content!;
      return [content, content.pending ? world.cache.get(content.id) : world.store('mem://bucket/').outside.bytes(content.storeKey)];
    };
    let [content, body] = await read();
    // As a reader does: what is on its way to another key is there soon.
    for (let tries = 0; !body && tries < 20; tries++) {
      await world.simulation.runtime.clock.sleep(20);
      [content, body] = await read();
    }
    assert.ok(body, `${key} has bytes ${content.pending ? 'in the cache' : `in the store under ${content.storeKey}`}`);
    found.set(key, Buffer.from(body).toString());
  }
  return found;
}

/** As process/pending-cache.ts does at a start. */
function sweep(world: World, master: Master): void {
  const needed = master.pendingContents();
  for (const id of world.cache.keys()) if (!needed.has(id)) world.cache.delete(id);
}

async function play(seed: number, capabilities: Partial<Capabilities>, fault?: Fault): Promise<void> {
  const random = randomFrom(seed);
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const world = new World(seed);
  const store = world.store('mem://bucket/', capabilities);
  const mood = {trouble: 0};
  let now: Runtime | undefined;
  world.wrap = under => shaky(under, random, mood, () => now, fault);
  const model = new Model();
  let count = 0;
  let calm = true;
  await world.life(async master => mountBucket(master, random() < 0.5 ? 'always' : 'maxAge=60s'));

  const step = async (master: Master): Promise<void> => {
    const key = pick(names);
    const body = `${key}#${++count}`;
    const existing = model.existing();
    const from = existing.length > 0 ? pick(existing) : key;
    const choice = random();
    if (choice < 0.5 || existing.length === 0) return model.change([[key, body]], () => putBehind(world, master, `/b/${key}`, body));
    // One that fails in the middle leaves what nobody knows of: rightly a conflict with what is pending.
    if (choice < 0.56 && calm) return model.change([[key, body]], () => put(master, `/b/${key}`, body, {writeType: 'CACHE_THROUGH'}));
    if (choice < 0.7) return model.change([[from, absent]], () => master.remove(bytes(`/b/${from}`), {kind: 'file'}, context));
    if (choice < 0.74 && from !== key && model.get(key) !== absent) {
      const changes = [[from, model.get(key)], [key, model.get(from)]] as const;
      return model.change(changes, () => master.rename(bytes(`/b/${from}`), bytes(`/b/${key}`), {replace: false, exchange: true}, context));
    }
    if (choice < 0.88 && from !== key) {
      const moved = model.get(from);
      return model.change([[from, absent], [key, moved]], () => master.rename(bytes(`/b/${from}`), bytes(`/b/${key}`), {replace: true, kind: 'file'}, context));
    }
    const below = existing.filter(each => each.startsWith('t/'));
    const gone = below.map(each => [each, absent] as const);
    if (choice < 0.92 && below.length > 0) return model.change(gone, () => master.remove(bytes('/b/t/'), {recursive: true}, context));
    const to = `u${++count}`;
    if (choice < 0.96 && below.length > 0) {
      const changes = below.flatMap(each => [[each, absent], [to + each.slice(1), model.get(each)]] as const);
      return model.change(changes, () => master.rename(bytes('/b/t/'), bytes(`/b/${to}/`), {replace: false}, context));
    }
    await now!.clock.sleep(Math.ceil(random() * 2_000));
  };

  for (let life = 0; life < 4; life++) {
    mood.trouble = pick([0, 0.1, 0.5, 1]);
    calm = mood.trouble === 0 && random() < 0.4;
    if (!calm && random() < 0.8) world.simulation.crashAt(pick([...world.simulation.pointsHit.keys(), ...ownPoints]), 1 + Math.floor(random() * 4));
    try {
      await world.life(async (master, runtime) => {
        now = runtime;
        for (let i = 0; i < 25; i++) {
          await step(master);
          // As the client does when a store failed: what it has got after all is seen.
          if (model.unsure) await master.refresh(bytes('/b/'), context);
          if (model.unsure) model.settle(await shown(world, master), `seed ${seed}, life ${life}, step ${i}`);
          if (random() < 0.3) await runtime.clock.sleep(Math.ceil(random() * 300));
        }
        mood.trouble = 0;
      });
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
    }
    now = undefined;
    mood.trouble = 0;
    world.simulation.crashAt('never');
    await world.life(async (master, runtime) => {
      now = runtime;
      sweep(world, master);
      model.settle(await shown(world, master), `seed ${seed}, life ${life}`);
      if (life === 3) return;
      // Others change what is there.
      mood.trouble = 1;
      const key = pick(names);
      await model.change([[key, 'ours']], () => putBehind(world, master, `/b/${key}`, 'ours'));
      store.outside.put(bytes(key), Buffer.from('theirs'));
      if (fault === 'forgets what is pending') world.cache.clear();
      // What was asked of the store before that comes to nothing.
      await runtime.clock.sleep(200);
      mood.trouble = 0;
      await master.persist(bytes('/b/'), {}, context);
      await runtime.clock.sleep(200_000);
      const pending = (await master.listPending({path: bytes('/b/'), limit: 100}, context)).entries;
      assert.deepEqual(pending.map(each => [each.path, each.state]), [[`/b/${key}`, 'conflict']], `seed ${seed}, life ${life}: ${JSON.stringify(pending)}`);
      assert.equal(Buffer.from(store.outside.bytes(bytes(key))!).toString(), 'theirs', `seed ${seed}: ${key} was overwritten`);
      const resolve = pick(['overwrite', 'discard'] as const);
      assert.deepEqual(await master.persist(bytes('/b/'), {resolve}, context), {files: 1});
      model.states.set(key, new Set([resolve === 'overwrite' ? 'ours' : 'theirs']));
    });
  }
  await world.life(async (master, runtime) => {
    now = runtime;
    sweep(world, master);
    await runtime.clock.sleep(300_000);
    assert.deepEqual((await master.listPending({path: bytes('/b/'), limit: 100}, context)).entries, [], `seed ${seed}: all is persisted`);
    assert.deepEqual(await master.listJobs(context), []);
    const found = await shown(world, master);
    model.settle(found, `seed ${seed}, at the end`);
    const stored = store.outside.keys().filter(key => !key.endsWith('/') && !key.startsWith('.weir/'));
    const inStore = new Map(stored.map(key => [key as string, Buffer.from(store.outside.bytes(key)!).toString()]));
    assert.deepEqual(inStore, new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1))), `seed ${seed}: the store is the namespace`);
    await master.refresh(bytes('/b/'), context);
    assert.deepEqual(await shown(world, master), found, `seed ${seed}: asked anew`);
    await runtime.clock.sleep(10_000);
    assert.deepEqual([...world.cache.keys()], [], `seed ${seed}: nothing is left in the cache`);
  });
}

const stores: Readonly<Record<string, Partial<Capabilities>>> = {
  'that copies': {},
  'without conditions': {conditionalWrite: false},
  'with directories': {directories: true, recursiveList: false, rename: 'tree', metadata: false},
};
const seeds = Number(process.env['WEIR_TEST_SEEDS'] ?? 4);
const first = Number(process.env['WEIR_TEST_SEED'] ?? 1);

describe('pending files among random changes', () => {
  for (const [kind, capabilities] of Object.entries(stores)) {
    it(`end where they belong, on a store ${kind}`, async () => {
      for (let seed = first; seed < first + seeds; seed++) await play(seed, capabilities);
    });
  }

  for (const fault of ['forgets what is pending', 'overwrites what others changed', 'answers for what it did not write'] as const) {
    it(`would show a Weir that ${fault}`, async () => {
      await assert.rejects(async () => {
        for (let seed = 1; seed <= 6; seed++) await play(seed, {}, fault);
      }, assert.AssertionError);
    });
  }
});
