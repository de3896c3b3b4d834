/**
 * Renames. Of a file the store follows before the answer, from a note: in one step where it renames by itself (what became of that, when
 * the process dies or the store fails, is found out by a look at it: jobs/settle-store-rename.ts), else step by step (jobs/rename-file.ts).
 * Of a tree the namespace goes first, in one commit that notes what the store has still to do; where the store renames trees itself, the answer waits for it.
 */
import {assert} from '#base/assert.ts';
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {RenamePathOptions} from '#contracts/master-api.ts';
import type {FileRename} from '#codec/namespace/intent-record.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import {removeObject, renameInStore} from '#master/jobs/move-object.ts';
import {renameFile} from '#master/jobs/rename-file.ts';
import {settleStoreRename} from '#master/jobs/settle-store-rename.ts';
import {finishStoreRename, getFileRename, noteFileRename} from '#master/namespace/file-renames.ts';
import {link} from '#master/namespace/links.ts';
import {getPersist, inheritedFrom, isUnborn, nothingThere, putPersist} from '#master/namespace/persists.ts';
import {inodeAt, type Place} from '#master/namespace/place.ts';
import {versionAt} from '#master/namespace/put-file.ts';
import {isOnlyHere} from '#master/namespace/upsert.ts';
import {forgetRelocation} from '#master/namespace/relocations.ts';
import {rename, type Renamed, type RenameOptions} from '#master/namespace/rename.ts';
import {existing, resolve, shown, whereabouts} from '#master/namespace/resolve.ts';
import type {Archived} from '#master/writes/archives.ts';
import {holdsMore} from '#master/writes/holds-more.ts';
import {pruneDirectories} from '#master/writes/prune.ts';
import type {MutationServices} from '#master/writes/version-removals.ts';
import {beginStoreChange, turnOfCurrent} from '#master/writes/store-change.ts';
import type {InodeId} from '#base/ids.ts';
import type {Commit, Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {lasting} from '#master/transactions.ts';
import {formatPath, parsePath, type Path} from '#model/path.ts';
import type {UnderStore} from '#understore/under-store.ts';

const nothing: readonly ByteString[] = [];

export class Renames {
  readonly #services: MutationServices;

  constructor(services: MutationServices) {
    this.#services = services;
  }

  rename(from: ByteString, to: ByteString, options: RenamePathOptions, context: CallContext): Promise<FileInfo> {
    const renamed = this.#rename(from, to, options, context);
    return context.request ? renamed.catch((error: unknown) => this.#finishedBehind(error, context)) : renamed;
  }

  /** While a request waited for its turn, a job may have finished what an earlier life had begun for the same one. */
  async #finishedBehind(error: unknown, context: CallContext): Promise<FileInfo> {
    const finished = await this.#services.transactions.earlier<FileInfo>(context);
    if (!finished) throw error;
    return finished.result;
  }

  async #rename(fromText: ByteString, toText_: ByteString, options: RenamePathOptions, context: CallContext): Promise<FileInfo> {
    const {transactions, loader, mounts} = this.#services;
    const earlier = await transactions.earlier<FileInfo>(context);
    if (earlier) return earlier.result;
    const from = parsePath(fromText, options.kind);
    const fresh = {askedAt: transactions.now(), signal: context.signal};
    await loader.freshen(from, fresh);
    const place = transactions.peek(reader => existing(reader, resolve(reader, from, context.principal)));
    const kind = place.kind === 'directory' ? 'directory' : 'file';
    const source: Path = {names: from.names, kind};
    const to: Path = {names: parsePath(toText_, options.kind).names, kind: parsePath(toText_, options.kind).kind === 'file' && kind === 'file' ? 'file' : kind === 'directory' ? 'directory' : 'either'};
    await loader.freshen({names: to.names, kind: options.kind === 'file' ? 'file' : 'either'}, fresh);
    if (to.names.length > 1) await loader.freshen({names: to.names.slice(0, -1), kind: 'directory'}, fresh);
    const exact: Path = {names: to.names, kind};
    const goal = transactions.peek(reader => whereabouts(reader, exact, context.principal));
    if (place.mountPoint) throw new WeirError('Busy', `${toText(fromText)} is a mount point`);
    if (goal.mount !== place.mount) throw new WeirError('CrossMount', `${toText(fromText)} and ${toText(toText_)} lie in different mounts`);
    mounts.writable(place.mount);
    const renaming: RenameOptions = {replace: options.replace, parents: options.kind === 'file' ? 'implied' : 'none', trees: 'prefix'};
    if (kind === 'directory') return await this.#renameTree(source, to, exact, {place, seen: goal.place}, renaming, context);
    return await this.#renameFile(source, to, place, renaming, context);
  }

  async #renameFile(from: Path, to: Path, place: Place, options: RenameOptions, context: CallContext): Promise<FileInfo> {
    const {transactions, mounts, archives, ownership, runtime, persister} = this.#services;
    const store = mounts.writable(place.mount);
    // Whoever writes a file beside another and renames it over that one has either, whatever happens; also without fsync.
    const [renamed, covered] = transactions.peek(reader => [fileAt(reader, from), fileAt(reader, {names: to.names, kind: 'file'})]);
    if (covered && renamed?.content && persister.isUnsynced(renamed.content.id)) await persister.sync(renamed.id);
    using hold = new DisposableStack();
    const target: Path = {names: to.names, kind: 'file'};
    const turn = () => turnOfCurrent(() => this.#keysOf(from, target), keys => ownership.turnOf(target, place.mount, keys, context.signal));
    const turnOfWhole = () => persister.turnWhenWhole(reader => fileAt(reader, from), turn, context.signal);
    hold.use(await persister.turnWhenPersisted(reader => versionAt(reader, target), turnOfWhole, context.signal));
    const [, toKey] = this.#keysOf(from, target);
    const tried = transactions.rehearse(context, (tx, op) => rename(tx, op, from, to, {...options, archived: 'lost'}));
    // Two names of one file stay both, as POSIX has it.
    if (tried.fromKey === tried.toKey) return tried.info;
    const {content: bytes, id} = tried.info.inode;
    // Of a further name the store knows nothing.
    const content = tried.further ? undefined : bytes;
    const link = tried.info.inode.kind === 'symlink' && !isOnlyHere(tried.info.inode, store.capabilities);
    let noted: Relocation | undefined;
    try {
      // Nothing in the store takes the place of what was there.
      const bare = !content && !link;
      const keeps = transactions.peek(reader => versionAt(reader, target)) !== undefined;
      const replaced = bare || keeps || archives.isOpen(target) ? await archives.archive(target, bare, context.signal, relocation => (noted = relocation), bare) : undefined;
      const rest = bare && (!replaced || replaced.content === 'lost') ? tried.replaced?.inode : undefined;
      if (rest && rest.links === undefined && !transactions.peek(reader => isUnborn(reader, rest))) await removeObject(store, toKey, context.signal);
      const committed = (): void => (noted = undefined);
      if (content?.pending) return await this.#renameUnborn(store, from, to, {toKey, replaced, committed}, options, context);
      if (!content) return await this.#renameName(store, from, to, {link, toKey, replaced, committed}, options, context);
      const paths = {fromPath: formatPath(from), toPath: formatPath({names: to.names, kind: 'file'})};
      const kept = replaced && replaced.content !== 'lost' ? {kept: {storeKey: replaced.content.storeKey, fingerprint: replaced.content.fingerprint}} : {};
      const intent: FileRename = {
        id, mount: place.mount, from: content.storeKey, to: toKey, ...paths, fingerprint: content.fingerprint, startedAt: transactions.now(), copied: false, ...kept,
        ...(context.request ? {request: context.request} : {}),
      };
      // Over what is pending it is brought to its end behind: its upload would meet bytes of which it does not know.
      const covers = transactions.peek(reader => fileAt(reader, target));
      if (store.capabilities.rename !== 'none' && !covers?.content?.pending) {
        return await this.#renameFileInStore(store, {...intent, inStore: true}, {hold, committed, covers: covers?.id, moved: replaced?.relocation}, context);
      }
      runtime.crashPoint('master.rename.note');
      await transactions.changeOwn(tx => {
        if (replaced?.relocation) forgetRelocation(tx, replaced.relocation.id);
        noteFileRename(tx, intent);
      });
      committed();
      return await this.#copyFile(store, intent, hold, context);
    } catch (error) {
      if (noted) archives.settle(noted, hold.move());
      throw error;
    }
  }

  /** In the store, of what is renamed and of where to. */
  #keysOf(from: Path, to: Path): readonly [from: ByteString, to: ByteString] {
    return this.#services.transactions.peek(reader => [existing(reader, resolve(reader, from)).storeKey, whereabouts(reader, to, undefined).storeKey]);
  }

  /** Of a name of which the store knows nothing, or a symbolic link, which it has. `committed` is called in the turn of the commit. */
  async #renameName(
    store: UnderStore, from: Path, to: Path, {link, toKey, replaced, committed}: {link: boolean; toKey: ByteString; replaced: Archived | undefined; committed: () => void}, options: RenameOptions, context: CallContext,
  ): Promise<FileInfo> {
    const {transactions, archives, runtime} = this.#services;
    runtime.crashPoint('master.rename.store');
    if (link) await store.rename(this.#keysOf(from, to)[0], toKey, {signal: context.signal});
    runtime.crashPoint('master.rename.commit');
    let vanished = nothing;
    let replacedId: InodeId | undefined;
    const commit = transactions.changeNow(context, (tx, op) => {
      archives.commit(tx, replaced);
      replacedId = fileAt(tx, {names: to.names, kind: 'file'})?.id;
      const renamed = rename(tx, op, from, to, {...options, archived: replaced?.content ?? 'lost'});
      ({vanished} = renamed);
      return renamed.info;
    });
    committed();
    this.#recheck(replacedId);
    await Promise.all([lasting(commit, context), pruneDirectories(this.#services, store, commit.result.mount, vanished, context.signal)]);
    return commit.result;
  }

  /** `covers`: what is at the target; `moved`: out of the way. `committed` is called in the turn of the commit, or when a job sees to what was moved. */
  async #renameFileInStore(
    store: UnderStore, intent: FileRename, {hold, committed, covers, moved}: {hold: DisposableStack; committed: () => void; covers: InodeId | undefined; moved: Relocation | undefined}, context: CallContext,
  ): Promise<FileInfo> {
    const {transactions, runtime} = this.#services;
    runtime.crashPoint('master.rename.note');
    // It is about the end of the process: after power loss everything is asked anew (mounts/written-mounts.ts).
    await transactions.changeSafely(tx => noteFileRename(tx, intent));
    let vanished = nothing;
    let commit: Commit<FileInfo>;
    try {
      runtime.crashPoint('master.rename.store');
      const {fingerprint} = await renameInStore(store, intent.from, intent.to, context.signal);
      runtime.crashPoint('master.rename.commit');
      commit = transactions.changeNow(context, (tx, op) => {
        const renamed = finishStoreRename(tx, op, intent, fingerprint, moved);
        ({vanished} = renamed);
        return renamed.info;
      });
    } catch (error) {
      const made = await this.#settleInStore(store, intent, {hold, committed}, context);
      if (!made) throw error;
      return made;
    }
    committed();
    this.#recheck(covers);
    await Promise.all([lasting(commit, context), pruneDirectories(this.#services, store, intent.mount, vanished, context.signal)]);
    return commit.result;
  }

  /** After a failure: what the store has done all the same is done. What it does not tell now is found out behind, and keeps the keys until then. */
  async #settleInStore(store: UnderStore, intent: FileRename, {hold, committed}: {hold: DisposableStack; committed: () => void}, {signal}: CallContext): Promise<FileInfo | undefined> {
    const {transactions, runtime, jobs, forget} = this.#services;
    let made: Pick<Renamed, 'info' | 'vanished'> | undefined;
    try {
      made = await settleStoreRename({transactions, store, id: intent.id, signal, crashPoint: name => runtime.crashPoint(name)});
    } catch (error) {
      runtime.log.warn('what became of a rename is found out behind its request, which has failed', {from: toText(intent.fromPath), to: toText(intent.toPath), error: String(error)});
      committed();
      jobs.startStoreRename(intent, hold.move());
      return undefined;
    }
    for (const key of [intent.from, intent.to]) forget(intent.mount, key);
    if (!made) return undefined;
    committed();
    await pruneDirectories(this.#services, store, intent.mount, made.vanished, signal);
    return made.info;
  }

  /** Of a file of which the store has nothing yet: it gets it under the new name. What it has there already is known with what is replaced. */
  async #renameUnborn(
    store: UnderStore, from: Path, to: Path, {toKey, replaced, committed}: {toKey: ByteString; replaced: Archived | undefined; committed: () => void}, options: RenameOptions, context: CallContext,
  ): Promise<FileInfo> {
    const {transactions, archives, runtime} = this.#services;
    const renamedMount = transactions.peek(reader => existing(reader, resolve(reader, from))).mount;
    runtime.crashPoint('master.rename.unborn');
    let vanished = nothing;
    let old: Inode | undefined;
    const commit = transactions.changeNow(context, (tx, op) => {
      old = fileAt(tx, {names: to.names, kind: 'file'});
      const inherited = archives.leavesNothing(renamedMount, replaced) ? nothingThere : inheritedFrom(tx, old, toKey, 'absent');
      archives.commit(tx, replaced);
      const renamed = rename(tx, op, from, to, {...options, archived: replaced?.content ?? 'lost', relocate: content => ({...content, storeKey: toKey})});
      ({vanished} = renamed);
      const persist = getPersist(tx, renamed.info.inode.id);
      assert(persist, `${shown(from)} is pending without a note`);
      putPersist(tx, {...persist, ...inherited});
      return renamed.info;
    });
    committed();
    // What was sent for the one that gave way is the other's to know of from now on.
    this.#recheck(old?.id);
    this.#recheck(commit.result.inode.id);
    await Promise.all([lasting(commit, context), pruneDirectories(this.#services, store, commit.result.mount, vanished, context.signal)]);
    return commit.result;
  }

  #recheck(id: InodeId | undefined): void {
    if (id !== undefined) this.#services.persister.recheck(id);
  }

  /** What cannot be finished here is finished behind, and keeps the keys until then. */
  async #copyFile(store: UnderStore, intent: FileRename, hold: DisposableStack, context: CallContext): Promise<FileInfo> {
    const {transactions, runtime, jobs, forget} = this.#services;
    const {id, mount} = intent;
    try {
      const renamed = await renameFile({transactions, store, id, signal: context.signal, crashPoint: name => runtime.crashPoint(name)}, false);
      assert(renamed, `the rename of ${toText(intent.fromPath)} was not noted`);
      await pruneDirectories(this.#services, store, mount, renamed.vanished, context.signal);
      return renamed.info;
    } catch (error) {
      if (transactions.peek(reader => getFileRename(reader, id))) {
        jobs.startRename(intent, hold.move());
        runtime.log.warn('a rename goes on behind its request, which has failed', {from: toText(intent.fromPath), to: toText(intent.toPath), error: String(error)});
      } else for (const key of [intent.from, intent.to]) forget(mount, key);
      throw error;
    }
  }

  /** A further name of a file. The store has no part in it, but others must not change it at the same time. */
  async link(fromText: ByteString, toText_: ByteString, context: CallContext): Promise<FileInfo> {
    const {transactions, loader, mounts, ownership} = this.#services;
    const earlier = await transactions.earlier<FileInfo>(context);
    if (earlier) return earlier.result;
    const [from, to] = [parsePath(fromText, 'either'), parsePath(toText_, 'file')];
    const fresh = {askedAt: transactions.now(), signal: context.signal};
    await Promise.all([loader.freshen(from, fresh), loader.freshen({names: to.names, kind: 'either'}, fresh)]);
    if (to.names.length > 1) await loader.freshen({names: to.names.slice(0, -1), kind: 'directory'}, fresh);
    const tried = transactions.rehearse(context, (tx, op) => link(tx, op, from, to));
    const goal = transactions.peek(reader => whereabouts(reader, to, context.principal));
    mounts.writable(goal.mount);
    ownership.noteLink();
    using _turn = await beginStoreChange(this.#services, goal.mount, [tried.inode.content?.storeKey ?? goal.storeKey, goal.storeKey], context.signal);
    return await transactions.change(context, (tx, op) => link(tx, op, from, to));
  }

  /** `exact`: the target, as a directory's or a file's path; `seen`: what was there when its store was asked. */
  async #renameTree(from: Path, to: Path, exact: Path, {place, seen}: {place: Place; seen: Place | undefined}, options: RenameOptions, context: CallContext): Promise<FileInfo> {
    const {transactions, mounts, lister, runtime, jobs, following} = this.#services;
    const store = mounts.writable(place.mount);
    const tree = store.capabilities.rename === 'tree';
    // A store that cannot rename trees is copied object by object; until that is done the namespace alone tells what is there.
    if (!tree) await lister.coverTree(from, context);
    else await lister.list({directory: `/${to.names.join('/')}/` as ByteString, view: 'children', limit: 1}, context).catch(ignoreMissing);
    using turn = await turnOfCurrent(() => this.#keysOf(from, exact), keys => beginStoreChange(this.#services, place.mount, keys, context.signal));
    await this.#mustBeEmpty(from, to, exact, seen, options, context);
    runtime.crashPoint('master.renameTree.commit');
    const commit = transactions.changeNow(context, (tx, op) => rename(tx, op, from, to, options));
    runtime.crashPoint('master.renameTree.committed');
    const {info, fromKey} = commit.result;
    const moving = fromKey !== commit.result.toKey && place.kind === 'directory' && jobs.startMove(info.inode.id, place.mount, fromKey, commit.result.toKey, commit.durable);
    turn[Symbol.dispose]();
    await commit.durable;
    if (moving && tree) {
      const ended = jobs.ended(info.inode.id);
      // Not for a store that goes on refusing it: then it follows behind.
      await following.quiet(place.mount, fromKey, context.signal);
      if ((await ended) === 'cancelled') throw new WeirError('Cancelled', `the rename of ${shown(from)} was cancelled`);
      return transactions.peek(reader => {
        const {place: now} = resolve(reader, to);
        return now ? {...info, inode: inodeAt(reader, now)} : info;
      });
    }
    return info;
  }

  /**
   * The directory that a tree takes the place of. Not all that it holds is known, or it has come to lie there while we waited for the turn: its store is asked.
   * Also where it has gone since it was `seen`, with the last file that was known of it.
   */
  async #mustBeEmpty(from: Path, to: Path, exact: Path, seen: Place | undefined, options: RenameOptions, context: CallContext): Promise<void> {
    const {transactions, mounts} = this.#services;
    const {mount, storeKey, place: covered = seen} = transactions.peek(reader => whereabouts(reader, exact, undefined));
    if (covered?.kind !== 'directory') return;
    const {fromKey, toKey} = transactions.rehearse(context, (tx, op) => rename(tx, op, from, to, options));
    if (fromKey !== toKey && await holdsMore(mounts.writable(mount), storeKey, context.signal)) throw new WeirError('DirectoryNotEmpty', `${shown(to)} is not empty`);
  }
}

function fileAt(reader: Reader, path: Path): Inode | undefined {
  const {place} = resolve(reader, path);
  return place && inodeAt(reader, place);
}

function ignoreMissing(error: unknown): void {
  if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
}
