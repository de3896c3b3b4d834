/** What the namespace has done at once and what has still to be done behind it: tombstones of removed trees, moves of renamed ones. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

/** A removed tree. It is in no directory any more; its records, and the store's objects, are deleted in pieces. */
export interface Tombstone {
  /** The tree's directory. */
  readonly id: InodeId;
  readonly mount: MountId;
  /** What the store is to lose: all keys that start with this. Ends in `/`. */
  readonly storePrefix: ByteString;
  /** Where it was, for people. */
  readonly path: ByteString;
  /** Wall ms. */
  readonly removedAt: number;
  /** The directory whose entries are deleted next; absent when all records are gone. */
  readonly cursor?: InodeId;
  /** Inodes deleted so far. */
  readonly deleted: number;
}

/** A renamed tree that its store has under another key still. */
export interface MoveIntent {
  /** The tree's directory. */
  readonly id: InodeId;
  readonly mount: MountId;
  /** Where the store has it. Ends in `/`. */
  readonly from: ByteString;
  /** Wall ms. */
  readonly startedAt: number;
}

const version = 1;
const out = new BinaryWriter();
const tombstoneReader = new BinaryReader('tombstone');
const moveReader = new BinaryReader('move');

export function encodeTombstone(tombstone: Tombstone): Uint8Array {
  out.byte(version);
  out.number(tombstone.mount);
  out.byteString(tombstone.storePrefix);
  out.byteString(tombstone.path);
  out.number(tombstone.removedAt);
  out.number(tombstone.cursor ?? 0);
  out.number(tombstone.deleted);
  return out.take();
}

/** Throws Corrupt. */
export function decodeTombstone(id: InodeId, record: Uint8Array): Tombstone {
  const reader = tombstoneReader;
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const fixed = {id, mount: reader.number() as MountId, storePrefix: reader.byteString(), path: reader.byteString(), removedAt: reader.number()};
  const cursor = reader.number() as InodeId;
  const tombstone = {...fixed, deleted: reader.number(), ...(cursor ? {cursor} : {})};
  reader.end();
  return tombstone;
}

export function encodeMove(move: MoveIntent): Uint8Array {
  out.byte(version);
  out.number(move.mount);
  out.byteString(move.from);
  out.number(move.startedAt);
  return out.take();
}

/** Throws Corrupt. */
export function decodeMove(id: InodeId, record: Uint8Array): MoveIntent {
  const reader = moveReader;
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const move = {id, mount: reader.number() as MountId, from: reader.byteString(), startedAt: reader.number()};
  reader.end();
  return move;
}
