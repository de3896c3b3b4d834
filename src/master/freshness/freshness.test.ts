import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {asciiBytes} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {Beliefs} from '#master/freshness/beliefs.ts';
import {Coverage} from '#master/freshness/coverage.ts';
import {isFresh} from '#master/freshness/policy.ts';
import {RecentChanges} from '#master/freshness/recent-changes.ts';

const mount = 1 as MountId;

test('the three contracts', () => {
  assert.equal(isFresh({kind: 'immutable'}, 5, 1e15, 1e15), true);
  assert.equal(isFresh({kind: 'immutable'}, 0, 10, 10), false);
  assert.equal(isFresh({kind: 'maxAge', ms: 100}, 5, 104, 104), true);
  assert.equal(isFresh({kind: 'maxAge', ms: 100}, 5, 105, 105), false);
  assert.equal(isFresh({kind: 'always'}, 5, 6, 6), false);
  assert.equal(isFresh({kind: 'always'}, 6, 9, 6), true, 'asked after the request began');
});

test('answers older than our own changes do not count, also below changed trees', () => {
  let now = 1000;
  const recent = new RecentChanges(() => now);
  recent.note(mount, asciiBytes('a/b'));
  now = 2000;
  recent.note(mount, asciiBytes('t/'));
  assert.equal(recent.changedSince(mount, asciiBytes('a/b'), 1000), true);
  assert.equal(recent.changedSince(mount, asciiBytes('a/b'), 1001), false);
  assert.equal(recent.changedSince(mount, asciiBytes('t/deep/x'), 1500), true);
  assert.equal(recent.changedSince(2 as MountId, asciiBytes('a/b'), 0), false);
  now = 1000 + 5 * 60_000 + 1;
  recent.note(mount, asciiBytes('z'));
  assert.equal(recent.changedSince(mount, asciiBytes('a/b'), 1000), true, 'forgotten, but below the floor');
});

test('of many changes of our own the latest are remembered, and answers older than what is forgotten refused', () => {
  let now = 0;
  const recent = new RecentChanges(() => now);
  const key = (i: number) => asciiBytes(`k${i}`);
  for (let i = 1; i <= 200_000; i++) {
    now = i;
    recent.note(mount, key(i));
  }
  for (const back of [0, 1, 1_000, 65_000]) {
    const i = now - back;
    assert.equal(recent.changedSince(mount, key(i), i), true, String(back));
    assert.equal(recent.changedSince(mount, key(i), i + 1), false, String(back));
  }
  assert.equal(recent.changedSince(mount, key(1), 1), true);
  assert.equal(recent.changedSince(mount, asciiBytes('never'), 1), true);
  assert.equal(recent.changedSince(mount, asciiBytes('never'), now - 65_000), false);
});

test('what is forgotten is asked again, nothing else', () => {
  let now = 100;
  const beliefs = new Beliefs(() => now);
  beliefs.confirm(7 as InodeId, 50);
  beliefs.confirm(7 as InodeId, 40);
  assert.equal(beliefs.confirmedAt(7 as InodeId), 50);
  beliefs.forget(mount, asciiBytes('d/'), 60);
  assert.equal(beliefs.stillCounts(mount, asciiBytes('d/x'), 50), 0);
  assert.equal(beliefs.stillCounts(mount, asciiBytes('d/x'), 61), 61);
  assert.equal(beliefs.stillCounts(mount, asciiBytes('e'), 50), 50);
  for (let i = 0; i < 1_001; i++) beliefs.forget(mount, asciiBytes(`x${i}/`), 70);
  assert.equal(beliefs.stillCounts(mount, asciiBytes('d/x'), 61), 0, 'over the bound more is forgotten, never less');
  beliefs.deny(mount, asciiBytes('p/q/'), 80);
  beliefs.exists(mount, asciiBytes('p/q/r'));
  assert.equal(beliefs.deniedAt(mount, asciiBytes('p/q/')), 0);
  assert.equal(beliefs.stillCounts(mount, asciiBytes('e'), 101), 0, 'a time that is still to come');
  now = 101;
  assert.equal(beliefs.stillCounts(mount, asciiBytes('e'), 101), 101);
});

test('coverage agrees with a plain map of points', () => {
  const letter = fc.integer({min: 0, max: 20});
  const point = (n: number): ReturnType<typeof asciiBytes> => asciiBytes(String.fromCharCode(97 + n));
  const step = fc.record({from: letter, length: fc.integer({min: 1, max: 12}), open: fc.boolean(), drop: fc.boolean()});
  fc.assert(fc.property(fc.array(step, {maxLength: 30}), letter, fc.nat(40), (steps, start, minimum) => {
    const coverage = new Coverage();
    const plain = new Map<number, number>();
    steps.forEach(({from, length, open, drop}, index) => {
      const at = index + 1;
      if (drop) {
        coverage.drop(mount, asciiBytes(''));
        plain.clear();
        return;
      }
      const end = open ? 26 : Math.min(from + length, 25);
      coverage.add(mount, undefined, {from: point(from), end: open ? undefined : point(end), at});
      for (let i = from; i < end; i++) plain.set(i, at);
    });
    let expected = start;
    while (expected < 26 && (plain.get(expected) ?? -1) >= minimum && plain.has(expected)) expected++;
    assert.equal(coverage.coveredTo(mount, undefined, point(start), at => at >= minimum), expected === 26 ? undefined : point(expected));
  }));
});

test('dropping a prefix touches its directory, its parents\' ranges and nothing beside', () => {
  const coverage = new Coverage();
  for (const directory of ['', 'd/', 'e/']) coverage.add(mount, asciiBytes(directory), {from: asciiBytes(directory), end: undefined, at: 1});
  coverage.add(mount, undefined, {from: asciiBytes('a'), end: asciiBytes('c'), at: 1});
  coverage.drop(mount, asciiBytes('d/'));
  const all = (): boolean => true;
  assert.equal(coverage.coveredTo(mount, asciiBytes('d/'), asciiBytes('d/'), all), 'd/');
  assert.equal(coverage.coveredTo(mount, asciiBytes('e/'), asciiBytes('e/'), all), undefined);
  assert.equal(coverage.coveredTo(mount, undefined, asciiBytes('a'), all), 'c');
});
