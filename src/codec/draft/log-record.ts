/**
 * Records of the log of drafts: what was written to files that are not closed yet, in the order in which it was. A draft is named by its inode, and
 * begins with `open` (its bytes follow in the log), `file` (they are in a file of the cache) or `partial` (those that are its own are), whatever came
 * before of that inode. Little-endian.
 *
 *     length of the payload u32 · CRC32C of the payload u32 · payload: kind u8 · fields · bytes
 */
import {crc32c} from '@node-rs/crc32';
import type {ContentId, InodeId} from '#base/ids.ts';

export type DraftRecord =
  /** The first of each log: the boot of the machine that the rest was written in. */
  | {readonly kind: 'boot'; readonly boot: string}
  /** `base`: the content that it began with; `seal`: the one that it is to be when it is closed; 0: none. */
  | {readonly kind: 'open'; readonly inode: InodeId; readonly base: ContentId | 0; readonly seal: ContentId | 0; readonly bytes: Uint8Array}
  | {readonly kind: 'file'; readonly inode: InodeId; readonly base: ContentId | 0; readonly seal: ContentId | 0; readonly name: string}
  /** `end`: how far its base reaches; `own`: runs of pages that are its own (model/own-pages.ts). */
  | {readonly kind: 'partial'; readonly inode: InodeId; readonly base: ContentId; readonly seal: ContentId | 0; readonly end: number; readonly name: string; readonly own: Uint8Array}
  /** More pages of a partial one are its own, or its base does not reach as far any more. */
  | {readonly kind: 'own'; readonly inode: InodeId; readonly end: number; readonly own: Uint8Array}
  /** `modified`: ns since 1970. */
  | {readonly kind: 'write'; readonly inode: InodeId; readonly modified: bigint; readonly position: number; readonly bytes: Uint8Array}
  | {readonly kind: 'zero'; readonly inode: InodeId; readonly modified: bigint; readonly position: number; readonly length: number}
  | {readonly kind: 'truncate'; readonly inode: InodeId; readonly modified: bigint; readonly length: number}
  /** What comes before survives power loss. */
  | {readonly kind: 'synced'; readonly inode: InodeId}
  /** Contents that it was, or was to be, after what lasts, of which nothing else is told any more. */
  | {readonly kind: 'later'; readonly inode: InodeId; readonly contents: readonly ContentId[]}
  | {readonly kind: 'end'; readonly inode: InodeId};

const frameBytes = 8;
const kinds = {boot: 1, open: 2, file: 3, write: 4, zero: 5, truncate: 6, synced: 7, end: 8, partial: 9, own: 10, later: 11} as const;
/** Of the payload, without its bytes. */
const sizes = {boot: 1, open: 25, file: 25, write: 25, zero: 33, truncate: 25, synced: 9, end: 9, partial: 34, own: 17, later: 9} as const;
/** No record has more bytes: eight million runs. */
export const draftRecordBytesMax = 16 * 1024 * 1024;

/** The record as buffers to be written one after the other; its bytes are not copied. */
export function encodeDraftRecord(record: DraftRecord): readonly Uint8Array[] {
  const bytes = bytesOf(record);
  const size = sizes[record.kind];
  const out = Buffer.allocUnsafe(frameBytes + size);
  out[frameBytes] = kinds[record.kind];
  if (record.kind !== 'boot') out.writeDoubleLE(record.inode, frameBytes + 1);
  if (record.kind === 'open' || record.kind === 'file' || record.kind === 'partial') {
    out.writeDoubleLE(record.base, frameBytes + 9);
    out.writeDoubleLE(record.seal, frameBytes + 17);
    if (record.kind === 'partial') {
      out.writeDoubleLE(record.end, frameBytes + 25);
      out[frameBytes + 33] = record.name.length;
    }
  } else if (record.kind === 'own') {
    out.writeDoubleLE(record.end, frameBytes + 9);
  } else if (record.kind === 'write' || record.kind === 'zero' || record.kind === 'truncate') {
    out.writeBigInt64LE(record.modified, frameBytes + 9);
    out.writeDoubleLE(record.kind === 'truncate' ? record.length : record.position, frameBytes + 17);
    if (record.kind === 'zero') out.writeDoubleLE(record.length, frameBytes + 25);
  }
  const own = crc32c(out.subarray(frameBytes));
  out.writeUInt32LE(size + (bytes?.length ?? 0), 0);
  out.writeUInt32LE(bytes && bytes.length > 0 ? crc32c(bytes, own) : own, 4);
  return bytes && bytes.length > 0 ? [out, bytes] : [out];
}

function bytesOf(record: DraftRecord): Uint8Array | undefined {
  if (record.kind === 'open' || record.kind === 'write') return record.bytes;
  if (record.kind === 'boot') return Buffer.from(record.boot);
  if (record.kind === 'file') return Buffer.from(record.name);
  if (record.kind === 'own') return record.own;
  if (record.kind === 'later') return Buffer.from(Float64Array.from(record.contents).buffer);
  return record.kind === 'partial' ? Buffer.concat([Buffer.from(record.name, 'latin1'), record.own]) : undefined;
}

const whole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

function decodePayload(from: Buffer): DraftRecord | undefined {
  const found = Object.entries(kinds).find(([, number]) => number === from[0]);
  if (!found) return undefined;
  const kind = found[0] as DraftRecord['kind'];
  const hasBytes = kind === 'open' || kind === 'write' || kind === 'boot' || kind === 'file' || kind === 'partial' || kind === 'own' || kind === 'later';
  if (hasBytes ? from.length < sizes[kind] : from.length !== sizes[kind]) return undefined;
  const rest = from.subarray(sizes[kind]);
  if (kind === 'boot') return {kind, boot: rest.toString()};
  const number = from.readDoubleLE(1);
  if (!whole(number)) return undefined;
  const inode = number as InodeId;
  if (kind === 'synced' || kind === 'end') return {kind, inode};
  if (kind === 'later') {
    const contents = Array.from({length: rest.length / 8}, (_, i) => rest.readDoubleLE(i * 8) as ContentId);
    return rest.length % 8 === 0 && contents.every(whole) ? {kind, inode, contents} : undefined;
  }
  if (kind === 'open' || kind === 'file') {
    const [base, seal] = [from.readDoubleLE(9), from.readDoubleLE(17)];
    if (!whole(base) || !whole(seal)) return undefined;
    const ids = {inode, base: base as ContentId | 0, seal: seal as ContentId | 0};
    return kind === 'open' ? {kind, ...ids, bytes: rest} : {kind, ...ids, name: rest.toString()};
  }
  if (kind === 'partial') {
    const [base, seal, end] = [from.readDoubleLE(9), from.readDoubleLE(17), from.readDoubleLE(25)];
    const nameLength = from[33]!;
    if (!whole(base) || !whole(seal) || !whole(end) || nameLength > rest.length) return undefined;
    return {kind, inode, base: base as ContentId, seal: seal as ContentId | 0, end, name: rest.subarray(0, nameLength).toString('latin1'), own: rest.subarray(nameLength)};
  }
  if (kind === 'own') {
    const end = from.readDoubleLE(9);
    return whole(end) ? {kind, inode, end, own: rest} : undefined;
  }
  const modified = from.readBigInt64LE(9);
  const place = from.readDoubleLE(17);
  if (!whole(place)) return undefined;
  if (kind === 'truncate') return {kind, inode, modified, length: place};
  if (kind === 'write') return {kind, inode, modified, position: place, bytes: rest};
  const length = from.readDoubleLE(25);
  return whole(length) ? {kind, inode, modified, position: place, length} : undefined;
}

/** The record at `at`, and where the next begins; its bytes are part of `log`. `torn`: no record, or half of one: here the log ends. */
export function decodeDraftRecord(log: Buffer, at: number): {readonly record: DraftRecord; readonly next: number} | 'torn' {
  if (log.length - at < frameBytes) return 'torn';
  const size = log.readUInt32LE(at);
  const next = at + frameBytes + size;
  if (size === 0 || size > draftRecordBytesMax || next > log.length) return 'torn';
  const payload = log.subarray(at + frameBytes, next);
  if (crc32c(payload) !== log.readUInt32LE(at + 4)) return 'torn';
  const record = decodePayload(payload);
  return record ? {record, next} : 'torn';
}
