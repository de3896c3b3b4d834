/**
 * Renamed trees on stores that cannot rename: the namespace has moved, the store has not. The directory carries the old
 * prefix (so every key below derives from it) and a move intent tells the job that makes the store follow. File by file
 * it copies an object and calls `relocate`; when nothing is left under the old prefix, `finishMove`.
 */
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {decodeMove, encodeMove, type MoveIntent, type Tombstone} from '#codec/namespace/intent-record.ts';
import {idOfKey, moveKey, moveTable} from '#codec/namespace/keys.ts';
import {followTree} from '#master/namespace/links.ts';
import {locate} from '#master/namespace/locate.ts';
import {inodeAt, writeEntry, writeInode} from '#master/namespace/place.ts';
import {listTombstones} from '#master/namespace/tombstones.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Content} from '#model/content.ts';

/** Notes a move unless one is under way for the directory: then that one goes on, from where the store has the tree. */
export function noteMove(tx: Transaction, move: MoveIntent): void {
  if (!tx.get(moveKey(move.id))) tx.put(moveKey(move.id), encodeMove(move));
}

/** In the order in which the directories were made. */
export function listMoves(reader: Reader): MoveIntent[] {
  return Array.from(reader.range(moveTable), ({key, value}) => decodeMove(idOfKey(key) as InodeId, value));
}

/** The store has a file's content under another key now, with the fingerprint that it has there. False when another content has come since. */
export function relocate(tx: Transaction, id: InodeId, content: Content): boolean {
  const found = locate(tx, id);
  if (!found) return false;
  const inode = inodeAt(tx, found.place);
  if (inode.content?.id !== content.id) return false;
  writeInode(tx, {...inode, content}, found.place.storeKey);
  return true;
}

/** The store has a tree that is to be moved under another prefix meanwhile. */
export function moveAside(tx: Transaction, move: MoveIntent, aside: ByteString): void {
  const found = locate(tx, move.id);
  if (!found?.place.prefixed) return;
  const {content, ...inode} = inodeAt(tx, found.place);
  followTree(tx, move.from, aside, move.mount);
  const marker = content && {content: content.storeKey === move.from ? {...content, storeKey: aside} : content};
  writeInode(tx, {...inode, ...marker, storePrefix: aside}, found.place.storeKey);
  tx.put(moveKey(move.id), encodeMove({...move, from: aside}));
}

/** Nothing lies under the old prefix any more: keys follow the names again. */
export function finishMove(tx: Transaction, id: InodeId): void {
  tx.delete(moveKey(id));
  const found = locate(tx, id);
  if (!found?.place.prefixed) return;
  const {place} = found;
  const {storePrefix, content, ...inode} = inodeAt(tx, place);
  const parent = locate(tx, place.parent);
  assert(parent, `directory ${place.parent} is above a place and cannot be found`);
  const storeKey = `${parent.place.storeKey}${place.name}/` as ByteString;
  if (storePrefix !== undefined) followTree(tx, storePrefix, storeKey, place.mount);
  const marker = content && {content: content.storeKey === storePrefix ? {...content, storeKey} : content};
  writeInode(tx, {...inode, ...marker}, storeKey);
  writeEntry(tx, place.parent, place.name, {id, kind: 'directory'});
}

/**
 * The move or tombstone that still needs what the store has at a key. Such keys must not be written, nor believed when the
 * store lists them, until that work is done.
 */
export function claimOf(reader: Reader, mount: MountId, storeKey: ByteString): MoveIntent | Tombstone | undefined {
  return listMoves(reader).find((move) => move.mount === mount && storeKey.startsWith(move.from)) ??
    listTombstones(reader).find((tombstone) => tombstone.mount === mount && storeKey.startsWith(tombstone.storePrefix));
}

/** All prefixes that `claimOf` looks at. */
export function claimsOf(reader: Reader, mount: MountId): ByteString[] {
  const moves = listMoves(reader).filter((move) => move.mount === mount).map((move) => move.from);
  return [...moves, ...listTombstones(reader).filter((tombstone) => tombstone.mount === mount).map((tombstone) => tombstone.storePrefix)];
}
