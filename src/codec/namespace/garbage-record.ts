/** Garbage records: contents that nothing in the namespace refers to any more, until every cache has let go of them. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

export interface Garbage {
  readonly content: ContentId;
  /** The inode that had it. */
  readonly inode: InodeId;
  /** It was pinned in the caches. */
  readonly pinned: boolean;
  /** The store has the object still, at a place that no other record tells: it is to be removed there too. */
  readonly stored?: {readonly mount: MountId; readonly storeKey: ByteString};
  /** The upload whose parts' records were kept for it. */
  readonly upload?: string;
}

const version = 1;
const pinnedFlag = 1;
const storedFlag = 2;
const uploadFlag = 4;
const knownFlags = 7;

const out = new BinaryWriter();
const reader = new BinaryReader('garbage');

export function encodeGarbage(garbage: Garbage): Uint8Array {
  out.byte(version);
  out.byte((garbage.pinned ? pinnedFlag : 0) | (garbage.stored ? storedFlag : 0) | (garbage.upload === undefined ? 0 : uploadFlag));
  out.number(garbage.inode);
  if (garbage.stored) {
    out.number(garbage.stored.mount);
    out.byteString(garbage.stored.storeKey);
  }
  if (garbage.upload !== undefined) out.text(garbage.upload);
  return out.take();
}

/** Throws Corrupt. */
export function decodeGarbage(content: ContentId, record: Uint8Array): Garbage {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  if (flags & ~knownFlags) throw reader.corrupt(`unknown flags ${flags}`);
  const inode = reader.number() as InodeId;
  const stored = flags & storedFlag ? {mount: reader.number() as MountId, storeKey: reader.byteString()} : undefined;
  const upload = flags & uploadFlag ? reader.text() : undefined;
  reader.end();
  return {content, inode, pinned: (flags & pinnedFlag) !== 0, ...(stored ? {stored} : {}), ...(upload === undefined ? {} : {upload})};
}
