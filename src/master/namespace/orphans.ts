/**
 * Orphans: inodes that are in no directory any more and that somebody has open. Whatever takes the last name of a file deletes
 * its record; where the file is held, the same transaction keeps it as an orphan instead, with its content, which is then no
 * garbage before the last holder has let go.
 */
import type {ByteString} from '#base/byte-string.ts';
import {type InodeId, type MountId, rootInodeId} from '#base/ids.ts';
import {decodeInode} from '#codec/namespace/inode-record.ts';
import {garbageKey, idOfKey, inodeKey, isInodeKey, orphanKey, orphanTable} from '#codec/namespace/keys.ts';
import {decodeOrphan, encodeOrphan, type Orphan} from '#codec/namespace/orphan-record.ts';
import {discard} from '#master/namespace/garbage.ts';
import {inodeAt, writeInode} from '#master/namespace/place.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import {WatchedTransaction} from '#metastore/watched-transaction.ts';
import type {Inode} from '#model/inode.ts';

/** The store key of bytes that went with their name: what of them is not cached is lost. Nothing is ever written there, and every store can be asked for it. */
const nowhere = '.weir/versions/gone' as ByteString;

/** Runs a change; of the files whose records it deletes, those for which `holdersOf` answers somebody become orphans. */
export function keepingHeld<T>(tx: Transaction, holdersOf: (id: InodeId) => readonly string[] | undefined, change: (tx: Transaction) => T): T {
  const watched = new HeldTransaction(tx, id => holdersOf(id) !== undefined);
  const result = change(watched);
  for (const [id, record] of watched.deleted) {
    const inode = decodeInode(id, record, nowhere);
    if (inode.kind === 'file') addOrphan(tx, inode, holdersOf(id) ?? []);
  }
  return result;
}

function addOrphan(tx: Transaction, {version: _, ...inode}: Inode, holders: readonly string[]): void {
  const {id, content} = inode;
  writeInode(tx, {...inode, parent: rootInodeId, name: '' as ByteString}, nowhere);
  const garbage = content && garbageKey(content.id);
  const shared = garbage !== undefined && tx.get(garbage) === undefined;
  if (garbage !== undefined && !shared) tx.delete(garbage);
  tx.put(orphanKey(id), encodeOrphan({id, mount: content?.mount ?? (0 as MountId), holders, shared}));
}

/** In the order in which the files were made. */
export function listOrphans(reader: Reader): Orphan[] {
  return Array.from(reader.range(orphanTable), ({key, value}) => decodeOrphan(idOfKey(key) as InodeId, value));
}

/** An orphan's inode; undefined when there is no such orphan. */
export function getOrphan(reader: Reader, id: InodeId): {readonly inode: Inode; readonly mount: MountId} | undefined {
  const record = reader.get(orphanKey(id));
  return record && {inode: inodeAt(reader, {id, storeKey: nowhere}), mount: decodeOrphan(id, record).mount};
}

/** Nobody holds it any more: the inode goes, and its content to the garbage. */
export function reapOrphan(tx: Transaction, id: InodeId): void {
  const record = tx.get(orphanKey(id));
  if (!record) return;
  if (!decodeOrphan(id, record).shared) discard(tx, inodeAt(tx, {id, storeKey: nowhere}));
  tx.delete(inodeKey(id));
  tx.delete(orphanKey(id));
}

/** Remembers the records of held inodes that are deleted and not written again. */
class HeldTransaction extends WatchedTransaction {
  readonly deleted = new Map<InodeId, Uint8Array>();
  readonly #isHeld: (id: InodeId) => boolean;

  constructor(tx: Transaction, isHeld: (id: InodeId) => boolean) {
    super(tx);
    this.#isHeld = isHeld;
  }

  protected override changing(key: ByteString, change: 'put' | 'delete'): void {
    if (!isInodeKey(key)) return;
    const id = idOfKey(key) as InodeId;
    if (change === 'put') {
      this.deleted.delete(id);
      return;
    }
    const record = this.#isHeld(id) ? this.tx.get(key) : undefined;
    if (record) this.deleted.set(id, record);
  }
}
