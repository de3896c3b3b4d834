/**
 * A file comes into being at a path, or another takes its place. What is replaced from outside gets a new inode, as
 * `mv new old` would give it: open handles keep the old one, whose content goes to the garbage.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {inodeKey} from '#codec/namespace/keys.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Precondition} from '#contracts/writing.ts';
import {denied, mayRemoveFrom} from '#master/namespace/access.ts';
import {beginningOf} from '#master/namespace/beginnings.ts';
import {addDirectory, mustWrite, parentFor, touch} from '#master/namespace/directories.ts';
import {discard} from '#master/namespace/garbage.ts';
import {loseName} from '#master/namespace/links.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {childOf, infoOf, inodeAt, type Place, writeEntry, writeInode} from '#master/namespace/place.ts';
import {checkPrecondition} from '#master/namespace/precondition.ts';
import {canonicalPath, type Resolution, resolve, shown} from '#master/namespace/resolve.ts';
import {addUsage} from '#master/namespace/usage.ts';
import {attributesOfNew, type Keeping, keepingOf} from '#master/namespace/versioning.ts';
import {addVersion, dropNull} from '#master/namespace/versions.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Content, TimeNs} from '#model/content.ts';
import {type Inode, s3XattrPrefix} from '#model/inode.ts';
import type {Path} from '#model/path.ts';

export const fileModeDefault = 0o644;

export interface PutFileOptions {
  /** Absent: a file that is being written and has no content yet. */
  readonly content?: Content;
  /** That of a file which had no name; default: a new one. */
  readonly id?: InodeId;
  readonly mode?: number | undefined;
  /** Default: the operation's principal. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly mtime?: TimeNs | undefined;
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
  /** Wall ms at which the store showed the content. Default: now, for what is written here. */
  readonly checkedAt?: number | undefined;
  /**
   * `implied` (default) is what an S3 key does: directories appear, and a directory of the same name is no obstacle.
   * `explicit` and `none` are what a file system does: a directory of that name is in the way.
   */
  readonly parents?: 'implied' | 'explicit' | 'none';
  readonly precondition?: Precondition | undefined;
  /**
   * The content that is there, at its place among the old versions, for a key whose versions are kept; a current version that is to
   * be kept and is not this one fails with Conflict. `lost`: the store no longer had the old bytes, nothing is kept.
   */
  readonly archived?: Content | 'lost' | undefined;
  /** What checkPut has answered in this very transaction. */
  readonly found?: Resolution;
  /** `fail`: AlreadyExists when the path has a file. Default `replace`. */
  readonly existing?: 'replace' | 'fail';
}

/**
 * Makes the content visible at the path, whole. A path that asks for a directory gets the content as its marker (the S3
 * object `k/`). NotFound, NotADirectory, IsADirectory, AlreadyExists, PreconditionFailed, PermissionDenied, InvalidPath.
 */
export function putFile(tx: Transaction, op: Operation, path: Path, options: PutFileOptions): FileInfo {
  return path.kind === 'directory' ? putMarker(tx, op, path, options) : putPlainFile(tx, op, path, options);
}

/** What putFile would refuse, without writing: for refusing early what will be written later. */
export function checkPut(reader: Reader, op: Pick<Operation, 'principal'>, path: Path, options: PutFileOptions): Resolution {
  const {names} = path;
  const target: Path = path.kind === 'directory' ? path : {names, kind: 'file'};
  if (names.length === 0) throw new WeirError('IsADirectory', '/ is a directory');
  if (target.kind === 'file' && names.at(-1) === '') throw new WeirError('InvalidPath', 'a file must have a name');
  const resolution = resolve(reader, target, op.principal);
  checkAt(reader, resolution, options);
  return resolution;
}

/** The same of a path that was resolved. */
export function checkAt(reader: Reader, {path, place, parent, depth}: Resolution, options: PutFileOptions): void {
  const {names, kind} = path;
  if (place?.mountPoint) throw new WeirError('IsADirectory', `${shown(path)} is a mount point and has no content of its own`);
  const old = place && inodeAt(reader, place);
  checkPrecondition(old?.content, options.precondition, path);
  if (kind === 'file') {
    if (old && options.existing === 'fail') throw new WeirError('AlreadyExists', `${shown(path)} exists`);
    const posix = (options.parents ?? 'implied') !== 'implied';
    if (posix && !old && depth === names.length - 1 && childOf(reader, parent, names.at(-1)!, 'directory')) {
      throw new WeirError('IsADirectory', `${shown(path)} is a directory`);
    }
  }
}

function putPlainFile(tx: Transaction, op: Operation, path: Path, options: PutFileOptions): FileInfo {
  const resolution = options.found ?? checkPut(tx, op, path, options);
  const parent = parentFor(tx, op, resolution, options.parents ?? 'implied');
  const old = resolution.place && inodeAt(tx, resolution.place);
  if (!old) mustWrite(tx, op, parent);
  else if (op.principal && !mayRemoveFrom(inodeAt(tx, parent), old, op.principal)) throw denied(op.principal, 'replace', old);
  const keeping = keepingOf(tx, path, resolution.top);
  const kept = keeping && old && archivedInode(keeping, old, options.archived, path);
  if (kept) addVersion(tx, op, keeping, kept);
  if (keeping?.status === 'suspended') dropNull(tx, keeping);
  // What a store shows of its own accord is no version that was made here.
  const inode = newFile(tx, op, parent, path.names.at(-1)!, options, old, options.checkedAt === undefined ? keeping : undefined);
  setFile(tx, parent, inode, old, kept !== undefined);
  touch(tx, op, parent);
  return infoOf(canonicalPath(path, inode), inode, parent.mount);
}

/** The current version of a path that has to be kept when another takes its place, or the key is deleted. Links and files without bytes are not. */
export function versionToKeep(keeping: Pick<Keeping, 'status'> | undefined, old: Inode | undefined): Content | undefined {
  if (!keeping || !old?.content || old.kind !== 'file') return undefined;
  return keeping.status === 'enabled' || old.version !== undefined ? old.content : undefined;
}

/** The file at a path whose version must be kept when another takes its place. */
export function versionAt(reader: Reader, path: Path): Inode | undefined {
  const {place, top} = resolve(reader, path);
  const inode = place && inodeAt(reader, place);
  return versionToKeep(keepingOf(reader, path, top), inode) && inode;
}

/** The inode as it is kept; undefined when it is not. Conflict when its bytes are not at a place of their own. */
export function archivedInode(keeping: Keeping, old: Inode, archived: Content | 'lost' | undefined, path: Path): Inode | undefined {
  const content = versionToKeep(keeping, old);
  if (!content || archived === 'lost') return undefined;
  if (archived?.id !== content.id) throw new WeirError('Conflict', `${shown(path)} has got another version, which has to be kept, meanwhile`);
  return {...old, content: archived};
}

function newFile(tx: Transaction, op: Operation, parent: Place, name: ByteString, options: PutFileOptions, old: Inode | undefined, keeping: Keeping | undefined): Inode {
  // A file that had no name has begun already.
  const born = options.id === undefined ? beginningOf(tx, op, parent, 'file', options.mode) : {mode: options.mode ?? fileModeDefault, uid: 0, gid: 0};
  if (options.id !== undefined && tx.get(inodeKey(options.id))) throw new WeirError('Conflict', `inode ${options.id} has a name already`);
  const given = born.xattrs ? {...options.xattrs, ...born.xattrs} : options.xattrs;
  const xattrs = keeping ? attributesOfNew(tx, keeping, given, op.now) : given;
  return {
    id: options.id ?? op.ids.next<InodeId>(), kind: 'file', parent: parent.id, name, mode: born.mode, uid: options.uid ?? born.uid, gid: options.gid ?? born.gid,
    atime: op.now, mtime: options.mtime ?? op.now, ctime: op.now, checkedAt: options.checkedAt ?? (options.content ? millisecondsOf(op.now) : 0),
    ...(options.content ? {content: options.content} : {}), ...(xattrs ? {xattrs} : {}), ...(old?.pinned ? {pinned: true} : {}),
    ...(keeping?.status === 'enabled' ? {version: op.ids.next<number>()} : {}),
  };
}

/** Enters a new file or symbolic link, in the place of `old` if there is one. `kept`: the old one's content lives on as a noncurrent version. */
export function setFile(tx: Transaction, parent: Pick<Place, 'id' | 'mount' | 'storeKey'>, inode: Inode, old: Inode | undefined, kept = false): void {
  const livesOn = old !== undefined && loseName(tx, {parent: parent.id, name: inode.name}, old);
  if (old && !livesOn) {
    if (!kept) discard(tx, old);
    tx.delete(inodeKey(old.id));
  }
  writeEntry(tx, parent.id, inode.name, {id: inode.id, kind: inode.kind});
  writeInode(tx, inode, (parent.storeKey + inode.name) as ByteString);
  addUsage(tx, parent.mount, {files: old ? 0 : 1, directories: 0, bytes: (inode.content?.length ?? 0) - (livesOn ? 0 : (old?.content?.length ?? 0))});
}

function putMarker(tx: Transaction, op: Operation, path: Path, options: PutFileOptions): FileInfo {
  const resolution = checkPut(tx, op, path, options);
  if (!options.content) throw new WeirError('IsADirectory', `${shown(path)} asks for a directory`);
  let {place} = resolution;
  if (!place) {
    const parent = parentFor(tx, op, resolution, options.parents ?? 'implied');
    mustWrite(tx, op, parent);
    touch(tx, op, parent);
    place = addDirectory(tx, op, parent, path.names.at(-1)!, {mode: options.mode});
  } else mustWrite(tx, op, place);
  const inode = setMarker(tx, place, options.content, millisecondsOf(op.now), options.xattrs ?? {});
  return infoOf(canonicalPath(path, inode), inode, place.mount);
}

/** Gives a directory its marker content, or another one; it is not implied any longer. With `xattrs`, those of S3's are these from now on. */
export function setMarker(tx: Transaction, place: Place, content: Content, checkedAt: number, xattrs?: Inode['xattrs']): Inode {
  const old = inodeAt(tx, place);
  discard(tx, old);
  const {implied: _, xattrs: had, ...kept} = old;
  const has = xattrs ? {...withoutS3(had), ...xattrs} : had;
  const inode: Inode = {...kept, content, checkedAt, ...(has && Object.keys(has).length > 0 ? {xattrs: has} : {})};
  writeInode(tx, inode, place.storeKey);
  addUsage(tx, place.mount, {files: 0, directories: 0, bytes: content.length - (old.content?.length ?? 0)});
  return inode;
}

/** What belonged to the marker before does not belong to the next. */
export function withoutS3(xattrs: Inode['xattrs']): Inode['xattrs'] {
  return xattrs && Object.fromEntries(Object.entries(xattrs).filter(([name]) => !name.startsWith(s3XattrPrefix)));
}
