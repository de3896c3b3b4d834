/** The records of the change log: what is written comes back, and no bytes at all can do harm. WEIR_FUZZ_RUNS sets how many are tried. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {fromBytes} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {decodeRecord, decodeTransaction, encodeTransaction, recordHeaderBytes, sealRecord, type TransactionRecord, transactionBytes} from '#codec/journal/record.ts';

const runs = Number(process.env.WEIR_FUZZ_RUNS ?? 3000);
const bytes = fc.uint8Array({maxLength: 300}).map((raw) => Buffer.from(raw));
const mutation = fc.record({key: fc.uint8Array({minLength: 1, maxLength: 40}).map(fromBytes), value: fc.option(bytes, {nil: null})}, {noNullPrototype: true});
const number = fc.maxSafeNat();
const request = fc.record({client: fc.string({unit: 'grapheme', maxLength: 20}), counter: number, acknowledged: number, result: bytes}, {noNullPrototype: true});
const transaction: fc.Arbitrary<TransactionRecord> = fc.record({mutations: fc.array(mutation, {maxLength: 6}), request}, {requiredKeys: ['mutations'], noNullPrototype: true});

function encode(record: TransactionRecord): Buffer {
  const buffer = Buffer.alloc(transactionBytes(record));
  return buffer.subarray(0, encodeTransaction(record, buffer, 0));
}

describe('records of the change log', () => {
  it('come back as they were', () => {
    fc.assert(fc.property(transaction, (record) => assert.deepEqual(decodeTransaction(encode(record)), record)), {numRuns: 500});
  });

  it('are right or Corrupt, whatever the bytes', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), {minLength: 1, maxLength: 4});
    fc.assert(
      fc.property(transaction, changes, fc.nat(), (record, mutations, cut) => {
        const damaged = Buffer.from(encode(record));
        for (const [at, byte] of mutations) damaged[at % damaged.length] = byte;
        try {
          const decoded = decodeTransaction(cut % 3 === 0 ? damaged.subarray(0, cut % damaged.length) : damaged);
          assert.deepEqual(decodeTransaction(encode(decoded)), decoded);
        } catch (error) {
          assert.ok(isKind(error, 'Corrupt'), String(error));
        }
      }),
      {numRuns: runs},
    );
    for (const length of [30, 60, 200]) assert.throws(() => decodeTransaction(Buffer.from([1, ...new Uint8Array(length).fill(0x80), 0, 0])), (error) => isKind(error, 'Corrupt'));
  });

  it('do not survive a single changed bit', () => {
    fc.assert(
      fc.property(bytes, fc.nat(), number, (payload, bit, sequence) => {
        const record = Buffer.alloc(recordHeaderBytes + payload.length);
        payload.copy(record, recordHeaderBytes);
        sealRecord(record, 0, payload.length, sequence, 0);
        const good = decodeRecord(record, 0);
        assert.ok(good && good !== 'short');
        assert.equal(good.sequence, sequence);
        assert.deepEqual(good.payload, payload);
        record[(bit >> 3) % record.length]! ^= 1 << (bit & 7);
        const damaged = decodeRecord(record, 0);
        assert.ok(damaged === undefined || damaged === 'short');
      }),
      {numRuns: 1000},
    );
  });
});
