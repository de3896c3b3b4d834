import assert from 'node:assert/strict';
import {test} from 'node:test';
import fc from 'fast-check';
import {endOfFile, FileLocks} from '#model/file-locks.ts';

const bytes = 12;
const step = fc.record({owner: fc.constantFrom('a', 'b', 'c'), type: fc.constantFrom('read', 'write', 'none' as const), start: fc.nat(bytes - 1), length: fc.integer({min: 1, max: bytes})});

test('a table of ranges is what a table of bytes would be', () => {
  fc.assert(fc.property(fc.array(step, {maxLength: 40}), steps => {
    const locks = new FileLocks();
    const model = Array.from({length: bytes}, () => new Map<string, string>());
    for (const {owner, type, start, length} of steps) {
      const end = Math.min(bytes - 1, start + length - 1);
      const within = model.slice(start, end + 1);
      if (type === 'none') {
        locks.unlock(owner, {start, end});
        for (const byte of within) byte.delete(owner);
      } else {
        const lock = {owner, type, start, end, pid: 1} as const;
        const forbidden = within.some(byte => [...byte].some(([other, held]) => other !== owner && (held === 'write' || type === 'write')));
        assert.equal(locks.conflicts(lock).length > 0, forbidden);
        if (forbidden) continue;
        locks.set(lock);
        for (const byte of within) byte.set(owner, type);
      }
      const found = Array.from({length: bytes}, (_, at) => new Map(locks.held.filter(held => held.start <= at && at <= held.end).map(({owner: by, type: how}) => [by, how])));
      assert.deepEqual(found, model);
      for (const one of locks.held) assert.ok(!locks.held.some(other => other.owner === one.owner && other.type === one.type && other.start === one.end + 1), 'neighbours are one');
    }
    for (const owner of ['a', 'b', 'c']) locks.unlock(owner, {start: 0, end: endOfFile});
    assert.deepEqual(locks.held, []);
  }));
});
