/**
 * Segments: small contents one after the other, each behind a header that names and vouches for it; beside a full segment its index, so
 * that a restart need not read the bytes. Little-endian.
 *
 *     entry   magic u32 · id u64 · length u32 · CRC32C of the bytes u32 · CRC32C of the 20 bytes before u32 · the bytes
 *     index   magic u32 · entries u32 · CRC32C of the rest u32 · reserved u32 · (id u64 · offset of the bytes u32 · length u32) …
 */
import {crc32c} from '@node-rs/crc32';
import type {ContentId} from '#base/ids.ts';

export const entryHeaderBytes = 24;
export const indexHeaderBytes = 16;
export const indexEntryBytes = 16;
const entryMagic = 0x31455357;
const indexMagic = 0x31495357;
const two32 = 2 ** 32;

export interface SegmentEntry {
  readonly id: ContentId;
  readonly length: number;
  readonly checksum: number;
}

export function writeEntryHeader(into: Buffer, at: number, entry: SegmentEntry): void {
  into.writeUInt32LE(entryMagic, at);
  into.writeUInt32LE(entry.id >>> 0, at + 4);
  into.writeUInt32LE(Math.floor(entry.id / two32), at + 8);
  into.writeUInt32LE(entry.length, at + 12);
  into.writeUInt32LE(entry.checksum, at + 16);
  into.writeUInt32LE(crc32c(into.subarray(at, at + 20)), at + 20);
}

/** Undefined when there is no sound header. */
export function readEntryHeader(from: Buffer, at: number): SegmentEntry | undefined {
  if (at + entryHeaderBytes > from.length || from.readUInt32LE(at) !== entryMagic) return undefined;
  if (from.readUInt32LE(at + 20) !== crc32c(from.subarray(at, at + 20))) return undefined;
  const id = from.readUInt32LE(at + 8) * two32 + from.readUInt32LE(at + 4);
  if (!Number.isSafeInteger(id)) return undefined;
  return {id: id as ContentId, length: from.readUInt32LE(at + 12), checksum: from.readUInt32LE(at + 16)};
}

/** Collects the index of a segment while it is written. */
export class SegmentIndexWriter {
  #buffer = Buffer.alloc(64 * 1024);
  #count = 0;

  add(id: ContentId, offset: number, length: number): void {
    const at = indexHeaderBytes + this.#count++ * indexEntryBytes;
    if (at + indexEntryBytes > this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer, Buffer.alloc(this.#buffer.length)]);
    this.#buffer.writeUInt32LE(id >>> 0, at);
    this.#buffer.writeUInt32LE(Math.floor(id / two32), at + 4);
    this.#buffer.writeUInt32LE(offset, at + 8);
    this.#buffer.writeUInt32LE(length, at + 12);
  }

  finish(): Buffer {
    const whole = this.#buffer.subarray(0, indexHeaderBytes + this.#count * indexEntryBytes);
    whole.writeUInt32LE(indexMagic, 0);
    whole.writeUInt32LE(this.#count, 4);
    whole.writeUInt32LE(crc32c(whole.subarray(indexHeaderBytes)), 8);
    return whole;
  }
}

/** Entries of an index; undefined when it is torn. Read them with `indexEntry`. */
export function readIndexCount(index: Buffer): number | undefined {
  if (index.length < indexHeaderBytes || index.readUInt32LE(0) !== indexMagic) return undefined;
  const count = index.readUInt32LE(4);
  if (index.length !== indexHeaderBytes + count * indexEntryBytes) return undefined;
  return index.readUInt32LE(8) === crc32c(index.subarray(indexHeaderBytes)) ? count : undefined;
}

export function indexEntry(index: Buffer, i: number): {id: ContentId; offset: number; length: number} {
  const at = indexHeaderBytes + i * indexEntryBytes;
  const id = index.readUInt32LE(at + 4) * two32 + index.readUInt32LE(at);
  return {id: id as ContentId, offset: index.readUInt32LE(at + 8), length: index.readUInt32LE(at + 12)};
}
