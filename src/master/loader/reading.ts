/** What readers ask the master: what is at a path, what to read of a file, and what they learned from the store themselves. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Observation, OpenResult} from '#contracts/master-api.ts';
import {ageMsMax} from '#master/freshness/policy.ts';
import type {Loader, LoaderServices} from '#master/loader/loader.ts';
import {denied, isUnchecked, mayAccess} from '#master/namespace/access.ts';
import {childOf, inodeAt, lookAt, objectKeyOf, isReserved, type Place} from '#master/namespace/place.ts';
import {directoryAt, resolve, shown, storeKeyOfPath} from '#master/namespace/resolve.ts';
import {noSuchVersion} from '#master/namespace/remove-version.ts';
import {findVersion, stat} from '#master/namespace/stat.ts';
import {isVersionPlace} from '#master/namespace/relocations.ts';
import type {Turns} from '#master/writes/turns.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {nameBytesMax, parsePath, type Path, pathBytesMax, type PathKind} from '#model/path.ts';

const roundsMax = 5;

interface FoundDirectory {
  readonly place: Place;
  readonly parent: Place;
  readonly inode: Inode;
  readonly info: FileInfo;
}

/** It is so as long as nothing is committed. */
interface KnownMoment {
  readonly path: ByteString;
  /** The last transaction when it was found, and the newest of which it may tell. */
  readonly committed: number;
  readonly observed: number;
}

export class Reading {
  readonly #services: LoaderServices & {readonly turns: Turns};
  readonly #loader: Loader;
  /** What was found last: one request after the other is of the same bucket. */
  #lastDirectory: (FoundDirectory & KnownMoment) | undefined;

  constructor(services: LoaderServices & {readonly turns: Turns}, loader: Loader) {
    this.#services = services;
    this.#loader = loader;
  }

  /** On the spot (contracts/on-the-spot.ts). */
  statNow(path: ByteString, kind: PathKind, principal: Principal): FileInfo | undefined {
    if (path.endsWith('/')) return this.#directoryNow(path, principal);
    if (kind === 'directory') return this.#directoryNow(`${path}/` as ByteString, principal);
    const nameStart = path.lastIndexOf('/') + 1;
    const name = path.slice(nameStart) as ByteString;
    // What is refused, odd or long is for the ordinary way to explain.
    if (nameStart === 0 || name.length > nameBytesMax || path.length > pathBytesMax || name.includes('\0')) return undefined;
    const {transactions} = this.#services;
    const {result, sequence} = transactions.metastore.read(reader => {
      const parent = directoryAt(reader, path.slice(0, nameStart) as ByteString);
      if (!parent || isReserved(parent, name)) return undefined;
      const place = (kind === 'either' ? childOf(reader, parent, name, 'directory') : undefined) ?? childOf(reader, parent, name, 'file');
      if (!place) return undefined;
      const inode = inodeAt(reader, place);
      if (!this.#loader.believes(reader, place, inode, parent, {askedAt: transactions.now(), complete: true})) return undefined;
      if (!isUnchecked(principal)) resolve(reader, parsePath(path, kind), principal);
      return lookAt(reader, (place.kind === 'directory' ? `${path}/` : path) as ByteString, place, inode);
    });
    return sequence <= transactions.metastore.durableSequence ? result : undefined;
  }

  #directoryNow(path: ByteString, principal: Principal): FileInfo | undefined {
    if (path.length === 1) return undefined;
    const {transactions} = this.#services;
    const {metastore} = transactions;
    const last = this.#lastDirectory;
    const known = last?.path === path && last.committed === metastore.sequence && isUnchecked(principal) ? last : undefined;
    const {result, sequence} = metastore.read(reader => {
      const found = known ?? this.#lookAtDirectory(reader, path, principal);
      return found && this.#loader.believes(reader, found.place, found.inode, found.parent, {askedAt: transactions.now(), complete: true}) ? found : undefined;
    });
    if (!result) return undefined;
    const observed = Math.max(sequence, known?.observed ?? 0);
    if (!known) this.#lastDirectory = {...result, path, committed: metastore.sequence, observed};
    return observed <= metastore.durableSequence ? result.info : undefined;
  }

  #lookAtDirectory(reader: Reader, path: ByteString, principal: Principal): FoundDirectory | undefined {
    const {place, parent} = resolve(reader, parsePath(path, 'directory'), principal);
    if (!place) return undefined;
    const inode = inodeAt(reader, place);
    return {place, parent, inode, info: lookAt(reader, path, place, inode)};
  }

  openNow(path: ByteString, principal: Principal): FileInfo | undefined {
    const info = this.statNow(path, 'file', principal);
    if (info && !mayAccess(info.inode, principal, 'read')) throw denied(principal, 'read', info.inode);
    return info;
  }

  async stat(path: Path, context: CallContext): Promise<FileInfo> {
    const {transactions} = this.#services;
    await this.#loader.freshen(path, {askedAt: transactions.now(), signal: context.signal, complete: true});
    return await transactions.read(reader => stat(reader, path, context.principal), context);
  }

  /**
   * A file whose version nobody knows yet, or of which only a listing told, is read from the store in the same round trip
   * that brings its metadata: `unknown`. One that is known and only stale is asked about without its bytes.
   */
  async open(path: Path, context: CallContext): Promise<OpenResult> {
    const {transactions, mounts, knowledge} = this.#services;
    const askedAt = transactions.now();
    const questions = this.#loader.questions(path, {askedAt, complete: true});
    const [question] = questions;
    if (question && questions.length === 1 && question.path.kind === 'file') {
      const unread = transactions.peek(reader => {
        const {place} = resolve(reader, question.path, context.principal);
        return !place || inodeAt(reader, place).content?.listed === true;
      });
      // Local files are read in place by who knows them; there the metadata comes first.
      if (unread && !mounts.get(question.mount).capabilities.localFile) return {unknown: {mount: question.mount, storeKey: question.storeKey, ageMsMax: ageMsMax(knowledge.freshness(question.mount))}};
    }
    if (questions.length > 0) await this.#loader.freshen(path, {askedAt, signal: context.signal, complete: true});
    return {known: await transactions.read(reader => readable(stat(reader, path, context.principal), context), context)};
  }

  /** One version of a key by its id; a delete marker is one too. The store is asked only where the namespace might not know what is current. */
  async statVersion(path: Path, version: string, {principal, signal}: CallContext): Promise<FileInfo> {
    const {transactions} = this.#services;
    const kept = transactions.peek(reader => findVersion(reader, path, version, principal));
    if (!kept || isCurrent(kept)) await this.#loader.freshen(path, {askedAt: transactions.now(), signal, complete: true});
    return await transactions.read(reader => {
      const found = findVersion(reader, path, version, principal);
      if (!found) throw noSuchVersion(path);
      return found;
    });
  }

  async openVersion(path: Path, version: string, context: CallContext): Promise<FileInfo> {
    return readable(await this.statVersion(path, version, context), context);
  }

  async observe(path: Path, {startedAt, object}: Observation, context: CallContext): Promise<FileInfo> {
    const {transactions} = this.#services;
    const file: Path = {names: path.names, kind: path.kind === 'directory' ? 'directory' : 'file'};
    const {mount, storeKey, inode} = this.#question(file, context);
    if (this.#loader.overtaken(mount, storeKey, startedAt)) return readable(await this.stat(file, context), context);
    await this.#loader.takeInFile({mount, storeKey, path: file, ...(inode === undefined ? {} : {inode})}, object, startedAt);
    return await transactions.read(reader => readable(stat(reader, file, context.principal), context), context);
  }

  async contentChanged(path: Path, content: ContentId, context: CallContext): Promise<FileInfo> {
    const {transactions, following} = this.#services;
    const file: Path = {names: path.names, kind: path.kind === 'directory' ? 'directory' : 'file'};
    for (let round = 0; round < roundsMax; round++) {
      const question = this.#question(file, context);
      if (question.content !== content) break;
      if (following.covers(question.mount, question.storeKey)) {
        // The store is between two states; what it has when it is done is what the namespace says.
        await following.quiet(question.mount, question.storeKey, context.signal);
        using _turn = await this.#services.turns.acquire({mount: question.mount, keys: [question.storeKey]}, context.signal);
        continue;
      }
      const before = transactions.now();
      await this.#loader.ask({...question, path: file}, context.signal);
      if (!this.#loader.overtaken(question.mount, question.storeKey, before)) break;
    }
    return await transactions.read(reader => readable(stat(reader, file, context.principal), context), context);
  }

  #question(path: Path, {principal}: CallContext) {
    return this.#services.transactions.peek(reader => {
      const resolution = resolve(reader, path, principal);
      const {place, parent} = resolution;
      if (place?.mountPoint) throw new WeirError('IsADirectory', `${shown(path)} is a mount point`);
      const inode = place && inodeAt(reader, place);
      return {mount: (place ?? parent).mount, storeKey: place && inode ? objectKeyOf(place, inode) : storeKeyOfPath(resolution), content: inode?.content?.id, ...(inode ? {inode: inode.id} : {})};
    });
  }
}

/** Not where old versions lie: the store may know better. */
function isCurrent({inode, deleteMarker}: FileInfo): boolean {
  return !deleteMarker && !(inode.content && isVersionPlace(inode.content.storeKey));
}

/** PermissionDenied when the caller may not read the file's bytes. */
function readable(info: FileInfo, {principal}: CallContext): FileInfo {
  if (!mayAccess(info.inode, principal, 'read')) throw denied(principal, 'read', info.inode);
  return info;
}
