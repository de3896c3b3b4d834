/**
 * Names go. A file goes at once; so does a whole tree: its entry is taken out of its directory and a tombstone says what
 * is still to be deleted behind it (tombstones.ts). Directories that were only implied vanish upwards.
 */
import {WeirError} from '#base/errors.ts';
import type {ByteString} from '#base/byte-string.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import {inodeKey, moveKey} from '#codec/namespace/keys.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Precondition} from '#contracts/writing.ts';
import {denied, isUnchecked, mayRemoveFrom} from '#master/namespace/access.ts';
import {childRemoved, vanishIfEmpty} from '#master/namespace/directories.ts';
import {discard} from '#master/namespace/garbage.ts';
import {refuseMountsIn} from '#master/namespace/mounts.ts';
import {loseName} from '#master/namespace/links.ts';
import {noteRemoved} from '#master/namespace/object-events.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {deleteEntry, infoOf, inodeAt, isEmpty, type Place, writeInode} from '#master/namespace/place.ts';
import {checkPrecondition} from '#master/namespace/precondition.ts';
import {withoutS3} from '#master/namespace/put-file.ts';
import {canonicalPath, existing, type Resolution, resolve, shown} from '#master/namespace/resolve.ts';
import {dropSettings} from '#master/namespace/settings.ts';
import {bury} from '#master/namespace/tombstones.ts';
import {addUsage} from '#master/namespace/usage.ts';
import {hasVersions} from '#master/namespace/versions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {TimeNs} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import type {Path} from '#model/path.ts';

export interface RemoveOptions {
  readonly recursive?: boolean | undefined;
  readonly precondition?: Precondition | undefined;
}

export interface Removed {
  readonly info: FileInfo;
  /** Where the store has it: the object, or the prefix of the tree. */
  readonly storeKey: ByteString;
  /** A tree that is deleted behind: the id of its tombstone. Absent for files and empty directories. */
  readonly tombstone?: InodeId;
  /** Store keys of the implied directories that went with it, from below. */
  readonly vanished: readonly ByteString[];
}

/** NotFound, DirectoryNotEmpty, Busy (mount points), PreconditionFailed, PermissionDenied. */
export function remove(tx: Transaction, op: Operation, path: Path, options: RemoveOptions): Removed {
  const resolution = resolve(tx, path, op.principal);
  const place = existing(tx, resolution);
  const inode = inodeAt(tx, place);
  checkRemoval(tx, op, resolution, place, inode);
  checkPrecondition(inode.content, options.precondition, path);
  const canonical = canonicalPath(path, place);
  const removed = {info: infoOf(canonical, inode, place.mount), storeKey: inode.content?.storeKey ?? place.storeKey};
  if (place.kind !== 'directory') {
    const vanished = detach(tx, op, resolution.parent, place);
    deleteInode(tx, place, inode, op.now);
    noteRemoved(tx, op, {names: path.names, top: resolution.top, inode});
    return {...removed, vanished};
  }
  const empty = isEmpty(tx, place.id);
  if (!empty && !options.recursive) throw new WeirError('DirectoryNotEmpty', `${shown(path)} is not empty`);
  if (place.parent === rootInodeId && hasVersions(tx, place.id, '' as ByteString)) {
    throw new WeirError('DirectoryNotEmpty', `${shown(path)} holds old versions or delete markers, which are removed by their ids`);
  }
  refuseMountsIn(tx, canonical);
  const vanished = detach(tx, op, resolution.parent, place);
  if (empty) {
    deleteInode(tx, place, inode);
    noteRemoved(tx, op, {names: path.names, top: resolution.top, inode});
    return {...removed, vanished};
  }
  bury(tx, op, place, canonical);
  return {...removed, tombstone: place.id, vanished};
}

/**
 * What deleting the S3 key `k/` means: the directory loses its marker, and goes if nothing else holds it (below it, or
 * made explicitly for its own sake and not empty). True when something has changed.
 */
export function removeMarker(tx: Transaction, op: Operation, path: Path, options: Pick<RemoveOptions, 'precondition'>): boolean {
  const resolution = resolve(tx, {names: path.names, kind: 'directory'}, op.principal);
  const {place} = resolution;
  const inode = place && inodeAt(tx, place);
  checkPrecondition(inode?.content, options.precondition, path);
  if (!place || !inode || (!inode.content && !isEmpty(tx, place.id))) return false;
  checkRemoval(tx, op, resolution, place, inode);
  dropMarker(tx, place, inode);
  noteRemoved(tx, op, {names: path.names, top: resolution.top, inode});
  if (vanishIfEmpty(tx, place).keys.length > 0) return true;
  return inode.content !== undefined;
}

/** The directory loses its marker content and is held only by what lies below it from now on. */
export function dropMarker(tx: Transaction, place: Place, inode: Inode): void {
  discard(tx, inode);
  const {content, xattrs, ...rest} = inode;
  const left = withoutS3(xattrs);
  const kept = left && Object.keys(left).length > 0 ? {...rest, xattrs: left} : rest;
  writeInode(tx, inode.settings === undefined ? {...kept, implied: true} : kept, place.storeKey);
  addUsage(tx, place.mount, {files: 0, directories: 0, bytes: -(content?.length ?? 0)});
}

/** Busy (a mount point), PermissionDenied. */
export function checkRemoval(tx: Transaction, op: Operation, {parent}: Resolution, place: Place, inode: Inode): void {
  if (place.mountPoint) throw new WeirError('Busy', 'a mount point cannot be removed; unmount it');
  if (!isUnchecked(op.principal) && !mayRemoveFrom(inodeAt(tx, parent), inode, op.principal)) throw denied(op.principal, 'remove', inode);
}

/** The name goes from its directory, and what that had implied. */
export function detach(tx: Transaction, op: Operation, parent: Place, place: Place): readonly ByteString[] {
  deleteEntry(tx, parent.id, place.name, place.kind);
  return childRemoved(tx, op, parent);
}

/** Deletes an inode whose entry has just gone and that, if it is a directory, has nothing below; unless it has other names. */
export function deleteInode(tx: Transaction, place: Pick<Place, 'id' | 'mount' | 'parent' | 'name'>, inode: Inode, at?: TimeNs): void {
  if (loseName(tx, place, inode, at)) return addUsage(tx, place.mount, {files: -1, directories: 0, bytes: 0});
  discard(tx, inode);
  tx.delete(inodeKey(place.id));
  dropSettings(tx, inode);
  if (inode.storePrefix !== undefined) tx.delete(moveKey(place.id));
  const directory = inode.kind === 'directory';
  addUsage(tx, place.mount, {files: directory ? 0 : -1, directories: directory ? -1 : 0, bytes: -(inode.content?.length ?? 0)});
}
