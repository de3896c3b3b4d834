import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';
import {withBandwidthLimit} from '#understore/layers/with-bandwidth-limit.ts';
import {withConcurrencyLimit} from '#understore/layers/with-concurrency-limit.ts';
import {withMetrics} from '#understore/layers/with-metrics.ts';
import {withRetry} from '#understore/layers/with-retry.ts';
import {withTimeout} from '#understore/layers/with-timeout.ts';
import {MemoryUnderStore} from '#understore/memory/memory-store.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Metrics} from '#runtime/metrics.ts';

/** Time passes only when everybody waits: each sleep and timer is in a queue and `advance` runs the next ones. */
class ManualClock implements Clock {
  #now = 0;
  #timers: {at: number; run: () => void}[] = [];
  readonly slept: number[] = [];

  nowMs(): number {
    return this.#now;
  }
  nowNs(): bigint {
    return BigInt(Math.round(this.#now * 1e6));
  }
  steadyMs(): number {
    return this.#now;
  }
  monotonicMs(): number {
    return this.#now;
  }
  sleep(ms: number, options?: {signal?: AbortSignal}): Promise<void> {
    this.slept.push(ms);
    const {promise, resolve, reject} = Promise.withResolvers<void>();
    options?.signal?.addEventListener('abort', () => reject(options.signal?.reason));
    this.#timers.push({at: this.#now + ms, run: resolve});
    return promise;
  }
  after(ms: number, fn: () => void): Disposable {
    const timer = {at: this.#now + ms, run: fn};
    this.#timers.push(timer);
    return {[Symbol.dispose]: () => void (this.#timers = this.#timers.filter(other => other !== timer))};
  }
  async yield(): Promise<void> {}

  get pending(): number {
    return this.#timers.length;
  }

  /** Lets time pass until the promise is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    void promise.then(() => (settled = true), () => (settled = true));
    for (;;) {
      await new Promise(resolve => setImmediate(resolve));
      if (settled) return await promise;
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      assert.ok(next, 'everybody waits, and nothing will happen');
      this.#timers = this.#timers.filter(timer => timer !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
  }
}

const call = {signal: new AbortController().signal};
const key = fromText('k');
const random = {number: () => 0.5, bytes: (n: number) => new Uint8Array(n), id: () => '0'};
const unavailable = (): Error => new WeirError('Unavailable', 'planted');
const overloaded = (): Error => new WeirError('Overloaded', 'planted');

function setup(): {clock: ManualClock; memory: MemoryUnderStore; faults: Faults; faulty: ReturnType<typeof withFaults>} {
  const clock = new ManualClock();
  const memory = new MemoryUnderStore({clock, chunkBytes: 100});
  memory.outside.put(key, Buffer.alloc(1000, 7));
  const faults = new Faults();
  return {clock, memory, faults, faulty: withFaults(memory, clock, faults)};
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of body) bytes += chunk.length;
  return bytes;
}

test('retry repeats what may be repeated, with growing pauses', async () => {
  const {clock, memory, faults, faulty} = setup();
  const store = withRetry(faulty, clock, random);
  faults.add({call: 'stat', times: 4, error: unavailable});
  assert.equal((await clock.until(store.stat(key, call)))?.length, 1000);
  assert.deepEqual(clock.slept, [25, 50, 100, 200]);
  assert.equal(memory.counters.requests.stat, 1);
  faults.add({call: 'stat', times: 5, error: unavailable});
  await assert.rejects(clock.until(store.stat(key, call)), error => isKind(error, 'Unavailable'));
});

test('retry leaves alone what could hurt, and what cannot help', async () => {
  const {clock, memory, faults, faulty} = setup();
  const store = withRetry(faulty, clock, random);
  const id = await store.createUpload({key: fromText('assembled'), metadata: {}}, call);
  faults.add({call: 'completeUpload', errorAfter: unavailable});
  await assert.rejects(clock.until(store.completeUpload(fromText('assembled'), id, [], undefined, call)), error => isKind(error, 'Unavailable'));
  assert.equal(memory.counters.requests.completeUpload, 1, 'an unknown outcome is not tried again');
  faults.clear();
  faults.add({call: 'rename', error: overloaded});
  await assert.rejects(clock.until(store.rename(key, fromText('l'), call)), error => isKind(error, 'Unsupported'), 'a refusal is tried again');
  faults.add({call: 'stat', error: () => new WeirError('PermissionDenied', 'planted')});
  await assert.rejects(store.stat(key, call), error => isKind(error, 'PermissionDenied'));
  faults.add({call: 'read', breakBodyAt: 150});
  const read = await store.read(key, {}, call);
  await assert.rejects(drain(read.body), error => isKind(error, 'Unavailable'), 'a half-read body stays broken');
  assert.equal(memory.counters.requests.read, 1);
});

test('retry stops when its budget is spent, and when the caller gives up', async () => {
  const {clock, memory, faults, faulty} = setup();
  const store = withRetry(faulty, clock, random, {attemptsMax: 5, baseMs: 10, pauseMsMax: 100, budget: 6});
  faults.add({times: Number.POSITIVE_INFINITY, error: unavailable});
  for (let i = 0; i < 10; i++) await assert.rejects(clock.until(store.stat(key, call)));
  assert.equal(faults.hits, 16, 'ten calls and six retries');
  assert.equal(memory.counters.requests.stat, 0);
  const fresh = withRetry(faulty, clock, random);
  const controller = new AbortController();
  const waiting = fresh.stat(key, controller);
  await Promise.resolve();
  controller.abort(new WeirError('Cancelled', 'gone'));
  await assert.rejects(waiting);
});

test('timeouts bound answers and pauses within bodies, not slow receivers', async () => {
  const {clock, faults, faulty} = setup();
  const store = withTimeout(faulty, clock, {callMs: 1000, idleMs: 500, longCallMs: 5000});
  faults.add({call: 'stat', delayMs: 1001});
  await assert.rejects(clock.until(store.stat(key, call)), error => isKind(error, 'Timeout'));
  faults.add({call: 'stat', delayMs: 999});
  assert.equal((await clock.until(store.stat(key, call)))?.length, 1000);
  faults.add({call: 'read', atByte: {bytes: 300, run: () => clock.sleep(501)}});
  const stuck = await store.read(key, {}, call);
  await assert.rejects(clock.until(drain(stuck.body)), error => isKind(error, 'Timeout'));
  const read = await store.read(key, {}, call);
  let bytes = 0;
  for await (const chunk of read.body) {
    bytes += chunk.length;
    await clock.until(clock.sleep(10_000));
  }
  assert.equal(bytes, 1000);
});

test('the concurrency limit is fair, bounded, and gives places back in every way a body can end', async () => {
  const {clock, memory, faults, faulty} = setup();
  const store = withConcurrencyLimit(faulty, {inFlightMax: 2, waitingMax: 3});
  const first = await store.read(key, {}, call);
  const second = await store.read(key, {}, call);
  const order: number[] = [];
  const waiting = [1, 2, 3].map(n => store.stat(key, call).then(() => order.push(n)));
  await assert.rejects(store.stat(key, call), error => isKind(error, 'Overloaded'));
  await Promise.resolve();
  assert.equal(memory.counters.requests.stat, 0);
  await first.body[Symbol.asyncIterator]().return?.();
  await Promise.all(waiting);
  assert.deepEqual(order, [1, 2, 3]);
  await drain(second.body);
  for (let i = 0; i < 5; i++) {
    faults.add({call: 'read', breakBodyAt: 100});
    await assert.rejects(drain((await store.read(key, {}, call)).body));
    await assert.rejects(store.read(fromText('absent'), {}, call));
    const write = await store.write({key: fromText('other'), metadata: {}}, call);
    await (i % 2 ? write.abort() : write.finish());
    await write.abort();
  }
  const slow = [await store.write({key: fromText('w1'), metadata: {}}, call), await store.write({key: fromText('w2'), metadata: {}}, call)];
  assert.equal((await store.stat(key, call))?.length, 1000, 'writers that take their time do not keep readers out');
  for (const write of slow) await write.abort();
  const [a, b] = [await store.read(key, {}, call), await store.read(key, {}, call)];
  const controller = new AbortController();
  const third = store.stat(key, controller);
  controller.abort(new WeirError('Cancelled', 'gone'));
  await assert.rejects(third, error => isKind(error, 'Cancelled'));
  await Promise.all([drain(a.body), drain(b.body)]);
  assert.equal(clock.pending, 0);
});

test('the bandwidth limit spreads bytes over time', async () => {
  const {clock, memory} = setup();
  memory.outside.put(key, Buffer.alloc(1_000_000));
  const store = withBandwidthLimit(memory, clock, {readBytesPerSecond: 100_000, writeBytesPerSecond: 50_000});
  await clock.until(drain((await store.read(key, {}, call)).body));
  const read = clock.monotonicMs();
  assert.ok(Math.abs(read - (1_000_000 - 65_536) / 100) < 10, `reading took ${read} ms`);
  const write = await store.write({key, metadata: {}}, call);
  for (let i = 0; i < 10; i++) await clock.until(write.write(Buffer.alloc(50_000)));
  await write.finish();
  assert.ok(Math.abs(clock.monotonicMs() - read - (500_000 - 65_536) / 50) < 10);
});

test('metrics count requests, bytes and errors by scheme', async () => {
  const {clock, faults, faulty} = setup();
  const values = new Map<string, number>();
  const metrics: Pick<Metrics, 'counter' | 'histogram'> = {
    counter: (name, _help, labels) => ({add: (n = 1) => void values.set(`${name} ${Object.values(labels ?? {}).join(' ')}`, (values.get(`${name} ${Object.values(labels ?? {}).join(' ')}`) ?? 0) + n)}),
    histogram: () => ({observe: () => {}}),
  };
  const store = withMetrics(faulty, clock, metrics as Metrics, 's3');
  await drain((await store.read(key, {offset: 900}, call)).body);
  faults.add({call: 'read', breakBodyAt: 50});
  await assert.rejects(drain((await store.read(key, {}, call)).body));
  await assert.rejects(store.read(fromText('absent'), {}, call));
  const write = await store.write({key, metadata: {}}, call);
  await write.write(Buffer.alloc(30));
  await write.finish();
  assert.deepEqual(Object.fromEntries(values), {
    'weir_understore_requests_total s3 read': 3,
    'weir_understore_bytes_total s3 read': 150,
    'weir_understore_errors_total s3 Unavailable': 1,
    'weir_understore_errors_total s3 NotFound': 1,
    'weir_understore_requests_total s3 write': 1,
    'weir_understore_requests_total s3 finish': 1,
    'weir_understore_bytes_total s3 write': 30,
  });
});

test('faults hit the calls that they name', async () => {
  const {memory, faults, faulty} = setup();
  faults.add({call: 'read', key, skip: 1, endBodyAt: 250});
  assert.equal(await drain((await faulty.read(key, {}, call)).body), 1000);
  assert.equal(await drain((await faulty.read(key, {}, call)).body), 250, 'a lying store ends early without an error');
  assert.equal(await drain((await faulty.read(key, {}, call)).body), 1000);
  faults.add({call: 'finish', errorAfter: unavailable});
  const write = await faulty.write({key: fromText('new'), metadata: {}}, call);
  await assert.rejects(write.finish());
  assert.ok(memory.outside.object(fromText('new')), 'done, though the answer was lost');
  faults.add({call: 'read', atByte: {bytes: 200, run: () => void memory.outside.put(key, Buffer.alloc(5))}});
  assert.equal(await drain((await faulty.read(key, {}, call)).body), 1000);
  assert.equal(memory.outside.object(key)?.length, 5);
});
