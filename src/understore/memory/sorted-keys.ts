/** A set of keys in byte order. Insertion moves memory, so this is for tests and caches, not for billions. */
import type {ByteString} from '#base/byte-string.ts';

export class SortedKeys {
  readonly #keys: ByteString[] = [];

  add(key: ByteString): void {
    const at = lowerBound(this.#keys, key);
    if (this.#keys[at] === key) return;
    if (at === this.#keys.length) this.#keys.push(key);
    else this.#keys.splice(at, 0, key);
  }

  delete(key: ByteString): void {
    const at = lowerBound(this.#keys, key);
    if (this.#keys[at] === key) this.#keys.splice(at, 1);
  }

  /** The live array, ascending; not to be changed. */
  all(): readonly ByteString[] {
    return this.#keys;
  }

  /** The first key that starts with `prefix`, other than `except`. */
  firstWithPrefix(prefix: ByteString, except?: ByteString): ByteString | undefined {
    let at = lowerBound(this.#keys, prefix);
    if (this.#keys[at] === except) at++;
    const key = this.#keys[at];
    return key?.startsWith(prefix) ? key : undefined;
  }
}

/** Index of the first element ≥ `key` in an ascending array. */
export function lowerBound(keys: readonly ByteString[], key: ByteString): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
