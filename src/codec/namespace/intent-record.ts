/**
 * What has still to be done to make a store follow the namespace: tombstones of removed trees, moves of renamed ones, and
 * the renames of single files, which a store can only copy or makes in one step before the namespace shows them; and what files that are written in
 * place become there, also before that.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
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

/** A file's rename: noted before the store is touched. Where that cannot rename, gone when only the new key is left; where it can, when the namespace shows the new name. */
export interface FileRename {
  /** The file. */
  readonly id: InodeId;
  readonly mount: MountId;
  /** Keys in the store. */
  readonly from: ByteString;
  readonly to: ByteString;
  /** Canonical, while `copied` is false. */
  readonly fromPath: ByteString;
  readonly toPath: ByteString;
  /** Of the object at `from`. */
  readonly fingerprint: string;
  /** Wall ms. */
  readonly startedAt: number;
  /** The namespace shows the new name, and what is at `from` is to go. */
  readonly copied: boolean;
  /** The store renames by itself: it has the object under one of the two keys. Never `copied`. */
  readonly inStore?: true;
  /** What was at `to`, for those who have that open: where it is, and as which version of the store's. */
  readonly kept?: {readonly storeKey: ByteString; readonly fingerprint: string};
  /** Who asked: the commit stores its answer under this. */
  readonly request?: {readonly client: string; readonly counter: number; readonly acknowledged: number};
}

/** A file's next content, noted before its store can have it; gone when the namespace shows it. */
export interface Publication {
  /** The file, which stays the same. */
  readonly id: InodeId;
  readonly mount: MountId;
  readonly storeKey: ByteString;
  readonly content: ContentId;
  readonly length: number;
}

const version = 1;
const copiedFlag = 1;
const requestFlag = 2;
const keptFlag = 4;
const inStoreFlag = 8;
const knownFlags = 15;
const out = new BinaryWriter();
const tombstoneReader = new BinaryReader('tombstone');
const moveReader = new BinaryReader('move');
const renameReader = new BinaryReader('rename');
const publicationReader = new BinaryReader('publication');

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

export function encodeFileRename(rename: FileRename): Uint8Array {
  const {request, kept} = rename;
  out.byte(version);
  out.byte((rename.copied ? copiedFlag : 0) | (request ? requestFlag : 0) | (kept ? keptFlag : 0) | (rename.inStore ? inStoreFlag : 0));
  out.number(rename.mount);
  for (const key of [rename.from, rename.to, rename.fromPath, rename.toPath]) out.byteString(key);
  out.text(rename.fingerprint);
  out.number(rename.startedAt);
  if (request) {
    out.text(request.client);
    out.number(request.counter);
    out.number(request.acknowledged);
  }
  if (kept) {
    out.byteString(kept.storeKey);
    out.text(kept.fingerprint);
  }
  return out.take();
}

/** Throws Corrupt. */
export function decodeFileRename(id: InodeId, record: Uint8Array): FileRename {
  const reader = renameReader;
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const flags = reader.byte();
  if (flags & ~knownFlags) throw reader.corrupt(`unknown flags ${flags}`);
  const mount = reader.number() as MountId;
  const keys = {from: reader.byteString(), to: reader.byteString(), fromPath: reader.byteString(), toPath: reader.byteString()};
  const rename = {id, mount, ...keys, fingerprint: reader.text(), startedAt: reader.number(), copied: (flags & copiedFlag) !== 0};
  const request = flags & requestFlag ? {client: reader.text(), counter: reader.number(), acknowledged: reader.number()} : undefined;
  const kept = flags & keptFlag ? {storeKey: reader.byteString(), fingerprint: reader.text()} : undefined;
  reader.end();
  return {...rename, ...(flags & inStoreFlag ? {inStore: true} : {}), ...(request ? {request} : {}), ...(kept ? {kept} : {})};
}

export function encodePublication({mount, storeKey, content, length}: Publication): Uint8Array {
  out.byte(version);
  out.number(mount);
  out.byteString(storeKey);
  out.number(content);
  out.number(length);
  return out.take();
}

/** Throws Corrupt. */
export function decodePublication(id: InodeId, record: Uint8Array): Publication {
  const reader = publicationReader;
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const publication = {id, mount: reader.number() as MountId, storeKey: reader.byteString(), content: reader.number() as ContentId, length: reader.number()};
  reader.end();
  return publication;
}
