/**
 * Requests as the kernel writes them: a header of 40 bytes, then what the operation needs. Layouts: the kernel's include/uapi/linux/fuse.h.
 *
 * The kernel is trusted, but lengths are checked all the same: a message that ends early is Corrupt. Names and values are copied out;
 * only the data of a WRITE is a view, valid as long as the message is.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {inHeaderBytes, opcode, setattrValid} from '#codec/fuse/abi.ts';

/** What every request begins with. Node and file handle numbers are ours, below 2^53. */
export interface FuseHead {
  readonly opcode: number;
  readonly unique: bigint;
  readonly node: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
}

/** Seconds and nanoseconds as one number of nanoseconds. */
export type FuseTime = bigint;

export interface SetattrBody {
  readonly handle?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  readonly atime?: FuseTime | 'now';
  readonly mtime?: FuseTime | 'now';
  readonly ctime?: FuseTime;
  /** Set-user-id and set-group-id go with it (where `handleKillPrivileges` was agreed on). */
  readonly killSetId?: true;
}

export type FuseBody =
  | {readonly op: 'lookup'; readonly name: ByteString}
  | {readonly op: 'unlink'; readonly name: ByteString}
  | {readonly op: 'rmdir'; readonly name: ByteString}
  | {readonly op: 'removexattr'; readonly name: ByteString}
  | {readonly op: 'forget'; readonly forgets: readonly {readonly node: number; readonly count: number}[]}
  | {readonly op: 'getattr'; readonly handle?: number}
  | ({readonly op: 'setattr'} & SetattrBody)
  | {readonly op: 'readlink' | 'statfs' | 'destroy' | 'syncfs'}
  | {readonly op: 'symlink'; readonly name: ByteString; readonly target: ByteString}
  | {readonly op: 'mknod'; readonly name: ByteString; readonly mode: number; readonly device: number; readonly umask: number}
  | {readonly op: 'mkdir'; readonly name: ByteString; readonly mode: number; readonly umask: number}
  | {readonly op: 'rename'; readonly name: ByteString; readonly newParent: number; readonly newName: ByteString; readonly flags: number}
  | {readonly op: 'link'; readonly source: number; readonly name: ByteString}
  | {readonly op: 'open' | 'opendir'; readonly flags: number}
  | {readonly op: 'create' | 'tmpfile'; readonly name: ByteString; readonly flags: number; readonly mode: number; readonly umask: number}
  | {readonly op: 'read' | 'readdir' | 'readdirplus'; readonly handle: number; readonly offset: bigint; readonly size: number}
  | {readonly op: 'write'; readonly handle: number; readonly offset: number; readonly data: Uint8Array; readonly flags: number; readonly openFlags: number}
  | {readonly op: 'release' | 'releasedir'; readonly handle: number; readonly flags: number; readonly lockOwner: bigint}
  | {readonly op: 'flush'; readonly handle: number; readonly lockOwner: bigint}
  | {readonly op: 'fsync' | 'fsyncdir'; readonly handle: number; readonly dataOnly: boolean}
  | {readonly op: 'setxattr'; readonly name: ByteString; readonly value: Uint8Array; readonly flags: number; readonly killSetGroupId: boolean}
  | {readonly op: 'getxattr'; readonly name: ByteString; readonly size: number}
  | {readonly op: 'listxattr'; readonly size: number}
  | {readonly op: 'init'; readonly major: number; readonly minor: number; readonly readAheadBytesMax: number; readonly flags: readonly [low: number, high: number]}
  | {readonly op: 'getlk' | 'setlk' | 'setlkw'; readonly handle: number; readonly owner: bigint; readonly start: bigint; readonly end: bigint; readonly type: number; readonly pid: number; readonly flock: boolean}
  | {readonly op: 'access'; readonly mask: number}
  | {readonly op: 'interrupt'; readonly interrupted: bigint}
  | {readonly op: 'fallocate'; readonly handle: number; readonly offset: number; readonly length: number; readonly mode: number}
  | {readonly op: 'lseek'; readonly handle: number; readonly offset: number; readonly whence: number}
  | {readonly op: 'copy'; readonly handle: number; readonly offset: number; readonly toNode: number; readonly toHandle: number; readonly toOffset: number; readonly length: number}
  /** One that Weir does not know, to be answered with ENOSYS. */
  | {readonly op: 'unknown'};

export interface FuseRequest {
  readonly head: FuseHead;
  readonly body: FuseBody;
}

/** With INIT's extended flags, SETXATTR has two more words. */
export interface DecodeOptions {
  readonly setxattrExtended: boolean;
  /** What is meant by the kernel's number of a node. */
  readonly numbered: (node: number) => number;
}

/** Corrupt when the message ends before its fields do. */
export function decodeRequest(message: Buffer, options: DecodeOptions): FuseRequest {
  if (message.length < inHeaderBytes || message.readUInt32LE(0) !== message.length) throw corrupt('its length is not what its header says');
  const head: FuseHead = {
    opcode: message.readUInt32LE(4), unique: word64(message, 8), node: options.numbered(number64(message, 16)), uid: message.readUInt32LE(24), gid: message.readUInt32LE(28), pid: message.readUInt32LE(32),
  };
  return {head, body: decodeBody(head, message, options)};
}

/** What stands behind the header of the message that is being read, by offsets from there. One for all: most messages are a few words. */
class Fields {
  #message: Buffer = Buffer.alloc(0);
  #operation = 0;

  open(message: Buffer, operation: number): void {
    this.#message = message;
    this.#operation = operation;
  }

  /** Corrupt when there are fewer bytes. */
  need(bytes: number): void {
    const has = this.#message.length - inHeaderBytes;
    if (has < bytes) throw corrupt(`operation ${this.#operation} needs ${bytes} bytes and has ${has}`);
  }

  u32(offset: number): number {
    return this.#message.readUInt32LE(inHeaderBytes + offset);
  }

  number(offset: number): number {
    return number64(this.#message, inHeaderBytes + offset);
  }

  big(offset: number): bigint {
    return word64(this.#message, inHeaderBytes + offset);
  }

  time(seconds: number, nanoseconds: number): FuseTime {
    return this.#message.readBigInt64LE(inHeaderBytes + seconds) * 1_000_000_000n + BigInt(this.u32(nanoseconds));
  }

  /** A name, which NUL ends. */
  name(offset: number): ByteString {
    this.need(offset);
    const end = this.#message.indexOf(0, inHeaderBytes + offset);
    if (end < 0) throw corrupt(`a name of operation ${this.#operation} does not end`);
    return this.#message.toString('latin1', inHeaderBytes + offset, end) as ByteString;
  }
}

const fields = new Fields();

function decodeBody(head: FuseHead, message: Buffer, options: DecodeOptions): FuseBody {
  fields.open(message, head.opcode);
  switch (head.opcode) {
    case opcode.lookup:
      return {op: 'lookup', name: fields.name(0)};
    case opcode.unlink:
      return {op: 'unlink', name: fields.name(0)};
    case opcode.rmdir:
      return {op: 'rmdir', name: fields.name(0)};
    case opcode.removexattr:
      return {op: 'removexattr', name: fields.name(0)};
    case opcode.forget:
      fields.need(8);
      return {op: 'forget', forgets: [{node: head.node, count: fields.number(0)}]};
    case opcode.batchForget: {
      fields.need(8);
      const count = fields.u32(0);
      fields.need(8 + count * 16);
      return {op: 'forget', forgets: Array.from({length: count}, (_, i) => ({node: options.numbered(fields.number(8 + i * 16)), count: fields.number(16 + i * 16)}))};
    }
    case opcode.getattr:
      fields.need(16);
      return {op: 'getattr', ...(fields.u32(0) & 1 ? {handle: fields.number(8)} : {})};
    case opcode.setattr:
      fields.need(88);
      return {op: 'setattr', ...setattr()};
    case opcode.readlink:
      return {op: 'readlink'};
    case opcode.statfs:
      return {op: 'statfs'};
    case opcode.destroy:
      return {op: 'destroy'};
    case opcode.syncfs:
      return {op: 'syncfs'};
    case opcode.symlink: {
      const link = fields.name(0);
      return {op: 'symlink', name: link, target: fields.name(link.length + 1)};
    }
    case opcode.mknod:
      fields.need(16);
      return {op: 'mknod', mode: fields.u32(0), device: fields.u32(4), umask: fields.u32(8), name: fields.name(16)};
    case opcode.mkdir:
      fields.need(8);
      return {op: 'mkdir', mode: fields.u32(0), umask: fields.u32(4), name: fields.name(8)};
    case opcode.rename: {
      fields.need(8);
      const from = fields.name(8);
      return {op: 'rename', newParent: options.numbered(fields.number(0)), flags: 0, name: from, newName: fields.name(8 + from.length + 1)};
    }
    case opcode.rename2: {
      fields.need(16);
      const from = fields.name(16);
      return {op: 'rename', newParent: options.numbered(fields.number(0)), flags: fields.u32(8), name: from, newName: fields.name(16 + from.length + 1)};
    }
    case opcode.link:
      fields.need(8);
      return {op: 'link', source: options.numbered(fields.number(0)), name: fields.name(8)};
    case opcode.open:
    case opcode.opendir:
      fields.need(8);
      return {op: head.opcode === opcode.open ? 'open' : 'opendir', flags: fields.u32(0)};
    case opcode.create:
    case opcode.tmpfile:
      fields.need(16);
      return {op: head.opcode === opcode.create ? 'create' : 'tmpfile', flags: fields.u32(0), mode: fields.u32(4), umask: fields.u32(8), name: fields.name(16)};
    case opcode.read:
    case opcode.readdir:
    case opcode.readdirplus:
      fields.need(40);
      return {op: head.opcode === opcode.read ? 'read' : head.opcode === opcode.readdir ? 'readdir' : 'readdirplus', handle: fields.number(0), offset: fields.big(8), size: fields.u32(16)};
    case opcode.write: {
      fields.need(40);
      const size = fields.u32(16);
      fields.need(40 + size);
      return {op: 'write', handle: fields.number(0), offset: fields.number(8), flags: fields.u32(20), openFlags: fields.u32(32), data: message.subarray(inHeaderBytes + 40, inHeaderBytes + 40 + size)};
    }
    case opcode.release:
    case opcode.releasedir:
      fields.need(24);
      return {op: head.opcode === opcode.release ? 'release' : 'releasedir', handle: fields.number(0), flags: fields.u32(12), lockOwner: fields.big(16)};
    case opcode.flush:
      fields.need(24);
      return {op: 'flush', handle: fields.number(0), lockOwner: fields.big(16)};
    case opcode.fsync:
    case opcode.fsyncdir:
      fields.need(16);
      return {op: head.opcode === opcode.fsync ? 'fsync' : 'fsyncdir', handle: fields.number(0), dataOnly: (fields.u32(8) & 1) !== 0};
    case opcode.setxattr: {
      const fixed = options.setxattrExtended ? 16 : 8;
      fields.need(fixed);
      const size = fields.u32(0);
      const name = fields.name(fixed);
      const begin = fixed + name.length + 1;
      fields.need(begin + size);
      const value = Uint8Array.from(message.subarray(inHeaderBytes + begin, inHeaderBytes + begin + size));
      return {op: 'setxattr', flags: fields.u32(4), name, killSetGroupId: options.setxattrExtended && (fields.u32(8) & 1) !== 0, value};
    }
    case opcode.getxattr:
      fields.need(8);
      return {op: 'getxattr', size: fields.u32(0), name: fields.name(8)};
    case opcode.listxattr:
      fields.need(8);
      return {op: 'listxattr', size: fields.u32(0)};
    case opcode.init: {
      fields.need(16);
      const extended = message.length >= inHeaderBytes + 20;
      return {op: 'init', major: fields.u32(0), minor: fields.u32(4), readAheadBytesMax: fields.u32(8), flags: [fields.u32(12), extended ? fields.u32(16) : 0]};
    }
    case opcode.getlk:
    case opcode.setlk:
    case opcode.setlkw:
      fields.need(48);
      return {
        op: head.opcode === opcode.getlk ? 'getlk' : head.opcode === opcode.setlk ? 'setlk' : 'setlkw',
        handle: fields.number(0), owner: fields.big(8), start: fields.big(16), end: fields.big(24), type: fields.u32(32), pid: fields.u32(36), flock: (fields.u32(40) & 1) !== 0,
      };
    case opcode.access:
      fields.need(8);
      return {op: 'access', mask: fields.u32(0)};
    case opcode.interrupt:
      fields.need(8);
      return {op: 'interrupt', interrupted: fields.big(0)};
    case opcode.fallocate:
      fields.need(32);
      return {op: 'fallocate', handle: fields.number(0), offset: fields.number(8), length: fields.number(16), mode: fields.u32(24)};
    case opcode.lseek:
      fields.need(24);
      return {op: 'lseek', handle: fields.number(0), offset: fields.number(8), whence: fields.u32(16)};
    case opcode.copyFileRange:
      fields.need(56);
      return {op: 'copy', handle: fields.number(0), offset: fields.number(8), toNode: options.numbered(fields.number(16)), toHandle: fields.number(24), toOffset: fields.number(32), length: fields.number(40)};
    default:
      return {op: 'unknown'};
  }
}

function setattr(): SetattrBody {
  const valid = fields.u32(0);
  const has = (bit: number): boolean => (valid & bit) !== 0;
  return {
    ...(has(setattrValid.handle) ? {handle: fields.number(8)} : {}),
    ...(has(setattrValid.size) ? {size: fields.number(16)} : {}),
    ...(has(setattrValid.atime) ? {atime: has(setattrValid.atimeNow) ? ('now' as const) : fields.time(32, 56)} : {}),
    ...(has(setattrValid.mtime) ? {mtime: has(setattrValid.mtimeNow) ? ('now' as const) : fields.time(40, 60)} : {}),
    ...(has(setattrValid.ctime) ? {ctime: fields.time(48, 64)} : {}),
    ...(has(setattrValid.mode) ? {mode: fields.u32(68)} : {}),
    ...(has(setattrValid.uid) ? {uid: fields.u32(76)} : {}),
    ...(has(setattrValid.gid) ? {gid: fields.u32(80)} : {}),
    ...(has(setattrValid.killSetId) ? {killSetId: true as const} : {}),
  };
}

/** Offsets and handles: beyond 2^53 nothing of ours is, and what is meant is "to the end". */
function number64(message: Buffer, at: number): number {
  const value = message.readUInt32LE(at + 4) * 0x1_0000_0000 + message.readUInt32LE(at);
  return value > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : value;
}

/** One word as bytes and as a number, little-endian as every machine that Node 24 runs on: Buffer puts each bigint together of several. */
const word = new BigUint64Array(1);
const wordBytes = new Uint8Array(word.buffer);

function word64(message: Buffer, at: number): bigint {
  for (let i = 0; i < 8; i++) wordBytes[i] = message[at + i]!;
  return word[0]!;
}

function corrupt(what: string): WeirError {
  return new WeirError('Corrupt', `a FUSE request is broken: ${what}`);
}
