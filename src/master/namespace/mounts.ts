/** The mount table, and the directories at which mounts begin. */
import {assert} from '#base/assert.ts';
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {type InodeId, type MountId, rootInodeId} from '#base/ids.ts';
import {inodeKey, mountKey, mountTable} from '#codec/namespace/keys.ts';
import {decodeMount, encodeMount} from '#codec/namespace/mount-record.ts';
import {addDirectory, childRemoved, directoryModeDefault, parentFor, touch} from '#master/namespace/directories.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {childOf, deleteEntry, inodeAt, isEmpty, type Place, rootMountId, rootPlace, writeEntry, writeInode} from '#master/namespace/place.ts';
import {resolve, shown} from '#master/namespace/resolve.ts';
import {bury} from '#master/namespace/tombstones.ts';
import {addUsage} from '#master/namespace/usage.ts';
import {hasVersions} from '#master/namespace/versions.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Mount} from '#model/mount.ts';
import {parsePath} from '#model/path.ts';

/** Makes the root directory and its mount (`id` rootMountId, path `/`), once in the life of an instance. False when they exist. */
export function initialiseNamespace(tx: Transaction, op: Operation, mount: Mount): boolean {
  if (tx.get(inodeKey(rootInodeId))) return false;
  if (mount.id !== rootMountId || mount.path !== '/') throw new WeirError('InvalidArgument', `the root's mount cannot be ${mount.id} at ${mount.path}`);
  writeInode(tx, {
    id: rootInodeId, kind: 'directory', parent: rootInodeId, name: '' as ByteString, mode: directoryModeDefault, uid: 0, gid: 0,
    atime: op.now, mtime: op.now, ctime: op.now, checkedAt: 0, mount: mount.id,
  }, rootPlace.storeKey);
  addUsage(tx, mount.id, {files: 0, directories: 1, bytes: 0});
  tx.put(mountKey(mount.id), encodeMount(mount));
  return true;
}

/**
 * Enters a mount and makes its directory, with explicit directories above where they are missing; `mount.id` is a new id.
 * AlreadyExists when there is something at the path; an implied or explicit directory that is empty is taken over.
 */
export function addMount(tx: Transaction, op: Operation, mount: Mount): Place {
  const path = {...parsePath(mount.path, 'directory'), kind: 'directory' as const};
  const resolution = resolve(tx, path);
  if (resolution.place && (resolution.place.mountPoint || !isEmpty(tx, resolution.place.id) || inodeAt(tx, resolution.place).content)) {
    throw new WeirError('AlreadyExists', `${shown(path)} exists and is ${resolution.place.mountPoint ? 'a mount point' : 'not empty'}`);
  }
  const parent = parentFor(tx, op, resolution, 'explicit');
  const name = path.names.at(-1)!;
  if (childOf(tx, parent, name, 'file')) throw new WeirError('AlreadyExists', `${shown(path)} exists and is a file`);
  const old = resolution.place ?? addDirectory(tx, op, parent, name, {});
  const place: Place = {...old, mount: mount.id, mountPoint: true, storeKey: '' as ByteString};
  const {implied: _, storePrefix: __, ...kept} = inodeAt(tx, old);
  writeInode(tx, {...kept, mount: mount.id, checkedAt: 0}, place.storeKey);
  writeEntry(tx, parent.id, name, {id: place.id, kind: 'directory', mount: mount.id});
  addUsage(tx, old.mount, {files: 0, directories: -1, bytes: 0});
  addUsage(tx, mount.id, {files: 0, directories: 1, bytes: 0});
  touch(tx, op, parent);
  tx.put(mountKey(mount.id), encodeMount(mount));
  return place;
}

/** Writes a changed record of a mount; its id and path stay. */
export function updateMount(tx: Transaction, mount: Mount): void {
  tx.put(mountKey(mount.id), encodeMount(mount));
}

export function getMount(reader: Reader, id: MountId): Mount | undefined {
  const record = reader.get(mountKey(id));
  return record && decodeMount(record);
}

/** In the order in which they were made. */
export function listMounts(reader: Reader): Mount[] {
  return Array.from(reader.range(mountTable), ({value}) => decodeMount(value));
}

/** Busy when a mount begins at or below a directory, given by its canonical path. */
export function refuseMountsIn(reader: Reader, directory: ByteString): void {
  const inside = listMounts(reader).find((mount) => mount.path.startsWith(directory));
  if (inside) throw new WeirError('Busy', `${toText(inside.path)} is a mount point`);
}

/**
 * Forgets a mount and all metadata below it; its directory goes, with implied ones above it. The records are deleted behind
 * (reapTombstone), the store is never touched: the caller forgets the tombstone when the records are gone. NotFound,
 * Busy (mounts within, or the root's). Answers the tombstone's id.
 */
export function removeMount(tx: Transaction, op: Operation, id: MountId): InodeId {
  const mount = getMount(tx, id);
  if (!mount) throw new WeirError('NotFound', `there is no mount ${id}`);
  if (id === rootMountId) throw new WeirError('Busy', 'the root cannot be unmounted');
  const path = parsePath(mount.path, 'directory');
  tx.delete(mountKey(id));
  refuseMountsIn(tx, mount.path);
  const {place, parent, top} = resolve(tx, path);
  const below = path.names.slice(1).map(name => `${name}/`).join('') as ByteString;
  if (place && hasVersions(tx, top ?? place.id, below)) throw new WeirError('Busy', `${toText(mount.path)} holds old versions or delete markers, which would be lost`);
  assert(place?.mount === id, `mount ${id} is not at ${mount.path}`);
  deleteEntry(tx, parent.id, place.name, 'directory');
  childRemoved(tx, op, parent);
  bury(tx, op, place, mount.path);
  return place.id;
}
