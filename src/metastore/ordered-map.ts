/** A map ordered by byte keys (a B+ tree, copied on write when cloned). */
import sortedBtree from 'sorted-btree';
import type {ByteString} from '#base/byte-string.ts';

export type OrderedMap<V> = sortedBtree.default<ByteString, V>;

export function orderedMap<V>(): OrderedMap<V> {
  return new sortedBtree.default<ByteString, V>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
