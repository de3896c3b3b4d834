/** Changes the attributes of what a path shows, or of one of its versions; the bytes stay. */
import type {FileInfo} from '#contracts/file-info.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {infoOf, inodeAt, writeInode} from '#master/namespace/place.ts';
import {noSuchVersion} from '#master/namespace/remove-version.ts';
import {canonicalPath, existing, resolve} from '#master/namespace/resolve.ts';
import {keepingOf} from '#master/namespace/versioning.ts';
import {noncurrentOf, rewriteRow} from '#master/namespace/versions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {formatPath, type Path} from '#model/path.ts';
import {versionIdOf} from '#model/version.ts';

/** NotFound (`s3`: NoSuchVersion), NotADirectory, PermissionDenied. A delete marker has no attributes. */
export function changeVersion(tx: Transaction, op: Operation, path: Path, version: string | undefined, change: (inode: Inode) => Inode): FileInfo {
  const resolution = resolve(tx, path, op.principal);
  const {place} = resolution;
  const current = place && inodeAt(tx, place);
  if (version === undefined || (current && versionIdOf(current) === version)) {
    const there = existing(tx, resolution);
    const inode = change(inodeAt(tx, there));
    writeInode(tx, inode, there.storeKey);
    return infoOf(canonicalPath(path, there), inode, there.mount);
  }
  const file: Path = {names: path.names, kind: 'file'};
  const keeping = keepingOf(tx, file, resolution.top);
  const row = keeping && noncurrentOf(tx, keeping, version);
  if (!row || row.deleteMarker) throw noSuchVersion(file);
  const inode = change(row.inode);
  rewriteRow(tx, keeping.bucket, {...row, inode});
  return {path: formatPath(file), inode, length: inode.content?.length ?? 0, mount: inode.content?.mount ?? resolution.parent.mount, versioned: true};
}
