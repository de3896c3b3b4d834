/**
 * Renames of single files on stores that can only copy. Noted before the store is touched; the namespace shows the old name
 * until the copy is there, then, from one transaction on, the new one; the note goes when the old object has gone.
 */
import type {InodeId} from '#base/ids.ts';
import {decodeFileRename, encodeFileRename, type FileRename} from '#codec/namespace/intent-record.ts';
import {fileRenameKey, fileRenameTable, idOfKey} from '#codec/namespace/keys.ts';
import {relocate} from '#master/namespace/moves.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {rename, type Renamed} from '#master/namespace/rename.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import {parsePath} from '#model/path.ts';

export function noteFileRename(tx: Transaction, intent: FileRename): void {
  tx.put(fileRenameKey(intent.id), encodeFileRename(intent));
}

export function getFileRename(reader: Reader, id: InodeId): FileRename | undefined {
  const record = reader.get(fileRenameKey(id));
  return record && decodeFileRename(id, record);
}

/** In the order in which the files were made. */
export function listFileRenames(reader: Reader): FileRename[] {
  return Array.from(reader.range(fileRenameTable), ({key, value}) => decodeFileRename(idOfKey(key) as InodeId, value));
}

/**
 * The copy is there, with this fingerprint: the new name takes the place of the old. What could forbid the rename was asked
 * when it was noted, and who noted it has kept others from both names since. Fails as `rename` does if that was broken.
 */
export function showFileRename(tx: Transaction, op: Operation, intent: FileRename, fingerprint: string): Renamed {
  const from = parsePath(intent.fromPath, 'file');
  const to = parsePath(intent.toPath, 'file');
  const target = intent.kept && resolve(tx, to).place;
  const replaced = target && inodeAt(tx, target);
  // It goes in a moment; who has it open reads the copy, and who drops it removes that.
  if (replaced?.content) relocate(tx, target!.id, {...replaced.content, ...intent.kept});
  const renamed = rename(tx, op, from, to, {
    replace: true, parents: 'implied', trees: 'prefix', relocate: content => ({...content, storeKey: intent.to, fingerprint}),
  });
  noteFileRename(tx, {...intent, copied: true});
  return renamed;
}

/** Both keys are as the namespace says. */
export function forgetFileRename(tx: Transaction, id: InodeId): void {
  tx.delete(fileRenameKey(id));
}
