/**
 * Power loss and kill -9 at every crash point, and at random moments, on the disk that tears writes and with a log of many small segments:
 * after each, the store must hold exactly the first n transactions, with n at least every number that was called durable (or, when only
 * the process died, safe), and every request id among them must still have its result. Planted faults prove that these checks can fail.
 */
import assert, {AssertionError} from 'node:assert/strict';
import {describe, it} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {StateEngine} from '#metastore/engine.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Commit, Metastore, ResultCodec, Transaction} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import type {DiskFile} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';
import {type Death, type Simulation, createSimulation} from '#runtime/sim/simulation.ts';

const committers = 5;
const commitsEach = 8;
const keys = 9;
/** Room for a few transactions: segments are made and cut all the time. */
const segmentBytes = 1500;
const textCodec: ResultCodec<string> = {encode: (text) => Buffer.from(text), decode: (bytes) => Buffer.from(bytes).toString()};
const bounds = {from: '\x01' as ByteString, to: '\xff' as ByteString};

type Change = readonly [key: ByteString, value: string | undefined];
type Request = {readonly client: string; readonly counter: number};

/** What each transaction did, by number; and how much of it may not be lost. */
interface History {
  readonly transactions: {readonly changes: readonly Change[]; readonly request: Request; readonly result: string}[];
  /** The last that was promised to outlive what ends this life. */
  promised: number;
  nextCounter: number;
}

/** What a transaction must have reached to survive each end of a life. */
function promiseOf(commit: Commit<unknown>, death: Death, patient: boolean): Promise<void> {
  if (death === 'kill') return commit.safe;
  return patient ? commit.eventually : commit.durable;
}

/** What goes between the store and the machine, or between the test and the store, in the test's own hands. */
interface Fault {
  readonly file?: (file: DiskFile) => Partial<DiskFile>;
  readonly syncDirectory?: Runtime['disk']['syncDirectory'];
  readonly dropsRequests?: boolean;
}

/** Counts what files were told, so that a reply can be held against it. Numbers are of records: a segment's header promises nothing. */
class Witness {
  writesBegun = 0;
  /** The newest write that ended before a sync of its file began, which has ended too. */
  covered = 0;
  /** By file: the newest write that has ended. */
  readonly #written = new WeakMap<DiskFile, number>();

  watch(runtime: Runtime, fault: Fault): Runtime {
    const open: Runtime['disk']['open'] = async (path, options) => {
      const file = await runtime.disk.open(path, options);
      return this.#wrap(file, {...plain(file), ...fault.file?.(file)});
    };
    // The machine's methods stand on its prototype or close over it: delegate, do not copy.
    const disk = Object.assign(Object.create(runtime.disk) as Runtime['disk'], {open, ...(fault.syncDirectory ? {syncDirectory: fault.syncDirectory} : {})});
    return {...runtime, disk};
  }

  #wrap(real: DiskFile, told: DiskFile): DiskFile {
    return {
      ...told,
      // Seen at the real file: a fault that answers early must not deceive the witness.
      write: async (buffers, position) => {
        const number = position === 0 ? 0 : ++this.writesBegun;
        await told.write(buffers, position);
        this.#written.set(real, number);
      },
      writeNow: (buffer, position) => {
        if (!told.writeNow(buffer, position)) return false;
        this.#written.set(real, ++this.writesBegun);
        return true;
      },
      datasync: () => told.datasync(),
      get descriptor() {
        return real.descriptor;
      },
    };
  }

  /** The real sync of a file, watched. */
  async sync(file: DiskFile): Promise<void> {
    const written = this.#written.get(file) ?? 0;
    await file.datasync();
    this.covered = Math.max(this.covered, written);
  }
}

function plain(file: DiskFile): DiskFile {
  return {
    descriptor: file.descriptor,
    read: (into, position) => file.read(into, position),
    readResident: (into, position) => file.readResident(into, position),
    writeNow: (buffer, position) => file.writeNow(buffer, position),
    write: (buffers, position) => file.write(buffers, position),
    copyFrom: (source, from, length, position) => file.copyFrom(source, from, length, position),
    beginWriteBack: (position, length) => file.beginWriteBack(position, length),
    datasync: () => file.datasync(),
    truncate: (size) => file.truncate(size),
    punch: (offset, length) => file.punch(offset, length),
    seek: (position, to) => file.seek(position, to),
    stat: () => file.stat(),
    statNow: () => file.statNow(),
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
  const unhurried = random() < 0.4;
  const options = {unhurried, awaited: unhurried && random() < 0.5};
  const before = store.sequence;
  try {
    const commit = fault.dropsRequests ? store.transact(fn, undefined, options) : store.transact(fn, {id: {...request, acknowledged: 0}, codec: textCodec}, options);
    history.transactions[commit.sequence - 1] = {changes, request, result};
    return commit;
  } catch (error) {
    // It may be written and not answered any more.
    history.transactions[before] ??= {changes, request, result};
    throw error;
  }
}

/** An engine whose batches take long enough that the log rolls meanwhile. */
function slowEngine(runtime: Runtime, medium: MemoryMedium): StateEngine {
  const engine = memoryEngine(runtime, medium);
  const apply: StateEngine['apply'] = async (mutations, sequence) => {
    await runtime.clock.sleep(runtime.random.number() * 10);
    await engine.apply(mutations, sequence);
  };
  return Object.assign(Object.create(engine) as StateEngine, {apply});
}

async function workload(runtime: Runtime, medium: MemoryMedium, history: History, fault: Fault, death: Death): Promise<void> {
  const witness = new Witness();
  const watching: Fault = {...fault, file: (file) => ({datasync: () => witness.sync(file), ...fault.file?.(file)})};
  const watched = witness.watch(runtime, watching);
  const store = await openMetastore({runtime: watched, directory: '/log', engine: slowEngine(runtime, medium), segmentBytes});
  const random = () => runtime.random.number();
  await Promise.all(
    Array.from({length: committers}, async () => {
      for (let i = 0; i < commitsEach; i++) {
        const begun = witness.writesBegun;
        const commit = commitOne(store, history, fault, random);
        await promiseOf(commit, death, random() < 0.3);
        if (death === 'crash') assert.ok(witness.covered > begun, `transaction ${commit.sequence} was called durable before a sync that covers it`);
        history.promised = Math.max(history.promised, commit.sequence);
        if (random() < 0.3) await runtime.clock.sleep(random() * 30);
      }
    }),
  );
  await store.close();
}

/** Opens what is left, checks it, and lets the history end where the store does. */
async function verify(runtime: Runtime, medium: MemoryMedium, history: History): Promise<void> {
  const store = await openMetastore({runtime, directory: '/log', engine: slowEngine(runtime, medium), segmentBytes});
  const n = store.status().sequence;
  assert.ok(n >= history.promised, `transaction ${history.promised} was promised to last, and only ${n} are there`);
  assert.ok(n <= history.transactions.length, 'nothing is there that nobody committed');
  history.transactions.length = n;
  history.promised = n;
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

type Plan = (simulation: Simulation, life: number, death: Death) => void;

/** Some lives in a row on one machine, each ending where `plan` says and as `deaths` says. */
async function lives(seed: number, plan: Plan, deaths: readonly Death[], fault = none): Promise<Simulation> {
  const simulation = createSimulation(seed);
  const medium = new MemoryMedium();
  const history: History = {transactions: [], promised: 0, nextCounter: 1};
  for (const [life, death] of deaths.entries()) {
    plan(simulation, life, death);
    await simulation.run((runtime) => workload(runtime, medium, history, fault, death)).catch((error: unknown) => {
      if (!(error instanceof SimulatedCrash)) throw error;
    });
    simulation[death]();
    // The end may come during recovery too: where the plan still says so, and now and then at any moment.
    if (seed % 3 === 0) simulation.runtime.clock.after(1 + (seed % 5), () => simulation[death]());
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

const atRandom =
  (seed: number): Plan =>
  (simulation, life, death) => {
    simulation.runtime.clock.after(2 + ((seed * 7919 + life * 104_729) % 97), () => simulation[death]());
  };

const ends: Record<string, readonly Death[]> = {
  'power loss': ['crash', 'crash', 'crash'],
  'kill -9': ['kill', 'kill', 'kill'],
  // What was only safe before is built upon by the next life, so it must have become durable first.
  'kill -9 and then power loss': ['kill', 'crash', 'kill', 'crash'],
};

for (const [name, deaths] of Object.entries(ends)) {
  describe(`the metastore under ${name}`, () => {
    it('keeps its word at every crash point', async () => {
      const {pointsHit} = await lives(1, () => undefined, deaths);
      for (const point of ['journal.beforeMake', 'journal.afterMake', 'journal.beforeCut']) assert.ok(pointsHit.get(point)! > 10, `${point} was passed ${pointsHit.get(point)} times`);
      assert.ok(pointsHit.size >= 10, [...pointsHit.keys()].join());
      for (const point of pointsHit.keys()) {
        for (let hit = 1; hit <= 4; hit++) await lives(hit * 31, (simulation, _life, death) => simulation.crashAt(point, hit * hit, death), deaths);
      }
    });

    it('keeps its word at random moments', async () => {
      for (let seed = 1; seed <= 60; seed++) await lives(seed, atRandom(seed), deaths);
    });
  });
}

describe('the metastore', () => {
  it('syncs what is unhurried when somebody waits for it, and by itself within a second', async () => {
    const simulation = createSimulation(6);
    await simulation.run(async (runtime) => {
      const store = await openMetastore({runtime, directory: '/log', engine: memoryEngine(runtime, new MemoryMedium())});
      const put = (key: string) => store.transact((tx) => tx.put(key as ByteString, Buffer.from('1')), undefined, {unhurried: true});
      const alone = put('a');
      const begun = runtime.clock.monotonicMs();
      await alone.safe;
      assert.equal(store.safeSequence, alone.sequence);
      assert.ok(store.durableSequence < alone.sequence);
      await alone.eventually;
      const tookMs = runtime.clock.monotonicMs() - begun;
      assert.ok(tookMs > 100 && tookMs < 1000, `${tookMs} ms`);
      for (const wait of [async () => await put('b').durable, async () => {
        put('c');
        await store.sync();
      }, async () => {
        put('d');
        await store.read((reader) => reader.get('d' as ByteString)).durable;
      }]) {
        const started = runtime.clock.monotonicMs();
        await wait();
        assert.equal(store.durableSequence, store.sequence);
        assert.ok(runtime.clock.monotonicMs() - started < 100);
      }
      await store.close();
    });
  });

  it('accepts nothing after a sync has failed, and calls nothing durable', async () => {
    const simulation = createSimulation(5);
    const medium = new MemoryMedium();
    await simulation.run(async (runtime) => {
      const store = await openMetastore({runtime, directory: '/log', engine: slowEngine(runtime, medium), segmentBytes});
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

  const early: Fault = {
    file: (file) => ({
      datasync: async () => {
        void file.datasync();
      },
    }),
  };
  const skipped: Fault = {file: () => ({datasync: async () => {}})};
  const planted: Record<string, {readonly fault: Fault; readonly death: Death}> = {
    'a sync that is skipped': {fault: skipped, death: 'crash'},
    'a sync that is answered before it is done': {fault: early, death: 'crash'},
    'a directory that is not synced': {fault: {syncDirectory: async () => {}}, death: 'crash'},
    'a write that is not done': {fault: {file: (file) => ({writeNow: () => true, write: async (buffers, position) => (position === 0 ? await file.write(buffers, position) : undefined)})}, death: 'kill'},
    'a request id that is not logged': {fault: {dropsRequests: true}, death: 'kill'},
  };
  for (const [name, {fault, death}] of Object.entries(planted)) {
    it(`finds ${name}`, async () => {
      let found: unknown;
      for (let seed = 1; seed <= 20 && !found; seed++) await lives(seed, atRandom(seed), [death], fault).catch((error: unknown) => (found = error));
      // Found by this test, or by the store itself.
      assert.ok(found instanceof AssertionError || isKind(found, 'Corrupt'), String(found));
    });
  }

  it('finds skipped and early syncs by what is lost, without the witness', async () => {
    for (const [name, fault] of Object.entries({skipped, early})) {
      let found = 0;
      for (let seed = 1; seed <= 20 && found === 0; seed++) {
        const simulation = createSimulation(seed);
        const medium = new MemoryMedium();
        const history: History = {transactions: [], promised: 0, nextCounter: 1};
        simulation.crashAt('journal.afterSync', 3);
        await simulation
          .run(async (runtime) => {
            const store = await openMetastore({runtime: new Witness().watch(runtime, fault), directory: '/log', engine: slowEngine(runtime, medium), segmentBytes});
            for (;;) {
              const {sequence, durable} = commitOne(store, history, none, () => runtime.random.number());
              await durable;
              history.promised = sequence;
            }
          })
          .catch(() => undefined);
        await simulation.run((runtime) => verify(runtime, medium, history)).catch(() => found++);
      }
      assert.ok(found > 0, name);
    }
  });
});
