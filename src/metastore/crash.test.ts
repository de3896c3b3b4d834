/**
 * Power loss at every crash point, and at random moments, on the disk that tears writes: after each, the store must hold exactly the first
 * n transactions, with n at least every number that was called durable, and every request id among them must still have its result.
 * Planted faults prove that these checks can fail.
 */
import assert, {AssertionError} from 'node:assert/strict';
import {describe, it} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Commit, Metastore, ResultCodec, Transaction} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import type {DiskFile} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {type Simulation, createSimulation} from '#runtime/sim/simulation.ts';

const committers = 5;
const commitsEach = 8;
const keys = 9;
const textCodec: ResultCodec<string> = {encode: (text) => Buffer.from(text), decode: (bytes) => Buffer.from(bytes).toString()};
const bounds = {from: '\x01' as ByteString, to: '\xff' as ByteString};

type Change = readonly [key: ByteString, value: string | undefined];
type Request = {readonly client: string; readonly counter: number};

/** What each transaction did, by number; and how much of it may not be lost. */
interface History {
  readonly transactions: {readonly changes: readonly Change[]; readonly request: Request; readonly result: string}[];
  durable: number;
  nextCounter: number;
}

/** What goes between the store and the machine, or between the test and the store, in the test's own hands. */
interface Fault {
  readonly file?: (file: DiskFile) => Partial<DiskFile>;
  readonly dropsRequests?: boolean;
}

/** Counts what a file was told, so that a reply can be held against it. */
class Witness {
  writesBegun = 0;
  writesDone = 0;
  /** Writes that a sync has covered that began after they had ended. */
  covered = 0;

  watch(runtime: Runtime, fault: Fault): Runtime {
    const open: Runtime['disk']['open'] = async (path, options) => {
      const file = await runtime.disk.open(path, options);
      return this.#wrap(file, {...plain(file), ...fault.file?.(file)});
    };
    // The machine's methods stand on its prototype or close over it: delegate, do not copy.
    const disk = Object.assign(Object.create(runtime.disk) as Runtime['disk'], {open});
    return {...runtime, disk};
  }

  #wrap(real: DiskFile, told: DiskFile): DiskFile {
    return {
      ...told,
      // Seen at the real file: a fault that answers early must not deceive the witness.
      write: async (buffers, position) => {
        this.writesBegun++;
        await told.write(buffers, position);
        this.writesDone++;
      },
      datasync: () => told.datasync(),
      get descriptor() {
        return real.descriptor;
      },
    };
  }

  /** The real sync of a file, watched. */
  async sync(file: DiskFile): Promise<void> {
    const done = this.writesDone;
    await file.datasync();
    this.covered = Math.max(this.covered, done);
  }
}

function plain(file: DiskFile): DiskFile {
  return {
    descriptor: file.descriptor,
    read: (into, position) => file.read(into, position),
    readResident: (into, position) => file.readResident(into, position),
    write: (buffers, position) => file.write(buffers, position),
    datasync: () => file.datasync(),
    truncate: (size) => file.truncate(size),
    punch: (offset, length) => file.punch(offset, length),
    stat: () => file.stat(),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

function commitOne(store: Metastore, history: History, fault: Fault, random: () => number): Commit<string> {
  const request: Request = {client: `client ${Math.floor(random() * 3)}`, counter: history.nextCounter++};
  const changes: Change[] = [];
  for (let i = Math.floor(random() * 3); i >= 0; i--) {
    const key = `k${Math.floor(random() * keys)}` as ByteString;
    changes.push([key, random() < 0.25 ? undefined : `${request.counter}.${i}`.padEnd(Math.floor(random() * 900), '.')]);
  }
  const result = `result ${request.counter}`;
  const fn = (tx: Transaction): string => {
    for (const [key, value] of changes) {
      if (value === undefined) tx.delete(key);
      else tx.put(key, Buffer.from(value));
    }
    return result;
  };
  const commit = fault.dropsRequests ? store.transact(fn) : store.transact(fn, {id: {...request, acknowledged: 0}, codec: textCodec});
  history.transactions[commit.sequence - 1] = {changes, request, result};
  return commit;
}

async function workload(runtime: Runtime, medium: MemoryMedium, history: History, fault: Fault): Promise<void> {
  const witness = new Witness();
  const watching: Fault = {...fault, file: (file) => ({datasync: () => witness.sync(file), ...fault.file?.(file)})};
  const watched = witness.watch(runtime, watching);
  const store = await openMetastore({runtime: watched, directory: '/log', engine: memoryEngine(runtime, medium)});
  const random = () => runtime.random.number();
  await Promise.all(
    Array.from({length: committers}, async () => {
      for (let i = 0; i < commitsEach; i++) {
        const begun = witness.writesBegun;
        const commit = commitOne(store, history, fault, random);
        await commit.durable;
        assert.ok(witness.covered > begun, `transaction ${commit.sequence} was called durable before a sync that covers it`);
        history.durable = Math.max(history.durable, commit.sequence);
        if (random() < 0.3) await runtime.clock.sleep(random() * 30);
      }
    }),
  );
  await store.close();
}

/** Opens what is left, checks it, and lets the history end where the store does. */
async function verify(runtime: Runtime, medium: MemoryMedium, history: History): Promise<void> {
  const store = await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, medium)});
  const n = store.status().sequence;
  assert.ok(n >= history.durable, `transaction ${history.durable} was durable, and only ${n} are there`);
  assert.ok(n <= history.transactions.length, 'nothing is there that nobody committed');
  history.transactions.length = n;
  history.durable = n;
  const expected = new Map<string, string>();
  for (const {changes} of history.transactions) {
    for (const [key, value] of changes) {
      if (value === undefined) expected.delete(key);
      else expected.set(key, value);
    }
  }
  const found = store.read((reader) => Array.from(reader.range(bounds), ({key, value}) => [key, Buffer.from(value).toString()])).result;
  assert.deepEqual(found, [...expected].sort(([a], [b]) => (a < b ? -1 : 1)));
  for (const {request, result} of history.transactions) {
    const ranAgain = (): string => assert.fail(`request ${request.counter} was forgotten`);
    assert.equal(store.transact(ranAgain, {id: {...request, acknowledged: 0}, codec: textCodec}).result, result);
  }
  assert.equal(store.status().sequence, n);
  await store.close();
}

const none: Fault = {};

/** Some lives in a row on one machine, the power going each time where `plan` says. */
async function lives(seed: number, plan: (simulation: Simulation, life: number) => void, fault = none): Promise<Simulation> {
  const simulation = createSimulation(seed);
  const medium = new MemoryMedium();
  const history: History = {transactions: [], durable: 0, nextCounter: 1};
  for (let life = 0; life < 3; life++) {
    plan(simulation, life);
    await simulation.run((runtime) => workload(runtime, medium, history, fault)).catch((error: unknown) => {
      if (!(error instanceof SimulatedCrash)) throw error;
    });
    simulation.crash();
    // The power may go during recovery too: where the plan still says so, and now and then at any moment.
    if (seed % 3 === 0) simulation.runtime.clock.after(1 + (seed % 5), () => simulation.crash());
    for (let tries = 0; ; tries++) {
      const verified = await simulation.run((runtime) => verify(runtime, medium, history)).then(() => true, (error: unknown) => {
        if (!(error instanceof SimulatedCrash) || tries > 2) throw error;
        return false;
      });
      if (verified) break;
    }
  }
  return simulation;
}

const atRandom = (seed: number) => (simulation: Simulation, life: number) => {
  simulation.runtime.clock.after(2 + ((seed * 7919 + life * 104_729) % 97), () => simulation.crash());
};

describe('the metastore under power loss', () => {
  it('keeps its word at every crash point', async () => {
    const {pointsHit} = await lives(1, () => undefined);
    assert.ok(pointsHit.size >= 8, [...pointsHit.keys()].join());
    for (const point of pointsHit.keys()) {
      for (let hit = 1; hit <= 4; hit++) await lives(hit * 31, (simulation) => simulation.crashAt(point, hit));
    }
  });

  it('keeps its word at random moments', async () => {
    for (let seed = 1; seed <= 60; seed++) await lives(seed, atRandom(seed));
  });

  it('accepts nothing after a sync has failed, and calls nothing durable', async () => {
    const simulation = createSimulation(5);
    const medium = new MemoryMedium();
    await simulation.run(async (runtime) => {
      const store = await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, medium)});
      await store.transact((tx) => tx.put('a' as ByteString, Buffer.from('1'))).durable;
      simulation.disk.fail('sync', 'Io');
      const lost = store.transact((tx) => tx.put('b' as ByteString, Buffer.from('2')));
      await lost.safe;
      await assert.rejects(lost.durable, (error) => isKind(error, 'Io'));
      simulation.disk.heal();
      assert.throws(() => store.transact((tx) => tx.put('c' as ByteString, Buffer.from('3'))), (error) => isKind(error, 'Io'));
      await assert.rejects(lost.durable, (error) => isKind(error, 'Io'));
    });
  });

  const planted: Record<string, Fault> = {
    'a sync that is skipped': {file: () => ({datasync: async () => {}})},
    'a sync that is answered before it is done': {
      file: (file) => ({
        datasync: async () => {
          void file.datasync();
        },
      }),
    },
    'a request id that is not logged': {dropsRequests: true},
  };
  for (const [name, fault] of Object.entries(planted)) {
    it(`finds ${name}`, async () => {
      await assert.rejects(lives(2, atRandom(2), fault), AssertionError);
    });
  }

  it('finds skipped and early syncs by what is lost, without the witness', async () => {
    for (const name of ['a sync that is skipped', 'a sync that is answered before it is done']) {
      let found = 0;
      for (let seed = 1; seed <= 20 && found === 0; seed++) {
        const simulation = createSimulation(seed);
        const medium = new MemoryMedium();
        const history: History = {transactions: [], durable: 0, nextCounter: 1};
        simulation.crashAt('journal.afterSync', 3);
        await simulation
          .run(async (runtime) => {
            const store = await openMetastore({runtime: new Witness().watch(runtime, planted[name]!), directory: '/log', engine: memoryEngine(runtime, medium)});
            for (;;) {
              const {sequence, durable} = commitOne(store, history, none, () => runtime.random.number());
              await durable;
              history.durable = sequence;
            }
          })
          .catch(() => undefined);
        await simulation.run((runtime) => verify(runtime, medium, history)).catch(() => found++);
      }
      assert.ok(found > 0, name);
    }
  });
});
