/** One object as a store shows it becomes an inode, or confirms or replaces the one that is there. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {addDirectory, asSeen, directoryModeDefault} from '#master/namespace/directories.ts';
import {isFirstOfSeveral, replaceShared} from '#master/namespace/links.ts';
import {checkedBy, type Operation} from '#master/namespace/operation.ts';
import {inodeAt, type Place, writeInode} from '#master/namespace/place.ts';
import {fileModeDefault, setFile, setMarker} from '#master/namespace/put-file.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Content} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';
import type {Capabilities, StoreObject} from '#understore/under-store.ts';

/** What its store never had: a link that was not seen there, a special file, a file that has no bytes yet or whose bytes it has not got. It is there because it was made here. */
export function isOnlyHere({kind, content, checkedAt}: Pick<Inode, 'kind' | 'content' | 'checkedAt'>, {directories}: Pick<Capabilities, 'directories'>): boolean {
  return kind === 'symlink' ? !directories || checkedAt === 0 : !content || content.pending !== undefined;
}

export interface UpsertOptions {
  /** Wall ms at which the store was asked: what is entered was confirmed then. */
  readonly startedAt: number;
  readonly directories: boolean;
  readonly confirm?: (id: InodeId) => void;
  /** See ListingMerge. */
  readonly impliedBelow?: (storeKey: ByteString) => boolean;
}

/** The version of an object that the store showed, as a content. Without metadata in the object it is marked as `listed`. */
export function contentOf(op: Operation, object: StoreObject, mount: MountId, storeKey: ByteString): Content {
  const {length, fingerprint, etag, checksums, metadata, modified} = object;
  const content = {id: op.ids.next<ContentId>(), length, mount, storeKey, fingerprint, etag, checksums, metadata: metadata ?? {}, committedAt: modified};
  return metadata ? content : {...content, listed: true};
}

export function sameVersion(inode: Inode, object: StoreObject): boolean {
  if (inode.kind !== object.kind) return false;
  return object.kind === 'symlink' ? inode.target === object.target : inode.content?.fingerprint === object.fingerprint;
}

export class Upsert {
  readonly #tx: Transaction;
  readonly #op: Operation;
  readonly #options: UpsertOptions;
  entered = 0;
  changed = 0;

  constructor(tx: Transaction, op: Operation, options: UpsertOptions) {
    this.#tx = tx;
    this.#op = op;
    this.#options = options;
  }

  confirm(place: Place, inode: Inode): void {
    if (this.#options.confirm) this.#options.confirm(inode.id);
    else if (checkedBy(inode, this.#op) < this.#options.startedAt) writeInode(this.#tx, {...inode, checkedAt: this.#options.startedAt}, place.storeKey);
  }

  enterFile(parent: Place, name: ByteString, object: StoreObject): void {
    setFile(this.#tx, parent, this.#newFile(parent, name, object, undefined), undefined);
    this.entered++;
  }

  /** Mode, owner and pin stay where the store does not say. */
  replace(place: Place, old: Inode, object: StoreObject): void {
    if (isFirstOfSeveral(old, place) && object.kind === 'file') {
      replaceShared(this.#tx, place, old, contentOf(this.#op, object, place.mount, place.storeKey), this.#options.startedAt);
      return void this.changed++;
    }
    const parent = {id: place.parent, mount: place.mount, storeKey: place.storeKey.slice(0, place.storeKey.length - place.name.length) as ByteString};
    setFile(this.#tx, parent, this.#newFile(parent, place.name, object, old), old);
    this.changed++;
  }

  #newFile(parent: Pick<Place, 'id' | 'mount' | 'storeKey'>, name: ByteString, object: StoreObject, old: Inode | undefined): Inode {
    const {modified, target} = object;
    const link = object.kind === 'symlink' && target !== undefined;
    return {
      id: this.#op.ids.next<InodeId>(), kind: link ? 'symlink' : 'file', parent: parent.id, name,
      mode: object.mode ?? old?.mode ?? fileModeDefault, uid: object.uid ?? old?.uid ?? 0, gid: object.gid ?? old?.gid ?? 0,
      atime: modified, mtime: modified, ctime: modified, checkedAt: this.#options.startedAt,
      ...(link ? {target} : {content: contentOf(this.#op, object, parent.mount, (parent.storeKey + name) as ByteString)}),
      ...(old?.pinned ? {pinned: true} : {}),
    };
  }

  /** Makes a directory: for its own sake where the store has such and no write of ours has just made it; with a marker where it showed one; else implied. */
  enterDirectory(parent: Place, name: ByteString, object: StoreObject | undefined): Place {
    const {directories, impliedBelow} = this.#options;
    const implied = !directories || impliedBelow?.(`${parent.storeKey}${name}/` as ByteString) === true;
    const place = addDirectory(this.#tx, this.#op, parent, name, {implied, mode: object?.mode ?? directoryModeDefault, checkedAt: 0});
    this.entered++;
    if (object) this.directory(place, inodeAt(this.#tx, place), object);
    return place;
  }

  /** A directory that is there, and what the store shows of it: nothing but its name, itself, or its marker. */
  directory(place: Place, inode: Inode, object: StoreObject | undefined): void {
    if (!object) return;
    if (!this.#options.directories) return this.#marker(place, inode, object);
    // One that our keys imply stays so: that the store has it too, by itself, is the store's way.
    const seen = asSeen(inode, object);
    const same = seen.mode === inode.mode && seen.uid === inode.uid && seen.gid === inode.gid && seen.mtime === inode.mtime;
    if (same) this.confirm(place, inode);
    else writeInode(this.#tx, {...seen, checkedAt: Math.max(checkedBy(inode, this.#op), this.#options.startedAt)}, place.storeKey);
    // Without bytes a directory has no marker of its own: whether it is shown as one is known here alone.
    if ((object.length > 0 || inode.content?.length) && inode.content?.fingerprint !== object.fingerprint) this.#marker(place, inode, object);
  }

  #marker(place: Place, inode: Inode, object: StoreObject): void {
    if (inode.content?.fingerprint === object.fingerprint) return this.confirm(place, inode);
    if (inode.content && checkedBy(inode, this.#op) >= this.#options.startedAt) return;
    setMarker(this.#tx, place, contentOf(this.#op, object, place.mount, place.storeKey), this.#options.startedAt);
    this.changed++;
  }
}
