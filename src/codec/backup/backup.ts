/**
 * A backup of the metastore as a stream of bytes; docs/formats/backup.md is the specification.
 *
 * The checksum of a frame continues from the one before it, so that it covers every frame so far: what is left out, sent twice, put
 * elsewhere or taken from another backup is found as surely as a changed bit. (The checksum fields themselves stay out of it: a CRC that
 * runs over itself comes out the same whatever went before.) A backup without its end frame is none.
 */
import {crc32c} from '@node-rs/crc32';
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';

const magic = 'WEIRBAK\x01';
const magicBytes = Buffer.from(magic, 'latin1');
const headerBytes = 20;
const frameHeadBytes = 5;
const crcBytes = 4;
/** A block is closed when it has this much: a millisecond's work, so that a backup holds nobody up. */
const blockBytes = 64 * 1024;
/** No transaction can hold more. */
const entryBytesMax = 64 * 1024 * 1024;
/** Of the lengths before a key and its value. */
const entryHeadBytes = 6;
/** An entry added to a block that is almost full; a longer frame is damage, never a reason to allocate. */
const framePayloadBytesMax = blockBytes + entryHeadBytes + entryBytesMax;
const endPayloadBytes = 16;
const frameKinds = {entries: 1, end: 2} as const;

export interface BackupEntry {
  readonly key: ByteString;
  readonly value: Uint8Array;
}

export interface BackupSummary {
  /** Of the last transaction that the backup holds. */
  readonly sequence: number;
  readonly entries: number;
  /** Of all keys and values. */
  readonly bytes: number;
}

/** Writes one backup: header, then blocks while `add` fills them, then end. */
export class BackupEncoder {
  readonly #sequence: number;
  /** The payload of the block under way. */
  #block = Buffer.allocUnsafe(2 * blockBytes);
  #blockLength = 0;
  #entries = 0;
  #bytes = 0;
  #crc = 0;

  constructor(sequence: number) {
    this.#sequence = sequence;
  }

  header(): Buffer {
    const header = Buffer.alloc(headerBytes);
    magicBytes.copy(header);
    header.writeBigUInt64LE(BigInt(this.#sequence), 8);
    this.#crc = crc32c(header.subarray(0, headerBytes - crcBytes));
    header.writeUInt32LE(this.#crc, headerBytes - crcBytes);
    return header;
  }

  /** Takes one entry; keys come in ascending order. Answers whether it is time for `block`. */
  add(key: ByteString, value: Uint8Array): boolean {
    const bytes = key.length + value.length;
    assert(key.length > 0 && key.length <= 0xffff && bytes <= entryBytesMax, 'no entry is larger than a transaction');
    let at = this.#blockLength;
    if (at + entryHeadBytes + bytes > this.#block.length) {
      const larger = Buffer.allocUnsafe(at + entryHeadBytes + bytes);
      this.#block.copy(larger, 0, 0, at);
      this.#block = larger;
    }
    at = this.#block.writeUInt16LE(key.length, at);
    at = this.#block.writeUInt32LE(value.length, at);
    at += this.#block.write(key, at, 'latin1');
    this.#block.set(value, at);
    this.#blockLength = at + value.length;
    this.#entries++;
    this.#bytes += bytes;
    return this.#blockLength >= blockBytes;
  }

  /** The frame of what was added since the last one; undefined when nothing was. */
  block(): Buffer | undefined {
    if (this.#blockLength === 0) return undefined;
    const payload = this.#block.subarray(0, this.#blockLength);
    this.#blockLength = 0;
    return this.#frame(frameKinds.entries, payload);
  }

  end(): Buffer {
    assert(this.#blockLength === 0, 'the last block was taken before the end');
    const totals = Buffer.alloc(endPayloadBytes);
    totals.writeBigUInt64LE(BigInt(this.#entries), 0);
    totals.writeBigUInt64LE(BigInt(this.#bytes), 8);
    return this.#frame(frameKinds.end, totals);
  }

  #frame(kind: number, payload: Uint8Array): Buffer {
    const frame = Buffer.allocUnsafe(frameHeadBytes + payload.length + crcBytes);
    frame[0] = kind;
    frame.writeUInt32LE(payload.length, 1);
    frame.set(payload, frameHeadBytes);
    const crcAt = frameHeadBytes + payload.length;
    this.#crc = crc32c(frame.subarray(0, crcAt), this.#crc);
    frame.writeUInt32LE(this.#crc, crcAt);
    return frame;
  }
}

/**
 * Reads one backup from chunks cut anywhere. Throws Corrupt at the first thing that is wrong; what it gave out before is to be believed
 * only after `end` has answered.
 */
export class BackupDecoder {
  #chunks: Buffer[] = [];
  #buffered = 0;
  #position = 0;
  #sequence: number | undefined;
  #crc = 0;
  #entries = 0;
  #bytes = 0;
  #lastKey = '' as ByteString;
  #ended = false;

  /** Takes the next bytes, which must not change until its entries are used up, and gives those of each block that is now whole. Values are views. */
  *push(chunk: Uint8Array): Generator<readonly BackupEntry[]> {
    this.#chunks.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#buffered += chunk.length;
    if (this.#sequence === undefined && !this.#header()) return;
    for (;;) {
      if (this.#ended && this.#buffered > 0) throw corrupt('has bytes behind its end', this.#position);
      const frame = this.#frame();
      if (!frame) return;
      const payload = frame.subarray(frameHeadBytes, frame.length - crcBytes);
      if (frame[0] === frameKinds.end) this.#totals(payload);
      else yield this.#block(payload);
    }
  }

  /** States that the backup is whole. */
  end(): BackupSummary {
    if (!this.#ended || this.#sequence === undefined) throw corrupt('ends too early', this.#position + this.#buffered);
    return {sequence: this.#sequence, entries: this.#entries, bytes: this.#bytes};
  }

  #header(): boolean {
    const begin = this.#peek(Math.min(this.#buffered, headerBytes));
    // Foreign bytes are known as such from the first one that is wrong.
    if (!begin.subarray(0, magicBytes.length).equals(magicBytes.subarray(0, begin.length))) throw new WeirError('Corrupt', 'this is not a backup of Weir, or one of another version');
    if (begin.length < headerBytes) return false;
    this.#crc = crc32c(begin.subarray(0, headerBytes - crcBytes));
    if (this.#crc !== begin.readUInt32LE(headerBytes - crcBytes)) throw corrupt('has a damaged header', 0);
    this.#sequence = safeNumber(begin, 8);
    this.#consume(headerBytes);
    return true;
  }

  /** The next whole frame, its checksum verified. */
  #frame(): Buffer | undefined {
    if (this.#buffered < frameHeadBytes) return undefined;
    const head = this.#peek(frameHeadBytes);
    const kind = head[0];
    const length = head.readUInt32LE(1);
    const fits = kind === frameKinds.entries ? length <= framePayloadBytesMax : kind === frameKinds.end && length === endPayloadBytes;
    if (!fits) throw corrupt('has a damaged frame', this.#position);
    const whole = frameHeadBytes + length + crcBytes;
    if (this.#buffered < whole) return undefined;
    const frame = this.#peek(whole);
    this.#crc = crc32c(frame.subarray(0, whole - crcBytes), this.#crc);
    if (this.#crc !== frame.readUInt32LE(whole - crcBytes)) throw corrupt('has a damaged frame', this.#position);
    this.#consume(whole);
    return frame;
  }

  #block(payload: Buffer): BackupEntry[] {
    const entries: BackupEntry[] = [];
    for (let at = 0; at < payload.length; ) {
      if (payload.length - at < entryHeadBytes) throw corrupt('has an entry that does not fit its frame', this.#position);
      const keyAt = at + entryHeadBytes;
      const valueAt = keyAt + payload.readUInt16LE(at);
      at = valueAt + payload.readUInt32LE(at + 2);
      if (at > payload.length) throw corrupt('has an entry that does not fit its frame', this.#position);
      const key = payload.toString('latin1', keyAt, valueAt) as ByteString;
      const value = payload.subarray(valueAt, at);
      if (key <= this.#lastKey) throw corrupt('has keys out of order', this.#position);
      this.#lastKey = key;
      this.#entries++;
      this.#bytes += key.length + value.length;
      entries.push({key, value});
    }
    return entries;
  }

  #totals(payload: Buffer): void {
    if (safeNumber(payload, 0) !== this.#entries || safeNumber(payload, 8) !== this.#bytes) throw corrupt('does not hold as much as it says', this.#position);
    this.#ended = true;
  }

  /** The next bytes in one piece; they are here. */
  #peek(bytes: number): Buffer {
    const first = this.#chunks[0];
    if (first && first.length >= bytes) return first.subarray(0, bytes);
    // Joined once it is known that they are wanted together: a frame that comes in small chunks is copied twice, not once for each.
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined.subarray(0, bytes);
  }

  #consume(bytes: number): void {
    const [first] = this.#chunks;
    assert(first && first.length >= bytes, 'what is consumed was looked at');
    if (first.length === bytes) this.#chunks.shift();
    else this.#chunks[0] = first.subarray(bytes);
    this.#buffered -= bytes;
    this.#position += bytes;
  }
}

function corrupt(what: string, position: number): WeirError {
  return new WeirError('Corrupt', `the backup ${what}, at byte ${position}`);
}

function safeNumber(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at);
  if (value > Number.MAX_SAFE_INTEGER) throw new WeirError('Corrupt', 'the backup holds a number over 2^53');
  return Number(value);
}
