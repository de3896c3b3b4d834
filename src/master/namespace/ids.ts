/**
 * Ids that never repeat, also not after a crash: a batch is reserved in the metastore before any of it is given out.
 *
 * The reservation must be a transaction of its own, before the one that uses the ids: if it shared a transaction that then
 * fails, the reservation would be undone while this object believes in it. In the log it precedes every use, so whatever
 * survives a crash survives behind its reservation.
 */
import {assert} from '#base/assert.ts';
import {decodeNextId, encodeNextId} from '#codec/namespace/usage-record.ts';
import {idsKey} from '#codec/namespace/keys.ts';
import type {Metastore} from '#metastore/metastore.ts';

/** Ids below are for what is known by its number (the root). */
const firstId = 1024;
/** One log record in so many ids; a crash wastes at most so many. */
const batchIds = 65_536;

export class IdAllocator {
  #next = 0;
  #end = 0;
  #durableEnd = 0;

  /** Sees to it that `count` ids can be taken without waiting. Call before each transaction that takes ids, never within one. */
  ensure(metastore: Pick<Metastore, 'transact'>, count = 64): void {
    if (this.#end - this.#next >= count) return;
    const wanted = Math.max(batchIds, count);
    const {result: first, durable} = metastore.transact((tx) => {
      const stored = tx.get(idsKey);
      const from = stored ? decodeNextId(stored) : firstId;
      tx.put(idsKey, encodeNextId(from + wanted));
      return from;
    });
    if (this.#end !== first) this.#next = first;
    const end = (this.#end = first + wanted);
    durable.then(
      () => (this.#durableEnd = end),
      () => undefined,
    );
  }

  /**
   * True when not even power loss can take back the reservation of the ids that come next. Before that, an id must not be used for anything
   * that may be kept elsewhere (bytes in a cache) while its own transaction is lost: it would be given out again.
   */
  get durable(): boolean {
    return this.#durableEnd === this.#end;
  }

  /** The one that is given out next: neither this one nor any above it is known to anybody. */
  get upcoming(): number {
    return this.#next;
  }

  /** How many ids can be taken before the next `ensure`. */
  get available(): number {
    return this.#end - this.#next;
  }

  next<Id extends number>(): Id {
    assert(this.#next < this.#end, 'ids are taken that were not reserved: call ensure first');
    return this.#next++ as Id;
  }
}
