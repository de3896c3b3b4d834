/**
 * Renames of single files. Noted before the store is touched; the namespace shows the old name until the store has the object under the
 * new one, then, from one transaction on, the new name. With it goes the note where the store renames by itself; where it can only copy,
 * the note goes when the old object has gone.
 */
import type {InodeId} from '#base/ids.ts';
import {decodeFileRename, encodeFileRename, type FileRename} from '#codec/namespace/intent-record.ts';
import {fileRenameKey, fileRenameTable, idOfKey} from '#codec/namespace/keys.ts';
import {relocate} from '#master/namespace/moves.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {forgetRelocation, listRelocations} from '#master/namespace/relocations.ts';
import {rename, type Renamed} from '#master/namespace/rename.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
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
  const renamed = showNewName(tx, op, intent, fingerprint);
  noteFileRename(tx, {...intent, copied: true});
  return renamed;
}

/** The same where the store has renamed it by itself: nothing is left to do. `moved`: what was at the target had been moved out of the way, as `replacedBy` says. */
export function finishStoreRename(tx: Transaction, op: Operation, intent: FileRename, fingerprint: string, moved: Relocation | undefined): Renamed {
  const renamed = showNewName(tx, op, intent, fingerprint);
  if (moved) forgetRelocation(tx, moved.id);
  forgetFileRename(tx, intent.id);
  return renamed;
}

/** Files that were open, and that renames still noted may have replaced. */
export function listOpenReplaced(reader: Reader): InodeId[] {
  return listFileRenames(reader).flatMap(({kept, toPath}) => (kept && resolve(reader, parsePath(toPath, 'file')).place?.id) ?? []);
}

/** The move of what was at the target out of the way, as it is noted until such a rename is shown, or is not to be. */
export function replacedBy(reader: Reader, {mount, to, inStore}: FileRename): Relocation | undefined {
  return inStore && listRelocations(reader).find(each => each.kind === 'archive' && each.mount === mount && each.from === to);
}

function showNewName(tx: Transaction, op: Operation, intent: FileRename, fingerprint: string): Renamed {
  const from = parsePath(intent.fromPath, 'file');
  const to = parsePath(intent.toPath, 'file');
  const target = intent.kept && resolve(tx, to).place;
  const replaced = target && inodeAt(tx, target);
  const archived = replaced?.content && {...replaced.content, ...intent.kept};
  // It goes in a moment, or becomes a version; who has it open reads the copy, and who drops it removes that.
  if (archived) relocate(tx, target!.id, archived);
  return rename(tx, op, from, to, {
    replace: true, parents: 'implied', trees: 'prefix', archived: archived ?? 'lost', relocate: content => ({...content, storeKey: intent.to, fingerprint}),
  });
}

/** Both keys are as the namespace says. */
export function forgetFileRename(tx: Transaction, id: InodeId): void {
  tx.delete(fileRenameKey(id));
}
