/** Garbage records: contents that nothing in the namespace refers to any more, until every cache has let go of them. */
import type {ContentId, InodeId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

export interface Garbage {
  readonly content: ContentId;
  /** The inode that had it. */
  readonly inode: InodeId;
  /** It was pinned in the caches. */
  readonly pinned: boolean;
}

const version = 1;
const out = new BinaryWriter();
const reader = new BinaryReader('garbage');

export function encodeGarbage(garbage: Garbage): Uint8Array {
  out.byte(version);
  out.byte(garbage.pinned ? 1 : 0);
  out.number(garbage.inode);
  return out.take();
}

/** Throws Corrupt. */
export function decodeGarbage(content: ContentId, record: Uint8Array): Garbage {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const pinned = reader.byte() === 1;
  const inode = reader.number() as InodeId;
  reader.end();
  return {content, inode, pinned};
}
