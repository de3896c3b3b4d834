/**
 * What those ask who hold inodes and not paths, as the kernel does for a mount: what an inode is, and what a directory has under a name.
 * With each answer goes until when it may be believed unasked.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {LookupResult, NodeInfo} from '#contracts/master-api.ts';
import type {Loader, LoaderServices} from '#master/loader/loader.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import {type Located, locate} from '#master/namespace/locate.ts';
import {childOf, inodeAt, isReserved, lookAt, placeOf} from '#master/namespace/place.ts';
import {resolve, shown} from '#master/namespace/resolve.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {formatPath, nameBytesMax, parsePath, pathBytesMax, type PathKind} from '#model/path.ts';

const roundsMax = 5;
const always = Number.MAX_SAFE_INTEGER;

export class Lookups {
  readonly #services: LoaderServices;
  readonly #loader: Loader;

  constructor(services: LoaderServices, loader: Loader) {
    this.#services = services;
    this.#loader = loader;
  }

  /** On the spot (contracts/on-the-spot.ts), of what is safe: for mounts. Undefined also when it has no name any more. */
  statNow(id: InodeId): NodeInfo | undefined {
    return this.#now(reader => {
      const where = locate(reader, id);
      return where && this.#node(reader, where, inodeAt(reader, where.place), true);
    });
  }

  /** The same for who does not ask until when it may be believed. */
  infoNow(id: InodeId): FileInfo | undefined {
    return this.foundNow(id)?.info;
  }

  /** With where it is, for who changes it in this very turn. */
  foundNow(id: InodeId): {readonly where: Located; readonly info: FileInfo} | undefined {
    return this.#now(reader => {
      const where = locate(reader, id);
      const info = where && this.#info(reader, where, inodeAt(reader, where.place), true);
      return info && {where, info};
    });
  }

  /** Until when may be believed what stands in a directory and was just made there; 0: not at all. */
  validUntil(directory: InodeId, inode: Inode): number {
    return this.#services.transactions.peek(reader => {
      const parent = locate(reader, directory)?.place;
      return parent ? this.#loader.validUntil(reader, placeOf(reader, parent, inode.name, inode), inode, parent) : 0;
    });
  }

  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined {
    if (name.length > nameBytesMax) return undefined;
    return this.#now(reader => this.#lookup(reader, directory, name, kind, true));
  }

  /** NotFound when it has no name any more. */
  async stat(id: InodeId, context: CallContext): Promise<NodeInfo> {
    const {principal} = context;
    return await this.#ask(context, `inode ${id} has no name any more`, reader => locate(reader, id)?.path, 'file', reader => {
      const where = locate(reader, id);
      if (where && !isUnchecked(principal)) resolve(reader, parsePath(where.path, 'file'), principal);
      return where && {path: where.path, answer: this.#node(reader, where, inodeAt(reader, where.place), false)!};
    });
  }

  /** NotFound (the directory), NotADirectory, PermissionDenied, NameTooLong. */
  async lookup(directory: InodeId, name: ByteString, kind: PathKind, context: CallContext): Promise<LookupResult> {
    const pathOf = (reader: Reader): ByteString | undefined => {
      const above = locate(reader, directory);
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
    const above = locate(reader, directory);
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
  #node(reader: Reader, where: Located, inode: Inode, unasked: boolean): NodeInfo | undefined {
    const {place, parent} = where;
    const info = this.#info(reader, where, inode, unasked);
    return info && {info, validUntil: place.mountPoint ? always : this.#loader.validUntil(reader, place, inode, parent)};
  }

  #info(reader: Reader, {path, place, parent}: Located, inode: Inode, unasked: boolean): FileInfo | undefined {
    if (unasked && !this.#loader.believes(reader, place, inode, parent, {askedAt: this.#services.transactions.now(), complete: true})) return undefined;
    return lookAt(reader, path, place, inode);
  }
}
