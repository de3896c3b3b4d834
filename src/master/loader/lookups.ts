/**
 * What those ask who hold inodes and not paths, as the kernel does for a mount: what an inode is, and what a directory has under a name.
 * With each answer goes until when it may be believed unasked.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, LookupResult, NodeInfo} from '#contracts/master-api.ts';
import type {Loader, LoaderServices} from '#master/loader/loader.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import {peekName} from '#codec/namespace/inode-record.ts';
import {entryName, inodeKey} from '#codec/namespace/keys.ts';
import {locate} from '#master/namespace/locate.ts';
import {childOf, inodeAt, isReserved, lookAt, type Place, rootPlace} from '#master/namespace/place.ts';
import {resolve, shown} from '#master/namespace/resolve.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {formatPath, nameBytesMax, parsePath, pathBytesMax, type PathKind} from '#model/path.ts';

const placesMax = 50_000;
const roundsMax = 5;
const always = Number.MAX_SAFE_INTEGER;

/** Where an inode is: canonical path, place, and the place of the directory above. */
interface Whereabouts {
  readonly path: ByteString;
  readonly place: Place;
  readonly parent: Place;
}

export class Lookups {
  readonly #services: LoaderServices;
  readonly #loader: Loader;
  /** As of one transaction; any commit forgets them all. */
  readonly #places = new Map<InodeId, Whereabouts>();
  #sequence = -1;

  constructor(services: LoaderServices, loader: Loader) {
    this.#services = services;
    this.#loader = loader;
  }

  /** On the spot (contracts/on-the-spot.ts), of what is safe: for mounts. Undefined also when it has no name any more. */
  statNow(id: InodeId): NodeInfo | undefined {
    return this.#now(reader => {
      const where = this.#whereabouts(reader, id);
      return where && this.#node(reader, where, inodeAt(reader, where.place), true);
    });
  }

  /** The same for who does not ask until when it may be believed. */
  infoNow(id: InodeId): FileInfo | undefined {
    return this.#now(reader => {
      const where = this.#whereabouts(reader, id);
      return where && this.#info(reader, where, inodeAt(reader, where.place), true);
    });
  }

  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined {
    if (name.length > nameBytesMax) return undefined;
    return this.#now(reader => this.#lookup(reader, directory, name, kind, true));
  }

  /** NotFound when it has no name any more. */
  async stat(id: InodeId, context: CallContext): Promise<NodeInfo> {
    const {principal} = context;
    return await this.#ask(context, `inode ${id} has no name any more`, reader => this.#whereabouts(reader, id)?.path, 'file', reader => {
      const where = this.#whereabouts(reader, id);
      if (where && !isUnchecked(principal)) resolve(reader, parsePath(where.path, 'file'), principal);
      return where && {path: where.path, answer: this.#node(reader, where, inodeAt(reader, where.place), false)!};
    });
  }

  /** NotFound (the directory), NotADirectory, PermissionDenied, NameTooLong. */
  async lookup(directory: InodeId, name: ByteString, kind: PathKind, context: CallContext): Promise<LookupResult> {
    const pathOf = (reader: Reader): ByteString | undefined => {
      const above = this.#whereabouts(reader, directory);
      if (above && above.place.kind !== 'directory') throw new WeirError('NotADirectory', `${shown(parsePath(above.path))} is no directory`);
      // Only a directory can have no name; without its slash the path would be its parent's.
      return above && (`${above.path}${name === '' ? '/' : name}` as ByteString);
    };
    return await this.#ask(context, `inode ${directory} has no name any more`, pathOf, kind, reader => {
      const path = pathOf(reader);
      if (path !== undefined) resolve(reader, parsePath(path, kind), context.principal);
      return path === undefined ? undefined : {path, answer: this.#lookup(reader, directory, name, kind, false)!};
    });
  }

  /** Freshens what lies at a path until it is still the right path afterwards. */
  async #ask<T>(
    context: CallContext, gone: string, pathOf: (reader: Reader) => ByteString | undefined, kind: PathKind, answer: (reader: Reader) => {readonly path: ByteString; readonly answer: T} | undefined,
  ): Promise<T> {
    const {transactions} = this.#services;
    const askedAt = transactions.now();
    for (let round = 0; round < roundsMax; round++) {
      const path = transactions.peek(pathOf);
      if (path === undefined) break;
      await this.#loader.freshen(parsePath(path, kind), {askedAt, signal: context.signal, complete: true});
      const found = await transactions.read(answer, context);
      if (found?.path === path) return found.answer;
    }
    throw new WeirError('NotFound', gone);
  }

  #now<T>(look: (reader: Reader) => T | undefined): T | undefined {
    const {metastore} = this.#services.transactions;
    const {result, sequence} = metastore.read(look);
    return sequence <= metastore.safeSequence ? result : undefined;
  }

  #lookup(reader: Reader, directory: InodeId, name: ByteString, kind: PathKind, unasked: boolean): LookupResult | undefined {
    const above = this.#whereabouts(reader, directory);
    if (!above || above.place.kind !== 'directory' || above.path.length + name.length > pathBytesMax) return undefined;
    const parent = above.place;
    if (isReserved(parent, name)) throw new WeirError('NotFound', `${formatPath({names: [name], kind: 'file'})} does not exist`);
    const place = (kind === 'file' ? undefined : childOf(reader, parent, name, 'directory')) ?? (kind === 'directory' || name === '' ? undefined : childOf(reader, parent, name, 'file'));
    if (!place) {
      const validUntil = this.#loader.absentUntil(reader, parent, name, kind);
      return unasked && validUntil <= this.#services.transactions.now() ? undefined : {validUntil};
    }
    const path = `${above.path}${name}${place.kind === 'directory' ? '/' : ''}` as ByteString;
    return this.#node(reader, {path, place, parent}, inodeAt(reader, place), unasked);
  }

  /** `unasked`: undefined where the store had to be asked first. */
  #node(reader: Reader, where: Whereabouts, inode: Inode, unasked: boolean): NodeInfo | undefined {
    const {place, parent} = where;
    const info = this.#info(reader, where, inode, unasked);
    return info && {info, validUntil: place.mountPoint ? always : this.#loader.validUntil(reader, place, inode, parent)};
  }

  #info(reader: Reader, {path, place, parent}: Whereabouts, inode: Inode, unasked: boolean): FileInfo | undefined {
    if (unasked && !this.#loader.believes(reader, place, inode, parent, {askedAt: this.#services.transactions.now(), complete: true})) return undefined;
    return lookAt(reader, path, place, inode);
  }

  #whereabouts(reader: Reader, id: InodeId): Whereabouts | undefined {
    const {sequence} = this.#services.transactions.metastore;
    if (sequence !== this.#sequence) {
      this.#places.clear();
      this.#sequence = sequence;
    }
    const known = this.#places.get(id);
    if (known) return known;
    const where = this.#below(reader, id) ?? this.#found(reader, id);
    // Files are asked for once, the directories that they lie in again and again.
    if (where?.place.kind !== 'directory') return where;
    if (this.#places.size >= placesMax) this.#places.clear();
    this.#places.set(id, where);
    return where;
  }

  /** From a directory that is known; else undefined. */
  #below(reader: Reader, id: InodeId): Whereabouts | undefined {
    const record = id === rootPlace.id ? undefined : reader.look(inodeKey(id));
    if (!record) return undefined;
    const {kind, parent, name} = peekName(record);
    const above = this.#places.get(parent);
    const place = above && childOf(reader, above.place, name, kind === 'directory' ? 'directory' : 'file');
    return place?.id === id ? {path: `${above!.path}${entryName(name, kind)}` as ByteString, place, parent: above!.place} : undefined;
  }

  #found(reader: Reader, id: InodeId): Whereabouts | undefined {
    const found = locate(reader, id);
    return found && {...found, parent: this.#parentOf(reader, found.place)};
  }

  #parentOf(reader: Reader, place: Place): Place {
    if (place.id === rootPlace.id) return rootPlace;
    const above = this.#whereabouts(reader, place.parent);
    if (!above) throw new WeirError('Corrupt', `inode ${place.id} lies in a directory without a name`);
    return above.place;
  }
}
