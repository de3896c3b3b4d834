/** What a path names. */
import type {Principal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/master-api.ts';
import {infoOf, inodeAt} from '#master/namespace/place.ts';
import {canonicalPath, existing, resolve} from '#master/namespace/resolve.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Path} from '#model/path.ts';

/** NotFound, NotADirectory, PermissionDenied (a directory on the way may not be searched). */
export function stat(reader: Reader, path: Path, principal?: Principal): FileInfo {
  const place = existing(reader, resolve(reader, path, principal));
  return infoOf(canonicalPath(path, place), inodeAt(reader, place), place.mount);
}
