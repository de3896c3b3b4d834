/**
 * Tells the caches which contents nothing refers to any more, behind the commits that dropped them, once those are durable. The note of a
 * content goes only after the caches have let go, so a crash repeats and forgets nothing.
 */
import type {ContentId} from '#base/ids.ts';
import {removeObject} from '#master/jobs/move-object.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {forgetGarbage, listGarbage} from '#master/namespace/garbage.ts';
import {forgetParts} from '#master/namespace/uploads.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Runtime} from '#runtime/runtime.ts';

const contentsAtOnce = 1_000;
const partsAtOnce = 500;
/** Commits follow each other; their garbage is told together. */
const gatherMs = 200;
const retryMs = 5_000;

export type OnContentDropped = (contents: readonly ContentId[]) => Promise<void> | void;

export class GarbageCollector {
  readonly #transactions: Transactions;
  readonly #mounts: MountTable;
  readonly #runtime: Pick<Runtime, 'clock' | 'log'>;
  readonly #dropped: OnContentDropped;
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;
  #wanted = false;
  #running: Promise<void> | undefined;

  constructor(transactions: Transactions, mounts: MountTable, runtime: Pick<Runtime, 'clock' | 'log'>, dropped: OnContentDropped) {
    this.#transactions = transactions;
    this.#mounts = mounts;
    this.#runtime = runtime;
    this.#dropped = dropped;
  }

  /** Something may have been dropped. */
  soon(delayMs = gatherMs): void {
    this.#wanted = true;
    if (this.#timer || this.#running || this.#stop.signal.aborted) return;
    this.#timer = this.#runtime.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#wanted = false;
      this.#running = this.#collect().then(
        more => this.#again(more ? 0 : undefined),
        (error: unknown) => {
          if (!this.#stop.signal.aborted) this.#runtime.log.warn('contents could not be dropped from the caches', {error: String(error)});
          this.#again(retryMs);
        },
      );
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
    if (!this.#running) return;
    // It waits for the log.
    await this.#transactions.sync().catch(() => undefined);
    await this.#running;
  }

  #again(delayMs: number | undefined): void {
    this.#running = undefined;
    if (delayMs !== undefined || this.#wanted) this.soon(delayMs);
  }

  async #forgetParts(upload: string): Promise<void> {
    for (let more = true; more; ) await this.#transactions.changeQuietly(tx => void (more = forgetParts(tx, upload, partsAtOnce)));
  }

  /** True when there may be more. */
  async #collect(): Promise<boolean> {
    const garbage = this.#transactions.peek(reader => listGarbage(reader, contentsAtOnce));
    if (garbage.length === 0) return false;
    const contents = garbage.map(each => each.content);
    // What power loss takes back still has its bytes.
    await this.#transactions.eventually();
    await this.#dropped(contents);
    for (const {stored} of garbage) if (stored && this.#mounts.has(stored.mount)) await removeObject(this.#mounts.get(stored.mount), stored.storeKey, this.#stop.signal);
    for (const {upload} of garbage) if (upload !== undefined) await this.#forgetParts(upload);
    await this.#transactions.changeQuietly(tx => forgetGarbage(tx, contents));
    return true;
  }
}
