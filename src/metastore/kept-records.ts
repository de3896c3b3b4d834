/**
 * Small records by key, in two blocks of memory instead of objects: half a million of them would cost the collector more than they save. Records are
 * written one behind the other; a table of places finds them, by open addressing. When either is full nothing more is taken until all are forgotten.
 *
 * A slot: 22 bits of place (in units of 8 bytes, one up, so that 0 is empty) below 10 bits of the key's hash, so that hardly any other key is looked at.
 * A record: length of the key (2 bytes, 0 when it was removed), length of the value (2 bytes), key, value.
 */
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';

const unit = 8;
const placeBits = 22;
const placeMask = 2 ** placeBits - 1;
const headBytes = 4;
/** Slots: half of the bytes' units would be full with records of some 60 bytes. */
const bytesPerSlot = 32;
/** Of a record; larger ones are few, and reading them anew costs little beside what is done with them. */
export const keptRecordBytesMax = 1024;

export class KeptRecords {
  readonly #memory: Buffer;
  readonly #slots: Uint32Array;
  readonly #mask: number;
  #end = 0;
  #count = 0;

  /** `bytes`: a power of two up to 32 MiB. The memory is taken as it is used. */
  constructor(bytes: number) {
    assert(Number.isInteger(Math.log2(bytes)) && bytes / unit <= 2 ** placeBits && bytes >= bytesPerSlot, 'a size that places can tell');
    this.#memory = Buffer.allocUnsafeSlow(bytes);
    this.#slots = new Uint32Array(bytes / bytesPerSlot);
    this.#mask = this.#slots.length - 1;
  }

  /** Of a key, for the other methods. */
  static hashOf(key: ByteString): number {
    let hash = 0x811c_9dc5;
    for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x0100_0193);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x2c1b_3c6d);
    return (hash ^ (hash >>> 13)) >>> 0;
  }

  /** The value, in memory that is used for others when all are forgotten. */
  find(key: ByteString, hash: number): Uint8Array | undefined {
    const at = this.#locate(key, hash);
    if (at < 0) return undefined;
    const memory = this.#memory;
    const start = at + headBytes + key.length;
    return memory.subarray(start, start + (memory[at + 2]! | (memory[at + 3]! << 8)));
  }

  /** The key must not be there. Copies the value, unless the record is too large. False: there is no room. */
  keep(key: ByteString, hash: number, value: Uint8Array): boolean {
    const bytes = headBytes + key.length + value.length;
    if (bytes > keptRecordBytesMax) return true;
    const memory = this.#memory;
    if (this.#end + bytes > memory.length - unit || this.#count >= this.#slots.length / 2) return false;
    const at = this.#end;
    memory[at] = key.length & 255;
    memory[at + 1] = key.length >>> 8;
    memory[at + 2] = value.length & 255;
    memory[at + 3] = value.length >>> 8;
    for (let i = 0; i < key.length; i++) memory[at + headBytes + i] = key.charCodeAt(i);
    memory.set(value, at + headBytes + key.length);
    this.#end = Math.ceil((at + bytes) / unit) * unit;
    const slot = this.#freeSlot(hash);
    if (this.#slots[slot] === 0) this.#count++;
    this.#slots[slot] = (at / unit + 1) | tagOf(hash);
    return true;
  }

  /** Forgets all. */
  clear(): void {
    this.#slots.fill(0);
    this.#end = 0;
    this.#count = 0;
  }

  remove(key: ByteString, hash: number): void {
    const at = this.#locate(key, hash);
    if (at >= 0) this.#memory[at] = this.#memory[at + 1] = 0;
  }

  /** The slot of a record that was removed is taken before an empty one: else what is changed often would be found behind all that it was. */
  #freeSlot(hash: number): number {
    const slots = this.#slots;
    const memory = this.#memory;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = slots[slot]!;
      if (found === 0) return slot;
      const at = ((found & placeMask) - 1) * unit;
      if (memory[at] === 0 && memory[at + 1] === 0) return slot;
    }
  }

  #locate(key: ByteString, hash: number): number {
    const slots = this.#slots;
    const tag = tagOf(hash) >>> 0;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const found = slots[slot]!;
      if (found === 0) return -1;
      if (((found & ~placeMask) >>> 0) !== tag) continue;
      const at = ((found & placeMask) - 1) * unit;
      if (this.#holds(at, key)) return at;
    }
  }

  #holds(at: number, key: ByteString): boolean {
    const memory = this.#memory;
    if ((memory[at]! | (memory[at + 1]! << 8)) !== key.length) return false;
    const start = at + headBytes;
    for (let i = 0; i < key.length; i++) if (memory[start + i] !== key.charCodeAt(i)) return false;
    return true;
  }

}

const tagOf = (hash: number): number => hash & ~placeMask;
