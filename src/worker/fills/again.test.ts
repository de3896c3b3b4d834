/** What is read a second time: nothing reaches the store, whoever read it first and in whatever pieces. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {Fragments} from '#worker/fills/fragments.ts';
import {Unasked} from '#worker/fills/unasked.ts';
import {behindLink, read, stamped, testWorker, VirtualClock} from '#worker/fixture.test.ts';

describe('a second run', () => {
  it('asks the store for nothing, though the first left room to read ahead', async () => {
    const clock = new VirtualClock();
    const t = testWorker({clock, wrap: store => behindLink(store, clock, {roundTripMs: 25, linkRate: 200_000})});
    const bytes = stamped('lineitem', 1, 64 * MiB);
    const content = t.put('lineitem', bytes);
    // Row groups of 4 MiB, of which some column chunks side by side are read, one after the other, each time.
    const run = async (): Promise<void> => {
      for (let group = 0; group < 14; group++) {
        for (const [from, length] of [[100_000, 300_111], [400_111, 624_001], [1_024_112, 181_132], [3_000_003, 90_000]] as const) {
          const offset = group * 4 * MiB + from;
          assert.ok((await read(t.worker, content, offset, length)).equals(bytes.subarray(offset, offset + length)));
        }
      }
      await clock.sleep(1000);
    };
    await clock.run(run());
    const {requests, bytesRead} = t.store.counters;
    const fetched = [requests.read, bytesRead];
    for (let i = 0; i < 3; i++) await clock.run(run());
    assert.deepEqual([requests.read, t.store.counters.bytesRead], fetched);
  });

  for (const chunkBytes of [64 * KiB, 5000]) it(`finds the page that two readers have brought in parts, in chunks of ${chunkBytes}`, async () => {
    const clock = new VirtualClock();
    const t = testWorker({clock, store: {chunkBytes}, wrap: store => behindLink(store, clock, {roundTripMs: 25, linkRate: 200_000})});
    const bytes = stamped('a', 1, 64 * MiB);
    const content = t.put('a', bytes);
    const check = async (offset: number, length: number): Promise<void> => {
      assert.ok((await read(t.worker, content, offset, length)).equals(bytes.subarray(offset, offset + length)));
    };
    // Uses up what may be fetched beyond what is asked for: small reads that lack 3000 bytes to the end of their page.
    for (let i = 1; i <= 60; i++) await clock.run(check(40 * MiB + i * 5 * 64 * KiB - 3600, 600));
    const page = 10 * MiB;
    const parts = [[page, 30_000], [page + 30_000, 98 * KiB]] as const;
    await clock.run(Promise.all(parts.map(([offset, length]) => check(offset, length))));
    await clock.run(clock.sleep(1000));
    assert.deepEqual(t.blocks.missing(content, page / (64 * KiB), page / (64 * KiB)), []);
    const before = t.store.counters.bytesRead;
    for (const [offset, length] of parts) await clock.run(check(offset, length));
    assert.equal(t.store.counters.bytesRead, before);
  });
});

describe('fragments', () => {
  it('join what touches, and give what they were given', () => {
    const page = stamped('p', 1, 64 * KiB);
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(64 * KiB - 1), fc.integer({min: 1, max: 30_000})), {minLength: 1, maxLength: 8}), pieces => {
      const fragments = new Fragments(MiB);
      const id = 1 as ContentId;
      const known = new Uint8Array(64 * KiB);
      for (const [from, length] of pieces) {
        const end = Math.min(64 * KiB, from + length);
        const together = fragments.put(id, 128 * KiB + from, page.subarray(from, end));
        known.fill(1, from, end);
        const left = known.lastIndexOf(0, from) + 1;
        const right = known.indexOf(0, from);
        assert.ok(page.subarray(left, right < 0 ? 64 * KiB : right).equals(together));
      }
      for (let at = 0; at < 64 * KiB; at += 997) {
        const found = fragments.get(id, 128 * KiB + at, 192 * KiB);
        assert.equal(found !== undefined, known[at] === 1);
        if (found) assert.ok(page.subarray(at, at + found.length).equals(found));
      }
    }));
  });
});

describe('unasked bytes', () => {
  it('are asked for the first time once', () => {
    const unasked = new Unasked();
    unasked.note(30_000, 400_000, () => false);
    assert.equal(unasked.ask(0, 30_000), 0);
    assert.equal(unasked.ask(0, 40_000), 10_000);
    assert.equal(unasked.ask(0, 40_000), 0);
    assert.equal(unasked.ask(20_000, 500_000), 360_000);
    assert.equal(unasked.ask(0, 500_000), 0);
    unasked.note(0, 3 * 64 * KiB, page => page === 1);
    assert.equal(unasked.ask(0, 3 * 64 * KiB), 128 * KiB);
  });
});
