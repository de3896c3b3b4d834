import assert from 'node:assert/strict';
import {mkdtemp, open, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import type {FileLease} from '#model/file-lease.ts';
import {descriptorNumber, makeDescriptor} from '#runtime/node/descriptor.ts';
import {LeaseBorrower, LeaseLender} from '#runtime/node/threads/leases.ts';

/** Both sides in one thread, each record delivered at once. */
function pair() {
  const lender = new LeaseLender({send: (kind, id, payload) => void borrower.receive(kind, id, Buffer.from(payload))});
  const borrower: LeaseBorrower = new LeaseBorrower({send: (kind, id) => void lender.receive(kind, id)});
  return {lender, borrower};
}

const leaseOf = (fd: number, more: Partial<FileLease> = {}): FileLease & {disposed: number} => {
  const lease = {file: makeDescriptor(fd), offset: 2, length: 5, resident: false, read: () => Promise.resolve(0), disposed: 0, ...more, [Symbol.dispose]: () => void lease.disposed++};
  return lease;
};

describe('leases in another thread', () => {
  it('are read by the borrower, and end once where they were lent', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'weir-leases-'));
    await writeFile(path.join(directory, 'file'), '0123456789');
    const file = await open(path.join(directory, 'file'));
    const {lender, borrower} = pair();
    const lease = leaseOf(file.fd);
    const borrowed = borrower.borrow(lender.lend(lease));
    assert.deepEqual([borrowed.offset, borrowed.length, borrowed.validate === undefined, descriptorNumber(borrowed.file)], [2, 5, true, file.fd]);
    const into = Buffer.alloc(20);
    assert.equal(await borrowed.read(into, 2), 8);
    assert.equal(into.subarray(0, 8).toString(), '23456789');
    assert.equal(lender.count, 1);
    borrowed[Symbol.dispose]();
    borrowed[Symbol.dispose]();
    assert.deepEqual([lease.disposed, lender.count], [1, 0]);
    assert.throws(() => descriptorNumber(borrowed.file));
    await file.close();
    await rm(directory, {recursive: true});
  });

  it('are vouched for by the lender, in its words', async () => {
    const {lender, borrower} = pair();
    let changed = false;
    const lease = leaseOf(0, {validate: () => (changed ? Promise.reject(new WeirError('ContentChanged', 'another version')) : Promise.resolve())});
    const borrowed = borrower.borrow(lender.lend(lease));
    await borrowed.validate!();
    changed = true;
    await assert.rejects(borrowed.validate!(), (error) => isKind(error, 'ContentChanged') && error.message === 'another version');
    borrowed[Symbol.dispose]();
    assert.equal(lease.disposed, 1);
  });

  it('that cannot be read are read by the lender, who learns of it by failing, too', async () => {
    const {lender, borrower} = pair();
    let reads = 0;
    const lease = leaseOf(1_000_000, {read: () => Promise.reject(new WeirError('Io', `read ${++reads}`))});
    const borrowed = borrower.borrow(lender.lend(lease));
    await assert.rejects(borrowed.read(Buffer.alloc(5), 2), (error) => isKind(error, 'Io'));
    assert.equal(lease.disposed, 0);
    borrowed[Symbol.dispose]();
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([reads, lease.disposed, lender.count], [1, 1, 0]);
  });

  it('end with the borrower', () => {
    const {lender, borrower} = pair();
    const leases = [leaseOf(0), leaseOf(0)];
    for (const lease of leases) borrower.borrow(lender.lend(lease));
    lender[Symbol.dispose]();
    lender[Symbol.dispose]();
    assert.deepEqual([leases.map(({disposed}) => disposed), lender.count], [[1, 1], 0]);
  });
});
