/**
 * What files share about the directories above them: making the missing ones, letting the implied ones vanish, keeping
 * times and emptiness. A directory is *implied* when only keys below it call it into being; it goes with its last child.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import {decodeInode, peekInode} from '#codec/namespace/inode-record.ts';
import {inodeKey, moveKey} from '#codec/namespace/keys.ts';
import {denied, isUnchecked, mayAccess} from '#master/namespace/access.ts';
import {beginningOf, makerOf} from '#master/namespace/beginnings.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {childOf, deleteEntry, inodeAt, inodeRecord, isEmpty, isReserved, type Place, writeEntry, writeInode} from '#master/namespace/place.ts';
import {existing, type Resolution, shown} from '#master/namespace/resolve.ts';
import {addUsage} from '#master/namespace/usage.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {TimeNs} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';

export const directoryModeDefault = 0o755;

/** As fine as ext4 keeps them (a kernel tick): many creations in a row write their directory's times once. */
const timeGranularityNs = 4_000_000n;

export interface NewDirectory {
  readonly implied?: boolean;
  readonly mode?: number | undefined;
  /** As in Inode. */
  readonly ownProtection?: true;
  /** Wall ms; 0 when nobody has seen it in a store. Default: now. */
  readonly checkedAt?: number;
}

/** Makes a directory that does not exist. The caller has checked that it may. */
export function addDirectory(tx: Transaction, op: Operation, parent: Place, name: ByteString, options: NewDirectory): Place {
  const id = op.ids.next<InodeId>();
  const place: Place = {
    id, kind: 'directory', parent: parent.id, name, mount: parent.mount, mountPoint: false, storeKey: `${parent.storeKey}${name}/` as ByteString,
  };
  // What a store shows is as it is there.
  const born = options.checkedAt === undefined ? beginningOf(tx, op, parent, 'directory', options.mode) : {...makerOf(op), mode: options.mode ?? directoryModeDefault};
  const inode: Inode = {
    id, kind: 'directory', parent: parent.id, name, ...born,
    atime: op.now, mtime: op.now, ctime: op.now, checkedAt: options.checkedAt ?? millisecondsOf(op.now), ...(options.ownProtection ? {ownProtection: true} : {}),
    ...(options.implied ? {implied: true} : {}), ...(parent.id === rootInodeId ? {createdAt: op.now} : {}),
  };
  writeEntry(tx, parent.id, name, {id, kind: 'directory'});
  writeInode(tx, inode, place.storeKey);
  addUsage(tx, place.mount, {files: 0, directories: 1, bytes: 0});
  return place;
}

/**
 * The directory in which the last name of a path stands, made with all that is missing above it. With `none` a missing
 * one is NotFound (or NotADirectory). With `explicit`, as POSIX has it, a file of that name is in the way: NotADirectory.
 */
export function parentFor(tx: Transaction, op: Operation, resolution: Resolution, missing: 'implied' | 'explicit' | 'none'): Place {
  const {path, depth} = resolution;
  let {parent} = resolution;
  const last = path.names.length - 1;
  if (depth === last) return parent;
  if (missing === 'none') return existing(tx, {...resolution, path: {...path, kind: 'directory'}});
  mustWrite(tx, op, parent);
  for (let i = depth; i < last; i++) {
    const name = path.names[i]!;
    if (isReserved(parent, name)) throw new WeirError('PermissionDenied', `${toText(name)} in a mount is Weir's own`);
    if (i === depth) {
      if (missing === 'explicit' && childOf(tx, parent, name, 'file')) throw new WeirError('NotADirectory', `${shown(path)}: ${JSON.stringify(toText(name))} is a file`);
      touch(tx, op, parent);
    }
    parent = addDirectory(tx, op, parent, name, {implied: missing === 'implied'});
  }
  return parent;
}

/** PermissionDenied unless names may be added to the directory. */
export function mustWrite(tx: Transaction, op: Operation, directory: Place): void {
  if (isUnchecked(op.principal)) return;
  const inode = inodeAt(tx, directory);
  if (!mayAccess(inode, op.principal, 'write') || !mayAccess(inode, op.principal, 'search')) throw denied(op.principal, 'add to or remove from', inode);
}

/** A name was added to the directory or taken from it. */
export function touch(tx: Transaction, op: Operation, directory: Pick<Place, 'id' | 'storeKey'>): void {
  const record = inodeRecord(tx, directory.id);
  const since = op.now - peekInode(record).mtime;
  if (since >= 0n && since < timeGranularityNs) return;
  writeInode(tx, {...decodeInode(directory.id, record, directory.storeKey), mtime: op.now, ctime: op.now}, directory.storeKey);
}

/** What a store says of a directory. */
interface ShownDirectory {
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly modified: TimeNs;
}

/** A directory as its store shows it by itself: mode and owner that were given here stay. */
export function asSeen(inode: Inode, {mode = inode.mode, uid = inode.uid, gid = inode.gid, modified: mtime}: ShownDirectory): Inode {
  return inode.ownProtection ? {...inode, mtime} : {...inode, mode, uid, gid, mtime};
}

export interface Vanished {
  /** The first directory that stays. */
  readonly stays: InodeId;
  /** Store keys of what has vanished, from below. */
  readonly keys: readonly ByteString[];
}

/**
 * Lets a directory vanish if it is implied and empty, and then the one above it, and so on. Only entries and inodes are
 * touched: in a store of objects an implied directory is nothing, and in one with directories it is the caller's to remove.
 */
export function vanishIfEmpty(tx: Transaction, place: Pick<Place, 'id' | 'mount' | 'storeKey'>): Vanished {
  const keys: ByteString[] = [];
  let {id, storeKey} = place;
  for (let parent = vanish(tx, place); parent !== undefined; parent = vanish(tx, {id, mount: place.mount})) {
    keys.push(storeKey);
    id = parent;
    storeKey = storeKey.slice(0, storeKey.lastIndexOf('/', storeKey.length - 2) + 1) as ByteString;
  }
  return {stays: id, keys};
}

/** One step of vanishIfEmpty: answers the directory above if this one has vanished, undefined if it stays. */
export function vanish(tx: Transaction, {id, mount}: Pick<Place, 'id' | 'mount'>): InodeId | undefined {
  const {implied, parent, name} = decodeInode(id, inodeRecord(tx, id), '' as ByteString);
  if (!implied || !isEmpty(tx, id)) return undefined;
  deleteEntry(tx, parent, name, 'directory');
  tx.delete(inodeKey(id));
  tx.delete(moveKey(id));
  addUsage(tx, mount, {files: 0, directories: -1, bytes: 0});
  return parent;
}

/** After a name was taken from the directory: its times change, or it vanishes. Answers the store keys of what has vanished, from below. */
export function childRemoved(tx: Transaction, op: Operation, directory: Place): readonly ByteString[] {
  const {implied} = peekInode(inodeRecord(tx, directory.id));
  const {keys} = implied ? vanishIfEmpty(tx, directory) : nothingVanished;
  if (keys.length === 0) touch(tx, op, directory);
  return keys;
}

const nothingVanished = {keys: [] as readonly ByteString[]};
