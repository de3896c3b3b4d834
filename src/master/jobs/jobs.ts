/**
 * Jobs: what stores have still to do after the namespace has changed: follow the rename of a tree, lose a removed one. Each
 * is journaled by the change that caused it and goes on after a crash. A job that fails tries again, later and later, and
 * never gives up by itself; people see it in listJobs.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {FileRename, MoveIntent} from '#codec/namespace/intent-record.ts';
import type {JobInfo} from '#contracts/administration.ts';
import {emptyPrefix} from '#master/jobs/empty-prefix.ts';
import {type JobOutcome, JobRunner, type JobWork} from '#master/jobs/job-runner.ts';
import {renameFile, withdrawRename} from '#master/jobs/rename-file.ts';
import {settlePublication} from '#master/jobs/settle-publication.ts';
import {settleStoreRename} from '#master/jobs/settle-store-rename.ts';
import {settleRelocation} from '#master/jobs/settle-relocation.ts';
import {asidePlace, exchangeTrees, moveTree} from '#master/jobs/move-tree.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {forgetFileRename, getFileRename, listFileRenames, replacedBy} from '#master/namespace/file-renames.ts';
import {forgetPublication, listPublications} from '#master/namespace/publications.ts';
import {locate} from '#master/namespace/locate.ts';
import {forgetRelocation, listRelocations} from '#master/namespace/relocations.ts';
import {finishMove, listMoves} from '#master/namespace/moves.ts';
import {forgetTombstone, listTombstones, reapTombstone} from '#master/namespace/tombstones.ts';
import type {Transactions} from '#master/transactions.ts';
import {holdAbove, pruneAbove, pruneDirectories} from '#master/writes/prune.ts';
import {type StoreChangeServices, takeUpStoreChange} from '#master/writes/store-change.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';

export interface JobServices extends StoreChangeServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  /** Nothing that was learned about keys with this prefix is believed any more. */
  readonly forget: (mount: MountId, prefix: ByteString) => void;
  /** A tree of which not all may be known lies at this prefix now. */
  readonly arrived: (mount: MountId, prefix: ByteString) => void;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>;
}

/** A renamed directory: where its store has it, and where its name says that it is to be. */
export interface TreeToMove {
  readonly id: InodeId;
  readonly mount: MountId;
  readonly from: ByteString;
  readonly to: ByteString;
}

const recordsAtOnce = 1_000;
/** Who cancels a job wants to see what the store has: also in the listings above, and of directories that have gone with a tree. */
const wholeMount = '' as ByteString;

const settled = Promise.resolve();
/** How long a start may ask stores what became of renames. */
const settleMsMax = 5_000;

export class Jobs {
  readonly #services: JobServices;
  readonly #runner: JobRunner;

  constructor(services: JobServices) {
    this.#services = services;
    this.#runner = new JobRunner(services.runtime);
  }

  /**
   * Finds out what became of renames that stores make by themselves, so that nothing of the end of the life before shows when answers begin. What
   * a store does not tell in time `resume` leaves to a job, which keeps others from the keys.
   */
  async settleRenames(): Promise<void> {
    const {transactions, mounts, runtime} = this.#services;
    const stop = new AbortController();
    using _stop = runtime.clock.after(settleMsMax, () => stop.abort(new WeirError('Timeout', 'the store takes too long')));
    for (const intent of transactions.peek(listFileRenames)) {
      if (!intent.inStore || !mounts.isOpen(intent.mount)) continue;
      await this.#settleRename(intent, stop.signal).catch((error: unknown) => {
        runtime.log.warn('what became of a rename is not known yet', {from: toText(intent.fromPath), to: toText(intent.toPath), error: String(error)});
      });
    }
  }

  /** The same of contents that stores were about to get. What a store does not tell in time is found in it later, as a file that somebody else has put there. */
  async settlePublications(): Promise<void> {
    const {transactions, mounts, runtime} = this.#services;
    const stop = new AbortController();
    using _stop = runtime.clock.after(settleMsMax, () => stop.abort(new WeirError('Timeout', 'the store takes too long')));
    for (const publication of transactions.peek(listPublications)) {
      const {id, mount} = publication;
      const settled = mounts.isOpen(mount) ? settlePublication({transactions, store: mounts.get(mount), signal: stop.signal}, publication) : Promise.reject(new WeirError('Unavailable', 'the store is not open'));
      await settled.catch(async (error: unknown) => {
        runtime.log.warn('whether a store has got what was written when the last process ended is not known', {inode: id, error: String(error)});
        await transactions.changeOwn(tx => forgetPublication(tx, id));
      });
    }
  }

  async #settleRename({id, mount}: FileRename, signal: AbortSignal): Promise<void> {
    const {transactions, mounts, runtime} = this.#services;
    const store = mounts.get(mount);
    const renamed = await settleStoreRename({transactions, store, id, signal, crashPoint: name => runtime.crashPoint(name)});
    if (renamed) await pruneDirectories(this.#services, store, mount, renamed.vanished, signal);
  }

  /** Takes up what an earlier life has left. Before anything is served. */
  resume(): void {
    const {transactions} = this.#services;
    const moves = transactions.peek(listMoves).flatMap(move => {
      const to = transactions.peek(reader => this.#keyByNames(move, locate(reader, move.id)?.path));
      return to === undefined ? [] : [{...move, to}];
    });
    for (const move of moves) {
      const partner = moves.find(({mount, from}) => mount === move.mount && from === move.to);
      // Of two that were exchanged, the one that must wait is named first.
      if (partner && partner.id !== move.id && !(partner.to === move.from && partner.id < move.id)) void this.startExchange(move, partner);
      else if (!moves.some(({mount, to}) => mount === move.mount && to === move.from)) this.startMove(move.id, move.mount, move.from, move.to);
    }
    for (const {id} of transactions.peek(listTombstones)) this.startRemoval(id);
    const renames = transactions.peek(listFileRenames);
    for (const intent of renames) {
      const hold = takeUpStoreChange(this.#services, intent.mount, [intent.from, intent.to]);
      if (intent.inStore) this.startStoreRename(intent, hold);
      else this.startRename(intent, hold);
    }
    const waiting = new Set(renames.map(intent => transactions.peek(reader => replacedBy(reader, intent))?.id));
    for (const relocation of transactions.peek(listRelocations)) {
      if (waiting.has(relocation.id)) continue;
      const {kind, from, to} = relocation;
      this.startRelocation(relocation, takeUpStoreChange(this.#services, relocation.mount, kind === 'archive' ? [from] : [from, to]));
    }
  }

  /** Brings a noted rename of a file to its end. `hold` keeps others from its keys, and is disposed of then. */
  startRename({id, mount, from, to, fromPath, toPath}: FileRename, hold: Disposable): void {
    const {transactions, mounts, runtime, forget} = this.#services;
    const run = async (signal: AbortSignal): Promise<void> => {
      if (mounts.has(mount)) {
        const crashPoint = (name: string): void => runtime.crashPoint(name);
        await renameFile({transactions, store: mounts.get(mount), id, signal, crashPoint}, true).catch((error: unknown) => {
          if (transactions.peek(reader => getFileRename(reader, id))) throw error;
          for (const key of [from, to]) forget(mount, key);
          runtime.log.warn('a rename was given up, because the store refused it', {from: toText(fromPath), to: toText(toPath), error: String(error)});
        });
      } else await transactions.changeOwn(tx => forgetFileRename(tx, id));
    };
    const abandon = async (): Promise<void> => {
      const intent = transactions.peek(reader => getFileRename(reader, id));
      const signal = new AbortController().signal;
      if (intent && !intent.copied && mounts.has(mount)) await withdrawRename({transactions, store: mounts.get(mount), id, signal}, intent);
      else await transactions.changeOwn(tx => forgetFileRename(tx, id));
      forget(mount, wholeMount);
    };
    this.#runner.start(id, {kind: 'move', path: toPath, run, abandon, end: () => hold[Symbol.dispose]()});
  }

  /** Finds out what became of a noted rename that the store makes by itself; then of what it was to replace. `hold` as in startRename. */
  startStoreRename(intent: FileRename, hold: Disposable): void {
    const {transactions, mounts, forget} = this.#services;
    const {id, mount, from, to, toPath} = intent;
    const run = async (signal: AbortSignal): Promise<void> => {
      if (mounts.has(mount)) await this.#settleRename(intent, signal);
      else await transactions.changeOwn(tx => forgetFileRename(tx, id));
    };
    const end = (): void => {
      for (const key of [from, to]) forget(mount, key);
      const replaced = transactions.peek(reader => replacedBy(reader, intent));
      if (replaced) this.startRelocation(replaced, hold);
      else hold[Symbol.dispose]();
    };
    this.#runner.start(id, {kind: 'move', path: toPath, run, end});
  }

  /** Settles bytes on their way to or from a place among old versions. `hold` as in startRename. */
  startRelocation(relocation: Relocation, hold: Disposable, durable: Promise<void> = settled): void {
    const {transactions, mounts, runtime} = this.#services;
    const {id, mount, path} = relocation;
    const run = async (signal: AbortSignal): Promise<void> => {
      await durable;
      if (!mounts.has(mount)) return await transactions.changeOwn(tx => forgetRelocation(tx, id));
      await settleRelocation({transactions, store: mounts.get(mount), relocation, signal, crashPoint: name => runtime.crashPoint(name)});
    };
    this.#runner.start(id, {kind: 'move', path, run, end: () => hold[Symbol.dispose]()});
  }

  /** In the turn of the commit that noted the move; the store is not touched before that is `durable`. */
  startMove(id: InodeId, mount: MountId, from: ByteString, to: ByteString, durable: Promise<void> = settled): true {
    const {transactions, following, mounts, runtime, forget, arrived} = this.#services;
    const unloaded = mounts.has(mount) && mounts.get(mount).capabilities.rename === 'tree';
    following.beginTree(id, mount, [from, to], unloaded);
    const move = transactions.peek(listMoves).find(each => each.id === id);
    const {path} = transactions.peek(reader => locate(reader, id)) ?? {path: from};
    if (move) {
      const held = this.#runner.has(id) ? undefined : holdAbove(this.#services, mount, from);
      const run: JobWork['run'] = async (signal, progress) => {
        await durable;
        const store = mounts.get(mount);
        const prune = async (): Promise<void> => pruneAbove(this.#services, store, mount, from, signal);
        await moveTree({transactions, store, move, to, signal, progress, prune, crashPoint: name => runtime.crashPoint(name)});
      };
      const abandon = async (): Promise<void> => {
        await transactions.changeOwn(tx => finishMove(tx, id));
        forget(mount, wholeMount);
      };
      const end = (): void => {
        if (unloaded) arrived(mount, to);
        this.#endTree(id, mount, [from, to], held);
      };
      this.#runner.start(id, {kind: 'move', path, run, abandon, end, ...this.#told([id])});
    } else following.endTree(id);
    return true;
  }

  /** The same of two trees that were exchanged; answered when both are where their names say. It cannot stop half way. */
  startExchange(first: TreeToMove, second: TreeToMove, durable: Promise<void> = settled): Promise<JobOutcome | undefined> {
    const {transactions, following, mounts, runtime, forget} = this.#services;
    const {mount, id} = first;
    const both = [first, second];
    const prefixes = [first.from, first.to, asidePlace(id)];
    for (const each of both) following.beginTree(each.id, mount, prefixes, true);
    const moves = transactions.peek(listMoves);
    const run: JobWork['run'] = async (signal, progress) => {
      await durable;
      const work = {transactions, store: mounts.get(mount), signal, progress, prune: async () => undefined, crashPoint: (name: string) => runtime.crashPoint(name)};
      const [one, other] = both.map(tree => ({...work, to: tree.to, move: moves.find(each => each.id === tree.id) ?? {...tree, startedAt: 0}}));
      await exchangeTrees(one!, other!);
    };
    const end = (): void => {
      for (const prefix of prefixes) forget(mount, prefix);
      for (const each of both) this.#endTree(each.id, mount, prefixes, undefined);
    };
    const {path} = transactions.peek(reader => locate(reader, id)) ?? {path: first.to};
    this.#runner.start(id, {kind: 'move', path, run, end, ...this.#told(both.map(each => each.id))});
    return this.#runner.ended(id);
  }

  /** In the turn of the commit that removed the tree; the store is not touched before that is `durable`. */
  startRemoval(id: InodeId, durable: Promise<void> = settled): void {
    const {transactions, following, mounts, forget} = this.#services;
    const tombstone = transactions.peek(listTombstones).find(each => each.id === id);
    if (!tombstone) return;
    const {mount, storePrefix, path} = tombstone;
    const unmounted = !mounts.has(mount);
    const held = unmounted || this.#runner.has(id) ? undefined : holdAbove(this.#services, mount, storePrefix);
    if (!unmounted) following.beginTree(id, mount, [storePrefix]);
    const run: JobWork['run'] = async (signal, progress) => {
      await durable;
      await this.#reap(id, {signal, told: !unmounted});
      if (!unmounted) {
        const store = mounts.get(mount);
        await this.emptyPrefix(store, storePrefix, signal, progress);
        await pruneAbove(this.#services, store, mount, storePrefix, signal);
      }
      await this.#forgetTree(id);
    };
    // The records of what was removed go all the same; what the store has still is found there anew.
    const abandon = async (): Promise<void> => {
      await this.#reap(id, {told: false});
      await this.#forgetTree(id);
      forget(mount, wholeMount);
    };
    this.#runner.start(id, {kind: 'remove', path, run, abandon, end: () => this.#endTree(id, mount, [storePrefix], held), ...this.#told([id])});
  }

  /** Who waits for these trees hears how it goes. */
  #told(ids: readonly InodeId[]): Required<Pick<JobWork, 'failed' | 'progressed'>> {
    const {following} = this.#services;
    return {failed: message => ids.forEach(id => following.failed(id, message)), progressed: () => ids.forEach(id => following.progressed(id))};
  }

  #endTree(id: InodeId, mount: MountId, prefixes: readonly ByteString[], held: Disposable | undefined): void {
    held?.[Symbol.dispose]();
    for (const prefix of prefixes) this.#services.recent.note(mount, prefix);
    this.#services.following.endTree(id);
  }

  /** `told`: that the files are gone; not of what is only not mounted any more. */
  async #reap(id: InodeId, {signal, told}: {readonly signal?: AbortSignal; readonly told: boolean}): Promise<void> {
    const {transactions, runtime} = this.#services;
    while (!(await transactions.changeOwn((tx, op) => reapTombstone(tx, id, recordsAtOnce, told ? op : undefined), recordsAtOnce))) {
      signal?.throwIfAborted();
      runtime.crashPoint('master.removeTree.reaped');
    }
  }

  async #forgetTree(id: InodeId): Promise<void> {
    this.#services.runtime.crashPoint('master.removeTree.forget');
    await this.#services.transactions.changeOwn(tx => {
      forgetTombstone(tx, id);
    });
  }

  async emptyPrefix(store: UnderStore, prefix: ByteString, signal: AbortSignal, progress: (count: number) => void = () => undefined): Promise<void> {
    await emptyPrefix(store, prefix, signal, count => {
      progress(count);
      this.#services.runtime.crashPoint('master.removeTree.emptied');
    });
  }

  list(): JobInfo[] {
    return this.#runner.list();
  }

  /**
   * Stops a job where it stands, and for good: from then on the namespace is what the store has. What a move has not brought
   * to the new name is found by the old one again (an object just under way by both), and what a removal has left is there
   * again. NotFound, Unsupported (bytes on their way to or from old versions).
   */
  async cancel(id: number): Promise<void> {
    await this.#runner.cancel(id);
  }

  async ended(id: InodeId): Promise<JobOutcome | undefined> {
    return await this.#runner.ended(id);
  }

  async close(): Promise<void> {
    await this.#runner.close();
  }

  #keyByNames({mount, from}: MoveIntent, path: ByteString | undefined): ByteString | undefined {
    if (path === undefined) return from;
    const {mounts} = this.#services;
    return mounts.has(mount) ? (path.slice(mounts.mount(mount).path.length) as ByteString) : undefined;
  }
}
