/**
 * Quotas as the master keeps them (namespace/quotas.ts counts). Costs nothing while no directory has one. A write is asked before its store
 * gets anything, and has its bytes set aside until it ends: so what is refused leaves nothing behind, and writes beside each other do not
 * share the same room.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {Quota} from '#codec/namespace/quota-record.ts';
import type {QuotaInfo, RoomInfo} from '#contracts/master-api.ts';
import {locate} from '#master/namespace/locate.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {countOn, getQuota, listQuotas, QuotaTransaction, quotasAbove} from '#master/namespace/quotas.ts';
import {existing, resolve, shown} from '#master/namespace/resolve.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Path} from '#model/path.ts';
import type {Log} from '#runtime/log.ts';

const inodesAtOnce = 2_000;

interface Limited extends Quota {
  readonly id: InodeId;
}

export class Quotas {
  readonly #transactions: Transactions;
  readonly #log: Log;
  readonly #known = new Set<InodeId>();
  /** Bytes of writes under way. */
  readonly #setAside = new Map<InodeId, number>();
  #counting: Promise<void> | undefined;
  #closed = false;

  constructor(transactions: Transactions, log: Log) {
    this.#transactions = transactions;
    this.#log = log;
    transactions.watch((tx, change) => {
      if (this.#known.size === 0) return change(tx);
      const watched = new QuotaTransaction(tx, this.#known);
      const result = change(watched);
      watched.settle(transactions.rehearsing);
      return result;
    });
  }

  /** At a start, and in the turn in which a quota was set or removed. */
  load(): void {
    this.#known.clear();
    for (const id of this.#transactions.peek(listQuotas)) this.#known.add(id);
    if (this.#known.size > 0) this.#counting ??= this.#count().finally(() => (this.#counting = undefined));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#counting;
  }

  get any(): boolean {
    return this.#known.size > 0;
  }

  async #count(): Promise<void> {
    try {
      for (const id of this.#known) {
        let done = false;
        while (!done && !this.#closed) await this.#transactions.changeOwn(tx => void (done = countOn(tx, id, inodesAtOnce)));
      }
    } catch (error) {
      this.#log.error('what lies below a quota could not be counted; it is at the next start', {error});
    }
  }

  /** QuotaExceeded unless the path can have so many bytes, which are set aside until disposed. Undefined where nothing was. */
  setAside(path: Path, length: number): Disposable | undefined {
    if (this.#known.size === 0) return undefined;
    const {limited, more} = this.#transactions.peek(reader => {
      const {place, parent} = resolve(reader, path);
      const inode = place && inodeAt(reader, place);
      return {limited: this.#above(reader, inode?.parent ?? parent.id), more: length - (inode?.content?.length ?? 0)};
    });
    if (limited.length === 0 || more <= 0) return undefined;
    for (const quota of limited) {
      const room = this.#room(quota);
      if (more > room) throw new WeirError('QuotaExceeded', `${shown(path)} needs ${more} bytes; its quota of ${quota.limit} bytes has room for ${Math.max(0, room)}`);
    }
    for (const {id} of limited) this.#add(id, more);
    return {[Symbol.dispose]: () => limited.forEach(({id}) => this.#add(id, -more))};
  }

  /** Of an inode: the quota that leaves it least. */
  roomOf(id: InodeId): RoomInfo | null {
    return this.#transactions.peek(reader => {
      const found = this.#known.size > 0 ? locate(reader, id) : undefined;
      const inode = found && inodeAt(reader, found.place);
      const [least] = inode ? this.#above(reader, inode.kind === 'directory' ? id : inode.parent).toSorted((a, b) => this.#room(a) - this.#room(b)) : [];
      return least ? {limit: least.limit, used: least.used, lengthMax: Math.max(0, this.#room(least)) + (inode!.content?.length ?? 0)} : null;
    });
  }

  /** Of the directory itself, or the nearest above. */
  of(path: Path): QuotaInfo | null {
    return this.#transactions.peek(reader => {
      const place = existing(reader, resolve(reader, path));
      const [nearest] = this.#above(reader, place.kind === 'directory' ? place.id : place.parent);
      if (!nearest) return null;
      const {id, limit, used, countedTo} = nearest;
      return {path: locate(reader, id)?.path ?? ('' as ByteString), limit, used, counting: countedTo !== undefined};
    });
  }

  #above(reader: Reader, directory: InodeId): Limited[] {
    return quotasAbove(reader, directory, this.#known).flatMap(id => {
      const quota = getQuota(reader, id);
      return quota ? [{...quota, id}] : [];
    });
  }

  #room({id, limit, used}: Limited): number {
    return limit - used - (this.#setAside.get(id) ?? 0);
  }

  #add(id: InodeId, bytes: number): void {
    const left = (this.#setAside.get(id) ?? 0) + bytes;
    if (left > 0) this.#setAside.set(id, left);
    else this.#setAside.delete(id);
  }
}
