/**
 * Files with several names. One name is the first: the inode's record carries it, and the store has the object under its key.
 * The further ones are entries of the same inode and rows beside it (`l`), and the store knows nothing of them. Wherever a
 * name goes, `loseName` decides whether the inode goes with it; before the first of several goes, `passOwnership` makes
 * another the first, which shows nowhere, and the store's object is brought there (writes/ownership.ts).
 */
import type {ByteString} from '#base/byte-string.ts';
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {linkKey, linksOf, linkTable, partsOfLinkKey} from '#codec/namespace/keys.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {mustWrite, parentFor, touch} from '#master/namespace/directories.ts';
import {discard} from '#master/namespace/garbage.ts';
import {locate} from '#master/namespace/locate.ts';
import {noteCreated} from '#master/namespace/object-events.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {infoOf, inodeAt, type Place, writeEntry, writeInode} from '#master/namespace/place.ts';
import {canonicalPath, existing, resolve, shown} from '#master/namespace/resolve.ts';
import {addUsage} from '#master/namespace/usage.ts';
import {keepingOf} from '#master/namespace/versioning.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Content, TimeNs} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import type {Path} from '#model/path.ts';

export interface Name {
  readonly parent: InodeId;
  readonly name: ByteString;
}

/** As on ext4. */
const linksMax = 65_000;
const noValue = new Uint8Array(0);
/** Encoders need no derived key for an inode with links. */
const anyKey = '' as ByteString;

/**
 * Gives a file a further name. NotFound, AlreadyExists, CrossMount, PermissionDenied (a directory), Unsupported (a symbolic link; where
 * versions are kept, which belong to one key; too many names).
 */
export function link(tx: Transaction, op: Operation, from: Path, to: Path): FileInfo {
  const source = resolve(tx, from, op.principal);
  const place = existing(tx, source);
  if (place.kind === 'directory') throw new WeirError('PermissionDenied', `${shown(from)} is a directory, which has one name`);
  const name = to.names.at(-1);
  if (!name) throw new WeirError('InvalidPath', 'a file must have a name');
  const target = resolve(tx, {names: to.names, kind: 'either'}, op.principal);
  if (target.place) throw new WeirError('AlreadyExists', `${shown(to)} exists`);
  if (target.parent.mount !== place.mount) throw new WeirError('CrossMount', `${shown(from)} and ${shown(to)} lie in different mounts`);
  for (const [path, {top}] of [[from, source], [to, target]] as const) {
    if (keepingOf(tx, path, top)) throw new WeirError('Unsupported', `${shown(path)} lies in a bucket that keeps versions, where a file has one name`);
  }
  const parent = parentFor(tx, op, target, 'none');
  mustWrite(tx, op, parent);
  const old = inodeAt(tx, place);
  const links = (old.links ?? 1) + 1;
  if (links > linksMax) throw new WeirError('Unsupported', `${shown(from)} has ${linksMax} names already`);
  const inode: Inode = {...old, links, ctime: op.now};
  writeInode(tx, inode, anyKey);
  writeEntry(tx, parent.id, name, {id: place.id, kind: place.kind});
  tx.put(linkKey(place.id, parent.id, name), noValue);
  addUsage(tx, place.mount, {files: 1, directories: 0, bytes: 0});
  touch(tx, op, parent);
  noteCreated(tx, op, 'ObjectCreated:Copy', to, inode);
  return infoOf(canonicalPath(to, place), inode, place.mount);
}

/** True for a name under which the store has nothing. */
export function isFurther(inode: Inode, {parent, name}: Name): boolean {
  return inode.links !== undefined && !(inode.parent === parent && inode.name === name);
}

/** True for the first of several names. */
export function isFirstOfSeveral(inode: Inode, name: Name): boolean {
  return inode.links !== undefined && !isFurther(inode, name);
}

export function furtherNames(reader: Reader, id: InodeId): Name[] {
  return Array.from(reader.range(linksOf(id)), ({key}) => partsOfLinkKey(key));
}

/** All inodes with several names. */
export function listLinked(reader: Reader): InodeId[] {
  const ids = new Set<InodeId>();
  for (const {key} of reader.range(linkTable)) ids.add(partsOfLinkKey(key).id);
  return [...ids];
}

/** Whether a file has several names, and one of them below a directory, given by its path. */
export function hasLinksBelow(reader: Reader, directory: ByteString): boolean {
  const isBelow = (id: InodeId): boolean => locate(reader, id)?.path.startsWith(directory) === true;
  return listLinked(reader).some((id) => isBelow(id) || furtherNames(reader, id).some(({parent}) => isBelow(parent)));
}

/**
 * A name goes; its entry is the caller's. False when it was the only one, and nothing was done. When it was the first of several,
 * another becomes the first, and the store has the object still where it was. `at`: when its attributes changed by that.
 */
export function loseName(tx: Transaction, name: Name, inode: Inode, at: TimeNs = inode.ctime): boolean {
  if (inode.links === undefined) return false;
  const {links, ...rest} = inode;
  const single: Inode = {...rest, ctime: at};
  const left = isFurther(inode, name) ? single : {...single, ...takeFurther(tx, inode.id)};
  if (left.parent === inode.parent && left.name === inode.name) tx.delete(linkKey(inode.id, name.parent, name.name));
  writeLinked(tx, links > 2 ? {...left, links: links - 1} : left);
  return true;
}

/** Makes a further name the first; the other way round, the first is a further one then. Nothing of that shows. */
export function passOwnership(tx: Transaction, inode: Inode, next: Name): void {
  assert(isFurther(inode, next), `inode ${inode.id} has no such further name`);
  tx.delete(linkKey(inode.id, next.parent, next.name));
  tx.put(linkKey(inode.id, inode.parent, inode.name), noValue);
  writeInode(tx, {...inode, parent: next.parent, name: next.name}, anyKey);
}

/** A further name is called otherwise. */
export function moveFurther(tx: Transaction, id: InodeId, from: Name, to: Name): void {
  tx.delete(linkKey(id, from.parent, from.name));
  tx.put(linkKey(id, to.parent, to.name), noValue);
}

/** The store has another version of the object: so it is under all names. */
export function replaceShared(tx: Transaction, place: Pick<Place, 'mount'>, inode: Inode, content: Content, checkedAt: number): void {
  discard(tx, inode);
  const {committedAt} = content;
  writeInode(tx, {...inode, content, mtime: committedAt, ctime: committedAt, checkedAt}, anyKey);
  addUsage(tx, place.mount, {files: 0, directories: 0, bytes: content.length - (inode.content?.length ?? 0)});
}

/** A tree was renamed in the store from one prefix to another, with the objects of all whose first name lies in it. */
export function followTree(tx: Transaction, from: ByteString, to: ByteString, mount: Place['mount']): void {
  for (const id of listLinked(tx)) {
    const inode = inodeAt(tx, {id, storeKey: anyKey});
    const {content} = inode;
    if (content?.mount !== mount || !content.storeKey.startsWith(from)) continue;
    writeInode(tx, {...inode, content: {...content, storeKey: (to + content.storeKey.slice(from.length)) as ByteString}}, anyKey);
  }
}

function takeFurther(tx: Transaction, id: InodeId): Name {
  for (const {key} of tx.range({...linksOf(id), limit: 1})) {
    tx.delete(key);
    const {parent, name} = partsOfLinkKey(key);
    return {parent, name};
  }
  throw new WeirError('Corrupt', `inode ${id} should have further names`);
}

/** With one name left, its content lies again where that tells. */
function writeLinked(tx: Transaction, inode: Inode): void {
  writeInode(tx, inode, noKey);
  if (inode.links !== undefined) return;
  const found = locate(tx, inode.id);
  if (found) writeInode(tx, inode, found.place.storeKey);
}

/** That of no object: what is written with it says its key. */
const noKey = '\0' as ByteString;
