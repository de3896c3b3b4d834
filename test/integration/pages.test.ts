import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {versionBytes, versionOf} from './pages.ts';

test('a checker of versions that can fail', () => {
  const length = 20_000;
  const one = versionBytes(3, 1, length);
  const two = versionBytes(3, 2, length);
  fc.assert(
    fc.property(fc.nat(length - 1), fc.integer({min: 1, max: length}), fc.nat(length - 1), (offset, count, cut) => {
      const range = one.subarray(offset, offset + count);
      assert.equal(versionOf(range, 3, offset) ?? 1, 1);
      assert.equal(versionOf(range, 3, offset, 1), 1);
      const at = cut % range.length;
      const mixed = Buffer.concat([range.subarray(0, at), two.subarray(offset + at, offset + range.length)]);
      // Bytes that both have in common are no mixture.
      if (!mixed.equals(range)) assert.throws(() => versionOf(mixed, 3, offset, 1));
      const zeroed = Buffer.from(range).fill(0, at);
      if (!zeroed.equals(range)) assert.throws(() => versionOf(zeroed, 3, offset, 1));
      if (range.length > 8192 && !zeroed.equals(range)) assert.throws(() => versionOf(zeroed, 3, offset));
    }),
  );
  assert.throws(() => versionOf(one.subarray(4096), 3, 0), 'another offset');
  assert.throws(() => versionOf(one, 4, 0), 'another object');
});
