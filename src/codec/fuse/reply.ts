/**
 * Replies as the kernel reads them: a header of 16 bytes (length, error, the request's id), then what the operation answers. Layouts: the
 * kernel's include/uapi/linux/fuse.h.
 */
import type {ByteString} from '#base/byte-string.ts';
import {outHeaderBytes} from '#codec/fuse/abi.ts';

/** Attributes of one node. Times in ns since 1970; `validMs`: how long the kernel may believe them without asking. */
export interface FuseAttributes {
  readonly node: number;
  readonly size: number;
  /** In units of 512 bytes. */
  readonly blocks: number;
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
  /** With the file type's bits. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly device: number;
}

export const blockBytes = 4096;
const attributesBytes = 88;
const entryBytes = 40 + attributesBytes;
const direntHeadBytes = 24;

/** From the common pool: memory of its own costs more than all that is written to it. */
const zeros = (bytes: number): Buffer => Buffer.allocUnsafe(bytes).fill(0);

/** One word as a number and as bytes, little-endian as every machine that Node 24 runs on: Buffer takes each bigint to pieces. */
const word = new BigUint64Array(1);
const wordBytes = new Uint8Array(word.buffer);

/** The header of a reply whose body is sent beside it. `error` is a positive errno, 0 for success. */
export function replyHead(unique: bigint, error: number, bodyBytes: number): Buffer {
  const head = Buffer.allocUnsafe(outHeaderBytes);
  head.writeUInt32LE(outHeaderBytes + bodyBytes, 0);
  head.writeInt32LE(-error, 4);
  word[0] = unique;
  head.set(wordBytes, 8);
  return head;
}

/** A notification has no request; its code stands where errors do. */
export function notificationHead(code: number, bodyBytes: number): Buffer {
  const head = replyHead(0n, 0, bodyBytes);
  head.writeInt32LE(code, 4);
  return head;
}

/** Without a bigint: each file that is made brings a dozen. Safe integers, also negative ones. */
function writeNumber64(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value >>> 0, at);
  into.writeInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
}

function writeAttributes(into: Buffer, at: number, attributes: FuseAttributes): void {
  writeNumber64(into, at, attributes.node);
  writeNumber64(into, at + 8, attributes.size);
  writeNumber64(into, at + 16, attributes.blocks);
  writeTime(into, at + 24, at + 48, attributes.atime);
  writeTime(into, at + 32, at + 52, attributes.mtime);
  writeTime(into, at + 40, at + 56, attributes.ctime);
  into.writeUInt32LE(attributes.mode, at + 60);
  into.writeUInt32LE(attributes.links, at + 64);
  into.writeUInt32LE(attributes.uid, at + 68);
  into.writeUInt32LE(attributes.gid, at + 72);
  into.writeUInt32LE(attributes.device, at + 76);
  into.writeUInt32LE(blockBytes, at + 80);
  into.writeUInt32LE(0, at + 84);
}

/** Seconds are signed, nanoseconds are not: a time before 1970 is rounded down. */
function writeTime(into: Buffer, secondsAt: number, nanosecondsAt: number, time: bigint): void {
  const whole = time / 1_000_000_000n;
  const rest = Number(time - whole * 1_000_000_000n);
  writeNumber64(into, secondsAt, Number(whole) - (rest < 0 ? 1 : 0));
  into.writeUInt32LE(rest < 0 ? rest + 1_000_000_000 : rest, nanosecondsAt);
}

/** Seconds and nanoseconds of a duration, written where the kernel has them. */
function writeValidity(into: Buffer, secondsAt: number, nanosecondsAt: number, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  writeNumber64(into, secondsAt, seconds);
  into.writeUInt32LE(Math.floor((ms - seconds * 1000) * 1_000_000), nanosecondsAt);
}

/** The answer to LOOKUP, MKDIR and their like. Node 0 with a validity says that there is no such name. */
export function entryBody(attributes: FuseAttributes | undefined, validMs: number): Buffer {
  const body = zeros(entryBytes);
  writeEntry(body, 0, attributes, validMs);
  return body;
}

function writeEntry(into: Buffer, at: number, attributes: FuseAttributes | undefined, validMs: number): void {
  writeNumber64(into, at, attributes?.node ?? 0);
  writeNumber64(into, at + 8, 0);
  writeValidity(into, at + 16, at + 32, validMs);
  writeValidity(into, at + 24, at + 36, validMs);
  if (attributes) writeAttributes(into, at + 40, attributes);
}

/** The answer to GETATTR and SETATTR. */
export function attributesBody(attributes: FuseAttributes, validMs: number): Buffer {
  const body = zeros(16 + attributesBytes);
  writeValidity(body, 0, 8, validMs);
  writeAttributes(body, 16, attributes);
  return body;
}

/** The answer to OPEN and OPENDIR. `backing`: the id of a registered file, with the passthrough flag. */
export function openBody(handle: number, flags: number, backing = 0): Buffer {
  const body = zeros(16);
  writeNumber64(body, 0, handle);
  body.writeUInt32LE(flags, 8);
  body.writeInt32LE(backing, 12);
  return body;
}

export interface InitAnswer {
  readonly minor: number;
  readonly readAheadBytesMax: number;
  readonly flags: readonly [low: number, high: number];
  /** Requests that the kernel keeps in flight on its own account (read-ahead, write-back). */
  readonly backgroundMax: number;
  readonly writeBytesMax: number;
  /** How many file systems may be stacked on this one; 1 where files are handed to the kernel. */
  readonly stackDepthMax: number;
}

/** Times are kept to the nanosecond. */
export function initBody({minor, readAheadBytesMax, flags, backgroundMax, writeBytesMax, stackDepthMax}: InitAnswer): Buffer {
  const body = Buffer.alloc(64);
  body.writeUInt32LE(7, 0);
  body.writeUInt32LE(minor, 4);
  body.writeUInt32LE(readAheadBytesMax, 8);
  body.writeUInt32LE(flags[0] >>> 0, 12);
  body.writeUInt16LE(backgroundMax, 16);
  body.writeUInt16LE(Math.floor((backgroundMax * 3) / 4), 18);
  body.writeUInt32LE(writeBytesMax, 20);
  body.writeUInt32LE(1, 24);
  body.writeUInt16LE(writeBytesMax / blockBytes, 28);
  body.writeUInt32LE(flags[1] >>> 0, 32);
  body.writeUInt32LE(stackDepthMax, 36);
  return body;
}

export interface FileSystemStatus {
  /** Bytes. */
  readonly total: number;
  readonly free: number;
  readonly files: number;
  readonly nameBytesMax: number;
}

export function statfsBody({total, free, files, nameBytesMax}: FileSystemStatus): Buffer {
  const body = Buffer.alloc(80);
  body.writeBigUInt64LE(BigInt(Math.floor(total / blockBytes)), 0);
  body.writeBigUInt64LE(BigInt(Math.floor(free / blockBytes)), 8);
  body.writeBigUInt64LE(BigInt(Math.floor(free / blockBytes)), 16);
  body.writeBigUInt64LE(BigInt(files), 24);
  body.writeBigUInt64LE(BigInt(Number.MAX_SAFE_INTEGER), 32);
  body.writeUInt32LE(blockBytes, 40);
  body.writeUInt32LE(nameBytesMax, 44);
  body.writeUInt32LE(blockBytes, 48);
  return body;
}

/** The answer to GETXATTR and LISTXATTR of size 0: how much room it takes. */
export function xattrSizeBody(size: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeUInt32LE(size, 0);
  return body;
}

/** File types as a directory's entries carry them (the upper bits of a mode). */
export const direntType = {file: 8, directory: 4, symlink: 10, fifo: 1, character: 2, block: 6, socket: 12} as const;

export interface Dirent {
  readonly node: number;
  /** Where reading goes on behind this entry. */
  readonly cookie: bigint;
  readonly type: number;
  readonly name: ByteString;
}

/** Entries of a directory, packed into as many bytes as the kernel has room for. */
export class DirentBuffer {
  readonly #bytes: Buffer;
  #used = 0;

  constructor(size: number) {
    this.#bytes = Buffer.alloc(size);
  }

  /** False when it does not fit any more. `attributes` as READDIRPLUS wants them. */
  add({node, cookie, type, name}: Dirent, attributes?: FuseAttributes, validMs = 0, plus = attributes !== undefined): boolean {
    const headBytes = plus ? entryBytes : 0;
    const size = Math.ceil((headBytes + direntHeadBytes + name.length) / 8) * 8;
    if (this.#used + size > this.#bytes.length) return false;
    const at = this.#used + headBytes;
    // Without attributes the node is 0: the kernel looks the name up when somebody wants it.
    if (plus) writeEntry(this.#bytes, this.#used, attributes, validMs);
    this.#bytes.writeBigUInt64LE(BigInt(node), at);
    this.#bytes.writeBigUInt64LE(cookie, at + 8);
    this.#bytes.writeUInt32LE(name.length, at + 16);
    this.#bytes.writeUInt32LE(type, at + 20);
    this.#bytes.write(name, at + direntHeadBytes, 'latin1');
    this.#used += size;
    return true;
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#used);
  }
}

/** Forget cached pages of a node from `offset` on (all from 0); a negative offset means attributes only. */
export function invalidateInodeBody(node: number, offset: bigint, length: bigint): Buffer {
  const body = zeros(24);
  body.writeBigUInt64LE(BigInt(node), 0);
  body.writeBigInt64LE(offset, 8);
  body.writeBigInt64LE(length, 16);
  return body;
}

/** Bytes of a file as they are, to be remembered where the page is: the file is known to reach behind them. */
export function storeBody(node: number, offset: number, bytes: Uint8Array): Buffer {
  const body = Buffer.alloc(24 + bytes.length);
  body.writeBigUInt64LE(BigInt(node), 0);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(bytes.length, 16);
  body.set(bytes, 24);
  return body;
}

/** To WRITE and COPY_FILE_RANGE: how many bytes. */
export function writtenBody(bytes: number): Buffer {
  const body = zeros(8);
  body.writeUInt32LE(bytes, 0);
  return body;
}

/** To GETLK: a lock that is in the way, or of type 2, that there is none. */
export function lockBody({start, end, type, pid}: {readonly start: number; readonly end: number; readonly type: number; readonly pid: number}): Buffer {
  const body = Buffer.alloc(24);
  body.writeBigUInt64LE(BigInt(start), 0);
  body.writeBigUInt64LE(end === Number.MAX_SAFE_INTEGER ? (1n << 63n) - 1n : BigInt(end), 8);
  body.writeUInt32LE(type, 16);
  body.writeUInt32LE(pid, 20);
  return body;
}

export function lseekBody(offset: number): Buffer {
  const body = Buffer.alloc(8);
  body.writeBigUInt64LE(BigInt(offset), 0);
  return body;
}

/** Forget what a name leads to. */
export function invalidateEntryBody(parent: number, name: ByteString): Buffer {
  const body = Buffer.alloc(16 + name.length + 1);
  body.writeBigUInt64LE(BigInt(parent), 0);
  body.writeUInt32LE(name.length, 8);
  body.write(name, 16, 'latin1');
  return body;
}

/** Forget these nodes, where nobody uses them. */
export function pruneBody(nodes: readonly number[]): Buffer {
  const body = Buffer.alloc(16 + nodes.length * 8);
  body.writeUInt32LE(nodes.length, 0);
  for (const [i, node] of nodes.entries()) body.writeBigUInt64LE(BigInt(node), 16 + i * 8);
  return body;
}
