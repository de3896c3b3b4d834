/**
 * Places: an entry as a walk meets it, with what the walk knows of the way there: which mount it is in, and under which
 * key that mount's store has it. A walk reads one small entry a name and no inode, except where a tree's store prefix is
 * not told by names.
 */
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {type InodeId, type MountId, rootInodeId} from '#base/ids.ts';
import {decodeEntry, encodeEntry, type Entry} from '#codec/namespace/entry-record.ts';
import {decodeInode, encodeInode} from '#codec/namespace/inode-record.ts';
import {entriesOf, entryKey, entryName, inodeKey, subdirectoriesKey} from '#codec/namespace/keys.ts';
import {decodeNextId, encodeNextId} from '#codec/namespace/usage-record.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode, InodeKind} from '#model/inode.ts';

export interface Place extends Entry {
  readonly parent: InodeId;
  readonly name: ByteString;
  /** The mount that this place lies in; at a mount point the one that begins here. */
  readonly mount: MountId;
  readonly mountPoint: boolean;
  /** Where the mount's store has it, as names and store prefixes tell. A directory's ends in `/`; a mount point's is empty. */
  readonly storeKey: ByteString;
}

/** The mount that holds the root directory. */
export const rootMountId = 1 as MountId;

export const rootPlace: Place = {
  id: rootInodeId, kind: 'directory', parent: rootInodeId, name: '' as ByteString, mount: rootMountId, mountPoint: true, storeKey: '' as ByteString,
};

const ownName = '.weir';

/** True for Weir's own folder in a mount: hidden from every listing, refused in every path. */
export function isReserved(directory: Pick<Place, 'mountPoint'>, name: ByteString): boolean {
  return directory.mountPoint && name === ownName;
}

export function placeOf(reader: Reader, directory: Place, name: ByteString, entry: Entry): Place {
  const {id, kind} = entry;
  const parent = directory.id;
  if (entry.mount !== undefined) return {id, kind, parent, name, mount: entry.mount, mountPoint: true, storeKey: '' as ByteString};
  const derived = (directory.storeKey + entryName(name, kind)) as ByteString;
  if (!entry.prefixed) return {id, kind, parent, name, mount: directory.mount, mountPoint: false, storeKey: derived};
  const {storePrefix} = decodeInode(id, inodeRecord(reader, id), derived);
  assert(storePrefix !== undefined, `inode ${id} is entered as having a store prefix and has none`);
  return {id, kind, parent, name, mount: directory.mount, mountPoint: false, storeKey: storePrefix, prefixed: true};
}

/** The directory `name/`, or the file or symbolic link `name`. */
export function childOf(reader: Reader, directory: Place, name: ByteString, kind: 'file' | 'directory'): Place | undefined {
  const record = reader.look(entryKey(directory.id, entryName(name, kind)));
  return record && placeOf(reader, directory, name, decodeEntry(record));
}

/** The stored bytes, until the next read; an entry without its inode is Corrupt. */
export function inodeRecord(reader: Reader, id: InodeId): Uint8Array {
  const record = reader.look(inodeKey(id));
  if (!record) throw new WeirError('Corrupt', `inode ${id} is missing from the metadata`);
  return record;
}

export function inodeAt(reader: Reader, place: Pick<Place, 'id' | 'storeKey'>): Inode {
  return decodeInode(place.id, inodeRecord(reader, place.id), place.storeKey);
}

/** Under which key the store is asked about what stands at a place: a further name of a file has no object of its own. */
export function objectKeyOf(place: Pick<Place, 'storeKey'>, inode: Inode): ByteString {
  return inode.links === undefined ? place.storeKey : (inode.content?.storeKey ?? place.storeKey);
}

/** Writes the inode of an existing or new place. */
export function writeInode(tx: Transaction, inode: Inode, storeKey: ByteString): void {
  tx.put(inodeKey(inode.id), encodeInode(inode, storeKey));
}

/** Enters a name for an inode. */
export function writeEntry(tx: Transaction, directory: InodeId, name: ByteString, entry: Entry): void {
  const key = entryKey(directory, entryName(name, entry.kind));
  if (entry.kind === 'directory' && !tx.look(key)) countSubdirectory(tx, directory, 1);
  tx.put(key, encodeEntry(entry));
}

export function deleteEntry(tx: Transaction, directory: InodeId, name: ByteString, kind: InodeKind): void {
  const key = entryKey(directory, entryName(name, kind));
  if (kind === 'directory' && tx.look(key)) countSubdirectory(tx, directory, -1);
  tx.delete(key);
}

/** How many directories a directory holds. Counted with its entries, so that nobody has to list it to know how many links it has. */
export function subdirectoriesOf(reader: Reader, directory: InodeId): number {
  const count = reader.look(subdirectoriesKey(directory));
  return count ? decodeNextId(count) : 0;
}

function countSubdirectory(tx: Transaction, directory: InodeId, by: number): void {
  const count = subdirectoriesOf(tx, directory) + by;
  if (count > 0) tx.put(subdirectoriesKey(directory), encodeNextId(count));
  else tx.delete(subdirectoriesKey(directory));
}

export function isEmpty(reader: Reader, directory: InodeId): boolean {
  for (const _ of reader.range({...entriesOf(directory, '' as ByteString), limit: 1})) return false;
  return true;
}

/** What stands at a place, with what only looking at it tells: a directory's subdirectories. */
export function lookAt(reader: Reader, path: ByteString, place: Place, inode = inodeAt(reader, place)): FileInfo {
  const info = infoOf(path, inode, place.mount);
  return place.kind === 'directory' ? {...info, subdirectories: subdirectoriesOf(reader, place.id)} : info;
}

export function infoOf(path: ByteString, inode: Inode, mount: MountId): FileInfo {
  return {path, inode, length: inode.kind === 'file' ? (inode.content?.length ?? 0) : 0, mount};
}
