import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {changedParts} from '#understore/parts/changed-parts.ts';

const MiB = 1024 * 1024;
const s3 = {partBytesMin: 5 * MiB, partBytesMax: 5 * 1024 * MiB};

describe('parts of a changed object', () => {
  it('send a little around a small change, and copy the rest', () => {
    const parts = changedParts(256 * MiB, [{offset: 100 * MiB, length: 65536}], s3)!;
    assert.deepEqual(parts.map(({offset, length, copied}) => [offset / MiB, length / MiB, copied]), [[0, 100, true], [100, 5, false], [105, 151, true]]);
  });

  it('send what is appended, and copy all there was', () => {
    const parts = changedParts(100 * MiB + 10, [{offset: 100 * MiB - 65536, length: 65546}], s3)!;
    assert.deepEqual(parts.map((part) => part.copied), [true, false]);
    assert.equal(parts[1]!.length, 65546);
  });

  it('copy nothing of what is too small for it', () => {
    assert.equal(changedParts(5 * MiB, [{offset: 4 * MiB, length: 10}], s3), undefined);
    assert.equal(changedParts(100, [{offset: 0, length: 100}], {partBytesMin: 1, partBytesMax: 1000}), undefined);
  });

  it('become larger where there would be too many', () => {
    const changed = Array.from({length: 30_000}, (_, i) => ({offset: i * 12 * MiB, length: 65536}));
    const parts = changedParts(30_000 * 12 * MiB + 2000 * MiB, changed, s3)!;
    assert.ok(parts.length <= 10_000);
    assert.ok(parts.at(-1)!.copied);
  });

  it('cover all, once, in order, hold every change, and are of sizes that the store takes', () => {
    fc.assert(fc.property(
      fc.integer({min: 1, max: 3000}), fc.array(fc.tuple(fc.nat(200), fc.integer({min: 1, max: 100})), {maxLength: 12}), fc.integer({min: 1, max: 120}), fc.integer({min: 1, max: 400}),
      (length, gaps, partBytesMin, more) => {
        const changed: {offset: number; length: number}[] = [];
        let end = 0;
        for (const [gap, count] of gaps) {
          const offset = end + gap + (changed.length > 0 ? 1 : 0);
          if (offset >= length) break;
          end = Math.min(length, offset + count);
          changed.push({offset, length: end - offset});
        }
        const limits = {partBytesMin, partBytesMax: 2 * partBytesMin + more};
        const parts = changedParts(length, changed, limits);
        if (!parts) return;
        let at = 0;
        for (const [i, part] of parts.entries()) {
          assert.equal(part.offset, at);
          assert.ok(part.length > 0 && part.length <= limits.partBytesMax, 'not too large');
          assert.ok(part.length >= partBytesMin || i === parts.length - 1, 'not too small');
          if (part.copied) for (const range of changed) assert.ok(range.offset + range.length <= part.offset || range.offset >= part.offset + part.length, 'what is copied was not changed');
          at += part.length;
        }
        assert.equal(at, length);
      }), {numRuns: 3000});
  });
});
