/** What a path names, and its versions. */
import {WeirError} from '#base/errors.ts';
import type {Principal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {infoOf, inodeAt, lookAt} from '#master/namespace/place.ts';
import {canonicalPath, existing, type Resolution, resolve, shown} from '#master/namespace/resolve.ts';
import {keepingOf} from '#master/namespace/versioning.ts';
import {newestOf, noncurrentOf} from '#master/namespace/versions.ts';
import type {Reader} from '#metastore/metastore.ts';
import {formatPath, type Path} from '#model/path.ts';
import {versionIdOf} from '#model/version.ts';

/**
 * NotFound (with `deleteMarker`, the version id of what hides a key whose versions are kept), NotADirectory, PermissionDenied (a
 * directory on the way may not be searched).
 */
export function stat(reader: Reader, path: Path, principal?: Principal): FileInfo {
  const resolution = resolve(reader, path, principal);
  if (!resolution.place) refuseDeleted(reader, resolution);
  const place = existing(reader, resolution);
  return lookAt(reader, canonicalPath(path, place), place);
}

function refuseDeleted(reader: Reader, {path, top}: Resolution): void {
  const keeping = path.kind === 'file' ? keepingOf(reader, path, top) : undefined;
  const newest = keeping && newestOf(reader, keeping);
  if (newest?.deleteMarker) throw new WeirError('NotFound', `${shown(path)} was deleted`, {details: {deleteMarker: versionIdOf(newest.inode)}});
}

/** A version of a key by its id; undefined when there is none. */
export function findVersion(reader: Reader, path: Path, version: string, principal?: Principal): FileInfo | undefined {
  const file: Path = {names: path.names, kind: path.kind === 'directory' ? 'directory' : 'file'};
  const resolution = resolve(reader, file, principal);
  const {place, parent} = resolution;
  const keeping = keepingOf(reader, file, resolution.top);
  const current = place && inodeAt(reader, place);
  if (place && current && versionIdOf(current) === version) return {...infoOf(formatPath(file), current, place.mount), ...(keeping ? {versioned: true} : {})};
  const row = keeping && noncurrentOf(reader, keeping, version);
  if (!row) return undefined;
  const {inode, deleteMarker} = row;
  return {path: formatPath(file), inode, length: inode.content?.length ?? 0, mount: inode.content?.mount ?? parent.mount, versioned: true, ...(deleteMarker ? {deleteMarker} : {})};
}
