/**
 * One version of a key goes for good, by its id. Where that was what the key showed (the current version, or the delete marker
 * that hid it), the newest version that is left is current again; its bytes go back to the key behind the commit (a relocation).
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Precondition} from '#contracts/writing.ts';
import {mustWrite, parentFor, touch} from '#master/namespace/directories.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {infoOf, inodeAt, type Place} from '#master/namespace/place.ts';
import {checkPrecondition} from '#master/namespace/precondition.ts';
import {setFile} from '#master/namespace/put-file.ts';
import {noteRelocation} from '#master/namespace/relocations.ts';
import {checkRemoval, deleteInode, detach} from '#master/namespace/remove.ts';
import {type Resolution, resolve, shown} from '#master/namespace/resolve.ts';
import type {Keeping} from '#master/namespace/versioning.ts';
import {dropRow, newestOf, type Noncurrent, noncurrentOf} from '#master/namespace/versions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {lockedBy} from '#model/object-lock.ts';
import {formatPath, type Path} from '#model/path.ts';
import {versionIdOf} from '#model/version.ts';

export interface RemoveVersionOptions {
  readonly version: string;
  readonly precondition?: Precondition | undefined;
  /** The caller may override GOVERNANCE retention, and wants to. */
  readonly bypassGovernance?: boolean | undefined;
}

export interface RemovedVersion {
  readonly info: FileInfo;
  /** It was current, and nothing takes its place: the store's object at the key goes too. */
  readonly storeKey?: ByteString;
  /** An older version is current again, and its bytes have to go back to the key. */
  readonly restored?: Relocation;
  readonly vanished: readonly ByteString[];
}

/** NotFound (`s3`: NoSuchVersion), PermissionDenied (rights, or the version is locked), PreconditionFailed. */
export function removeVersion(tx: Transaction, op: Operation, path: Path, keeping: Keeping, options: RemoveVersionOptions): RemovedVersion {
  const removed = removeOne(tx, op, path, keeping, options);
  op.events?.note(tx, op, {name: 'ObjectRemoved:Delete', names: path.names, top: keeping.bucket, versionId: versionIdOf(removed.info.inode)});
  return removed;
}

function removeOne(tx: Transaction, op: Operation, path: Path, keeping: Keeping, options: RemoveVersionOptions): RemovedVersion {
  const file: Path = {names: path.names, kind: 'file'};
  const resolution = resolve(tx, file, op.principal);
  const {place} = resolution;
  const current = place && inodeAt(tx, place);
  if (place && current?.kind === 'file' && versionIdOf(current) === options.version) return removeCurrent(tx, op, resolution, place, current, keeping, options);
  const row = noncurrentOf(tx, keeping, options.version);
  if (!row) throw noSuchVersion(file);
  checkPrecondition(row.inode.content, options.precondition, file);
  checkUnlocked(op, row.inode, file, options);
  mustWrite(tx, op, resolution.parent);
  const shownBefore = !place && row.deleteMarker && newestOf(tx, keeping)?.order === row.order;
  dropRow(tx, keeping.bucket, row, 'drop');
  const {inode} = row;
  const info: FileInfo = {path: formatPath(file), inode, length: inode.content?.length ?? 0, mount: resolution.parent.mount, versioned: true, ...(row.deleteMarker ? {deleteMarker: true} : {})};
  const next = shownBefore ? newestVersion(tx, keeping) : undefined;
  if (!next) return {info, vanished: []};
  const parent = parentFor(tx, op, resolution, 'implied');
  const restored = restore(tx, op, parent, file, keeping, next, undefined);
  touch(tx, op, parent);
  return {info, restored, vanished: []};
}

export function noSuchVersion(path: Path): WeirError {
  return new WeirError('NotFound', `${shown(path)} has no such version`, {details: {s3: 'NoSuchVersion'}});
}

function removeCurrent(tx: Transaction, op: Operation, resolution: Resolution, place: Place, inode: Inode, keeping: Keeping, options: RemoveVersionOptions): RemovedVersion {
  const {path, parent} = resolution;
  checkPrecondition(inode.content, options.precondition, path);
  checkUnlocked(op, inode, path, options);
  checkRemoval(tx, op, resolution, place, inode);
  const info: FileInfo = {...infoOf(formatPath(path), inode, place.mount), versioned: true};
  const next = newestVersion(tx, keeping);
  if (next) {
    const restored = restore(tx, op, parent, path, keeping, next, inode);
    touch(tx, op, parent);
    return {info, restored, vanished: []};
  }
  const vanished = detach(tx, op, parent, place);
  deleteInode(tx, place, inode);
  return {info, storeKey: inode.content?.storeKey ?? place.storeKey, vanished};
}

/** The newest row, unless that hides the key. */
function newestVersion(tx: Transaction, keeping: Keeping): Noncurrent | undefined {
  const newest = newestOf(tx, keeping);
  return newest?.deleteMarker ? undefined : newest;
}

function restore(tx: Transaction, op: Operation, parent: Place, path: Path, keeping: Keeping, row: Noncurrent, old: Inode | undefined): Relocation {
  const name = path.names.at(-1)!;
  // Under a new id: who holds the old one open has it as an orphan.
  const inode: Inode = {...row.inode, id: op.ids.next<InodeId>(), parent: parent.id, name};
  dropRow(tx, keeping.bucket, row, 'keep');
  setFile(tx, parent, inode, old);
  const {id: content, mount, storeKey: from, fingerprint} = row.inode.content!;
  return noteRelocation(tx, op, {kind: 'restore', inode: inode.id, content, mount, from, fingerprint, to: (parent.storeKey + name) as ByteString, path: formatPath(path)});
}

function checkUnlocked(op: Operation, inode: Inode, path: Path, options: RemoveVersionOptions): void {
  const why = lockedBy(inode, op.now, options.bypassGovernance === true);
  if (why !== undefined) throw new WeirError('PermissionDenied', `this version of ${shown(path)} cannot be deleted: ${why}`, {details: {locked: 1}});
}
