/**
 * Exchanges of two names. The namespace changes in one transaction; the store, which has no such thing, follows so that nothing ever lies in
 * another's way: the bytes of files are moved aside before (writes/archives.ts) and brought to their new keys behind the commit, each by a
 * note of its own; of two directories the first steps aside behind it (jobs/move-tree.ts), which needs a store that renames trees.
 */
import {WeirError} from '#base/errors.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {settleRelocation} from '#master/jobs/settle-relocation.ts';
import type {TreeToMove} from '#master/jobs/jobs.ts';
import {exchange, type Exchanged} from '#master/namespace/exchange.ts';
import {isUnborn} from '#master/namespace/persists.ts';
import {inodeAt, writeInode} from '#master/namespace/place.ts';
import {noteRelocation} from '#master/namespace/relocations.ts';
import {existing, resolve, shown} from '#master/namespace/resolve.ts';
import type {Operation} from '#master/namespace/operation.ts';
import type {Archived} from '#master/writes/archives.ts';
import {turnOfCurrent} from '#master/writes/store-change.ts';
import type {MutationServices} from '#master/writes/version-removals.ts';
import {lasting} from '#master/transactions.ts';
import type {Commit, Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {formatPath, parsePath, type Path} from '#model/path.ts';

type Two<T> = readonly [T, T];

export class Exchanges {
  readonly #services: MutationServices;

  constructor(services: MutationServices) {
    this.#services = services;
  }

  /** Answers what was at `from`, as it is now. */
  async exchange(fromText: ByteString, toText: ByteString, context: CallContext): Promise<FileInfo> {
    const {transactions, loader, mounts, ownership, persister} = this.#services;
    const earlier = await transactions.earlier<FileInfo>(context);
    if (earlier) return earlier.result;
    const asked = [parsePath(fromText, 'either'), parsePath(toText, 'either')] as const;
    const fresh = {askedAt: transactions.now(), signal: context.signal};
    for (const path of asked) await loader.freshen(path, fresh);
    const paths = transactions.peek((reader): Two<Path> => [exactly(reader, asked[0], context), exactly(reader, asked[1], context)]);
    const tried = transactions.rehearse(context, (tx, op) => exchange(tx, op, ...paths));
    if (!tried) return transactions.peek(reader => this.#unchanged(reader, paths[0]));
    const {mount} = tried[0].info;
    const store = mounts.writable(mount);
    const trees = paths.some(({kind}) => kind === 'directory');
    if (trees && store.capabilities.rename !== 'tree') throw new WeirError('InvalidArgument', `${shown(paths[0])} and ${shown(paths[1])} cannot be exchanged: their store cannot rename directories`);
    using hold = new DisposableStack();
    hold.use(await persister.turnWhenWhole(
      reader => this.#halfPersisted(reader, paths), () => turnOfCurrent(() => this.#keysOf(paths), keys => ownership.turnOfNames(paths, mount, keys, context.signal)), context.signal,
    ));
    const noted: Relocation[] = [];
    try {
      const archived: Archived[] = [];
      for (const path of paths) archived.push(...(await this.#asideOf(path, noted, context)));
      this.#services.runtime.crashPoint('master.exchange.commit');
      const restores: Relocation[] = [];
      let moves: readonly TreeToMove[] = [];
      const commit = transactions.changeNow(context, (tx, op) => {
        for (const each of archived) this.#services.archives.commit(tx, each);
        const exchanged = exchange(tx, op, ...paths);
        if (!exchanged) throw new WeirError('Conflict', `${shown(paths[0])} and ${shown(paths[1])} are one file by now`);
        for (const each of exchanged) restores.push(...this.#bringBehind(tx, op, each, archived));
        moves = exchanged.flatMap(({place, toKey}) => (place.kind === 'directory' ? [{id: place.id, mount, from: place.storeKey, to: toKey}] : []));
        return exchanged[0].info;
      });
      noted.length = 0;
      this.#services.runtime.crashPoint('master.exchange.committed');
      await this.#follow(moves, restores, commit, hold, context);
      return commit.result;
    } catch (error) {
      const release = shared(hold, noted.length);
      for (const relocation of noted) this.#services.archives.settle(relocation, release);
      throw error;
    }
  }

  #unchanged(reader: Reader, path: Path): FileInfo {
    const place = existing(reader, resolve(reader, path));
    const inode = inodeAt(reader, place);
    return {path: formatPath(path), inode, length: inode.content?.length ?? 0, mount: place.mount};
  }

  /** Of which the store has something, but not all. */
  #halfPersisted(reader: Reader, paths: Two<Path>): Inode | undefined {
    return paths.flatMap(path => inodeOf(reader, path) ?? []).find(inode => inode.content?.pending && (inode.links !== undefined || !isUnborn(reader, inode)));
  }

  /** In the store: of both, and of where each is to be. */
  #keysOf(paths: Two<Path>): readonly ByteString[] {
    const places = this.#services.transactions.peek(reader => paths.map(path => existing(reader, resolve(reader, path))));
    const plain = places.map(({storeKey}) => (storeKey.endsWith('/') ? storeKey.slice(0, -1) : storeKey));
    const keys = places.flatMap(({kind}) => plain.map(key => (kind === 'directory' ? `${key}/` : key) as ByteString));
    return [...new Set(keys)];
  }

  /** A file's bytes out of the way; nothing for what has none in the store. */
  async #asideOf(path: Path, noted: Relocation[], {signal}: CallContext): Promise<readonly Archived[]> {
    if (path.kind === 'directory') return [];
    const archived = await this.#services.archives.archive({names: path.names, kind: 'file'}, true, signal, relocation => noted.push(relocation), true);
    if (archived?.content === 'lost') throw new WeirError('ContentChanged', `${shown(path)} is another version in its store by now`);
    return archived ? [archived] : [];
  }

  /** In the commit: what is to be brought to where a name leads now. What the store has not got at all gets there by its upload. */
  #bringBehind(tx: Transaction, op: Operation, {info, toKey, further, place}: Exchanged, archived: readonly Archived[]): readonly Relocation[] {
    const {inode} = info;
    if (place.kind === 'directory' || further || !inode.content) return [];
    const {id, fingerprint, storeKey: from, mount, pending} = inode.content;
    if (pending) writeInode(tx, {...inode, content: {...inode.content, storeKey: toKey}}, toKey);
    if (!archived.some(each => each.inode === inode.id)) return [];
    return [noteRelocation(tx, op, {kind: 'restore', inode: inode.id, content: id, mount, from, fingerprint, to: toKey, path: info.path})];
  }

  /** The names are exchanged; what the store does not do at once it does behind, and keeps others from the keys until then. */
  async #follow(moves: readonly TreeToMove[], restores: readonly Relocation[], commit: Commit<unknown>, hold: DisposableStack, context: CallContext): Promise<void> {
    const {transactions, mounts, runtime, jobs, persister} = this.#services;
    const [first, second] = moves;
    // Jobs are begun in the turn of the commit, and wait for nobody who could wait for them.
    const moving = first && second ? jobs.startExchange(first, second, commit.durable) : first && jobs.startMove(first.id, first.mount, first.from, first.to, commit.durable) && jobs.ended(first.id);
    if (first && restores.length === 0) hold.dispose();
    // The store is not touched before that, and whoever waits does not wait for others.
    if (first || restores.length > 0) await transactions.sync();
    else await lasting(commit, context);
    await moving;
    const release = shared(hold, restores.length);
    for (const relocation of restores) {
      try {
        await settleRelocation({transactions, store: mounts.writable(relocation.mount), relocation, signal: context.signal, crashPoint: name => runtime.crashPoint(name)});
        release[Symbol.dispose]();
      } catch (error) {
        runtime.log.warn('bytes of an exchanged file are brought to their key behind the answer', {error: String(error)});
        jobs.startRelocation(relocation, release);
      }
      persister.recheck(relocation.inode);
    }
  }
}

function inodeOf(reader: Reader, path: Path): Inode | undefined {
  const {place} = resolve(reader, path);
  return place && inodeAt(reader, place);
}

/** The path with the kind of what it leads to. */
function exactly(reader: Reader, path: Path, {principal}: CallContext): Path {
  return {names: path.names, kind: existing(reader, resolve(reader, path, principal)).kind === 'directory' ? 'directory' : 'file'};
}

/** What is held is let go by the last of so many. */
function shared(hold: DisposableStack, users: number): Disposable {
  const held = users > 0 ? hold.move() : undefined;
  let left = users;
  return {[Symbol.dispose]: () => void (--left === 0 && held?.dispose())};
}
