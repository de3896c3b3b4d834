/** From a path to a place: one entry read a name, in a loop, however deep. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Principal} from '#contracts/context.ts';
import {denied, isUnchecked, mayAccess} from '#master/namespace/access.ts';
import {childOf, inodeAt, isReserved, type Place, rootPlace} from '#master/namespace/place.ts';
import type {Reader} from '#metastore/metastore.ts';
import {formatPath, parsePath, type Path} from '#model/path.ts';

export interface Resolution {
  readonly path: Path;
  /** What the path names; absent when there is nothing. */
  readonly place?: Place;
  /** The deepest directory on the way (above the place) that exists. */
  readonly parent: Place;
  /** How many names lead to `parent`. Less than `names.length - 1`: directories are missing in between. */
  readonly depth: number;
  /** The directory of the first name: the bucket of what lies below it. */
  readonly top?: InodeId;
}

/**
 * Walks as far as there is something. With a principal, every directory on the way must be searchable: PermissionDenied.
 * Also refused, with PermissionDenied: Weir's own folder.
 */
export function resolve(reader: Reader, path: Path, principal?: Principal): Resolution {
  const {names} = path;
  const last = names.length - 1;
  if (last < 0) return {path, place: rootPlace, parent: rootPlace, depth: 0};
  // Where everybody may go, the way to a directory is recalled.
  const way = isUnchecked(principal) && last > 0 ? (`/${names.slice(0, last).join('/')}/` as ByteString) : undefined;
  const known = way === undefined ? undefined : recallDirectory(reader, way);
  let parent = known?.place ?? rootPlace;
  let {top} = known ?? {};
  for (let depth = known ? last : 0; depth < last; depth++) {
    checkStep(reader, parent, names[depth]!, principal);
    const next = childOf(reader, parent, names[depth]!, 'directory');
    if (!next) return top === undefined ? {path, parent, depth} : {path, parent, depth, top};
    parent = next;
    top ??= next.id;
  }
  if (way !== undefined && !known) reader.keep(way, {place: parent, top: top!} satisfies Directory);
  const name = names[last]!;
  checkStep(reader, parent, name, principal);
  const place =
    (path.kind === 'file' ? undefined : childOf(reader, parent, name, 'directory')) ??
    (path.kind === 'directory' ? undefined : childOf(reader, parent, name, 'file'));
  const found: {-readonly [field in keyof Resolution]: Resolution[field]} = {path, parent, depth: last};
  if (place) found.place = place;
  if (top !== undefined) found.top = top;
  return found;
}

/** Where a path that ends in `/` has led to, and the directory of its first name. */
interface Directory {
  readonly place: Place;
  readonly top: InodeId;
}

function recallDirectory(reader: Reader, way: ByteString): Directory | undefined {
  return reader.recall(way) as Directory | undefined;
}

/** The directory that a path names which ends in `/`; undefined when there is none. InvalidPath, NameTooLong, and PermissionDenied for Weir's own. */
export function directoryAt(reader: Reader, path: ByteString): Place | undefined {
  const known = recallDirectory(reader, path);
  if (known) return known.place;
  const {place, top} = resolve(reader, parsePath(path, 'directory'));
  if (place && place !== rootPlace) reader.keep(path, {place, top: top ?? place.id} satisfies Directory);
  return place;
}

function checkStep(reader: Reader, directory: Place, name: ByteString, principal: Principal | undefined): void {
  if (isReserved(directory, name)) throw new WeirError('PermissionDenied', `${toText(name)} in a mount is Weir's own`);
  if (isUnchecked(principal)) return;
  const inode = inodeAt(reader, directory);
  if (!mayAccess(inode, principal, 'search')) throw denied(principal, 'search', inode);
}

/** The directory, or NotFound; NotADirectory also where the last name is a file's. */
export function existingDirectory(reader: Reader, resolution: Resolution): Place {
  const {path, place, parent, depth} = resolution;
  const file = !place && depth === path.names.length - 1 && childOf(reader, parent, path.names[depth]!, 'file');
  if (file) throw new WeirError('NotADirectory', `${shown(path)} is a file`);
  return existing(reader, resolution);
}

/** The place, or NotFound; NotADirectory where a file stands in the way of a path that is not an S3 key. */
export function existing(reader: Reader, resolution: Resolution): Place {
  if (resolution.place) return resolution.place;
  const {path, parent, depth} = resolution;
  const blocked = depth < path.names.length - 1 && path.kind !== 'file' && childOf(reader, parent, path.names[depth]!, 'file') !== undefined;
  if (blocked) throw new WeirError('NotADirectory', `${shown(path)}: ${JSON.stringify(toText(path.names[depth]!))} is a file`);
  throw new WeirError('NotFound', `${shown(path)} does not exist`);
}

/** Where the store of its mount would have what a path names, whether or not that exists. `either` counts as a file. */
export function storeKeyOfPath(resolution: Resolution): ByteString {
  const {path, place, parent, depth} = resolution;
  if (place) return place.storeKey;
  return `${parent.storeKey}${path.names.slice(depth).join('/')}${path.kind === 'directory' ? '/' : ''}` as ByteString;
}

/** Which mount and key a path means, and what is there now. */
export function whereabouts(reader: Reader, path: Path, principal: Principal | undefined): {readonly mount: MountId; readonly storeKey: ByteString; readonly place: Place | undefined} {
  const resolution = resolve(reader, path, principal);
  return {mount: (resolution.place ?? resolution.parent).mount, storeKey: storeKeyOfPath(resolution), place: resolution.place};
}

/** The path's own text with the kind of what it names: directories end in `/`. */
export function canonicalPath(path: Path, place: Pick<Place, 'kind'>): ByteString {
  return formatPath({names: path.names, kind: place.kind === 'directory' ? 'directory' : 'file'});
}

/** For messages. */
export function shown(path: Path): string {
  return toText(formatPath(path).slice(0, 500) as ByteString);
}
