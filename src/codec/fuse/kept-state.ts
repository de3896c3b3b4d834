/**
 * What a mount leaves to the next daemon: what was agreed on at INIT and what is open, in memory that outlives the process (KeptMemory).
 * Little-endian:
 *
 *   0            header: magic, version, INIT's flags, how many slots there have been, the protocol's minor version, a number above all handles, the mount's name (origin), its root
 *   4096 …       slots of 64 bytes: a file handle, a directory handle, the state of a draft, a lock, or nothing
 *   2^36 …       4096 bytes for each slot: where reading that directory has got to, if that handle ever got anywhere
 *
 * Every version that was ever released stays decodable: an upgrade takes over what the version before has left.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';

const magic = 0x7269_6577;
const version = 1;
export const headerBytes = 256;
export const slotBytes = 64;
export const positionBytes = 4096;
export const slotsMax = 1_048_576;
const originBytesMax = 200;
const rootPosition = 240;
const keyBytesMax = 2000;
const positionHeadBytes = 20;

const positionsBegin = 2 ** 36;
export const slotPosition = (slot: number): number => 4096 + slot * slotBytes;
export const directoryPosition = (slot: number): number => positionsBegin + slot * positionBytes;

export interface KeptHeader {
  /** Agreed on at INIT. */
  readonly flags: readonly [low: number, high: number];
  /** The same; 0 where an earlier version did not say. */
  readonly minor: number;
  /** Slots from this one on were never used. */
  readonly slots: number;
  /** Above every handle that was ever given out. */
  readonly nextHandle: number;
  readonly origin: string;
  /** The inode that is the mount's root. */
  readonly root: number;
}

export interface KeptFile {
  readonly kind: 'file';
  readonly handle: number;
  readonly node: number;
  /** Of OPEN. */
  readonly flags: number;
  /** The request that opened it, without the bit of those that are sent again. */
  readonly unique: bigint;
  /** What the kernel reads it by; 0: nothing. */
  readonly backing: number;
}

export interface KeptDirectory {
  readonly kind: 'directory';
  readonly handle: number;
  readonly node: number;
  readonly unique: bigint;
}

export interface KeptDraft {
  readonly kind: 'draft';
  readonly node: number;
  /** Under which it lies on disk. */
  readonly inode: number;
  /** It holds what was not published. */
  readonly dirty: boolean;
  /** The time that somebody has given the file by hand since it was last written, ns; 0: nobody. */
  readonly touched: bigint;
}

/** Of a mount that shares its locks with others; else the kernel has them. */
export interface KeptLock {
  readonly kind: 'lock';
  readonly node: number;
  /** By flock, of the whole file. */
  readonly whole: boolean;
  readonly owner: bigint;
  readonly type: 'read' | 'write';
  readonly pid: number;
  /** Bytes; `end` is the last one. */
  readonly start: number;
  readonly end: number;
}

export type KeptSlot = KeptFile | KeptDirectory | KeptDraft | KeptLock;

/** Where reading a directory has got to: what the last answer began behind, and what it ended with. */
export interface KeptPosition {
  readonly handle: number;
  readonly cookie: bigint;
  readonly from: ByteString;
  readonly key: ByteString;
}

const kinds = {none: 0, file: 1, directory: 2, draft: 3, lock: 4} as const;

export function encodeHeader({flags, minor, slots, nextHandle, origin, root}: KeptHeader): Buffer {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(version, 4);
  bytes.writeUInt32LE(flags[0] >>> 0, 8);
  bytes.writeUInt32LE(flags[1] >>> 0, 12);
  bytes.writeUInt32LE(slots, 16);
  bytes.writeUInt32LE(minor, 20);
  bytes.writeBigUInt64LE(BigInt(nextHandle), 24);
  bytes.writeUInt8(bytes.write(origin, 33, originBytesMax, 'latin1'), 32);
  bytes.writeBigUInt64LE(BigInt(root), rootPosition);
  return bytes;
}

/** Undefined where nothing was written yet. Corrupt; Unsupported for a version that came later than this. */
export function decodeHeader(bytes: Buffer): KeptHeader | undefined {
  if (bytes.length < headerBytes) throw corrupt('it is too short');
  if (bytes.readUInt32LE(0) === 0) return undefined;
  if (bytes.readUInt32LE(0) !== magic) throw corrupt('it does not begin as it should');
  if (bytes.readUInt32LE(4) !== version) throw new WeirError('Unsupported', `the mount was left by a later version of Weir (${bytes.readUInt32LE(4)})`);
  const [slots, originBytes] = [bytes.readUInt32LE(16), bytes.readUInt8(32)];
  if (slots > slotsMax || originBytes > originBytesMax) throw corrupt('its header is out of bounds');
  return {
    flags: [bytes.readInt32LE(8), bytes.readInt32LE(12)], minor: bytes.readUInt32LE(20), slots, nextHandle: number64(bytes, 24), origin: bytes.toString('latin1', 33, 33 + originBytes),
    // Versions before this one had the namespace's root, and did not say so.
    root: number64(bytes, rootPosition) || 1,
  };
}

/** Into 64 bytes; `undefined` frees the slot. */
export function encodeSlot(slot: KeptSlot | undefined, into: Buffer): void {
  into.fill(0, 0, slotBytes);
  if (!slot) return;
  into.writeUInt8(kinds[slot.kind], 0);
  writeNumber64(into, 16, slot.node);
  if (slot.kind === 'lock') {
    into.writeUInt8((slot.whole ? 1 : 0) | (slot.type === 'write' ? 2 : 0), 1);
    into.writeUInt32LE(slot.pid, 4);
    writeNumber64(into, 8, slot.start);
    into.writeBigUInt64LE(slot.owner, 24);
    return writeNumber64(into, 32, slot.end);
  }
  if (slot.kind === 'draft') {
    into.writeUInt8(slot.dirty ? 1 : 0, 1);
    writeNumber64(into, 8, slot.inode);
    into.writeBigInt64LE(slot.touched, 24);
    return;
  }
  writeNumber64(into, 8, slot.handle);
  into.writeBigUInt64LE(slot.unique, 24);
  if (slot.kind === 'directory') return;
  into.writeUInt32LE(slot.flags, 4);
  into.writeUInt32LE(slot.backing, 32);
}

/** Undefined for a slot that holds nothing. Corrupt. */
export function decodeSlot(bytes: Buffer): KeptSlot | undefined {
  if (bytes.length < slotBytes) throw corrupt('a slot is too short');
  const kind = bytes.readUInt8(0);
  if (kind === kinds.none) return undefined;
  const [id, node] = [number64(bytes, 8), number64(bytes, 16)];
  switch (kind) {
    case kinds.file:
      return {kind: 'file', handle: id, node, flags: bytes.readUInt32LE(4), unique: bytes.readBigUInt64LE(24), backing: bytes.readUInt32LE(32)};
    case kinds.directory:
      return {kind: 'directory', handle: id, node, unique: bytes.readBigUInt64LE(24)};
    case kinds.draft:
      return {kind: 'draft', node, inode: id, dirty: bytes.readUInt8(1) === 1, touched: bytes.readBigInt64LE(24)};
    case kinds.lock: {
      const flags = bytes.readUInt8(1);
      return {kind: 'lock', node, whole: (flags & 1) !== 0, owner: bytes.readBigUInt64LE(24), type: flags & 2 ? 'write' : 'read', pid: bytes.readUInt32LE(4), start: id, end: number64(bytes, 32)};
    }
    default:
      throw corrupt(`a slot is of kind ${kind}`);
  }
}

/** Undefined when the names are longer than there is room for: reading goes on by the cookie alone. */
export function encodePosition({handle, cookie, from, key}: KeptPosition): Buffer | undefined {
  if (from.length > keyBytesMax || key.length > keyBytesMax) return undefined;
  const bytes = Buffer.alloc(positionHeadBytes + from.length + key.length);
  writeNumber64(bytes, 0, handle);
  bytes.writeBigUInt64LE(cookie, 8);
  bytes.writeUInt16LE(from.length, 16);
  bytes.writeUInt16LE(key.length, 18);
  bytes.write(from, positionHeadBytes, 'latin1');
  bytes.write(key, positionHeadBytes + from.length, 'latin1');
  return bytes;
}

/** Corrupt. */
export function decodePosition(bytes: Buffer): KeptPosition {
  if (bytes.length < positionHeadBytes) throw corrupt('a position is too short');
  const [fromBytes, keyBytes] = [bytes.readUInt16LE(16), bytes.readUInt16LE(18)];
  if (fromBytes > keyBytesMax || keyBytes > keyBytesMax || positionHeadBytes + fromBytes + keyBytes > bytes.length) throw corrupt('the names of a position are too long');
  const names = bytes.toString('latin1', positionHeadBytes, positionHeadBytes + fromBytes + keyBytes);
  return {handle: number64(bytes, 0), cookie: bytes.readBigUInt64LE(8), from: names.slice(0, fromBytes) as ByteString, key: names.slice(fromBytes) as ByteString};
}

/** Without a bigint: a file is opened often. */
function writeNumber64(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value >>> 0, at);
  into.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

function number64(bytes: Buffer, at: number): number {
  const value = bytes.readUInt32LE(at + 4) * 0x1_0000_0000 + bytes.readUInt32LE(at);
  if (value > Number.MAX_SAFE_INTEGER) throw corrupt('a number is too large');
  return value;
}

function corrupt(what: string): WeirError {
  return new WeirError('Corrupt', `what an earlier process has left of the mount is broken: ${what}`);
}
