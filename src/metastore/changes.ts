/** The writes of one running transaction, over what the store holds: seen by the transaction itself, and by nobody else before it is committed. */
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import {keyBytesMax} from '#metastore/engine.ts';
import type {KeyValue, RangeOptions, Reader, RecallKey, Transaction} from '#metastore/metastore.ts';
import {type OrderedMap, orderedMap} from '#metastore/ordered-map.ts';
import {mergeRanges, type Overlaid} from '#metastore/overlay.ts';
import type {Recollections} from '#metastore/recollections.ts';

export class Changes implements Transaction {
  readonly #store: Reader;
  readonly #values = new Map<ByteString, Overlaid>();
  /** The same in key order, from the first range on: most transactions ask for none, and one that asks for many must not sort each time. */
  #ordered: OrderedMap<Overlaid> | undefined;
  readonly #recollections: Recollections | undefined;
  /** What others have kept may not be so after what was written here. */
  #apart = false;

  constructor(store: Reader, recollections: Recollections | undefined) {
    this.#store = store;
    this.#recollections = recollections;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: ByteString): Uint8Array | undefined {
    const own = this.#values.get(key);
    if (own) return own.value ?? undefined;
    return this.#store.get(key);
  }

  look(key: ByteString): Uint8Array | undefined {
    const own = this.#values.get(key);
    return own ? (own.value ?? undefined) : this.#store.look(key);
  }

  range(options: RangeOptions): Iterable<KeyValue> {
    if (this.#values.size === 0) return this.#store.range(options);
    // A copy: the transaction may write while it reads on.
    const own: Overlaid[] = [];
    for (const entry of this.#inOrder().values(options.from)) {
      if (entry.key >= options.to) break;
      own.push(entry);
    }
    if (options.reverse) own.reverse();
    const {limit: _limit, ...bounds} = options;
    return mergeRanges(own[Symbol.iterator](), this.#store.range(bounds)[Symbol.iterator](), options, () => undefined);
  }

  recall(key: RecallKey): unknown {
    return this.#apart ? undefined : this.#store.recall(key);
  }

  keep(key: RecallKey, found: unknown): void {
    if (!this.#apart) this.#store.keep(key, found);
  }

  put(key: ByteString, value: Uint8Array): void {
    assert(key.length > 0 && key.length <= keyBytesMax && key.charCodeAt(0) !== 0, 'a key has 1 to 1900 bytes and does not begin with NUL');
    this.#set({key, value, sequence: 0, waitFor: 0});
  }

  delete(key: ByteString): void {
    this.#set({key, value: null, sequence: 0, waitFor: 0});
  }

  #set(mutation: Overlaid): void {
    this.#apart ||= this.#recollections?.concerns(mutation.key, mutation.value) ?? false;
    this.#values.set(mutation.key, mutation);
    this.#ordered?.set(mutation.key, mutation);
  }

  #inOrder(): OrderedMap<Overlaid> {
    if (!this.#ordered) {
      this.#ordered = orderedMap();
      for (const [key, value] of this.#values) this.#ordered.set(key, value);
    }
    return this.#ordered;
  }

  mutations(): Overlaid[] {
    return [...this.#values.values()];
  }
}
