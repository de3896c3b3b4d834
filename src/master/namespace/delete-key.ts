/**
 * What deleting a key means whose versions are kept: the current one becomes a noncurrent version, and a delete marker the newest. The
 * name goes from the namespace. Also of a key that is not there, as S3 has it.
 */
import type {ByteString} from '#base/byte-string.ts';
import {inodeKey} from '#codec/namespace/keys.ts';
import type {Precondition} from '#contracts/writing.ts';
import {mustWrite} from '#master/namespace/directories.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {checkPrecondition} from '#master/namespace/precondition.ts';
import {archivedInode} from '#master/namespace/put-file.ts';
import {checkRemoval, deleteInode, detach} from '#master/namespace/remove.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {addUsage} from '#master/namespace/usage.ts';
import type {Keeping} from '#master/namespace/versioning.ts';
import {addDeleteMarker, addVersion, type Noncurrent} from '#master/namespace/versions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Content} from '#model/content.ts';
import type {Path} from '#model/path.ts';
import {versionIdOf} from '#model/version.ts';

export interface DeletedKey {
  readonly marker: Noncurrent;
  /** Store keys of the implied directories that went with it, from below. */
  readonly vanished: readonly ByteString[];
}

/** `archived` as in putFile. PreconditionFailed, PermissionDenied, Conflict. */
export function deleteKey(tx: Transaction, op: Operation, path: Path, keeping: Keeping, options: {readonly archived?: Content | 'lost' | undefined; readonly precondition?: Precondition | undefined}): DeletedKey {
  const resolution = resolve(tx, {names: path.names, kind: 'file'}, op.principal);
  const {place} = resolution;
  const inode = place && inodeAt(tx, place);
  checkPrecondition(inode?.content, options.precondition, path);
  if (!place || !inode) {
    mustWrite(tx, op, resolution.parent);
    return {marker: hide(tx, op, path, keeping), vanished: []};
  }
  checkRemoval(tx, op, resolution, place, inode);
  const kept = archivedInode(keeping, inode, options.archived, path);
  if (kept) addVersion(tx, op, keeping, kept);
  const marker = hide(tx, op, path, keeping);
  const vanished = detach(tx, op, resolution.parent, place);
  if (kept) {
    tx.delete(inodeKey(place.id));
    addUsage(tx, place.mount, {files: -1, directories: 0, bytes: -(inode.content?.length ?? 0)});
  } else deleteInode(tx, place, inode);
  return {marker, vanished};
}

function hide(tx: Transaction, op: Operation, path: Path, keeping: Keeping): Noncurrent {
  const marker = addDeleteMarker(tx, op, keeping);
  op.events?.note(tx, op, {name: 'ObjectRemoved:DeleteMarkerCreated', names: path.names, top: keeping.bucket, versionId: versionIdOf(marker.inode)});
  return marker;
}
