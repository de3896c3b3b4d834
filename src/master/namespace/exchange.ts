/**
 * Exchange: two names change what they lead to, in one transaction, as renameat2(RENAME_EXCHANGE) has it. A tree is not touched below its
 * directory. What the store has still to do is noted: for a directory by a move from where the store has it, for a file by whoever
 * took its bytes out of the way first (writes/exchanges.ts).
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {denied, isUnchecked, mayRemoveFrom} from '#master/namespace/access.ts';
import {touch} from '#master/namespace/directories.ts';
import {isFurther, moveFurther} from '#master/namespace/links.ts';
import {refuseMountsIn} from '#master/namespace/mounts.ts';
import {noteMove} from '#master/namespace/moves.ts';
import {noteCreated, noteRemoved} from '#master/namespace/object-events.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {childOf, deleteEntry, infoOf, inodeAt, type Place, writeEntry, writeInode} from '#master/namespace/place.ts';
import {canonicalPath, existing, type Resolution, resolve, shown} from '#master/namespace/resolve.ts';
import {isLockBucket, keepingOf} from '#master/namespace/versioning.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {isWithin, type Path} from '#model/path.ts';

/** One of the two, as it is afterwards. */
export interface Exchanged {
  readonly info: FileInfo;
  readonly place: Place;
  /** Where names say that the store is to have it now. */
  readonly toKey: ByteString;
  /** A name of several, of which the store knows nothing. */
  readonly further: boolean;
}

interface Side {
  readonly resolution: Resolution;
  readonly place: Place;
  readonly inode: Inode;
}

/**
 * Answers both, that of `from` first; undefined when both are one file already. Paths tell which kinds they mean. NotFound, Busy (mount
 * points), CrossMount, InvalidArgument (one lies in the other; versions are kept), AlreadyExists (S3's `a` beside `a/`), PermissionDenied.
 */
export function exchange(tx: Transaction, op: Operation, from: Path, to: Path): readonly [Exchanged, Exchanged] | undefined {
  const [a, b] = [sideOf(tx, op, from), sideOf(tx, op, to)];
  if (a.place.id === b.place.id) return undefined;
  if (a.place.mount !== b.place.mount) throw new WeirError('CrossMount', `${shown(from)} and ${shown(to)} lie in different mounts`);
  for (const [outer, inner] of [[a, b], [b, a]] as const) {
    if (isWithin(outer.resolution.path.names, inner.resolution.path.names)) throw new WeirError('InvalidArgument', `${shown(inner.resolution.path)} lies within what it is to be exchanged with`);
    refuseThird(tx, outer, inner);
  }
  for (const {place} of [a, b]) deleteEntry(tx, place.parent, place.name, place.kind);
  const exchanged = [placed(tx, op, a, b), placed(tx, op, b, a)] as const;
  for (const {resolution, inode} of [a, b]) noteRemoved(tx, op, {names: resolution.path.names, top: resolution.top, inode});
  noteArrived(tx, op, a, b, exchanged[0].info.inode);
  noteArrived(tx, op, b, a, exchanged[1].info.inode);
  return exchanged;
}

function sideOf(tx: Transaction, op: Operation, path: Path): Side {
  const resolution = resolve(tx, path, op.principal);
  const place = existing(tx, resolution);
  const inode = inodeAt(tx, place);
  if (place.mountPoint) throw new WeirError('Busy', `${shown(path)} is a mount point`);
  if (place.kind === 'directory') {
    refuseMountsIn(tx, canonicalPath(path, place));
    if (resolution.top !== undefined && isLockBucket(tx, resolution.top)) throw new WeirError('PermissionDenied', `${shown(path)} lies in a bucket with object lock: a directory cannot be renamed there`);
  } else if (keepingOf(tx, {names: path.names, kind: 'file'}, resolution.top)) throw new WeirError('InvalidArgument', `${shown(path)} lies in a bucket that keeps versions, where names are not exchanged`);
  if (!isUnchecked(op.principal) && !mayRemoveFrom(inodeAt(tx, resolution.parent), inode, op.principal)) throw denied(op.principal, 'rename', inode);
  return {resolution, place, inode};
}

/** Where a file and a directory are exchanged, a name may lead to both already: what comes would take the place of a third. */
function refuseThird(tx: Transaction, coming: Side, {resolution: {parent, path}, place}: Side): void {
  const [kind, other] = [coming.place.kind === 'directory', place.kind === 'directory'];
  if (kind !== other && childOf(tx, parent, place.name, kind ? 'directory' : 'file')) throw new WeirError('AlreadyExists', `${shown(path)} is the name of a file and of a directory`);
}

/** `coming` gets the name of `other`. */
function placed(tx: Transaction, op: Operation, {place, inode, resolution: {path}}: Side, {place: {parent, name}, resolution: {parent: into, path: toPath}}: Side): Exchanged {
  const further = isFurther(inode, place);
  const directory = place.kind === 'directory';
  const toKey = (into.storeKey + name + (directory ? '/' : '')) as ByteString;
  const {version: _, ...unnumbered} = inode;
  // A link is only here from now on: nobody brings it to another key, and a look at the store must not take it away.
  const moved: Inode = further
    ? {...inode, ctime: op.now}
    : {...unnumbered, parent, name, ctime: op.now, checkedAt: inode.kind === 'symlink' ? 0 : millisecondsOf(op.now), ...(directory ? {storePrefix: place.storeKey} : {})};
  if (further) moveFurther(tx, place.id, place, {parent, name});
  writeEntry(tx, parent, name, {id: place.id, kind: place.kind, ...(directory ? {prefixed: true} : {})});
  writeInode(tx, moved, toKey);
  if (directory) noteMove(tx, {id: place.id, mount: place.mount, from: place.storeKey, startedAt: millisecondsOf(op.now)});
  touch(tx, op, into);
  return {info: infoOf(canonicalPath({names: toPath.names, kind: path.kind}, place), moved, place.mount), place, toKey, further};
}

function noteArrived(tx: Transaction, op: Operation, {place, resolution: {path, top}}: Side, {resolution: to}: Side, inode: Inode): void {
  const kind = place.kind === 'directory' ? 'directory' : 'file';
  noteCreated(tx, op, 'ObjectCreated:Copy', {names: to.path.names, kind}, inode);
  if (kind === 'directory') op.events?.treeRenamed(tx, op, {inode: place.id, from: path.names, to: to.path.names, fromTop: top, toTop: to.top});
}
