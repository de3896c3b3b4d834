/**
 * Directories that a mount has made and that a store on this machine has, but may lose with the power: whoever made them did not wait for its disk.
 * Each is noted in the commit that shows it, so where the commit lasts and the directory does not, the next life makes it anew. The note goes
 * when the store's directory lasts, which is seen to behind.
 */
import type {InodeId} from '#base/ids.ts';
import {idOfKey, madeKey, madeTable} from '#codec/namespace/keys.ts';
import type {Following} from '#master/jobs/following.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {locate} from '#master/namespace/locate.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface MadeDirectoriesServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly following: Pick<Following, 'busy'>;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>;
}

/** Most are written to meanwhile, and last by that. */
const delayMs = 5_000;
const atOnce = 16;
const noValue = new Uint8Array(0);

export class MadeDirectories {
  readonly #services: MadeDirectoriesServices;
  readonly #stop = new AbortController();
  /** Of an earlier life, its store may not have it: it is made there. */
  readonly #noted = new Map<InodeId, 'made' | 'left'>();
  #timer: Disposable | undefined;
  #running: Promise<void> | undefined;

  constructor(services: MadeDirectoriesServices) {
    this.#services = services;
  }

  /** In the transaction that shows it. */
  note(tx: Transaction, id: InodeId): void {
    tx.put(madeKey(id), noValue);
  }

  /** It was noted, and that is committed. */
  made(id: InodeId): void {
    this.#noted.set(id, 'made');
    this.#later();
  }

  /** Makes anew what the power has taken; before anything is asked of stores, and behind the jobs that an earlier life has left. */
  async recover(): Promise<void> {
    const {transactions, runtime} = this.#services;
    for (const {key} of transactions.peek(reader => Array.from(reader.range(madeTable)))) this.#noted.set(idOfKey(key) as InodeId, 'left');
    if (this.#noted.size === 0) return;
    runtime.crashPoint('master.madeDirectories.recover');
    await this.#settle();
    this.#later();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
    await this.#running;
  }

  #later(): void {
    if (this.#timer || this.#running || this.#noted.size === 0 || this.#stop.signal.aborted) return;
    this.#timer = this.#services.runtime.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#running = this.#settle().then(() => {
        this.#running = undefined;
        this.#later();
      });
    });
  }

  /** What is being moved, or fails, stays noted. */
  async #settle(): Promise<void> {
    const {transactions, runtime} = this.#services;
    const waiting = [...this.#noted.keys()];
    for (let at = 0; at < waiting.length && !this.#stop.signal.aborted; at += atOnce) {
      const group = waiting.slice(at, at + atOnce);
      const settled = await Promise.all(group.map(id => this.#settleOne(id).catch((error: unknown) => {
        if (!this.#stop.signal.aborted) runtime.log.warn('a directory that was made may not last in its store yet; it is seen to again', {inode: id, error: String(error)});
        return false;
      })));
      const done = group.filter((_, i) => settled[i]);
      for (const id of done) this.#noted.delete(id);
      runtime.crashPoint('master.madeDirectories.settled');
      if (done.length > 0) transactions.changeLater(tx => done.forEach(id => tx.delete(madeKey(id))));
    }
  }

  async #settleOne(id: InodeId): Promise<boolean> {
    const {transactions, mounts, following} = this.#services;
    const place = transactions.peek(reader => locate(reader, id))?.place;
    if (!place || !mounts.has(place.mount)) return true;
    if (following.busy(place.mount, place.storeKey)) return false;
    const [store, {signal}] = [mounts.get(place.mount), this.#stop];
    if (this.#noted.get(id) === 'left') await store.makeDirectory(place.storeKey, {signal});
    else await store.stat(place.storeKey, {signal, lasting: true});
    return true;
  }
}
