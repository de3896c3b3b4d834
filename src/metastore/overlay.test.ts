/** The overlay against a plain map, at sizes where keys are put in order on the way and gone ones swept out. */
import assert from 'node:assert/strict';
import {it} from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {type Overlaid, Overlay} from '#metastore/overlay.ts';
import {createSimulation} from '#runtime/sim/simulation.ts';

it('is an ordered map of what is not settled', () => {
  const {random} = createSimulation(3).runtime;
  const keyOf = (i: number) => `k${String(i).padStart(6, '0')}` as ByteString;
  const overlay = new Overlay();
  const model = new Map<ByteString, Overlaid>();
  const waiting: Overlaid[] = [];
  const check = (from: ByteString, to: ByteString, reverse: boolean) => {
    const expected = [...model.values()].filter(({key}) => key >= from && key < to).sort((a, b) => (a.key < b.key ? -1 : 1));
    if (reverse) expected.reverse();
    assert.deepEqual([...overlay.range({from, to, reverse})], expected);
    assert.equal(overlay.size, model.size);
  };
  let sequence = 0;
  // Few keys changed often, many keys changed once, and back, with and without ranges in between.
  for (const {rounds, keys, ranges} of [{rounds: 20, keys: 50, ranges: true}, {rounds: 30, keys: 1e6, ranges: false}, {rounds: 60, keys: 3000, ranges: true}, {rounds: 20, keys: 1e6, ranges: true}]) {
    for (let round = 0; round < rounds; round++) {
      for (let i = 0; i < 1000; i++) {
        const entry: Overlaid = {key: keyOf(Math.floor(random.number() * keys)), value: random.number() < 0.2 ? null : Buffer.of(i & 255), sequence: ++sequence, waitFor: sequence};
        overlay.set(entry);
        model.set(entry.key, entry);
        waiting.push(entry);
      }
      if (ranges) check(keyOf(Math.floor(random.number() * keys)), keyOf(keys), round % 2 === 0);
      if (random.number() < 0.4) {
        const batch = waiting.splice(0, Math.floor(random.number() * (waiting.length + 1)));
        const through = batch.at(-1)?.sequence ?? 0;
        overlay.settle(batch, through);
        for (const {key} of batch) if ((model.get(key)?.sequence ?? Infinity) <= through) model.delete(key);
      }
      const key = keyOf(Math.floor(random.number() * keys));
      assert.equal(overlay.get(key), model.get(key));
    }
    check(keyOf(0), keyOf(999_999), false);
    // Everything is gone, the keys that were in order too.
    overlay.settle(waiting.splice(0), sequence);
    model.clear();
    check(keyOf(0), keyOf(999_999), false);
  }
});
