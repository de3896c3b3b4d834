import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {JointNotes} from '#master/persist/joint-notes.ts';
import type {Commit, Transaction} from '#metastore/metastore.ts';

/** Counts what is committed; a change that throws takes the others of its transaction with it. */
function committing() {
  const commits: number[] = [];
  let changes = 0;
  const tx = {put: () => void changes++} as unknown as Transaction;
  const changeUnseen = <T>(fn: (of: Transaction) => T): Commit<T> => {
    changes = 0;
    const result = fn(tx);
    commits.push(changes);
    return {result, sequence: commits.length, safe: Promise.resolve(), durable: Promise.resolve(), eventually: Promise.resolve()};
  };
  return {commits, notes: new JointNotes({changeUnseen})};
}

const put = (tx: Transaction): void => tx.put('k' as Parameters<Transaction['put']>[0], new Uint8Array(0));

describe('notes about many files', () => {
  it('that are made in one turn are one transaction, each with its own answer', async () => {
    const {commits, notes} = committing();
    const heard: number[] = [];
    const note = (i: number) => notes.note((tx) => (put(tx), i), (result) => heard.push(result, commits.length));
    await Promise.all([1, 2, 3].map(note));
    assert.deepEqual([commits, heard], [[3], [1, 1, 2, 1, 3, 1]]);
    await note(4);
    assert.deepEqual(commits, [3, 1]);
  });

  it('fail alone', async () => {
    const {commits, notes} = committing();
    const bad = new Error('bad');
    const all = await Promise.allSettled([
      notes.note(put, () => undefined),
      notes.note(() => {
        throw bad;
      }, () => assert.fail('it was not made')),
      notes.note(put, () => {
        throw bad;
      }),
    ]);
    assert.deepEqual(all.map((each) => (each.status === 'rejected' ? each.reason as unknown : each.status)), ['fulfilled', bad, bad]);
    assert.deepEqual(commits, [1, 1]);
  });
});
