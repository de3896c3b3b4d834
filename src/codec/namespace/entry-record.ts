/**
 * Entry records: what a name leads to, with all that a walk down a path must know, so that it reads no inode on its way.
 *
 *   0 version   1 kind and flags   then the inode id, and the mount id where a mount begins
 */
import type {InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {inodeKinds} from '#codec/namespace/inode-record.ts';
import type {InodeKind} from '#model/inode.ts';

export interface Entry {
  readonly id: InodeId;
  readonly kind: InodeKind;
  /** The mount that begins at this directory. */
  readonly mount?: MountId;
  /** The inode has a store prefix of its own: where its subtree lies in the store is not told by its name. */
  readonly prefixed?: boolean;
}

const version = 1;
const kindBits = 3;
const mountFlag = 4;
const prefixedFlag = 8;
const knownFlags = 15;

const out = new BinaryWriter();
const reader = new BinaryReader('directory entry');

export function encodeEntry(entry: Entry): Uint8Array {
  out.byte(version);
  out.byte(inodeKinds.indexOf(entry.kind) | (entry.mount === undefined ? 0 : mountFlag) | (entry.prefixed ? prefixedFlag : 0));
  out.number(entry.id);
  if (entry.mount !== undefined) out.number(entry.mount);
  return out.take();
}

/** Throws Corrupt. */
export function decodeEntry(record: Uint8Array): Entry {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  const kind = inodeKinds[flags & kindBits];
  if (kind === undefined || flags & ~knownFlags) throw reader.corrupt(`unknown flags ${flags}`);
  const id = reader.number() as InodeId;
  const entry: {-readonly [field in keyof Entry]: Entry[field]} = {id, kind};
  if (flags & mountFlag) entry.mount = reader.number() as MountId;
  if (flags & prefixedFlag) entry.prefixed = true;
  reader.end();
  return entry;
}
