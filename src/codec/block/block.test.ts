import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {crc32c} from '@node-rs/crc32';
import fc from 'fast-check';
import type {ContentId} from '#base/ids.ts';
import {decodeLogRecord, encodeLogRecord, type LogRecord} from '#codec/block/log-record.ts';
import {entryHeaderBytes, indexEntry, readEntryHeader, readIndexCount, SegmentIndexWriter, writeEntryHeader} from '#codec/block/segment.ts';

const whole = fc.maxSafeNat();
const id = whole.map((value) => value as ContentId);
const uint32 = fc.integer({min: 0, max: 2 ** 32 - 1});
const record: fc.Arbitrary<LogRecord> = fc.oneof(
  plain({kind: fc.constant('pages' as const), id, length: whole, file: whole, first: uint32, checksums: fc.uint32Array({maxLength: 40})}),
  plain({kind: fc.constant('absent' as const), file: whole, first: uint32, count: uint32}),
  plain({kind: fc.constant('unlinked' as const), file: whole}),
  plain({kind: fc.constant('dead' as const), life: whole, segment: whole, offsets: fc.array(uint32, {maxLength: 40})}),
  plain({kind: fc.constant('kept' as const), id, pinned: fc.boolean(), dirty: fc.boolean()}),
);
/** Objects as the code makes them. */
function plain<T>(fields: {[K in keyof T]: fc.Arbitrary<T[K]>}): fc.Arbitrary<T> {
  return fc.record(fields, {noNullPrototype: true}) as fc.Arbitrary<T>;
}

const options = {numRuns: 2000, seed: 1};
/** One byte somewhere, changed. */
const damage = fc.tuple(fc.nat(), fc.integer({min: 1, max: 255}));

function damaged(bytes: Buffer, [place, change]: readonly [number, number]): Buffer {
  const other = Buffer.from(bytes);
  other[place % other.length]! ^= change;
  return other;
}

/** All records until the log ends. */
function readLog(bytes: Buffer): LogRecord[] {
  const found: LogRecord[] = [];
  for (let at = 0; ; ) {
    const decoded = decodeLogRecord(bytes, at);
    if (typeof decoded === 'string') return found;
    assert.ok(decoded.next > at && decoded.next <= bytes.length);
    found.push(decoded.record);
    at = decoded.next;
  }
}

describe('log records', () => {
  it('come back as they were, and none from a cut', () => {
    fc.assert(
      fc.property(fc.array(record, {minLength: 1, maxLength: 5}), fc.nat(), (records, cut) => {
        const bytes = Buffer.concat(records.map(encodeLogRecord));
        assert.deepEqual(readLog(bytes), records);
        const found = readLog(bytes.subarray(0, cut % bytes.length));
        assert.ok(found.length < records.length);
        assert.deepEqual(found, records.slice(0, found.length));
      }),
      options,
    );
  });

  it('end at the first that is damaged', () => {
    fc.assert(
      fc.property(fc.array(record, {minLength: 1, maxLength: 5}), damage, (records, where) => {
        const found = readLog(damaged(Buffer.concat(records.map(encodeLogRecord)), where));
        assert.ok(found.length < records.length);
        assert.deepEqual(found, records.slice(0, found.length));
      }),
      options,
    );
  });

  it('are read in the first form of dead entries', () => {
    const payload = Buffer.alloc(21);
    payload[0] = 5;
    payload.writeDoubleLE(3, 1);
    payload.writeDoubleLE(7, 9);
    payload.writeUInt32LE(4242, 17);
    const frame = Buffer.alloc(8);
    frame.writeUInt32LE(payload.length, 0);
    frame.writeUInt32LE(crc32c(payload), 4);
    assert.deepEqual(readLog(Buffer.concat([frame, payload])), [{kind: 'dead', life: 3, segment: 7, offsets: [4242]}]);
  });

  it('are not seen in noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 300}), (noise) => assert.deepEqual(readLog(Buffer.from(noise)), [])),
      options,
    );
  });
});

describe('segments', () => {
  const entry = plain({id, length: uint32, checksum: uint32});

  it('have headers that come back, and none when damaged, cut or noise', () => {
    fc.assert(
      fc.property(entry, damage, fc.uint8Array({maxLength: 100}), (said, where, noise) => {
        const bytes = Buffer.alloc(entryHeaderBytes);
        writeEntryHeader(bytes, 0, said);
        assert.deepEqual(readEntryHeader(bytes, 0), said);
        assert.equal(readEntryHeader(damaged(bytes, where), 0), undefined);
        assert.equal(readEntryHeader(bytes.subarray(0, where[0] % entryHeaderBytes), 0), undefined);
        assert.equal(readEntryHeader(Buffer.from(noise), where[1]), undefined);
      }),
      options,
    );
  });

  it('have an index that comes back, and none when damaged, cut or noise', () => {
    fc.assert(
      fc.property(fc.array(plain({id, offset: uint32, length: uint32}), {minLength: 1, maxLength: 50}), damage, fc.uint8Array({maxLength: 100}), (entries, where, noise) => {
        const writer = new SegmentIndexWriter();
        for (const each of entries) writer.add(each.id, each.offset, each.length);
        const bytes = Buffer.from(writer.finish());
        assert.equal(readIndexCount(bytes), entries.length);
        assert.deepEqual(
          entries.map((_, i) => indexEntry(bytes, i)),
          entries,
        );
        assert.equal(readIndexCount(bytes.subarray(0, where[0] % bytes.length)), undefined);
        // Of the header, the reserved bytes mean nothing.
        const place = where[0] % bytes.length;
        if (place < 12 || place >= 16) assert.equal(readIndexCount(damaged(bytes, where)), undefined);
        assert.equal(readIndexCount(Buffer.from(noise)), undefined);
      }),
      options,
    );
  });
});
