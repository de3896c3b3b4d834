/** An explicit directory comes into being, or an implied one is made explicit: it no longer goes with its last child. */
import {WeirError} from '#base/errors.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MakeDirectoryOptions} from '#contracts/master-api.ts';
import {addDirectory, mustWrite, parentFor, touch} from '#master/namespace/directories.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {childOf, infoOf, inodeAt, type Place, writeInode} from '#master/namespace/place.ts';
import {canonicalPath, resolve, shown} from '#master/namespace/resolve.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Path} from '#model/path.ts';

/** AlreadyExists (a directory, or a file of that name), NotFound, NotADirectory, PermissionDenied. `created` false: it was there. */
export function makeDirectory(tx: Transaction, op: Operation, path: Path, options: Omit<MakeDirectoryOptions, 'settings'>): {info: FileInfo; created: boolean} {
  const resolution = resolve(tx, {names: path.names, kind: 'directory'}, op.principal);
  const {place} = resolution;
  if (place && options.existing !== 'keep') throw new WeirError('AlreadyExists', `${shown(path)} exists`);
  if (place) return {info: promote(tx, op, path, place), created: false};
  const parent = parentFor(tx, op, resolution, options.parents ? 'explicit' : 'none');
  const name = path.names.at(-1)!;
  if (childOf(tx, parent, name, 'file')) throw new WeirError('AlreadyExists', `${shown(path)} exists and is a file`);
  mustWrite(tx, op, parent);
  const made = addDirectory(tx, op, parent, name, {mode: options.mode, ownProtection: true});
  touch(tx, op, parent);
  return {info: infoOf(canonicalPath(path, made), inodeAt(tx, made), made.mount), created: true};
}

function promote(tx: Transaction, op: Operation, path: Path, place: Place): FileInfo {
  const {implied, ...inode} = inodeAt(tx, place);
  const kept = implied ? {...inode, ctime: op.now} : inode;
  if (implied) writeInode(tx, kept, place.storeKey);
  return infoOf(canonicalPath(path, place), kept, place.mount);
}
