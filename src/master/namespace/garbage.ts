/** Contents that lost their last name: noted in the transaction in which they did, so that the caches can drop them behind it. */
import type {ContentId} from '#base/ids.ts';
import {decodeGarbage, encodeGarbage, type Garbage} from '#codec/namespace/garbage-record.ts';
import {garbageKey, garbageTable, idOfKey} from '#codec/namespace/keys.ts';
import {dropPersist} from '#master/namespace/persists.ts';
import {storedOf} from '#master/namespace/stored.ts';
import {isVersionPlace} from '#master/namespace/relocations.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';

/** `stored`: nothing else will remove the object from the store. So it is with all that has a place of its own there. */
export function discard(tx: Transaction, inode: Inode, stored = false): void {
  const {content} = inode;
  if (!content) return;
  if (content.pending) dropPersist(tx, inode.id);
  const there = storedOf(content);
  const where = there && ((stored && !content.pending) || isVersionPlace(there.storeKey)) ? {stored: {mount: content.mount, storeKey: there.storeKey}} : {};
  tx.put(garbageKey(content.id), encodeGarbage({content: content.id, inode: inode.id, pinned: inode.pinned === true, ...where, ...(content.upload ? {upload: content.upload.id} : {})}));
}

/** Of a file that gets another content. One that it had only while nothing was written to it, no cache and no store has anything of. */
export function discardReplaced(tx: Transaction, inode: Inode): void {
  const {content, pinned} = inode;
  if (content?.pending && content.length === 0 && !content.upload && !pinned && !storedOf(content)) dropPersist(tx, inode.id);
  else discard(tx, inode);
}

/** Oldest content first. */
export function listGarbage(reader: Reader, limit: number): Garbage[] {
  return Array.from(reader.range({...garbageTable, limit}), ({key, value}) => decodeGarbage(idOfKey(key) as ContentId, value));
}

/** The caches have let go. */
export function forgetGarbage(tx: Transaction, contents: readonly ContentId[]): void {
  for (const id of contents) tx.delete(garbageKey(id));
}
