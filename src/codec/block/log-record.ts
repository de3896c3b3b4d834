/**
 * Records of a tier's log: what the files of large contents hold, which entries of segments are dead, which contents are pinned or dirty, or are others but for some pages. Every record sets
 * something absolutely, so replaying a log over a newer state ends in the same place. Little-endian.
 *
 *     length of the payload u32 · CRC32C of the payload u32 · payload: kind u8 · fields
 */
import {crc32c} from '@node-rs/crc32';
import type {ContentId} from '#base/ids.ts';

export type LogRecord =
  /** Pages of a content, from `first` on, are in the file, with these checksums. */
  | {readonly kind: 'pages'; readonly id: ContentId; readonly length: number; readonly file: number; readonly first: number; readonly checksums: Uint32Array}
  | {readonly kind: 'absent'; readonly file: number; readonly first: number; readonly count: number}
  | {readonly kind: 'unlinked'; readonly file: number}
  /** The small contents at these offsets of a segment are dead: they stay away though their bytes are there. */
  | {readonly kind: 'dead'; readonly life: number; readonly segment: number; readonly offsets: readonly number[]}
  | {readonly kind: 'kept'; readonly id: ContentId; readonly pinned: boolean; readonly dirty: boolean}
  /** The content is that base, of that length, but for the pages of these runs (model/own-pages.ts). Base 0: of nothing any more. */
  | {readonly kind: 'succeeds'; readonly id: ContentId; readonly base: ContentId | 0; readonly length: number; readonly runs: Uint8Array};

const frameBytes = 8;
/** No record names more pages. */
export const recordPagesMax = 1024;
/** Nor more dead entries. */
export const recordOffsetsMax = 1024;
/** Nor more bytes of runs. */
export const recordRunBytesMax = 64 * 1024;
const payloadBytesMax = 64 + Math.max(recordPagesMax * 4, recordOffsetsMax * 4, recordRunBytesMax);
/** `dropped`, with one offset, is the first form of `dead`; it is read and no longer written. */
const kinds = {pages: 1, absent: 2, unlinked: 3, kept: 4, dropped: 5, dead: 6, succeeds: 7} as const;

/** Bytes of a payload, for `pages` without the checksums, for `dead` without the offsets and for `succeeds` without the runs. */
const sizes = {pages: 33, absent: 17, unlinked: 9, kept: 10, dropped: 21, dead: 21, succeeds: 25} as const;

export function encodeLogRecord(record: LogRecord): Buffer {
  const more = record.kind === 'pages' ? record.checksums.length * 4 : record.kind === 'dead' ? record.offsets.length * 4 : record.kind === 'succeeds' ? record.runs.length : 0;
  const size = sizes[record.kind] + more;
  const out = Buffer.allocUnsafe(frameBytes + size);
  const at = frameBytes;
  out[at] = kinds[record.kind];
  if (record.kind === 'pages') {
    out.writeDoubleLE(record.id, at + 1);
    out.writeDoubleLE(record.length, at + 9);
    out.writeDoubleLE(record.file, at + 17);
    out.writeUInt32LE(record.first, at + 25);
    out.writeUInt32LE(record.checksums.length, at + 29);
    record.checksums.forEach((checksum, i) => out.writeUInt32LE(checksum, at + 33 + i * 4));
  } else if (record.kind === 'absent') {
    out.writeDoubleLE(record.file, at + 1);
    out.writeUInt32LE(record.first, at + 9);
    out.writeUInt32LE(record.count, at + 13);
  } else if (record.kind === 'unlinked') out.writeDoubleLE(record.file, at + 1);
  else if (record.kind === 'dead') {
    out.writeDoubleLE(record.life, at + 1);
    out.writeDoubleLE(record.segment, at + 9);
    out.writeUInt32LE(record.offsets.length, at + 17);
    record.offsets.forEach((offset, i) => out.writeUInt32LE(offset, at + 21 + i * 4));
  } else if (record.kind === 'succeeds') {
    out.writeDoubleLE(record.id, at + 1);
    out.writeDoubleLE(record.base, at + 9);
    out.writeDoubleLE(record.length, at + 17);
    out.set(record.runs, at + 25);
  } else {
    out.writeDoubleLE(record.id, at + 1);
    out[at + 9] = (record.pinned ? 1 : 0) | (record.dirty ? 2 : 0);
  }
  out.writeUInt32LE(size, 0);
  out.writeUInt32LE(crc32c(out.subarray(frameBytes)), 4);
  return out;
}

const whole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

function decodePayload(from: Buffer): LogRecord | undefined {
  const kind = from[0];
  if (kind === kinds.pages && from.length >= sizes.pages) {
    const [id, length, file, first, count] = [from.readDoubleLE(1), from.readDoubleLE(9), from.readDoubleLE(17), from.readUInt32LE(25), from.readUInt32LE(29)];
    if (!whole(id) || !whole(length) || !whole(file) || count > recordPagesMax || from.length !== sizes.pages + count * 4) return undefined;
    return {kind: 'pages', id: id as ContentId, length, file, first, checksums: Uint32Array.from({length: count}, (_, i) => from.readUInt32LE(33 + i * 4))};
  }
  if (kind === kinds.absent && from.length === sizes.absent && whole(from.readDoubleLE(1))) {
    return {kind: 'absent', file: from.readDoubleLE(1), first: from.readUInt32LE(9), count: from.readUInt32LE(13)};
  }
  if (kind === kinds.unlinked && from.length === sizes.unlinked && whole(from.readDoubleLE(1))) return {kind: 'unlinked', file: from.readDoubleLE(1)};
  if (kind === kinds.dropped && from.length === sizes.dropped && whole(from.readDoubleLE(1)) && whole(from.readDoubleLE(9))) {
    return {kind: 'dead', life: from.readDoubleLE(1), segment: from.readDoubleLE(9), offsets: [from.readUInt32LE(17)]};
  }
  if (kind === kinds.dead && from.length >= sizes.dead && whole(from.readDoubleLE(1)) && whole(from.readDoubleLE(9))) {
    const count = from.readUInt32LE(17);
    if (count > recordOffsetsMax || from.length !== sizes.dead + count * 4) return undefined;
    return {kind: 'dead', life: from.readDoubleLE(1), segment: from.readDoubleLE(9), offsets: Array.from({length: count}, (_, i) => from.readUInt32LE(21 + i * 4))};
  }
  if (kind === kinds.kept && from.length === sizes.kept && whole(from.readDoubleLE(1)) && from[9]! < 4) {
    return {kind: 'kept', id: from.readDoubleLE(1) as ContentId, pinned: (from[9]! & 1) !== 0, dirty: (from[9]! & 2) !== 0};
  }
  if (kind === kinds.succeeds && from.length >= sizes.succeeds) {
    const [id, base, length] = [from.readDoubleLE(1), from.readDoubleLE(9), from.readDoubleLE(17)];
    if (!whole(id) || !whole(base) || !whole(length) || from.length > sizes.succeeds + recordRunBytesMax) return undefined;
    return {kind: 'succeeds', id: id as ContentId, base: base as ContentId | 0, length, runs: Uint8Array.from(from.subarray(sizes.succeeds))};
  }
  return undefined;
}

/**
 * The record at `at`: with where the next one begins; `short` when the buffer ends before it does (read more, or the log ends here);
 * `torn` when it is not sound, and so the log ends before it.
 */
export function decodeLogRecord(from: Buffer, at: number): {readonly record: LogRecord; readonly next: number} | 'short' | 'torn' {
  if (at + frameBytes > from.length) return 'short';
  const size = from.readUInt32LE(at);
  if (size === 0 || size > payloadBytesMax) return 'torn';
  const next = at + frameBytes + size;
  if (next > from.length) return 'short';
  const payload = from.subarray(at + frameBytes, next);
  if (from.readUInt32LE(at + 4) !== crc32c(payload)) return 'torn';
  const record = decodePayload(payload);
  return record ? {record, next} : 'torn';
}
