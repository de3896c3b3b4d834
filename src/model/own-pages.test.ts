import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import * as fc from 'fast-check';
import {decodeRuns, encodeRuns, OwnPages, ownPageBytes} from '#model/own-pages.ts';

const run = fc.record({first: fc.nat(5_000), count: fc.integer({min: 1, max: 4_000})});

describe('pages of its own', () => {
  it('are those that were added, also of a copy, of which those that come later are not', () => {
    fc.assert(fc.property(fc.array(run, {maxLength: 20}), fc.array(run, {maxLength: 5}), (runs, later) => {
      const pages = new OwnPages();
      const model = new Set<number>();
      const add = ({first, count}: {first: number; count: number}, to: Set<number>): void => {
        for (let page = first; page < first + count; page++) to.add(page);
      };
      for (const each of runs) {
        pages.add(each.first, each.count);
        add(each, model);
      }
      const copy = pages.copy();
      const more = new Set(model);
      for (const each of later) {
        pages.add(each.first, each.count);
        add(each, more);
      }
      for (const [of, expected] of [[copy, model], [pages, more]] as const) {
        assert.deepEqual(Array.from(of.runs(0, 10_000)).flatMap(({first, count}) => Array.from({length: count}, (_, i) => first + i)), [...expected].toSorted((a, b) => a - b));
        for (const page of [0, 1023, 1024, 2047, 4999, 8999]) assert.equal(of.has(page), expected.has(page));
      }
    }));
  });

  it('end with their file, however far encoded runs go', () => {
    const pages = new OwnPages();
    pages.addEncoded(encodeRuns([{first: 3, count: 1}, {first: 10, count: 2 ** 30}]), 20 * ownPageBytes + 1);
    assert.deepEqual([...pages.runs(0, Infinity)], [{first: 3, count: 1}, {first: 10, count: 11}]);
    assert.throws(() => decodeRuns(encodeRuns([{first: 0, count: 2 ** 31 + 1}])), {kind: 'Corrupt'});
  });
});
