/**
 * What has been committed and not yet applied to the state engine: the newest change of each key.
 *
 * Most changes are read by key, if at all, and are gone before anybody asks for a range. So keys are put in order only when a range wants
 * them, and leave that order late: the tree may hold keys that are gone, never the other way round once `#inOrder` has run.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {Mutation} from '#codec/journal/record.ts';
import type {KeyValue, RangeOptions} from '#metastore/metastore.ts';
import {orderedMap} from '#metastore/ordered-map.ts';

export interface Overlaid extends Mutation {
  /** 0 while its transaction runs. */
  sequence: number;
  /** The last transaction that must be durable before this value may be shown: its own, or what a relearnable one was made from. */
  waitFor: number;
}

/** Keys put in order at once when nobody has asked for a range for long, so that the next who does waits for milliseconds. */
const unsortedKeysMax = 16_384;
/** Keys that are gone and still in order, beyond as many as are there. */
const staleKeysMax = 1024;

export class Overlay {
  readonly #byKey = new Map<ByteString, Overlaid>();
  readonly #tree = orderedMap<true>();
  #unsorted: ByteString[] = [];

  get size(): number {
    return this.#byKey.size;
  }

  get(key: ByteString): Overlaid | undefined {
    // Mostly there is nothing here, and a key that was just made up would be hashed for it.
    return this.#byKey.size === 0 ? undefined : this.#byKey.get(key);
  }

  set(entry: Overlaid): void {
    const {size} = this.#byKey;
    this.#byKey.set(entry.key, entry);
    if (this.#byKey.size === size) return;
    this.#unsorted.push(entry.key);
    if (this.#unsorted.length > unsortedKeysMax) this.#inOrder();
  }

  /** Takes away what the engine has by now: each key, unless it was changed again after `sequence`. */
  settle(entries: readonly Overlaid[], sequence: number): void {
    for (const {key} of entries) {
      const entry = this.#byKey.get(key);
      if (entry && entry.sequence <= sequence) this.#byKey.delete(key);
    }
    if (this.#tree.size + this.#unsorted.length <= 2 * this.#byKey.size + staleKeysMax) return;
    this.#tree.clear();
    this.#unsorted = [...this.#byKey.keys()];
  }

  *range({from, to, reverse}: RangeOptions): Generator<Overlaid> {
    const tree = this.#inOrder();
    for (const [key] of reverse ? tree.entriesReversed(to) : tree.entries(from)) {
      if (reverse ? key < from : key >= to) return;
      if (reverse && key >= to) continue;
      const entry = this.#byKey.get(key);
      if (entry) yield entry;
    }
  }

  #inOrder() {
    for (const key of this.#unsorted) if (this.#byKey.has(key)) this.#tree.set(key, true);
    this.#unsorted = [];
    return this.#tree;
  }
}

/**
 * Two ordered sources as one; where both have a key the first wins, and its deletions hide the second's entries. `onOverlaid` hears of
 * everything of the first that was looked at, deletions too.
 */
export function* mergeRanges(
  above: Iterator<Overlaid>,
  below: Iterator<KeyValue>,
  options: Pick<RangeOptions, 'limit' | 'reverse'>,
  onOverlaid: (entry: Overlaid) => void,
): Generator<KeyValue> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  let upper = above.next();
  let lower = below.next();
  const before = options.reverse ? (a: ByteString, b: ByteString) => a > b : (a: ByteString, b: ByteString) => a < b;
  try {
    while (left > 0 && !(upper.done && lower.done)) {
      if (upper.done || (!lower.done && before(lower.value.key, upper.value.key))) {
        if (lower.done) return;
        yield lower.value;
        left--;
        lower = below.next();
        continue;
      }
      const {key, value} = upper.value;
      onOverlaid(upper.value);
      if (!lower.done && lower.value.key === key) lower = below.next();
      if (value !== null) {
        yield {key, value};
        left--;
      }
      upper = above.next();
    }
  } finally {
    below.return?.();
    above.return?.();
  }
}
