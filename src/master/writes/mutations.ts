/**
 * Deletes and new directories. Of single objects the store follows first, in the keys' turn, and the commit says so; a
 * failure of the store changes nothing. Of trees the namespace goes first, in one commit that notes what the store has
 * still to do (an intent, which survives a crash).
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {MakeDirectoryOptions, RemoveOptions, RemoveResult} from '#contracts/master-api.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {makeSpecial} from '#master/namespace/make-special.ts';
import {setSetting} from '#master/namespace/settings.ts';
import {isUnborn} from '#master/namespace/persists.ts';
import {makeSymlink} from '#master/namespace/make-symlink.ts';
import {inodeAt, type Place, writeInode} from '#master/namespace/place.ts';
import {setMarker} from '#master/namespace/put-file.ts';
import {remove, removeMarker, type RemoveOptions as NameRemoval} from '#master/namespace/remove.ts';
import {existing, resolve, whereabouts} from '#master/namespace/resolve.ts';
import {contentOf} from '#master/loader/store-content.ts';
import {holdAbove, pruneAbove, pruneDirectories} from '#master/writes/prune.ts';
import {holdsMore} from '#master/writes/holds-more.ts';
import {beginStoreChange, turnOfCurrent} from '#master/writes/store-change.ts';
import {type MutationServices, VersionRemovals} from '#master/writes/version-removals.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {lasting} from '#master/transactions.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {formatPath, parsePath, type Path} from '#model/path.ts';
import type {SpecialFile} from '#model/special-file.ts';
import {nullVersionId} from '#model/version.ts';
import type {UnderStore} from '#understore/under-store.ts';

const nothing: readonly ByteString[] = [];

export class Mutations {
  readonly #services: MutationServices;
  readonly #versions: VersionRemovals;

  constructor(services: MutationServices) {
    this.#services = services;
    this.#versions = new VersionRemovals(services);
  }

  async makeDirectory(text: ByteString, options: MakeDirectoryOptions, context: CallContext): Promise<FileInfo> {
    const {transactions, loader, mounts, runtime, madeDirectories} = this.#services;
    const earlier = await transactions.earlier<FileInfo>(context);
    if (earlier) return earlier.result;
    const path: Path = {names: parsePath(text, 'directory').names, kind: 'directory'};
    const fresh = {askedAt: transactions.now(), signal: context.signal};
    await loader.freshen(path, fresh);
    if (path.names.length > 1) await loader.freshen({names: path.names.slice(0, -1), kind: 'directory'}, fresh);
    const {mount, storeKey, place} = transactions.peek(reader => whereabouts(reader, path, context.principal));
    if (place && (place.mountPoint || options.existing !== 'keep')) return (await transactions.change(context, (tx, op) => makeDirectory(tx, op, path, options).info));
    const store = mounts.writable(mount);
    using _turn = await beginStoreChange(this.#services, mount, [storeKey], context.signal);
    const begin = (tx: Transaction, op: Operation): void => Object.entries(options.settings ?? {}).forEach(([name, value]) => setSetting(tx, op, path, name, value));
    transactions.rehearse(context, (tx, op) => {
      if (makeDirectory(tx, op, path, options).created) begin(tx, op);
    });
    runtime.crashPoint('master.makeDirectory.store');
    // A note of it lasts with the commit: what the power takes is made anew.
    const noted = context.moment === 'safe' && !place && !options.parents && store.capabilities.directories && store.capabilities.localFile;
    await store.makeDirectory(storeKey, {signal: context.signal, ...(noted ? {lasting: false} : {})});
    const marker = store.capabilities.directories ? undefined : await store.stat(storeKey, {signal: context.signal});
    runtime.crashPoint('master.makeDirectory.commit');
    const made = await transactions.change(context, (tx, op) => {
      const {info, created} = makeDirectory(tx, op, path, {...options, existing: 'keep', parents: true});
      const at = resolve(tx, path).place;
      if (!at) return info;
      if (noted) madeDirectories.note(tx, at.id);
      let inode = marker && !info.inode.content ? setMarker(tx, at, contentOf(op, mount, storeKey, marker, false), transactions.now()) : info.inode;
      // Nothing was there before: what will be in it comes through us, or is found when this listing is no longer fresh.
      if (created) inode = listedNow(tx, at, transactions.now());
      // One that the store's listing has shown meanwhile is ours all the same, unless it was asked to be kept as it is.
      if (options.settings && (created || options.existing !== 'keep')) {
        begin(tx, op);
        inode = inodeAt(tx, at);
      }
      return {...info, inode};
    });
    if (noted) madeDirectories.made(made.inode.id);
    return made;
  }

  async makeSymlink(text: ByteString, targetText: ByteString, context: CallContext): Promise<FileInfo> {
    const {transactions, loader} = this.#services;
    const path = parsePath(text, 'file');
    await loader.freshen(path, {askedAt: transactions.now(), signal: context.signal});
    return await transactions.change(context, (tx, op) => makeSymlink(tx, op, path, targetText));
  }

  async makeSpecial(text: ByteString, special: SpecialFile, {mode}: {readonly mode: number}, context: CallContext): Promise<FileInfo> {
    const {transactions, loader} = this.#services;
    const path = parsePath(text, 'file');
    await loader.freshen(path, {askedAt: transactions.now(), signal: context.signal});
    return await transactions.change(context, (tx, op) => makeSpecial(tx, op, path, special, mode));
  }

  async remove(text: ByteString, options: RemoveOptions & PathOptions, context: CallContext): Promise<RemoveResult> {
    const {transactions, loader} = this.#services;
    const earlier = await transactions.earlier<RemoveResult | null>(context);
    if (earlier) return earlier.result ?? {};
    const parsed = parsePath(text, options.kind);
    await loader.freshen(parsed, {askedAt: transactions.now(), signal: context.signal, ...(options.precondition ? {complete: true} : {})});
    const path = transactions.peek(reader => exactly(reader, parsed));
    const keeping = this.#versions.keeping(path);
    if (options.version !== undefined && (keeping || options.version !== nullVersionId)) return await this.#versions.removeVersion(path, keeping, {...options, version: options.version}, context);
    if (keeping && (options.deleteMarker || transactions.peek(reader => resolve(reader, path).place))) return await this.#versions.deleteKey(path, keeping, options, context);
    await this.#remove(path, options, context);
    return {};
  }

  async #remove(path: Path, options: RemoveOptions & PathOptions, context: CallContext): Promise<void> {
    const {transactions} = this.#services;
    const place = transactions.peek(reader => existing(reader, resolve(reader, path, context.principal)));
    const exact: Path = {names: path.names, kind: place.kind === 'directory' ? 'directory' : 'file'};
    const isMarkerKey = place.kind === 'directory' && options.kind === 'file' && !options.recursive;
    if (place.kind === 'directory' && options.recursive && this.#versions.keeping({names: [...path.names, 'any' as ByteString], kind: 'file'})) return await this.#removeVersionedTree(exact, context);
    if (isMarkerKey) await this.#removeMarker(exact, place, options, context);
    else if (place.kind === 'directory') await this.#removeDirectory(exact, place, options, context);
    else await this.#removeFile(exact, place, options, context);
  }

  async #removeFile(path: Path, place: Place, options: NameRemoval, context: CallContext): Promise<void> {
    const {transactions, mounts, archives, ownership, runtime, persister} = this.#services;
    const store = mounts.writable(place.mount);
    using hold = new DisposableStack();
    hold.use(await turnOfCurrent(() => [this.#placeOf(path, context).storeKey], keys => ownership.turnOf(path, place.mount, keys, context.signal)));
    const {removed} = transactions.rehearse(context, (tx, op) => ({removed: remove(tx, op, path, options)}));
    // The store knows nothing of this name.
    if (removed.info.inode.links !== undefined) return await this.#commitRemoval(path, place, store, context);
    const unborn = transactions.peek(reader => isUnborn(reader, removed.info.inode));
    let noted: Relocation | undefined;
    try {
      // What somebody has open is only taken out of the way.
      const archived = archives.isOpen(path) ? await archives.archive(path, true, context.signal, relocation => (noted = relocation)) : undefined;
      runtime.crashPoint('master.remove.store');
      if (!unborn && (!archived || archived.content === 'lost')) await removeKey(store, removed.storeKey, context.signal);
      runtime.crashPoint('master.remove.commit');
      await this.#commitRemoval(path, place, store, context, tx => {
        archives.commit(tx, archived);
        noted = undefined;
      });
      persister.recheck(removed.info.inode.id);
    } catch (error) {
      if (noted) archives.settle(noted, hold.move());
      throw error;
    }
  }

  #placeOf(path: Path, {principal}: CallContext): Place {
    return this.#services.transactions.peek(reader => existing(reader, resolve(reader, path, principal)));
  }

  /** Where versions are kept: every key below is deleted as such, then the directories go that are left empty, the deepest first. */
  async #removeVersionedTree(path: Path, context: CallContext): Promise<void> {
    await this.#versions.deleteTree(path, context);
    const directories: ByteString[] = [];
    const directory = `/${path.names.join('/')}/` as ByteString;
    for (let after: ByteString | undefined; ; ) {
      const page = await this.#services.lister.list({directory, view: 'tree', limit: 1_000, ...(after === undefined ? {} : {after})}, context).catch(missingIsEmpty);
      directories.push(...page.entries.map(({key}) => key));
      if (page.next === undefined) break;
      after = page.next;
    }
    for (const key of [...directories.reverse(), '' as ByteString]) {
      const {names} = parsePath((directory + key) as ByteString, 'either');
      await this.#remove({names, kind: key === '' || key.endsWith('/') ? 'directory' : 'file'}, {}, context).catch(missingIsEmpty);
    }
  }

  /** Of a single name that the store has removed. */
  async #commitRemoval(path: Path, {mount}: Place, store: UnderStore, context: CallContext, before: (tx: Transaction) => void = () => undefined): Promise<void> {
    let vanished = nothing;
    const commit = this.#services.transactions.changeNow(context, (tx, op) => {
      before(tx);
      ({vanished} = remove(tx, op, path, {}));
    });
    await Promise.all([lasting(commit, context), pruneDirectories(this.#services, store, mount, vanished, context.signal)]);
  }

  /** The S3 key `k/`: the directory stays while other keys imply it. */
  async #removeMarker(path: Path, place: Place, options: NameRemoval, context: CallContext): Promise<void> {
    const {transactions, mounts, runtime} = this.#services;
    if (place.mountPoint) throw new WeirError('Busy', `${toText(place.name)} is a mount point; unmount it`);
    const store = mounts.writable(place.mount);
    if (store.capabilities.directories) return await this.#removeMarkedDirectory(path, place, options, context);
    using _turn = await beginStoreChange(this.#services, place.mount, [place.storeKey], context.signal);
    transactions.rehearse(context, (tx, op) => removeMarker(tx, op, path, options));
    runtime.crashPoint('master.remove.store');
    await removeKey(store, place.storeKey, context.signal);
    runtime.crashPoint('master.remove.commit');
    await transactions.change(context, (tx, op) => void removeMarker(tx, op, path, {}));
  }

  /** On a store with directories the key `k/` is the directory: while it holds something it loses its marker only, and goes with the last of that. */
  async #removeMarkedDirectory(path: Path, place: Place, options: NameRemoval, context: CallContext): Promise<void> {
    const {transactions, mounts} = this.#services;
    if (await this.#isEmpty(path, context)) return await this.#removeDirectory(path, place, options, context);
    using _turn = await beginStoreChange(this.#services, place.mount, [place.storeKey], context.signal);
    transactions.rehearse(context, (tx, op) => removeMarker(tx, op, path, options));
    if (transactions.peek(reader => inodeAt(reader, place)).content?.length) await removeMarkerBytes(mounts.writable(place.mount), place.storeKey, context.signal);
    await transactions.change(context, (tx, op) => void removeMarker(tx, op, path, options));
  }

  async #isEmpty(path: Path, context: CallContext): Promise<boolean> {
    const page = await this.#services.lister.list({directory: `/${path.names.join('/')}/` as ByteString, view: 'children', limit: 1}, context);
    return page.entries.length === 0;
  }

  async #removeDirectory(path: Path, before: Place, options: NameRemoval, context: CallContext): Promise<void> {
    const {transactions, mounts, ownership, runtime, jobs} = this.#services;
    if (before.mountPoint) throw new WeirError('Busy', `${toText(before.name)} is a mount point; unmount it`);
    const {mount} = before;
    const store = mounts.writable(mount);
    if (!options.recursive && !(await this.#isEmpty(path, context))) throw new WeirError('DirectoryNotEmpty', `${toText(before.name)} is not empty`);
    using turn = await turnOfCurrent(() => [this.#placeOf(path, context).storeKey], keys => ownership.turnOfTree(formatPath(path), mount, keys, context.signal));
    const place = this.#placeOf(path, context);
    const tried = transactions.rehearse(context, (tx, op) => remove(tx, op, path, options));
    if (tried.tombstone === undefined) {
      // Under `recursive` the store may have more than we know; what is not empty there becomes a tree to follow.
      const more = options.recursive === true && (await holdsMore(store, place.storeKey, context.signal));
      if (!more) {
        runtime.crashPoint('master.remove.store');
        await removeKey(store, place.storeKey, context.signal);
        runtime.crashPoint('master.remove.commit');
        return await this.#commitRemoval(path, place, store, context);
      }
    }
    runtime.crashPoint('master.removeTree.commit');
    const commit = transactions.changeNow(context, (tx, op) => remove(tx, op, path, options));
    runtime.crashPoint('master.removeTree.committed');
    if (commit.result.tombstone === undefined) await this.#removeUnknown(store, place, commit.durable, context);
    else jobs.startRemoval(commit.result.tombstone, commit.durable);
    turn[Symbol.dispose]();
    await commit.durable;
  }

  /** A tree of which the namespace knew nothing below the top: what the store has goes in this request. */
  async #removeUnknown(store: UnderStore, {id, mount, storeKey}: Place, durable: Promise<void>, context: CallContext): Promise<void> {
    const {following, recent, jobs} = this.#services;
    using _held = holdAbove(this.#services, mount, storeKey);
    following.beginTree(id, mount, [storeKey]);
    try {
      await durable;
      await jobs.emptyPrefix(store, storeKey, context.signal);
      await pruneAbove(this.#services, store, mount, storeKey, context.signal);
    } finally {
      recent.note(mount, storeKey);
      following.endTree(id);
    }
  }
}

/** An empty last name is a directory's; else what is there tells: the directory first, as everywhere. */
function exactly(reader: Reader, {names, kind}: Path): Path {
  if (kind !== 'either') return {names, kind};
  const {place} = resolve(reader, {names, kind});
  return {names, kind: place && place.kind !== 'directory' ? 'file' : kind};
}

/** Implied directories go with the last file. */
function missingIsEmpty(error: unknown): {readonly entries: []; readonly next?: never} {
  if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
  return {entries: []};
}

/** A directory that was just made is empty, which a listing would not tell better. */
function listedNow(tx: Transaction, place: Place, at: number): Inode {
  const inode = {...inodeAt(tx, place), listedAt: at};
  writeInode(tx, inode, place.storeKey);
  return inode;
}

/** Absent is fine. */
async function removeKey(store: UnderStore, key: ByteString, signal: AbortSignal): Promise<void> {
  const [failed] = await store.remove([key], {signal});
  if (failed) throw failed.error;
}

/** The directory itself stays: it holds something. */
async function removeMarkerBytes(store: UnderStore, key: ByteString, signal: AbortSignal): Promise<void> {
  const [failed] = await store.remove([key], {signal});
  if (failed && !isKind(failed.error, 'DirectoryNotEmpty')) throw failed.error;
}
