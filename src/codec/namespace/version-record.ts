/** Records of noncurrent versions: the inode as it was, or a delete marker; and of bytes that are on their way to or from there. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {decodeInode, encodeInode} from '#codec/namespace/inode-record.ts';
import type {TimeNs} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';

export interface VersionRecord {
  /** What the version was; of a delete marker a file without content, made when the key was deleted. */
  readonly inode: Inode;
  readonly deleteMarker: boolean;
  /** When another took its place (of a delete marker: when it was made). */
  readonly since: TimeNs;
}

/**
 * `archive`: before another object may take a key, the bytes there are moved to a place among the old versions; noted before they
 * are touched, forgotten in the commit that needed it. `restore`: a version is current again, and its bytes go back to its key.
 */
export interface Relocation {
  readonly id: number;
  readonly kind: 'archive' | 'restore';
  readonly inode: InodeId;
  readonly content: ContentId;
  readonly mount: MountId;
  /** Where the bytes were when this was noted, and as which version of the store's. */
  readonly from: ByteString;
  readonly fingerprint: string;
  /** Of an archive: where they go. Of a restore: the key when it was noted; it follows the name. */
  readonly to: ByteString;
  /** The namespace's path, for people and for asking the store. */
  readonly path: ByteString;
}

const version = 1;
const markerFlag = 1;
const out = new BinaryWriter();
const reader = new BinaryReader('version');
const relocationReader = new BinaryReader('relocation');
const nowhere = '' as ByteString;

export function encodeVersion({inode, deleteMarker, since}: VersionRecord): Uint8Array {
  const record = encodeInode(inode, nowhere);
  out.byte(version);
  out.byte(deleteMarker ? markerFlag : 0);
  out.int64(since);
  out.number(inode.id);
  out.bytes(record);
  return out.take();
}

/** Throws Corrupt. */
export function decodeVersion(record: Uint8Array): VersionRecord {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  if (flags & ~markerFlag) throw reader.corrupt(`unknown flags ${flags}`);
  const since = reader.int64();
  const id = reader.number() as InodeId;
  const inode = reader.bytes();
  reader.end();
  return {inode: decodeInode(id, inode, nowhere), deleteMarker: (flags & markerFlag) !== 0, since};
}

export function encodeRelocation(relocation: Relocation): Uint8Array {
  out.byte(version);
  out.byte(relocation.kind === 'archive' ? 0 : 1);
  out.number(relocation.inode);
  out.number(relocation.content);
  out.number(relocation.mount);
  out.byteString(relocation.from);
  out.text(relocation.fingerprint);
  out.byteString(relocation.to);
  out.byteString(relocation.path);
  return out.take();
}

/** Throws Corrupt. */
export function decodeRelocation(id: number, record: Uint8Array): Relocation {
  const from = relocationReader;
  from.open(record);
  const found = from.byte();
  if (found !== version) throw from.corrupt(`version ${found} is not known`);
  const kind = from.byte();
  if (kind > 1) throw from.corrupt(`unknown kind ${kind}`);
  const relocation: Relocation = {
    id, kind: kind === 0 ? 'archive' : 'restore', inode: from.number() as InodeId, content: from.number() as ContentId, mount: from.number() as MountId,
    from: from.byteString(), fingerprint: from.text(), to: from.byteString(), path: from.byteString(),
  };
  from.end();
  return relocation;
}
