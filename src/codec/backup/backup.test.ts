/** A backup comes back as it was from chunks cut anywhere, and nothing that is not one whole backup is taken for one. WEIR_FUZZ_RUNS sets how many are tried. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {type ByteString, fromBytes} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {type BackupEntry, BackupDecoder, BackupEncoder, type BackupSummary} from '#codec/backup/backup.ts';

const runs = Number(process.env.WEIR_FUZZ_RUNS ?? 2000);
const isCorrupt = (error: unknown) => isKind(error, 'Corrupt');

const entry = fc.record({key: fc.uint8Array({minLength: 1, maxLength: 12}).map(fromBytes), value: fc.uint8Array({maxLength: 30}).map((raw) => Buffer.from(raw))}, {noNullPrototype: true});
const entries = fc.uniqueArray(entry, {maxLength: 12, selector: ({key}) => key}).map((all) => all.sort((a, b) => (a.key < b.key ? -1 : 1)));

/** The header and the frames, a new block after each `perBlock` entries. */
function encode(sequence: number, all: readonly BackupEntry[], perBlock = 3): Buffer[] {
  const encoder = new BackupEncoder(sequence);
  const pieces = [encoder.header()];
  all.forEach(({key, value}, i) => {
    const full = encoder.add(key, value);
    const block = full || (i + 1) % perBlock === 0 ? encoder.block() : undefined;
    if (block) pieces.push(block);
  });
  const rest = encoder.block();
  return [...pieces, ...(rest ? [rest] : []), encoder.end()];
}

function decode(chunks: readonly Uint8Array[]): {summary: BackupSummary; entries: BackupEntry[]} {
  const decoder = new BackupDecoder();
  const found: BackupEntry[] = [];
  for (const chunk of chunks) for (const block of decoder.push(chunk)) found.push(...block);
  return {summary: decoder.end(), entries: found};
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

const sample = Array.from({length: 7}, (_, i): BackupEntry => ({key: `key ${i}` as ByteString, value: Buffer.alloc(i * 5, i)}));

describe('backups', () => {
  it('come back as they were, however they are cut', () => {
    fc.assert(
      fc.property(entries, fc.maxSafeNat(), fc.array(fc.nat(), {maxLength: 20}), (all, sequence, cuts) => {
        const got = decode(cutAt(Buffer.concat(encode(sequence, all)), cuts));
        assert.deepEqual(got.entries, all);
        assert.deepEqual(got.summary, {sequence, entries: all.length, bytes: all.reduce((sum, {key, value}) => sum + key.length + value.length, 0)});
      }),
      {numRuns: 300},
    );
    const bytes = Buffer.concat(encode(9, sample));
    assert.deepEqual(decode(Array.from(bytes, (byte) => Buffer.of(byte))).entries, sample);
  });

  it('close a block when it is full', () => {
    const encoder = new BackupEncoder(1);
    encoder.header();
    let added = 0;
    while (!encoder.add(`k${String(added).padStart(6, '0')}` as ByteString, Buffer.alloc(993))) added++;
    assert.equal(added, 65);
  });

  it('are refused when a single bit is changed', () => {
    const bytes = Buffer.concat(encode(300, sample));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      assert.throws(() => decode([damaged]), isCorrupt, `bit ${bit}`);
    }
  });

  it('are refused when they end early, or go on', () => {
    const bytes = Buffer.concat(encode(300, sample));
    for (let end = 0; end < bytes.length; end++) assert.throws(() => decode([bytes.subarray(0, end)]), isCorrupt, `at ${end}`);
    for (const more of [Buffer.of(0), encode(300, sample).at(-1)!, bytes]) {
      assert.throws(() => decode([bytes, more]), isCorrupt);
      assert.throws(() => decode([Buffer.concat([bytes, more])]), isCorrupt);
    }
  });

  it('are refused when frames are missing, doubled, moved, or of another backup', () => {
    const frames = encode(300, sample, 2);
    const other = encode(301, sample, 2);
    assert.equal(frames.length, 6);
    for (let i = 0; i < frames.length; i++) {
      assert.throws(() => decode(frames.toSpliced(i, 1)), isCorrupt, `without ${i}`);
      assert.throws(() => decode(frames.toSpliced(i, 0, frames[i]!)), isCorrupt, `${i} twice`);
      assert.throws(() => decode(frames.with(i, other[i]!)), isCorrupt, `${i} of another`);
      for (let j = 0; j < i; j++) assert.throws(() => decode(frames.with(i, frames[j]!).with(j, frames[i]!)), isCorrupt, `${i} and ${j} changed round`);
    }
    assert.deepEqual(decode(other).entries, sample);
  });

  it('are refused when their keys are out of order', () => {
    for (const all of [[sample[1]!, sample[0]!], [sample[0]!, sample[0]!]]) {
      for (const perBlock of [1, 2]) assert.throws(() => decode(encode(1, all, perBlock)), isCorrupt);
    }
  });

  it('are right or Corrupt, whatever the bytes', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), {maxLength: 4});
    fc.assert(
      fc.property(entries, changes, fc.array(fc.nat(), {maxLength: 4}), fc.uint8Array({maxLength: 60}), (all, mutations, cuts, noise) => {
        const good = Buffer.concat(encode(5, all));
        const damaged = Buffer.from(good);
        for (const [at, byte] of mutations) damaged[at % damaged.length] = byte;
        if (damaged.equals(good)) assert.deepEqual(decode(cutAt(damaged, cuts)).entries, all);
        else assert.throws(() => decode(cutAt(damaged, cuts)), isCorrupt);
        assert.throws(() => decode([noise]), isCorrupt);
        assert.throws(() => decode([good.subarray(0, 20), noise]), isCorrupt);
      }),
      {numRuns: runs},
    );
  });
});
