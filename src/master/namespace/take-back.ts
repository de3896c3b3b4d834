/** The bytes of a content that had not been synced were lost with the power: its file is what it was before, whole. */
import type {ContentId, InodeId} from '#base/ids.ts';
import {garbageKey} from '#codec/namespace/keys.ts';
import {discard} from '#master/namespace/garbage.ts';
import {pendingFile, putPersist, sameKey} from '#master/namespace/persists.ts';
import {writeInode} from '#master/namespace/place.ts';
import {addUsage} from '#master/namespace/usage.ts';
import type {Transaction} from '#metastore/metastore.ts';

/** False when the file has another content (by now), or this one lasts. */
export function takeBack(tx: Transaction, id: InodeId, content: ContentId): boolean {
  const file = pendingFile(tx, id);
  const before = file?.persist.before;
  if (!file || !before || file.content.id !== content) return false;
  const {before: _, ...persist} = file.persist;
  discard(tx, file.inode);
  // It is needed again.
  tx.delete(garbageKey(before.id));
  // The file, or a directory above it, may have got another name meanwhile.
  writeInode(tx, {...file.inode, content: before.pending || before.storeKey === sameKey ? {...before, storeKey: file.content.storeKey} : before}, file.place.storeKey);
  addUsage(tx, file.place.mount, {files: 0, directories: 0, bytes: before.length - file.content.length});
  if (before.pending) putPersist(tx, {...persist, content: before.id, state: before.pending});
  return true;
}
