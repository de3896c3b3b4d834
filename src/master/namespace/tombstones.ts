/**
 * Removed trees. In the transaction that removes one, only its entry goes; the records below are deleted afterwards, a
 * bounded number at a time, in depth-first order. Where that has got to is one directory id in the tombstone: parents
 * are in the inodes, so it needs neither a stack nor a position, and goes on after a crash.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {decodeEntry, type Entry} from '#codec/namespace/entry-record.ts';
import {decodeInode} from '#codec/namespace/inode-record.ts';
import {decodeTombstone, encodeTombstone, type Tombstone} from '#codec/namespace/intent-record.ts';
import {entriesOf, entryName, idOfKey, inodeKey, moveKey, nameOfEntryKey, tombstoneKey, tombstoneTable} from '#codec/namespace/keys.ts';
import {discard} from '#master/namespace/garbage.ts';
import {loseName} from '#master/namespace/links.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {noteRemoved} from '#master/namespace/object-events.ts';
import {deleteEntry, inodeRecord, type Place} from '#master/namespace/place.ts';
import {dropSettings} from '#master/namespace/settings.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {addUsage} from '#master/namespace/usage.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {parsePath} from '#model/path.ts';

const readAheadEntriesMin = 4;
const readAheadEntriesMax = 64;

/** Notes a tree whose entry has just been deleted. */
export function bury(tx: Transaction, op: Operation, place: Place, path: ByteString): void {
  const {id, mount, storeKey} = place;
  tx.put(tombstoneKey(id), encodeTombstone({id, mount, storePrefix: storeKey, path, removedAt: millisecondsOf(op.now), cursor: id, deleted: 0}));
}

/** In the order in which the directories were made. */
export function listTombstones(reader: Reader): Tombstone[] {
  return Array.from(reader.range(tombstoneTable), ({key, value}) => decodeTombstone(idOfKey(key) as InodeId, value));
}

/**
 * Deletes up to `limit` inodes below (and then the directory itself). Their contents go to the garbage; a content that
 * the store has outside the tree's prefix (a rename that the store had not followed) is marked to be removed there. The
 * tombstone itself stays until `forgetTombstone`. True when no record is left. With `op` those who listen to the bucket are told.
 */
export function reapTombstone(tx: Transaction, id: InodeId, limit: number, op?: Operation): boolean {
  const record = tx.get(tombstoneKey(id));
  if (!record) return true;
  const tombstone = decodeTombstone(id, record);
  if (tombstone.cursor === undefined) return true;
  const deletion = new Deletion(tx, tombstone, op?.events && new Telling(tx, op, tombstone));
  let cursor: InodeId | undefined = tombstone.cursor;
  for (let left = limit; cursor !== undefined && left > 0; left--) cursor = deletion.step(cursor);
  const {cursor: _, ...kept} = tombstone;
  tx.put(tombstoneKey(id), encodeTombstone({...kept, deleted: tombstone.deleted + deletion.finish(), ...(cursor === undefined ? {} : {cursor})}));
  return cursor === undefined;
}

/** The store has lost the tree too. */
export function forgetTombstone(tx: Transaction, id: InodeId): void {
  tx.delete(tombstoneKey(id));
}

interface DirectoryEntry extends Entry {
  readonly key: ByteString;
}

/** Entries of one directory, read in chunks. Goes on behind what was deleted, which would otherwise be skipped again and again. */
interface ReadAhead {
  readonly directory: InodeId;
  from: ByteString;
  entries: readonly DirectoryEntry[];
  index: number;
}

const after = (name: ByteString): ByteString => `${name}\0` as ByteString;

class Deletion {
  readonly #tx: Transaction;
  readonly #tombstone: Tombstone;
  #files = 0;
  #directories = 0;
  #bytes = 0;
  #ahead: ReadAhead | undefined;
  readonly #telling: Telling | undefined;

  constructor(tx: Transaction, tombstone: Tombstone, telling: Telling | undefined) {
    this.#tx = tx;
    this.#tombstone = tombstone;
    this.#telling = telling;
  }

  /** Deletes one file, or goes down, or deletes the empty directory and goes up. Answers the directory to go on with. */
  step(directory: InodeId): InodeId | undefined {
    const entry = this.#nextEntry(directory);
    if (!entry) return this.#leave(directory);
    if (entry.kind === 'directory') return entry.id;
    this.#tx.delete(entry.key);
    const inode = decodeInode(entry.id, inodeRecord(this.#tx, entry.id), this.#tombstone.storePrefix);
    if (!loseName(this.#tx, {parent: directory, name: nameOfEntryKey(entry.key)}, inode)) this.#deleteInode(inode);
    this.#files++;
    this.#telling?.removed(directory, nameOfEntryKey(entry.key), inode);
    return directory;
  }

  finish(): number {
    addUsage(this.#tx, this.#tombstone.mount, {files: -this.#files, directories: -this.#directories, bytes: -this.#bytes});
    return this.#files + this.#directories;
  }

  #nextEntry(directory: InodeId): DirectoryEntry | undefined {
    if (this.#ahead?.directory !== directory) this.#ahead = {directory, from: '' as ByteString, entries: [], index: 0};
    const ahead = this.#ahead;
    if (ahead.index === ahead.entries.length) {
      const limit = Math.min(Math.max(ahead.entries.length * 4, readAheadEntriesMin), readAheadEntriesMax);
      const rows = this.#tx.range({...entriesOf(directory, ahead.from), limit});
      ahead.entries = Array.from(rows, ({key, value}) => ({key, ...decodeEntry(value)}));
      ahead.index = 0;
      if (ahead.entries.length > 0) ahead.from = after(nameOfEntryKey(ahead.entries.at(-1)!.key));
    }
    return ahead.entries[ahead.index++];
  }

  #leave(directory: InodeId): InodeId | undefined {
    const inode = decodeInode(directory, inodeRecord(this.#tx, directory), this.#tombstone.storePrefix);
    this.#telling?.removed(directory, undefined, inode);
    this.#deleteInode(inode);
    this.#tx.delete(moveKey(directory));
    this.#directories++;
    if (directory === this.#tombstone.id) return undefined;
    this.#buryElsewhere(inode);
    deleteEntry(this.#tx, inode.parent, inode.name, 'directory');
    this.#ahead = {directory: inode.parent, from: after(entryName(inode.name, 'directory')), entries: [], index: 0};
    return inode.parent;
  }

  /** A tree renamed into this one that the store has elsewhere: its records are gone, its objects get a tombstone of their own. */
  #buryElsewhere({id, storePrefix}: Inode): void {
    if (storePrefix === undefined || storePrefix.startsWith(this.#tombstone.storePrefix)) return;
    const {mount, path, removedAt} = this.#tombstone;
    this.#tx.put(tombstoneKey(id), encodeTombstone({id, mount, storePrefix, path, removedAt, deleted: 0}));
  }

  #deleteInode(inode: Inode): void {
    const stray = inode.content !== undefined && !inode.content.storeKey.startsWith(this.#tombstone.storePrefix);
    discard(this.#tx, inode, stray);
    dropSettings(this.#tx, inode);
    this.#tx.delete(inodeKey(inode.id));
    this.#bytes += inode.content?.length ?? 0;
  }
}

/** Tells of the files of a removed tree by the keys that they had. */
class Telling {
  readonly #tx: Transaction;
  readonly #op: Operation;
  readonly #tree: InodeId;
  readonly #names: readonly ByteString[];
  readonly #top: InodeId | undefined;
  /** Of the directory that was last asked about. */
  #known: {readonly id: InodeId; readonly names: readonly ByteString[]} | undefined;

  constructor(tx: Transaction, op: Operation, {id, path}: Tombstone) {
    this.#tx = tx;
    this.#op = op;
    this.#tree = id;
    this.#names = parsePath(path, 'directory').names;
    this.#top = resolve(tx, {names: [...this.#names, '' as ByteString], kind: 'file'}).top;
  }

  /** `name` undefined: the directory itself, which may have been a marker. */
  removed(directory: InodeId, name: ByteString | undefined, inode: Inode): void {
    if (this.#top === undefined) return;
    if (this.#known?.id !== directory) this.#known = {id: directory, names: this.#namesOf(directory)};
    const {names} = this.#known;
    noteRemoved(this.#tx, this.#op, {names: name === undefined ? names : [...names, name], top: this.#top, inode});
  }

  #namesOf(directory: InodeId): readonly ByteString[] {
    const below: ByteString[] = [];
    for (let at = directory; at !== this.#tree; ) {
      const {parent, name} = decodeInode(at, inodeRecord(this.#tx, at), '' as ByteString);
      below.unshift(name);
      at = parent;
    }
    return [...this.#names, ...below];
  }
}
