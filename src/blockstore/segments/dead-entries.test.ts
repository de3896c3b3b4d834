import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {DeadEntries} from '#blockstore/segments/dead-entries.ts';
import {entryHeaderBytes} from '#codec/block/segment.ts';

describe('dead entries', () => {
  it('are told apart, however close entries lie, and come back by their offsets', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.oneof(fc.integer({min: 1, max: 3}), fc.integer({min: 1, max: 200_000})), fc.boolean()), {maxLength: 60}), (entries) => {
        const dead = new DeadEntries();
        const placed: {offset: number; isDead: boolean}[] = [];
        let at = 0;
        for (const [length, isDead] of entries) {
          placed.push({offset: at + entryHeaderBytes, isDead});
          at += entryHeaderBytes + length;
        }
        for (const {offset, isDead} of placed) if (isDead) dead.add(offset);
        const again = new DeadEntries();
        for (const offset of dead.offsets()) again.add(offset);
        for (const {offset, isDead} of placed) {
          assert.equal(dead.has(offset), isDead);
          assert.equal(again.has(offset), isDead);
        }
      }),
      {numRuns: 300, seed: 1},
    );
  });
});
