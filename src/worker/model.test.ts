/**
 * Random readers, writers of the store, broken bodies, refusing caches and readers that leave, all at once, against the one
 * thing that matters: what is delivered is the version that was asked for, byte by byte, or the read fails and says so.
 */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {asciiBytes} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import {systemContext} from '#contracts/context.ts';
import type {ReadableContent} from '#model/content.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';
import type {StoreReadRequest, UnderStore} from '#understore/under-store.ts';
import {behindLink, bytesOf, piecesOf, stamped, type TestWorker, testWorker, VirtualClock} from '#worker/fixture.test.ts';

interface Version {
  readonly content: ReadableContent;
  readonly bytes: Buffer;
}

const names = ['tiny', 'small', 'big'] as const;
const lengths = {tiny: 100, small: 200 * KiB, big: 3 * MiB + 777};

const step = fc.oneof(
  {weight: 12, arbitrary: fc.record({
    kind: fc.constant('read' as const), name: fc.constantFrom(...names), from: fc.nat(1000), share: fc.nat(1000), leaveAfter: fc.option(fc.nat(5)), pauseMs: fc.nat(30), pieces: fc.boolean(),
  })},
  {weight: 2, arbitrary: fc.record({kind: fc.constant('replace' as const), name: fc.constantFrom(...names)})},
  {weight: 2, arbitrary: fc.record({kind: fc.constant('break' as const), bytes: fc.nat(300_000), lie: fc.boolean()})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('fail' as const)})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('cache' as const), mode: fc.constantFrom('ok' as const, 'refuse' as const)})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('evict' as const), name: fc.constantFrom(...names)})},
  {weight: 3, arbitrary: fc.record({kind: fc.constant('wait' as const), ms: fc.nat(60)})},
);

async function readSome(t: TestWorker, {content, bytes}: Version, spec: {from: number; share: number; leaveAfter: number | null; pauseMs: number; pieces: boolean}): Promise<void> {
  const offset = Math.floor((content.length * spec.from) / 1001);
  const length = Math.max(1, Math.floor(((content.length - offset) * (spec.share + 1)) / 1001));
  const expected = bytes.subarray(offset, offset + length);
  try {
    const body = await t.worker.read(content, {offset, length}, {}, systemContext);
    assert.equal(body.length, length);
    if (body.kind !== 'stream') {
      assert.ok((await bytesOf(body)).equals(expected), 'wrong bytes');
      return;
    }
    let at = 0;
    let chunks = 0;
    const pause = async () => (spec.pauseMs > 0 ? t.clock.sleep(spec.pauseMs) : undefined);
    for await (const chunk of spec.pieces ? piecesOf(body.stream, pause) : body.stream) {
      assert.ok(expected.subarray(at, at + chunk.length).equals(chunk), `wrong bytes at ${offset + at}`);
      at += chunk.length;
      if (chunks++ === spec.leaveAfter) return;
      await pause();
    }
    assert.equal(at, length, 'too few bytes without a failure');
  } catch (error) {
    if (!isKind(error, 'ContentChanged', 'Unavailable', 'Overloaded')) throw error;
  }
}

/** A store that ignores conditions: only the fingerprint in its answers tells versions apart. */
function deaf(store: UnderStore): UnderStore {
  return spyOnReads(store, ({ifFingerprint: _, ...request}) => request);
}

/** The same store, whose reads are changed or looked at first. */
function spyOnReads(store: UnderStore, look: (request: StoreReadRequest) => StoreReadRequest): UnderStore {
  const read: UnderStore['read'] = (key, request, options) => store.read(key, look(request), options);
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'read') return read;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('whatever happens', () => {
  it('no read mixes versions, holds zeros or ends early without saying so', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, {minLength: 5, maxLength: 40}), fc.boolean(), async (steps, conditional) => {
        const clock = new VirtualClock();
        const faults = new Faults();
        const t = testWorker({
          clock, store: {chunkBytes: 37_001}, limits: {heldBytesMax: MiB},
          wrap: store => behindLink(withFaults(conditional ? store : deaf(store), clock, faults), clock, {roundTripMs: 10, linkRate: 50_000}),
        });
        const current = new Map<string, Version>();
        let version = 0;
        const replace = (name: keyof typeof lengths) => {
          const bytes = stamped(name, ++version, lengths[name]);
          current.set(name, {bytes, content: t.put(name, bytes)});
        };
        for (const name of names) replace(name);
        const old: Version[] = [];
        const reads: Promise<void>[] = [];
        await clock.run((async () => {
          for (const s of steps) {
            if (s.kind === 'read') reads.push(readSome(t, current.get(s.name)!, s));
            else if (s.kind === 'replace') {
              old.push(current.get(s.name)!);
              replace(s.name);
            } else if (s.kind === 'break') faults.add({call: 'read', ...(s.lie ? {endBodyAt: s.bytes} : {breakBodyAt: s.bytes})});
            else if (s.kind === 'fail') faults.add({call: 'read', error: () => new WeirError('Unavailable', 'the store is down')});
            else if (s.kind === 'cache') t.blocks.mode = s.mode;
            else if (s.kind === 'evict') await t.blocks.drop(current.get(s.name)!.content.id);
            else await clock.sleep(s.ms);
          }
          for (const version of old) reads.push(readSome(t, version, {from: 3, share: 900, leaveAfter: null, pauseMs: 0, pieces: true}));
          await Promise.all(reads);
          // What read-ahead and abandoned reads left under way comes to its end.
          await clock.sleep(5000);
        })());
        assert.equal(t.worker.heldBytes.now, 0, 'bytes stay in memory');
        faults.clear();
        for (const name of names) {
          const {content, bytes} = current.get(name)!;
          const body = await clock.run(t.worker.read(content, {offset: 0, length: content.length}, {}, systemContext));
          assert.ok((await clock.run(bytesOf(body))).equals(bytes));
        }
      }),
      {numRuns: 100, endOnFailure: true},
    );
  });

  it('a page is fetched once, however many ask and in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(46), fc.integer({min: 1, max: 20}), fc.nat(40)), {minLength: 1, maxLength: 30}), async ranges => {
        const clock = new VirtualClock();
        const t = testWorker({clock, wrap: store => behindLink(store, clock, {roundTripMs: 10, linkRate: 50_000})});
        const bytes = stamped('a', 1, 3 * MiB);
        const content = t.put('a', bytes);
        await clock.run(Promise.all(ranges.map(async ([first, count, delay]) => {
          await clock.sleep(delay);
          const offset = first * 64 * KiB;
          const length = Math.min(count * 64 * KiB, bytes.length - offset);
          const body = await t.worker.read(content, {offset, length}, {}, systemContext);
          assert.ok((await bytesOf(body)).equals(bytes.subarray(offset, offset + length)));
        })));
        await clock.run(clock.sleep(1000));
        const {presentBytes} = t.blocks.presence(content.id)!;
        assert.equal(t.store.counters.bytesRead, presentBytes);
      }),
      {numRuns: 40, endOnFailure: true},
    );
  });

  it('every read of a known content is conditional on its version, also after a break', async () => {
    const clock = new VirtualClock();
    const faults = new Faults();
    const conditions: (string | undefined)[] = [];
    const t = testWorker({clock, wrap: store => spyOnReads(withFaults(store, clock, faults), request => (conditions.push(request.ifFingerprint), request))});
    const content = t.put('a', stamped('a', 1, 20 * MiB));
    faults.add({call: 'read', breakBodyAt: 200_000, times: 3});
    await clock.run(t.worker.read(content, {offset: 0, length: content.length}, {}, systemContext).then(bytesOf));
    assert.ok(conditions.length >= 6);
    assert.deepEqual(new Set(conditions), new Set([content.fingerprint]));
  });

  it('a reader that leaves stops what nobody else wants', async () => {
    const clock = new VirtualClock();
    const t = testWorker({clock, wrap: store => behindLink(store, clock, {roundTripMs: 10, linkRate: 50_000})});
    const content = t.put('a', stamped('a', 1, 64 * MiB));
    const leave = new AbortController();
    await clock.run((async () => {
      const body = await t.worker.read(content, {offset: 0, length: content.length}, {}, {...systemContext, signal: leave.signal});
      leave.abort();
      if (body.kind === 'stream') await assert.rejects(async () => { for await (const _chunk of body.stream); }, {kind: 'Cancelled'});
      await clock.sleep(10_000);
    })());
    assert.ok(t.store.counters.bytesRead < 2 * MiB, `${t.store.counters.bytesRead} bytes were fetched for nobody`);
    assert.equal(t.worker.heldBytes.now, 0);
  });

  it('a change in the middle of a body fails the read when part of it is delivered', async () => {
    const clock = new VirtualClock();
    const faults = new Faults();
    const t = testWorker({clock, wrap: store => withFaults(store, clock, faults)});
    const bytes = stamped('a', 1, MiB);
    const content = t.put('a', bytes);
    faults.add({call: 'read', breakBodyAt: 300_000});
    t.blocks.mode = 'refuse';
    const body = await clock.run(t.worker.read(content, {offset: 0, length: MiB}, {}, systemContext));
    t.store.outside.put(asciiBytes('a'), stamped('a', 2, MiB));
    await assert.rejects(clock.run(bytesOf(body)), {kind: 'ContentChanged'});
  });
});
