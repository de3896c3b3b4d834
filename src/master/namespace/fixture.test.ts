/** A namespace in memory for the tests of this folder: a sorted array for a metastore, a clock that counts, and counted reads. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId} from '#base/ids.ts';
import {isDirectoryRow} from '#codec/namespace/directory-rows.ts';
import {IdAllocator} from '#master/namespace/ids.ts';
import {initialiseNamespace} from '#master/namespace/mounts.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {rootMountId} from '#master/namespace/place.ts';
import type {Commit, KeyValue, RangeOptions, RecallKey, Transaction} from '#metastore/metastore.ts';
import {Recollections} from '#metastore/recollections.ts';
import type {Content} from '#model/content.ts';
import {defaultFreshness, type Mount} from '#model/mount.ts';
import {parsePath, type Path, type PathKind} from '#model/path.ts';
import type {Principal} from '#contracts/context.ts';

export const bytes = (text: string): ByteString => text as ByteString;
export const path = (text: string, kind: PathKind = 'file'): Path => parsePath(bytes(text), kind);

export const homeMount: Mount = {
  id: rootMountId, path: bytes('/'), uri: 'file:///home', options: {}, readOnly: false, freshness: defaultFreshness, writeType: 'CACHE_THROUGH', createdAt: 0,
};

/** Rolls back by copying: simple, and enough here. */
export class FixtureStore implements Transaction {
  keys: ByteString[] = [];
  values = new Map<ByteString, Uint8Array>();
  /** Rows read and writes made since the last reset. */
  reads = 0;
  writes = 0;

  readonly #looked = Buffer.alloc(64 * 1024);
  #recollections = new Recollections(isDirectoryRow);

  #index(key: ByteString): number {
    let low = 0;
    for (let high = this.keys.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** In a buffer that the next look overwrites, as the real one's is. */
  look(key: ByteString): Uint8Array | undefined {
    const value = this.get(key);
    if (!value) return undefined;
    this.#looked.set(value);
    return this.#looked.subarray(0, value.length);
  }

  get(key: ByteString): Uint8Array | undefined {
    this.reads++;
    return this.values.get(key);
  }

  *range({from, to, limit = Infinity, reverse}: RangeOptions): Generator<KeyValue> {
    const first = this.#index(from);
    const end = this.#index(to);
    const count = Math.min(limit, end - first);
    this.reads++;
    const keys = reverse ? this.keys.slice(end - count, end).reverse() : this.keys.slice(first, first + count);
    for (const key of keys) {
      this.reads++;
      yield {key, value: this.values.get(key)!};
    }
  }

  recall(key: RecallKey): unknown {
    return this.#recollections.get(key)?.found;
  }

  keep(key: RecallKey, found: unknown): void {
    this.#recollections.keep(key, found, 0);
  }

  put(key: ByteString, value: Uint8Array): void {
    this.writes++;
    this.#recollections.written([{key, value}]);
    if (!this.values.has(key)) this.keys.splice(this.#index(key), 0, key);
    this.values.set(key, value);
  }

  delete(key: ByteString): void {
    this.writes++;
    this.#recollections.written([{key, value: null}]);
    if (this.values.delete(key)) this.keys.splice(this.#index(key), 1);
  }

  transact<T>(fn: (tx: Transaction) => T): Commit<T> {
    const keys = this.keys.slice();
    const values = new Map(this.values);
    try {
      return {result: fn(this), sequence: 0, safe: Promise.resolve(), durable: Promise.resolve(), eventually: Promise.resolve()};
    } catch (error) {
      this.keys = keys;
      this.values = values;
      this.#recollections = new Recollections(isDirectoryRow);
      throw error;
    }
  }
}

export class Fixture {
  readonly store = new FixtureStore();
  readonly ids = new IdAllocator();
  /** Milliseconds; each operation takes one second. */
  nowMs = 1_000_000;
  #content = 1;

  constructor() {
    this.run((tx, op) => initialiseNamespace(tx, op, homeMount));
  }

  run<T>(fn: (tx: Transaction, op: Operation) => T, principal?: Principal): T {
    this.ids.ensure(this.store, 10_000);
    this.nowMs += 1000;
    return this.store.transact((tx) => fn(tx, {now: BigInt(this.nowMs) * 1_000_000n, ids: this.ids, principal})).result;
  }

  /** Without the cost of being able to roll back. */
  runFast<T>(fn: (tx: Transaction, op: Operation) => T): T {
    this.ids.ensure(this.store, 10_000);
    this.nowMs += 1000;
    return fn(this.store, {now: BigInt(this.nowMs) * 1_000_000n, ids: this.ids});
  }

  /** A new content whose ETag is `mark`. */
  content(storeKey: string, mark = 'mark', length = 10): Content {
    return {
      id: (1e9 + this.#content++) as ContentId, length, mount: rootMountId, storeKey: bytes(storeKey), fingerprint: mark, etag: mark, checksums: {}, metadata: {},
      committedAt: BigInt(this.nowMs) * 1_000_000n,
    };
  }
}
