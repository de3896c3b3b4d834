/**
 * Requests as the kernel writes them: a header of 40 bytes, then what the operation needs. Layouts: the kernel's include/uapi/linux/fuse.h.
 *
 * The kernel is trusted, but lengths are checked all the same: a message that ends early is Corrupt. Names and values are copied out;
 * only the data of a WRITE is a view, valid as long as the message is.
 */
import {type ByteString, fromBytes} from '#base/byte-string.ts';
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
    opcode: message.readUInt32LE(4), unique: message.readBigUInt64LE(8), node: options.numbered(number64(message, 16)), uid: message.readUInt32LE(24), gid: message.readUInt32LE(28), pid: message.readUInt32LE(32),
  };
  return {head, body: decodeBody(head, message, options)};
}

function decodeBody(head: FuseHead, message: Buffer, options: DecodeOptions): FuseBody {
  const at = inHeaderBytes;
  const u32 = (offset: number): number => message.readUInt32LE(at + offset);
  const u64 = (offset: number): number => number64(message, at + offset);
  const big = (offset: number): bigint => message.readBigUInt64LE(at + offset);
  const need = (bytes: number): void => {
    if (message.length < at + bytes) throw corrupt(`operation ${head.opcode} needs ${bytes} bytes and has ${message.length - at}`);
  };
  /** The NUL-ended name at an offset, and where the next thing begins. */
  const name = (offset: number): {text: ByteString; next: number} => {
    need(offset);
    const end = message.indexOf(0, at + offset);
    if (end < 0) throw corrupt(`a name of operation ${head.opcode} does not end`);
    return {text: fromBytes(message.subarray(at + offset, end)), next: end + 1 - at};
  };

  switch (head.opcode) {
    case opcode.lookup:
      return {op: 'lookup', name: name(0).text};
    case opcode.unlink:
      return {op: 'unlink', name: name(0).text};
    case opcode.rmdir:
      return {op: 'rmdir', name: name(0).text};
    case opcode.removexattr:
      return {op: 'removexattr', name: name(0).text};
    case opcode.forget:
      need(8);
      return {op: 'forget', forgets: [{node: head.node, count: u64(0)}]};
    case opcode.batchForget: {
      need(8);
      const count = u32(0);
      need(8 + count * 16);
      return {op: 'forget', forgets: Array.from({length: count}, (_, i) => ({node: options.numbered(u64(8 + i * 16)), count: u64(16 + i * 16)}))};
    }
    case opcode.getattr:
      need(16);
      return {op: 'getattr', ...(u32(0) & 1 ? {handle: u64(8)} : {})};
    case opcode.setattr:
      need(88);
      return {op: 'setattr', ...setattr(u32, u64, (seconds, nanoseconds) => message.readBigInt64LE(at + seconds) * 1_000_000_000n + BigInt(u32(nanoseconds)))};
    case opcode.readlink:
      return {op: 'readlink'};
    case opcode.statfs:
      return {op: 'statfs'};
    case opcode.destroy:
      return {op: 'destroy'};
    case opcode.syncfs:
      return {op: 'syncfs'};
    case opcode.symlink: {
      const link = name(0);
      return {op: 'symlink', name: link.text, target: name(link.next).text};
    }
    case opcode.mknod:
      need(16);
      return {op: 'mknod', mode: u32(0), device: u32(4), umask: u32(8), name: name(16).text};
    case opcode.mkdir:
      need(8);
      return {op: 'mkdir', mode: u32(0), umask: u32(4), name: name(8).text};
    case opcode.rename: {
      need(8);
      const from = name(8);
      return {op: 'rename', newParent: options.numbered(u64(0)), flags: 0, name: from.text, newName: name(from.next).text};
    }
    case opcode.rename2: {
      need(16);
      const from = name(16);
      return {op: 'rename', newParent: options.numbered(u64(0)), flags: u32(8), name: from.text, newName: name(from.next).text};
    }
    case opcode.link:
      need(8);
      return {op: 'link', source: options.numbered(u64(0)), name: name(8).text};
    case opcode.open:
    case opcode.opendir:
      need(8);
      return {op: head.opcode === opcode.open ? 'open' : 'opendir', flags: u32(0)};
    case opcode.create:
    case opcode.tmpfile:
      need(16);
      return {op: head.opcode === opcode.create ? 'create' : 'tmpfile', flags: u32(0), mode: u32(4), umask: u32(8), name: name(16).text};
    case opcode.read:
    case opcode.readdir:
    case opcode.readdirplus:
      need(40);
      return {op: head.opcode === opcode.read ? 'read' : head.opcode === opcode.readdir ? 'readdir' : 'readdirplus', handle: u64(0), offset: big(8), size: u32(16)};
    case opcode.write: {
      need(40);
      const size = u32(16);
      need(40 + size);
      return {op: 'write', handle: u64(0), offset: u64(8), flags: u32(20), openFlags: u32(32), data: message.subarray(at + 40, at + 40 + size)};
    }
    case opcode.release:
    case opcode.releasedir:
      need(24);
      return {op: head.opcode === opcode.release ? 'release' : 'releasedir', handle: u64(0), flags: u32(12), lockOwner: big(16)};
    case opcode.flush:
      need(24);
      return {op: 'flush', handle: u64(0), lockOwner: big(16)};
    case opcode.fsync:
    case opcode.fsyncdir:
      need(16);
      return {op: head.opcode === opcode.fsync ? 'fsync' : 'fsyncdir', handle: u64(0), dataOnly: (u32(8) & 1) !== 0};
    case opcode.setxattr: {
      const fixed = options.setxattrExtended ? 16 : 8;
      need(fixed);
      const size = u32(0);
      const key = name(fixed);
      need(key.next + size);
      return {op: 'setxattr', flags: u32(4), name: key.text, killSetGroupId: options.setxattrExtended && (u32(8) & 1) !== 0, value: Uint8Array.from(message.subarray(at + key.next, at + key.next + size))};
    }
    case opcode.getxattr:
      need(8);
      return {op: 'getxattr', size: u32(0), name: name(8).text};
    case opcode.listxattr:
      need(8);
      return {op: 'listxattr', size: u32(0)};
    case opcode.init: {
      need(16);
      const extended = message.length >= at + 20;
      return {op: 'init', major: u32(0), minor: u32(4), readAheadBytesMax: u32(8), flags: [u32(12), extended ? u32(16) : 0]};
    }
    case opcode.getlk:
    case opcode.setlk:
    case opcode.setlkw:
      need(48);
      return {
        op: head.opcode === opcode.getlk ? 'getlk' : head.opcode === opcode.setlk ? 'setlk' : 'setlkw',
        handle: u64(0), owner: big(8), start: big(16), end: big(24), type: u32(32), pid: u32(36), flock: (u32(40) & 1) !== 0,
      };
    case opcode.access:
      need(8);
      return {op: 'access', mask: u32(0)};
    case opcode.interrupt:
      need(8);
      return {op: 'interrupt', interrupted: big(0)};
    case opcode.fallocate:
      need(32);
      return {op: 'fallocate', handle: u64(0), offset: u64(8), length: u64(16), mode: u32(24)};
    case opcode.lseek:
      need(24);
      return {op: 'lseek', handle: u64(0), offset: u64(8), whence: u32(16)};
    case opcode.copyFileRange:
      need(56);
      return {op: 'copy', handle: u64(0), offset: u64(8), toNode: options.numbered(u64(16)), toHandle: u64(24), toOffset: u64(32), length: u64(40)};
    default:
      return {op: 'unknown'};
  }
}

function setattr(u32: (offset: number) => number, u64: (offset: number) => number, time: (seconds: number, nanoseconds: number) => FuseTime): SetattrBody {
  const valid = u32(0);
  const has = (bit: number): boolean => (valid & bit) !== 0;
  return {
    ...(has(setattrValid.handle) ? {handle: u64(8)} : {}),
    ...(has(setattrValid.size) ? {size: u64(16)} : {}),
    ...(has(setattrValid.atime) ? {atime: has(setattrValid.atimeNow) ? ('now' as const) : time(32, 56)} : {}),
    ...(has(setattrValid.mtime) ? {mtime: has(setattrValid.mtimeNow) ? ('now' as const) : time(40, 60)} : {}),
    ...(has(setattrValid.ctime) ? {ctime: time(48, 64)} : {}),
    ...(has(setattrValid.mode) ? {mode: u32(68)} : {}),
    ...(has(setattrValid.uid) ? {uid: u32(76)} : {}),
    ...(has(setattrValid.gid) ? {gid: u32(80)} : {}),
    ...(has(setattrValid.killSetId) ? {killSetId: true as const} : {}),
  };
}

/** Offsets and handles: beyond 2^53 nothing of ours is, and what is meant is "to the end". */
function number64(message: Buffer, at: number): number {
  const value = message.readUInt32LE(at + 4) * 0x1_0000_0000 + message.readUInt32LE(at);
  return value > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : value;
}

function corrupt(what: string): WeirError {
  return new WeirError('Corrupt', `a FUSE request is broken: ${what}`);
}
