/**
 * Which mounts' stores were changed since the last orderly end. After a crash a store may have seen a change whose commit is
 * lost; where nothing is ever asked again (`immutable`, or a long maxAge) that would stay wrong. So a mount is marked, durably,
 * before the first change of its store in a life, and what was known of marked mounts before a crash is asked again.
 */
import type {MountId} from '#base/ids.ts';
import {idOfKey, writtenKey, writtenTable} from '#codec/namespace/keys.ts';
import type {Transactions} from '#master/transactions.ts';

const noValue = new Uint8Array(0);

export class WrittenMounts {
  readonly #transactions: Transactions;
  readonly #marked = new Map<MountId, Promise<void>>();

  constructor(transactions: Transactions) {
    this.#transactions = transactions;
  }

  /** Mounts that were being written when the last life ended without saying so. They stay marked. */
  load(): MountId[] {
    const left = this.#transactions.peek(reader => Array.from(reader.range(writtenTable), ({key}) => idOfKey(key) as MountId));
    for (const mount of left) this.#marked.set(mount, Promise.resolve());
    return left;
  }

  /** Before a mount's store is changed. */
  async mark(mount: MountId): Promise<void> {
    let marked = this.#marked.get(mount);
    if (!marked) {
      marked = this.#transactions.changeOwn(tx => {
        tx.put(writtenKey(mount), noValue);
      });
      this.#marked.set(mount, marked);
      marked.catch(() => this.#marked.delete(mount));
    }
    await marked;
  }

  /** The orderly end: every change of a store has been committed, or is a job's that goes on. */
  async clear(): Promise<void> {
    const mounts = [...this.#marked.keys()];
    this.#marked.clear();
    if (mounts.length === 0) return;
    await this.#transactions.changeOwn(tx => {
      for (const mount of mounts) tx.delete(writtenKey(mount));
    });
  }
}
