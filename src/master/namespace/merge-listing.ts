/**
 * A page of a store's listing becomes metadata: what is new is entered, what has changed gets a new inode and content,
 * what the store no longer has goes. Both sides are in key order, so one pass over the two is enough.
 *
 * Nothing that is known from a better source gives way to a listing: what was committed, made or renamed here since the
 * store was asked; mount points and all below them; what the store still has under another key (moves, tombstones); what
 * only Weir has (directories made on stores without directories, symbolic links, files being written).
 */
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {decodeInode} from '#codec/namespace/inode-record.ts';
import {inodeKey} from '#codec/namespace/keys.ts';
import {vanish, vanishIfEmpty} from '#master/namespace/directories.ts';
import {type CursorEntry, KeyCursor} from '#master/namespace/key-cursor.ts';
import {isOnlyHere, sameVersion, Upsert} from '#master/namespace/upsert.ts';
import {isFurther} from '#master/namespace/links.ts';
import {claimsOf} from '#master/namespace/moves.ts';
import {checkedBy, type Operation} from '#master/namespace/operation.ts';
import {childOf, deleteEntry, inodeAt, isReserved, type Place, writeInode} from '#master/namespace/place.ts';
import {deleteInode, dropMarker} from '#master/namespace/remove.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import type {StoreObject} from '#understore/under-store.ts';

export interface ObservedEntry {
  /** Relative to the directory; ends in `/` for directories. */
  readonly key: ByteString;
  /** Absent for a folded prefix. */
  readonly object?: StoreObject;
}

export interface ListingMerge {
  readonly directory: Place;
  /** The interval of keys, relative to the directory, of which `observed` is all that there is. Exclusive; empty = from the beginning. */
  readonly from: ByteString;
  /** Inclusive (a folded prefix with all below it); absent = to the end. */
  readonly to?: ByteString;
  /** Keys at every depth, or the children with folded directories. */
  readonly recursive: boolean;
  /** Ascending. */
  readonly observed: readonly ObservedEntry[];
  /** Wall ms at which the store was asked. */
  readonly startedAt: number;
  /** The store has directories by themselves (its capability). */
  readonly directories: boolean;
  /** Changed here since the store was asked, where the metadata cannot tell: what was removed, and all below trees made or renamed. By store key. */
  readonly changedSince?: (storeKey: ByteString) => boolean;
  /** On a store with directories: whether a write of ours that is under way may have made this directory, which is then implied. */
  readonly impliedBelow?: (storeKey: ByteString) => boolean;
  /** Asked at the end of a listing of everything: false when so much was ignored that the directory cannot be marked as listed. */
  readonly complete?: () => boolean;
  /** Told of every inode that the listing confirms. With it, confirming writes nothing; without, `checkedAt` is written. */
  readonly confirm?: (id: InodeId) => void;
  /** Told of the key of every file that goes. */
  readonly missed?: (storeKey: ByteString) => void;
}

export interface MergeResult {
  readonly entered: number;
  readonly changed: number;
  readonly removed: number;
  /** The merge has stopped here to keep the transaction short: call again with `from` set to this. */
  readonly next?: ByteString;
}

/** Entries that one transaction may remove; what a store has lost can be any number of them. */
const removalsMax = 10_000;

/**
 * Ids taken: at most three for every observed entry and directory in its key. Directories that lose their last child
 * vanish if they were implied, also the listed one. A listing of everything marks the directory as listed.
 */
export function mergeListing(tx: Transaction, op: Operation, merge: ListingMerge): MergeResult {
  return new Merge(tx, op, merge).run();
}

class Merge {
  readonly #tx: Transaction;
  readonly #op: Operation;
  readonly #merge: ListingMerge;
  readonly #cursor: KeyCursor;
  readonly #upsert: Upsert;
  /** Store prefixes that moves and tombstones still need. */
  readonly #claims: readonly ByteString[];
  /** Directories that lost something. They vanish at the end, so that none goes that is about to be filled again. */
  readonly #emptied = new Map<InodeId, ByteString>();
  /** The directories that lead to the last inserted key. */
  readonly #chain: {readonly prefix: ByteString; readonly place: Place | undefined}[];
  #removed = 0;
  /** The store has something that was not entered, because of what was changed here meanwhile. */
  #ignored = false;

  constructor(tx: Transaction, op: Operation, merge: ListingMerge) {
    this.#tx = tx;
    this.#op = op;
    this.#merge = merge;
    this.#cursor = new KeyCursor(tx, merge.directory);
    this.#upsert = new Upsert(tx, op, merge);
    this.#claims = claimsOf(tx, merge.directory.mount);
    this.#chain = [{prefix: '' as ByteString, place: merge.directory}];
  }

  run(): MergeResult {
    const {from, to, recursive} = this.#merge;
    const folded = !recursive && from.endsWith('/');
    const start = from === '' ? from : folded ? prefixEnd(from) : (`${from}\0` as ByteString);
    const observed = this.#merge.observed.filter(({key}) => key > from && !(folded && key.startsWith(from)));
    this.#cursor.seek(start ?? from);
    let next: ByteString | undefined;
    let index = 0;
    let entry = this.#advance();
    while (entry || index < observed.length) {
      const seen = observed[index];
      if (seen && (!entry || seen.key < entry.key)) {
        this.#insert(seen);
        index++;
        continue;
      }
      if (seen?.key === entry!.key) {
        this.#meet(entry!, seen);
        index++;
      } else {
        this.#miss(entry!, seen?.key.startsWith(entry!.key) === true);
        if (this.#removed === removalsMax) {
          next = entry!.key;
          break;
        }
      }
      entry = this.#advance();
    }
    this.#vanish(from, next ?? to);
    if (from === '' && to === undefined && next === undefined && this.#merge.complete?.() !== false) this.#markListed();
    return {entered: this.#upsert.entered, changed: this.#upsert.changed, removed: this.#removed, ...(next === undefined ? {} : {next})};
  }

  #advance(): CursorEntry | undefined {
    const entry = this.#cursor.next();
    const {to} = this.#merge;
    if (!entry || to === undefined || entry.key <= to) return entry;
    const below = !this.#merge.recursive && to.endsWith('/') && entry.key.startsWith(to);
    return below ? entry : undefined;
  }

  /** The namespace and the store both have the key. */
  #meet({place}: CursorEntry, {object}: ObservedEntry): void {
    if (!this.#merge.recursive || this.#isOurs(place)) this.#cursor.skip();
    if (this.#isOurs(place)) return;
    const inode = inodeAt(this.#tx, place);
    if (place.kind !== 'directory') this.#meetFile(place, inode, object);
    else if (this.#isRecent(place, inode)) this.#cursor.skip();
    else this.#upsert.directory(place, inode, object);
  }

  #meetFile(place: Place, inode: Inode, object: StoreObject | undefined): void {
    if (!object) return;
    // The store has something of its own under a further name of a file: it takes that name.
    if (isFurther(inode, place) && !this.#isRecent(place, inode)) return this.#upsert.replace(place, inode, object);
    if (isElsewhere(place, inode) || inode.content?.pending) return;
    if (sameVersion(inode, object)) this.#upsert.confirm(place, inode);
    else if (!this.#isRecent(place, inode) && (inode.content || inode.kind === 'symlink' || inode.kind === 'special')) this.#upsert.replace(place, inode, object);
  }

  /** The store does not have the key; `below` says that it has keys in this directory. */
  #miss({key, place}: CursorEntry, below: boolean): void {
    if (this.#isOurs(place)) return this.#cursor.skip();
    const inode = inodeAt(this.#tx, place);
    if (this.#isRecent(place, inode)) return this.#cursor.skip();
    if (place.kind === 'directory') return this.#missDirectory(key, place, inode, below);
    if (isOnlyHere(inode, this.#merge) || isElsewhere(place, inode)) return;
    this.#merge.missed?.(place.storeKey);
    deleteEntry(this.#tx, place.parent, place.name, place.kind);
    deleteInode(this.#tx, place, inode);
    this.#emptied.set(place.parent, prefixAbove(key));
    this.#removed++;
  }

  /** What is in it is missed one by one; the directory itself is left to vanish unless it was made here. */
  #missDirectory(key: ByteString, place: Place, inode: Inode, below: boolean): void {
    if (inode.content) dropMarker(this.#tx, place, inode);
    else if (this.#merge.directories && !below && !inode.implied) writeInode(this.#tx, {...inode, implied: true}, place.storeKey);
    this.#emptied.set(place.id, key);
  }

  #insert({key, object}: ObservedEntry): void {
    const above = prefixAbove(key);
    const entry = key.slice(above.length);
    const name = (entry.endsWith('/') ? entry.slice(0, -1) : entry) as ByteString;
    const parent = this.#directoryFor(above);
    if (!parent || isReserved(parent, name)) return;
    const storeKey = (parent.storeKey + entry) as ByteString;
    if (this.#isClaimed(storeKey)) return;
    if (this.#merge.changedSince?.(storeKey)) {
      this.#ignored = true;
      return;
    }
    if (name !== entry) this.#upsert.enterDirectory(parent, name, object);
    else if (object && name !== '') this.#upsert.enterFile(parent, name, object);
  }

  /** The directory of a prefix (empty, or ending in `/`), made as implied where missing. Undefined where the store has no say. */
  #directoryFor(prefix: ByteString): Place | undefined {
    while (!prefix.startsWith(this.#chain.at(-1)!.prefix)) this.#chain.pop();
    for (let {prefix: known, place} = this.#chain.at(-1)!; known.length < prefix.length; ) {
      const end = prefix.indexOf('/', known.length);
      const name = prefix.slice(known.length, end) as ByteString;
      known = prefix.slice(0, end + 1) as ByteString;
      place &&= this.#childDirectory(place, name);
      this.#chain.push({prefix: known, place});
    }
    return this.#chain.at(-1)!.place;
  }

  #childDirectory(parent: Place, name: ByteString): Place | undefined {
    if (isReserved(parent, name)) return undefined;
    const found = childOf(this.#tx, parent, name, 'directory');
    if (found) return this.#isOurs(found) || this.#merge.changedSince?.(found.storeKey) ? undefined : found;
    const storeKey = `${parent.storeKey}${name}/` as ByteString;
    if (this.#isClaimed(storeKey) || this.#merge.changedSince?.(storeKey)) return undefined;
    return this.#upsert.enterDirectory(parent, name, undefined);
  }

  /** The store that was listed has no say about it. */
  #isOurs(place: Place): boolean {
    return place.mountPoint || place.prefixed === true || this.#isClaimed(place.storeKey);
  }

  #isClaimed(storeKey: ByteString): boolean {
    return this.#claims.some((claim) => storeKey.startsWith(claim));
  }

  /** Known from later than the listing. A directory's own check says nothing of what is below it. */
  #isRecent(place: Place, inode: Inode): boolean {
    return (place.kind !== 'directory' && checkedBy(inode, this.#op) >= this.#merge.startedAt) || this.#merge.changedSince?.(place.storeKey) === true;
  }

  /** Directories that go on beyond this page are left alone, and looked at by the page on which they end. */
  #vanish(from: ByteString, to: ByteString | undefined): void {
    const {directory} = this.#merge;
    this.#emptied.set(directory.id, '' as ByteString);
    let place: Place | undefined = directory;
    for (let at = 0, slash = from.indexOf('/'); place && slash >= 0 && slash < from.length - 1; at = slash + 1, slash = from.indexOf('/', at)) {
      place = childOf(this.#tx, place, from.slice(at, slash) as ByteString, 'directory');
      if (place) this.#emptied.set(place.id, from.slice(0, slash + 1) as ByteString);
    }
    // Deepest first, each looked at once, when all below it has gone.
    const depths: Map<InodeId, ByteString>[] = [];
    const note = (id: InodeId, prefix: ByteString) => (depths[prefix.split('/').length] ??= new Map()).set(id, prefix);
    for (const [id, prefix] of this.#emptied) note(id, prefix);
    for (let depth = depths.length - 1; depth > 0; depth--) {
      for (const [id, prefix] of depths[depth] ?? []) {
        const goesOn = to?.startsWith(prefix) && (this.#merge.recursive || to !== prefix);
        // Whoever goes down from above would not come to ask again.
        if (prefix === '' && this.#ignored) continue;
        if (goesOn || !this.#tx.get(inodeKey(id))) continue;
        const above = vanish(this.#tx, {id, mount: directory.mount});
        if (above === undefined) continue;
        if (prefix === '') vanishIfEmpty(this.#tx, {id: above, mount: directory.mount, storeKey: '' as ByteString});
        else note(above, prefixAbove(prefix));
      }
    }
  }

  #markListed(): void {
    const {id, storeKey} = this.#merge.directory;
    const record = this.#tx.get(inodeKey(id));
    if (record) writeInode(this.#tx, {...decodeInode(id, record, storeKey), listedAt: this.#merge.startedAt}, storeKey);
  }
}

/** Renamed here, and its store has not followed yet. */
function isElsewhere(place: Place, {content}: Inode): boolean {
  return content !== undefined && content.storeKey !== place.storeKey;
}

/** The key of the directory above a key: empty, or ending in `/`. */
function prefixAbove(key: ByteString): ByteString {
  const last = key.endsWith('/') ? key.slice(0, -1) : key;
  return key.slice(0, last.lastIndexOf('/') + 1) as ByteString;
}
