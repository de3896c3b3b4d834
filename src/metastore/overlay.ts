/** What has been committed and not yet applied to the state engine: the newest value of each changed key, in key order. */
import type {ByteString} from '#base/byte-string.ts';
import type {KeyValue, RangeOptions} from '#metastore/metastore.ts';
import {orderedMap} from '#metastore/ordered-map.ts';

export interface Overlaid {
  /** null: deleted. */
  readonly value: Uint8Array | null;
  readonly sequence: number;
}

export class Overlay {
  readonly #tree = orderedMap<Overlaid>();
  /** Point reads are most reads: a hash beats a walk down the tree. */
  readonly #byKey = new Map<ByteString, Overlaid>();

  get size(): number {
    return this.#byKey.size;
  }

  get(key: ByteString): Overlaid | undefined {
    return this.#byKey.get(key);
  }

  set(key: ByteString, entry: Overlaid): void {
    this.#byKey.set(key, entry);
    this.#tree.set(key, entry);
  }

  /** Takes away what the engine has by now: the key, unless it was changed again after `sequence`. */
  settle(key: ByteString, sequence: number): void {
    const entry = this.#byKey.get(key);
    if (!entry || entry.sequence > sequence) return;
    this.#byKey.delete(key);
    this.#tree.delete(key);
  }

  *range({from, to, reverse}: RangeOptions): Generator<[ByteString, Overlaid]> {
    if (reverse) {
      for (const [key, entry] of this.#tree.entriesReversed(to)) {
        if (key >= to) continue;
        if (key < from) return;
        yield [key, entry];
      }
      return;
    }
    for (const [key, entry] of this.#tree.entries(from)) {
      if (key >= to) return;
      yield [key, entry];
    }
  }
}

/**
 * Two ordered sources as one; where both have a key the first wins, and its deletions hide the second's entries. `onOverlaid` hears of
 * everything of the first that was looked at, deletions too.
 */
export function* mergeRanges(
  above: Iterator<[ByteString, Overlaid]>,
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
      if (upper.done || (!lower.done && before(lower.value.key, upper.value[0]))) {
        if (lower.done) return;
        yield lower.value;
        left--;
        lower = below.next();
        continue;
      }
      const [key, entry] = upper.value;
      onOverlaid(entry);
      if (!lower.done && lower.value.key === key) lower = below.next();
      if (entry.value !== null) {
        yield {key, value: entry.value};
        left--;
      }
      upper = above.next();
    }
  } finally {
    below.return?.();
    above.return?.();
  }
}
