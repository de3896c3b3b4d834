/**
 * Inode records. The id is in the key. The head has a fixed layout, so that the few fields that operations look at without
 * needing the rest (kind, flags, mode, mtime of a parent) are read in place:
 *
 *   0 version   1–2 flags, little-endian   3–4 mode, little-endian   5–12 mtime   then the rest, in the order of writing
 *
 * Versions: 1; 2, which is 1 with the time of creation; 3, which is 1 with a byte of more flags, of inodes that have one of those. A record of a new version gets a new
 * decoder in `decoders`; none is ever taken out.
 */
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {readContent, writeContent} from '#codec/namespace/content.ts';
import {readXattrs, writeXattrs} from '#codec/namespace/xattrs.ts';
import type {TimeNs} from '#model/content.ts';
import type {Inode, InodeKind} from '#model/inode.ts';

const version = 1;
const versionWithCreation = 2;
const versionWithMore = 3;
const more = {creation: 1, ownProtection: 2} as const;
const knownMore = more.creation | more.ownProtection;
/** Also in entries: numbers are stored, so append only. */
export const inodeKinds: readonly InodeKind[] = ['file', 'directory', 'symlink', 'special'];

const kindBits = 3;
const flag = {
  content: 1 << 2,
  target: 1 << 3,
  xattrs: 1 << 4,
  implied: 1 << 5,
  pinned: 1 << 6,
  /** atime, ctime: absent from the record when the same as mtime. */
  atime: 1 << 7,
  ctime: 1 << 8,
  checkedAt: 1 << 9,
  listedAt: 1 << 10,
  storePrefix: 1 << 11,
  mount: 1 << 12,
  settings: 1 << 13,
  version: 1 << 14,
  links: 1 << 15,
} as const;
const knownFlags = (1 << 16) - 1;
/** The store key of no inode. */
const noKey = '\0' as ByteString;

const out = new BinaryWriter();
const reader = new BinaryReader('inode');

/**
 * `storeKey`: where names and store prefixes say that the store has this inode (directories end in `/`). A content or
 * prefix that lies there does not store it, so that renaming a tree moves all below it without touching it. A file with several names
 * stores it always: it is read by each of them.
 */
export function encodeInode(inode: Inode, storeKey: ByteString): Uint8Array {
  const {content, target, xattrs, storePrefix, mount, settings, version: made, links, createdAt, ownProtection = false} = inode;
  const kind = inodeKinds.indexOf(inode.kind);
  assert(inode.mode >= 0 && inode.mode <= 0o7777, `mode ${inode.mode}`);
  const flags =
    kind | (content ? flag.content : 0) | (target === undefined ? 0 : flag.target) | (xattrs ? flag.xattrs : 0) |
    (inode.implied ? flag.implied : 0) | (inode.pinned ? flag.pinned : 0) |
    (inode.atime === inode.mtime ? 0 : flag.atime) | (inode.ctime === inode.mtime ? 0 : flag.ctime) |
    (inode.checkedAt ? flag.checkedAt : 0) | (inode.listedAt ? flag.listedAt : 0) |
    (storePrefix === undefined ? 0 : flag.storePrefix) | (mount === undefined ? 0 : flag.mount) | (settings === undefined ? 0 : flag.settings) |
    (made === undefined ? 0 : flag.version) | (links === undefined ? 0 : flag.links);
  out.byte(ownProtection ? versionWithMore : createdAt === undefined ? version : versionWithCreation);
  out.byte(flags & 255);
  out.byte(flags >> 8);
  out.byte(inode.mode & 255);
  out.byte(inode.mode >> 8);
  out.int64(inode.mtime);
  out.number(inode.parent);
  out.byteString(inode.name);
  out.number(inode.uid);
  out.number(inode.gid);
  if (flags & flag.atime) out.int64(inode.atime);
  if (flags & flag.ctime) out.int64(inode.ctime);
  if (flags & flag.checkedAt) out.number(inode.checkedAt);
  if (flags & flag.listedAt) out.number(inode.listedAt!);
  if (storePrefix !== undefined) out.byteString(storePrefix);
  if (mount !== undefined) out.number(mount);
  if (settings !== undefined) out.number(settings);
  if (made !== undefined) out.number(made);
  if (links !== undefined) out.number(links);
  if (ownProtection) out.byte(more.ownProtection | (createdAt === undefined ? 0 : more.creation));
  if (createdAt !== undefined) out.int64(createdAt);
  if (target !== undefined) out.byteString(target);
  if (content) writeContent(out, content, links === undefined ? (storePrefix ?? storeKey) : noKey, inode.ctime);
  if (xattrs) writeXattrs(out, xattrs);
  return out.take();
}

/** `storeKey` as in encodeInode. Throws Corrupt. */
export function decodeInode(id: InodeId, record: Uint8Array, storeKey: ByteString): Inode {
  reader.open(record);
  const decode = decoders[reader.byte()];
  if (!decode) throw reader.corrupt(`version ${record[0]} is not known`);
  const inode = decode(id, storeKey);
  reader.end();
  return inode;
}

type Decoder = (id: InodeId, storeKey: ByteString) => Inode;
const decoders: readonly (Decoder | undefined)[] = [
  undefined, (id, storeKey) => decodeFields(id, storeKey, 0), (id, storeKey) => decodeFields(id, storeKey, more.creation), (id, storeKey) => decodeFields(id, storeKey, 'read'),
];

type MutableInode = {-readonly [field in keyof Inode]: Inode[field]};

function decodeFields(id: InodeId, storeKey: ByteString, known: number | 'read'): Inode {
  const flags = reader.byte() | (reader.byte() << 8);
  const kind = inodeKinds[flags & kindBits];
  if (kind === undefined || flags & ~knownFlags) throw reader.corrupt(`unknown flags ${flags}`);
  const mode = reader.byte() | (reader.byte() << 8);
  if (mode > 0o7777) throw reader.corrupt(`mode ${mode}`);
  const mtime = reader.int64();
  const parent = reader.number() as InodeId;
  const name = reader.byteString();
  const uid = reader.number();
  const gid = reader.number();
  const atime = flags & flag.atime ? reader.int64() : mtime;
  const ctime = flags & flag.ctime ? reader.int64() : mtime;
  const checkedAt = flags & flag.checkedAt ? reader.number() : 0;
  const inode: MutableInode = {id, kind, parent, name, mode, uid, gid, atime, mtime, ctime, checkedAt};
  if (flags & flag.listedAt) inode.listedAt = reader.number();
  if (flags & flag.storePrefix) inode.storePrefix = reader.byteString();
  if (flags & flag.mount) inode.mount = reader.number() as MountId;
  if (flags & flag.settings) inode.settings = reader.number();
  if (flags & flag.version) inode.version = reader.number();
  if (flags & flag.links) inode.links = reader.number();
  const others = known === 'read' ? reader.byte() : known;
  if (others & ~knownMore) throw reader.corrupt(`unknown flags ${others}`);
  if (others & more.creation) inode.createdAt = reader.int64();
  if (others & more.ownProtection) inode.ownProtection = true;
  if (flags & flag.target) inode.target = reader.byteString();
  if (flags & flag.content) inode.content = readContent(reader, inode.links === undefined ? (inode.storePrefix ?? storeKey) : noKey, ctime);
  if (flags & flag.xattrs) inode.xattrs = readXattrs(reader);
  if (flags & flag.implied) inode.implied = true;
  if (flags & flag.pinned) inode.pinned = true;
  return inode;
}

/** What a path is made of, without decoding the rest. */
export function peekName(record: Uint8Array): Pick<Inode, 'kind' | 'parent' | 'name'> {
  reader.open(record);
  if (!decoders[reader.byte()]) throw reader.corrupt(`version ${record[0]} is not known`);
  const kind = inodeKinds[(reader.byte() | (reader.byte() << 8)) & kindBits];
  if (kind === undefined) throw reader.corrupt('a kind that is not known');
  reader.byte();
  reader.byte();
  reader.int64();
  const parent = reader.number() as InodeId;
  return {kind, parent, name: reader.byteString()};
}

/** Whether it is a directory that says itself where its store has what is in it (Inode.storePrefix). */
export function hasStorePrefix(record: Uint8Array): boolean {
  return (record[2]! & (flag.storePrefix >> 8)) !== 0;
}

/** What can be told from the head of a record, without decoding it. */
export interface InodeHead {
  readonly implied: boolean;
  readonly hasContent: boolean;
  readonly hasSettings: boolean;
  readonly hasXattrs: boolean;
  readonly mtime: TimeNs;
}

export function peekInode(record: Uint8Array): InodeHead {
  reader.open(record);
  if (!decoders[reader.byte()]) throw reader.corrupt(`version ${record[0]} is not known`);
  const flags = reader.byte() | (reader.byte() << 8);
  reader.byte();
  reader.byte();
  return {implied: (flags & flag.implied) !== 0, hasContent: (flags & flag.content) !== 0, hasSettings: (flags & flag.settings) !== 0, hasXattrs: (flags & flag.xattrs) !== 0, mtime: reader.int64()};
}

