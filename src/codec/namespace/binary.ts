/**
 * Small binary records by hand: what the namespace stores is written and read on every request, so no JSON and no
 * schema library. Numbers are unsigned LEB128 up to 2^53, times are 8 bytes little-endian, strings and byte arrays carry
 * their length. A reader never trusts what it reads: whatever does not fit is WeirError Corrupt, before anything is allocated.
 */
// The global of this name is a property that is asked for each time.
import {Buffer} from 'node:buffer';
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';

/** One 8-byte word seen as bytes and as a number: cheaper than a DataView per record. Little-endian, as every machine that Node 24 runs on. */
const word = new BigInt64Array(1);
const wordBytes = new Uint8Array(word.buffer);

const scratchBytesMin = 4096;

/** Collects one record at a time; `take` copies it out and starts anew, so one writer serves a whole module. */
export class BinaryWriter {
  #buffer = Buffer.allocUnsafeSlow(scratchBytesMin);
  #length = 0;

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#length + bytes, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  /** An integer from 0 to 2^53 - 1. */
  number(value: number): void {
    assert(value >= 0 && Number.isSafeInteger(value), `not a record number: ${value}`);
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  /** A signed 64-bit integer. */
  int64(value: bigint): void {
    this.#reserve(8);
    word[0] = value;
    this.#buffer.set(wordBytes, this.#length);
    this.#length += 8;
  }

  byteString(value: ByteString): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#buffer.write(value, this.#length, value.length, 'latin1');
    this.#length += value.length;
  }

  text(value: string): void {
    const bytes = Buffer.byteLength(value, 'utf8');
    this.number(bytes);
    this.#reserve(bytes);
    this.#buffer.write(value, this.#length, bytes, 'utf8');
    this.#length += bytes;
  }

  bytes(value: Uint8Array): void {
    this.number(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  take(): Uint8Array {
    const record = Buffer.allocUnsafe(this.#length);
    this.#buffer.copy(record, 0, 0, this.#length);
    this.#length = 0;
    return record;
  }
}

/** Reads one record from its start to its end. Every method throws Corrupt when the record does not hold what is asked. */
export class BinaryReader {
  readonly #what: string;
  #buffer: Buffer = Buffer.alloc(0);
  #position = 0;

  /** `what` names the kind of record in errors. */
  constructor(what: string) {
    this.#what = what;
  }

  open(record: Uint8Array): void {
    this.#buffer = Buffer.isBuffer(record) ? record : Buffer.from(record.buffer, record.byteOffset, record.byteLength);
    this.#position = 0;
  }

  corrupt(why: string): WeirError {
    return new WeirError('Corrupt', `a stored ${this.#what} record cannot be read: ${why}`);
  }

  #advance(bytes: number): number {
    const start = this.#position;
    if (bytes > this.#buffer.length - start) throw this.corrupt(`it ends at byte ${this.#buffer.length}`);
    this.#position = start + bytes;
    return start;
  }

  byte(): number {
    return this.#buffer[this.#advance(1)]!;
  }

  number(): number {
    let value = this.byte();
    if (value < 0x80) return value;
    value &= 0x7f;
    for (let scale = 0x80; ; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
      if (scale > 2 ** 49) throw this.corrupt('a number is too long');
    }
    if (value > Number.MAX_SAFE_INTEGER) throw this.corrupt('a number is too large');
    return value;
  }

  int64(): bigint {
    const start = this.#advance(8);
    const buffer = this.#buffer;
    for (let i = 0; i < 8; i++) wordBytes[i] = buffer[start + i]!;
    return word[0]!;
  }

  /** How far it has read. */
  get position(): number {
    return this.#position;
  }

  /** Copies what was read from there on; how many bytes that are, 0 when they do not fit. */
  copySince(position: number, into: Uint8Array): number {
    const length = this.#position - position;
    if (length > into.length) return 0;
    for (let i = 0; i < length; i++) into[i] = this.#buffer[position + i]!;
    return length;
  }

  /** Passes over the first `length` of these bytes if they come next. */
  pass(expected: Uint8Array, length: number): boolean {
    const buffer = this.#buffer;
    const start = this.#position;
    if (length > buffer.length - start) return false;
    for (let i = 0; i < length; i++) if (buffer[start + i] !== expected[i]) return false;
    this.#position = start + length;
    return true;
  }

  byteString(): ByteString {
    const length = this.number();
    const start = this.#advance(length);
    return this.#buffer.toString('latin1', start, start + length) as ByteString;
  }

  text(): string {
    const length = this.number();
    const start = this.#advance(length);
    return this.#buffer.toString('utf8', start, start + length);
  }

  /** A copy. */
  bytes(): Uint8Array {
    const length = this.number();
    const start = this.#advance(length);
    return new Uint8Array(this.#buffer.subarray(start, start + length));
  }

  /** Bytes, as hexadecimal digits. */
  hex(): string {
    const length = this.number();
    const start = this.#advance(length);
    return this.#buffer.toString('hex', start, start + length);
  }

  /** States that nothing is left. Gives the record back, so that a reader kept by a module holds no memory. */
  end(): void {
    const rest = this.#buffer.length - this.#position;
    this.#buffer = nothing;
    if (rest !== 0) throw this.corrupt(`${rest} bytes too many`);
  }
}

const nothing = Buffer.alloc(0);
