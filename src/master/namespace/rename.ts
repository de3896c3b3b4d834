/**
 * Rename, of a file or a whole tree: one entry goes, one comes, one inode changes. What lies below a renamed directory is
 * not touched, however much it is.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {inodeKey} from '#codec/namespace/keys.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {denied, isUnchecked, mayRemoveFrom} from '#master/namespace/access.ts';
import {childRemoved, mustWrite, parentFor, touch} from '#master/namespace/directories.ts';
import {hasLinksBelow, isFurther, moveFurther} from '#master/namespace/links.ts';
import {refuseMountsIn} from '#master/namespace/mounts.ts';
import {noteCreated, noteRemoved} from '#master/namespace/object-events.ts';
import {noteMove} from '#master/namespace/moves.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {childOf, deleteEntry, infoOf, inodeAt, isEmpty, type Place, writeEntry, writeInode} from '#master/namespace/place.ts';
import {deleteInode} from '#master/namespace/remove.ts';
import {archivedInode} from '#master/namespace/put-file.ts';
import {canonicalPath, existing, type Resolution, resolve, shown} from '#master/namespace/resolve.ts';
import {addUsage} from '#master/namespace/usage.ts';
import {isLockBucket, type Keeping, keepingOf} from '#master/namespace/versioning.ts';
import {addDeleteMarker, addVersion, dropNull, newestOf} from '#master/namespace/versions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Content} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import {lockedBy} from '#model/object-lock.ts';
import {formatPath, isWithin, type Path} from '#model/path.ts';

export interface RenameOptions {
  /** What is at the target gives way: a file to a file, an empty directory to a directory. Else AlreadyExists. */
  readonly replace: boolean;
  readonly parents?: 'implied' | 'explicit' | 'none';
  /**
   * Trees: `follow` when the store renames them too, so that keys go with the names; `prefix` when it cannot: the tree
   * keeps its keys under a store prefix, and a move intent is noted.
   */
  readonly trees: 'follow' | 'prefix';
  /**
   * A file's content as the store has it after the rename, given where it was and the key that the new name derives.
   * Default: where it was.
   */
  readonly relocate?: (content: Content, storeKey: ByteString) => Content;
  /** As in putFile: what gives way and is kept as a version. */
  readonly archived?: Content | 'lost' | undefined;
}

export interface Renamed {
  readonly info: FileInfo;
  /** Keys in the store as names tell: before and after. Equal when nothing was to be done. */
  readonly fromKey: ByteString;
  readonly toKey: ByteString;
  /** It was a further name of a file, of which the store knows nothing. */
  readonly further?: true;
  /** What gave way. */
  readonly replaced?: FileInfo;
  /** Store keys of the implied directories that went because nothing is left in them, from below. */
  readonly vanished: readonly ByteString[];
}

/** NotFound, AlreadyExists, NotADirectory, IsADirectory, DirectoryNotEmpty, CrossMount, InvalidArgument (into itself), Busy (mount points), PermissionDenied. */
export function rename(tx: Transaction, op: Operation, from: Path, to: Path, options: RenameOptions): Renamed {
  const source = resolve(tx, from, op.principal);
  const place = existing(tx, source);
  if (place.mountPoint) throw new WeirError('Busy', `${shown(from)} is a mount point`);
  if (to.names.length === 0) throw new WeirError('AlreadyExists', '/ cannot be replaced');
  if (place.kind !== 'directory' && to.names.at(-1) === '') throw new WeirError('InvalidPath', 'a file must have a name');
  const directory = place.kind === 'directory';
  const canonical = canonicalPath(from, place);
  if (directory) refuseMountsIn(tx, canonical);
  const target = resolve(tx, {names: to.names, kind: directory ? 'directory' : 'file'}, op.principal);
  const toPath = canonicalPath(to, place);
  if (target.place?.id === place.id) return {info: infoOf(toPath, inodeAt(tx, place), place.mount), fromKey: place.storeKey, toKey: place.storeKey, vanished: []};
  if (directory && isWithin(from.names, to.names)) throw new WeirError('InvalidArgument', `${shown(from)} cannot be moved into itself`);
  if (directory || to.kind !== 'file') refuseOtherKind(tx, directory, to, options);
  const replaced = target.place && checkReplaced(tx, target.place, to, options);
  const inode = inodeAt(tx, place);
  checkRights(tx, op, source.parent, inode, target.place ? replaced : undefined, target.parent);
  if (target.parent.mount !== place.mount) throw new WeirError('CrossMount', `${shown(from)} and ${shown(to)} lie in different mounts`);
  const parent = parentFor(tx, op, target, options.parents ?? 'none');
  if (!replaced) mustWrite(tx, op, parent);

  const name = to.names.at(-1)!;
  if (directory && source.top !== undefined && isLockBucket(tx, source.top)) throw new WeirError('PermissionDenied', `${shown(from)} lies in a bucket with object lock: a directory cannot be renamed there`);
  const arrives = source.top !== target.top && keepingOf(tx, {names: [to.names[0]!, name], kind: 'file'}, target.top) !== undefined;
  if (arrives && (inode.links !== undefined || (directory && hasLinksBelow(tx, formatPath({names: from.names, kind: 'directory'}))))) {
    throw new WeirError('Unsupported', `${shown(from)} is or has a file of several names (hard links), and where versions are kept, as at ${shown(to)}, a file has one`);
  }
  const keeping = directory ? undefined : leaveHistory(tx, op, source, {...target, path: {...to, kind: 'file'}}, inode);
  if (replaced) giveWay(tx, op, keeping, target.place!, replaced, to, options);
  const further = isFurther(inode, place);
  const moved = further ? {...inode, ctime: op.now} : {...movedInode(op, place, inode, parent, name, options), ...(keeping?.status === 'enabled' ? {version: op.ids.next<number>()} : {})};
  if (further) moveFurther(tx, place.id, place, {parent: parent.id, name});
  const toKey = (parent.storeKey + name + (directory ? '/' : '')) as ByteString;
  deleteEntry(tx, place.parent, place.name, place.kind);
  writeEntry(tx, parent.id, name, {id: place.id, kind: place.kind, ...(moved.storePrefix === undefined ? {} : {prefixed: true})});
  writeInode(tx, moved, toKey);
  if (moved.storePrefix !== undefined) noteMove(tx, {id: place.id, mount: place.mount, from: moved.storePrefix, startedAt: millisecondsOf(op.now)});
  touch(tx, op, parent);
  noteRemoved(tx, op, {names: from.names, top: source.top, inode});
  noteCreated(tx, op, 'ObjectCreated:Copy', {names: to.names, kind: directory ? 'directory' : 'file'}, moved);
  if (directory) op.events?.treeRenamed(tx, op, {inode: place.id, from: from.names, to: to.names, fromTop: source.top, toTop: resolve(tx, {names: to.names, kind: 'directory'}).top});
  const vanished = parent.id === place.parent ? [] : childRemoved(tx, op, source.parent);
  return {
    info: infoOf(toPath, moved, place.mount), fromKey: place.storeKey, toKey, vanished,
    ...(replaced ? {replaced: infoOf(toPath, replaced, place.mount)} : {}), ...(further ? {further} : {}),
  };
}

/**
 * A version moves with its file, as a new one where the target's bucket keeps versions; older ones stay with the old key, which shows
 * that it was deleted. A locked version does not leave its key. Answers whether versions are kept at the target.
 */
function leaveHistory(tx: Transaction, op: Operation, source: Resolution, to: Resolution, inode: Inode): Keeping | undefined {
  const from = keepingOf(tx, {...source.path, kind: 'file'}, source.top);
  const target = keepingOf(tx, to.path, to.top);
  const why = from && lockedBy(inode, op.now, false);
  if (why !== undefined) throw new WeirError('PermissionDenied', `${shown(source.path)} cannot be renamed: ${why}`);
  if (from && newestOf(tx, from)) addDeleteMarker(tx, op, from);
  if (target?.status === 'suspended') dropNull(tx, target);
  return target;
}

/** A file that is replaced becomes a noncurrent version, as by a PUT, where those are kept; else it goes. */
function giveWay(tx: Transaction, op: Operation, keeping: Keeping | undefined, place: Place, replaced: Inode, to: Path, {archived}: RenameOptions): void {
  const kept = keeping && archivedInode(keeping, replaced, archived, to);
  if (!kept) return deleteInode(tx, place, replaced, op.now);
  addVersion(tx, op, keeping, kept);
  tx.delete(inodeKey(place.id));
  addUsage(tx, place.mount, {files: -1, directories: 0, bytes: -(replaced.content?.length ?? 0)});
}

/** A directory over a file, or a file over a directory: never, except that S3's `a` and `a/` stand side by side. */
function refuseOtherKind(tx: Transaction, directory: boolean, to: Path, {replace}: RenameOptions): void {
  const {parent, depth} = resolve(tx, {names: to.names, kind: 'file'});
  if (depth < to.names.length - 1 || !childOf(tx, parent, to.names.at(-1)!, directory ? 'file' : 'directory')) return;
  if (!replace) throw new WeirError('AlreadyExists', `${shown(to)} exists`);
  throw directory ? new WeirError('NotADirectory', `${shown(to)} is a file`) : new WeirError('IsADirectory', `${shown(to)} is a directory`);
}

function checkReplaced(tx: Transaction, target: Place, to: Path, {replace}: RenameOptions): Inode {
  if (!replace) throw new WeirError('AlreadyExists', `${shown(to)} exists`);
  if (target.mountPoint) throw new WeirError('Busy', `${shown(to)} is a mount point`);
  if (target.kind === 'directory' && !isEmpty(tx, target.id)) throw new WeirError('DirectoryNotEmpty', `${shown(to)} is not empty`);
  return inodeAt(tx, target);
}

function checkRights(tx: Transaction, op: Operation, parent: Place, inode: Inode, replaced: Inode | undefined, targetParent: Place): void {
  if (isUnchecked(op.principal)) return;
  if (!mayRemoveFrom(inodeAt(tx, parent), inode, op.principal)) throw denied(op.principal, 'rename', inode);
  if (replaced && !mayRemoveFrom(inodeAt(tx, targetParent), replaced, op.principal)) throw denied(op.principal, 'replace', replaced);
}

function movedInode(op: Operation, place: Place, inode: Inode, parent: Place, name: ByteString, options: RenameOptions): Inode {
  const {version: _version, ...unnumbered} = inode;
  // Of a link that was never seen in the store, nothing has been: it is here because it was made here (upsert.ts).
  const checkedAt = inode.kind === 'symlink' && inode.checkedAt === 0 ? 0 : millisecondsOf(op.now);
  const moved = {...unnumbered, parent: parent.id, name, ctime: op.now, checkedAt};
  const key = (parent.storeKey + name) as ByteString;
  if (place.kind !== 'directory') return inode.content && options.relocate ? {...moved, content: options.relocate(inode.content, key)} : moved;
  if (options.trees === 'prefix') return {...moved, storePrefix: place.storeKey};
  const {storePrefix: _, ...derived} = moved;
  const marker = inode.content?.storeKey === place.storeKey ? {content: {...inode.content, storeKey: `${key}/` as ByteString}} : {};
  return {...derived, ...marker};
}
