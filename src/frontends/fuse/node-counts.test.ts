import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import type {InodeId} from '#base/ids.ts';
import {NodeCounts} from '#frontends/fuse/node-counts.ts';

test('counts as a map does', () => {
  const id = fc.oneof(fc.integer({min: 1, max: 40}), fc.integer({min: 1, max: 40}).map(n => n * 2 ** 32 + 7), fc.integer({min: 2 ** 53 - 40, max: 2 ** 53 - 1})) as fc.Arbitrary<number> as fc.Arbitrary<InodeId>;
  const step = fc.record({id, forgotten: fc.option(fc.integer({min: 1, max: 4}))});
  fc.assert(fc.property(fc.array(step, {maxLength: 400}), steps => {
    const counts = new NodeCounts();
    const model = new Map<InodeId, number>();
    for (const {id: node, forgotten} of steps) {
      if (forgotten === null) {
        counts.add(node);
        model.set(node, (model.get(node) ?? 0) + 1);
      } else {
        const left = (model.get(node) ?? 0) - forgotten;
        if (left > 0) model.set(node, left);
        else model.delete(node);
        assert.equal(counts.subtract(node, forgotten), left > 0);
      }
      assert.equal(counts.has(node), model.has(node));
      assert.equal(counts.size, model.size);
    }
    const sorted = (ids: Iterable<number>): number[] => [...ids].toSorted((a, b) => a - b);
    assert.deepEqual(sorted(counts.ids()), sorted(model.keys()));
    assert.deepEqual(sorted(counts.sweep(model.size + 1)), sorted(model.keys()));
  }), {numRuns: 300});
});

test('many nodes take 32 bytes each at most; whoever sweeps meets all of them', () => {
  const counts = new NodeCounts();
  const many = 150_000;
  for (let i = 1; i <= many; i++) counts.add((2 ** 40 + i) as InodeId);
  assert.ok(counts.bytes <= 32 * many + 1024 * 8 * 12, `${counts.bytes} bytes`);
  const met = new Set<InodeId>();
  while (met.size < many) {
    const ids = counts.sweep(20_000);
    assert.ok(ids.length >= 20_000 && ids.length < 21_000);
    for (const id of ids) met.add(id);
  }
  for (let i = 1; i <= many; i++) counts.subtract((2 ** 40 + i) as InodeId, 1);
  assert.equal(counts.size, 0);
});
