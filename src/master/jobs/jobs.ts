/**
 * Jobs: what stores have still to do after the namespace has changed: follow the rename of a tree, lose a removed one. Each
 * is journaled by the change that caused it and goes on after a crash. A job that fails tries again, later and later, and
 * never gives up by itself; people see it in listJobs.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {FileRename, MoveIntent, Tombstone} from '#codec/namespace/intent-record.ts';
import type {JobInfo} from '#contracts/master-api.ts';
import {emptyPrefix} from '#master/jobs/empty-prefix.ts';
import {renameFile} from '#master/jobs/rename-file.ts';
import {settleRelocation} from '#master/jobs/settle-relocation.ts';
import {moveTree} from '#master/jobs/move-tree.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {forgetFileRename, getFileRename, listFileRenames} from '#master/namespace/file-renames.ts';
import {locate} from '#master/namespace/locate.ts';
import {forgetRelocation, listRelocations} from '#master/namespace/relocations.ts';
import {listMoves} from '#master/namespace/moves.ts';
import {forgetTombstone, listTombstones, reapTombstone} from '#master/namespace/tombstones.ts';
import type {Transactions} from '#master/transactions.ts';
import {holdAbove, pruneAbove} from '#master/writes/prune.ts';
import {type StoreChangeServices, takeUpStoreChange} from '#master/writes/store-change.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {UnderStore} from '#understore/under-store.ts';

export interface JobServices extends StoreChangeServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  /** Nothing that was learned about keys with this prefix is believed any more. */
  readonly forget: (mount: MountId, prefix: ByteString) => void;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>;
}

const jobsAtOnce = 4;
const recordsAtOnce = 1_000;
const backoffMinMs = 500;
const backoffMaxMs = 60_000;

const settled = Promise.resolve();

interface Job {
  info: JobInfo;
  readonly ended: Promise<void>;
}

export class Jobs {
  readonly #services: JobServices;
  readonly #jobs = new Map<InodeId, Job>();
  readonly #stop = new AbortController();
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(services: JobServices) {
    this.#services = services;
  }

  /** Takes up what an earlier life has left. Before anything is served. */
  resume(): void {
    const {transactions} = this.#services;
    for (const move of transactions.peek(listMoves)) {
      const to = transactions.peek(reader => this.#keyByNames(move, locate(reader, move.id)?.path));
      if (to !== undefined) this.startMove(move.id, move.mount, move.from, to);
    }
    for (const {id} of transactions.peek(listTombstones)) this.startRemoval(id);
    for (const intent of transactions.peek(listFileRenames)) {
      this.startRename(intent, takeUpStoreChange(this.#services, intent.mount, [intent.from, intent.to]));
    }
    for (const relocation of transactions.peek(listRelocations)) {
      const {kind, from, to} = relocation;
      this.startRelocation(relocation, takeUpStoreChange(this.#services, relocation.mount, [kind === 'archive' ? from : to]));
    }
  }

  /** Brings a noted rename of a file to its end. `hold` keeps others from its keys, and is disposed of then. */
  startRename({id, mount, from, to, fromPath, toPath}: FileRename, hold: Disposable): void {
    const {transactions, mounts, runtime, forget} = this.#services;
    this.#start(id, {kind: 'move', path: toPath}, async signal => {
      if (mounts.has(mount)) {
        const crashPoint = (name: string): void => runtime.crashPoint(name);
        await renameFile({transactions, store: mounts.get(mount), id, signal, crashPoint}, true).catch((error: unknown) => {
          if (transactions.peek(reader => getFileRename(reader, id))) throw error;
          for (const key of [from, to]) forget(mount, key);
          runtime.log.warn('a rename was given up, because the store refused it', {from: toText(fromPath), to: toText(toPath), error: String(error)});
        });
      } else await transactions.changeOwn(tx => forgetFileRename(tx, id));
    }, () => hold[Symbol.dispose]());
  }

  /** Settles bytes on their way to or from a place among old versions. `hold` as in startRename. */
  startRelocation(relocation: Relocation, hold: Disposable, durable: Promise<void> = settled): void {
    const {transactions, mounts, runtime} = this.#services;
    const {id, mount, path} = relocation;
    this.#start(id as InodeId, {kind: 'move', path}, async signal => {
      await durable;
      if (!mounts.has(mount)) return await transactions.changeOwn(tx => forgetRelocation(tx, id));
      await settleRelocation({transactions, store: mounts.get(mount), relocation, signal, crashPoint: name => runtime.crashPoint(name)});
    }, () => hold[Symbol.dispose]());
  }

  /** In the turn of the commit that noted the move; the store is not touched before that is `durable`. */
  startMove(id: InodeId, mount: MountId, from: ByteString, to: ByteString, durable: Promise<void> = settled): true {
    const {transactions, following, mounts, runtime} = this.#services;
    following.beginTree(id, mount, [from, to]);
    const move = transactions.peek(listMoves).find(each => each.id === id);
    const {path} = transactions.peek(reader => locate(reader, id)) ?? {path: from};
    if (move) {
      const held = this.#jobs.has(id) ? undefined : holdAbove(this.#services, mount, from);
      this.#start(id, {kind: 'move', path}, async (signal, progress) => {
        await durable;
        const store = mounts.get(mount);
        const prune = async (): Promise<void> => pruneAbove(this.#services, store, mount, from, signal);
        await moveTree({transactions, store, move, to, signal, progress, prune, crashPoint: name => runtime.crashPoint(name)});
      }, () => this.#endTree(id, mount, [from, to], held));
    } else following.endTree(id);
    return true;
  }

  /** In the turn of the commit that removed the tree; the store is not touched before that is `durable`. */
  startRemoval(id: InodeId, durable: Promise<void> = settled): void {
    const {transactions, following, mounts} = this.#services;
    const tombstone = transactions.peek(listTombstones).find(each => each.id === id);
    if (!tombstone) return;
    const {mount, storePrefix, path} = tombstone;
    const unmounted = !mounts.has(mount);
    const held = unmounted || this.#jobs.has(id) ? undefined : holdAbove(this.#services, mount, storePrefix);
    if (!unmounted) following.beginTree(id, mount, [storePrefix]);
    this.#start(id, {kind: 'remove', path}, async (signal, progress) => {
      await durable;
      await this.#remove(tombstone, unmounted, signal, progress);
    }, () => this.#endTree(id, mount, [storePrefix], held));
  }

  #endTree(id: InodeId, mount: MountId, prefixes: readonly ByteString[], held: Disposable | undefined): void {
    held?.[Symbol.dispose]();
    for (const prefix of prefixes) this.#services.recent.note(mount, prefix);
    this.#services.following.endTree(id);
  }

  async #remove({id, mount, storePrefix}: Tombstone, unmounted: boolean, signal: AbortSignal, progress: (count: number) => void): Promise<void> {
    const {transactions, mounts, runtime} = this.#services;
    while (!(await transactions.changeOwn(tx => reapTombstone(tx, id, recordsAtOnce)))) {
      signal.throwIfAborted();
      runtime.crashPoint('master.removeTree.reaped');
    }
    if (!unmounted) {
      const store = mounts.get(mount);
      await this.emptyPrefix(store, storePrefix, signal, progress);
      await pruneAbove(this.#services, store, mount, storePrefix, signal);
    }
    runtime.crashPoint('master.removeTree.forget');
    await transactions.changeOwn(tx => {
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
    return Array.from(this.#jobs.values(), ({info}) => info);
  }

  /** The store has to follow what the namespace says already: there is no way back that loses nothing. */
  cancel(id: number): never {
    const job = this.#jobs.get(id as InodeId);
    if (!job) throw new WeirError('NotFound', `there is no job ${id}`);
    throw new WeirError('Unsupported', `a ${job.info.kind} cannot be cancelled: the namespace shows it done, and the store has to follow`);
  }

  async ended(id: InodeId): Promise<void> {
    await this.#jobs.get(id)?.ended;
  }

  async close(): Promise<void> {
    this.#stop.abort(new WeirError('Cancelled', 'this process is ending'));
    for (const go of this.#waiting.splice(0)) go();
    await Promise.all(Array.from(this.#jobs.values(), job => job.ended));
  }

  /** `end`: in the turn in which the job is done. */
  #start(id: InodeId, what: Pick<JobInfo, 'kind' | 'path'>, run: (signal: AbortSignal, progress: (count: number) => void) => Promise<void>, end: () => void): void {
    if (this.#jobs.has(id)) return;
    const info: JobInfo = {id, ...what, state: 'waiting', done: 0, startedAt: this.#services.transactions.now()};
    const job: {info: JobInfo; ended: Promise<void>} = {info, ended: Promise.resolve()};
    this.#jobs.set(id, job);
    job.ended = this.#run(job, run).then(done => {
      if (!done) return;
      this.#jobs.delete(id);
      end();
    });
  }

  /** True when it is done, false when this process ends before. */
  async #run(job: {info: JobInfo}, run: (signal: AbortSignal, progress: (count: number) => void) => Promise<void>): Promise<boolean> {
    const {clock, log} = this.#services.runtime;
    const {signal} = this.#stop;
    for (let backoff = backoffMinMs; !signal.aborted; backoff = Math.min(backoff * 2, backoffMaxMs)) {
      await this.#enter();
      try {
        if (signal.aborted) break;
        job.info = {...job.info, state: 'running'};
        await run(signal, count => {
          job.info = {...job.info, done: job.info.done + count};
        });
        return true;
      } catch (error) {
        if (signal.aborted) break;
        const lastError = error instanceof Error ? error.message : String(error);
        job.info = {...job.info, state: 'failed', lastError};
        log.warn('a job failed and will be tried again', {job: job.info.id, kind: job.info.kind, path: toText(job.info.path), error: lastError, retryMs: backoff});
      } finally {
        this.#leave();
      }
      await clock.sleep(backoff, {signal, unref: true}).catch(() => undefined);
    }
    return false;
  }

  async #enter(): Promise<void> {
    if (this.#running < jobsAtOnce) this.#running++;
    else await new Promise<void>(resolve => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running--;
  }

  #keyByNames({mount, from}: MoveIntent, path: ByteString | undefined): ByteString | undefined {
    if (path === undefined) return from;
    const {mounts} = this.#services;
    return mounts.has(mount) ? (path.slice(mounts.mount(mount).path.length) as ByteString) : undefined;
  }
}
