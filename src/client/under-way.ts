/** Calls that are under way, by what they are about: for who must know that no more comes of them. */
export class UnderWay<Key> {
  readonly #calls = new Map<Key, Set<Promise<unknown>>>();

  /** The call itself. */
  async note<T>(key: Key, call: Promise<T>): Promise<T> {
    const calls = this.#calls.get(key) ?? new Set();
    this.#calls.set(key, calls.add(call));
    try {
      return await call;
    } finally {
      calls.delete(call);
      if (calls.size === 0 && this.#calls.get(key) === calls) this.#calls.delete(key);
    }
  }

  /** When those are done that are under way now. */
  async settled(keys: Iterable<Key>): Promise<void> {
    await Promise.allSettled(Array.from(keys).flatMap(key => [...(this.#calls.get(key) ?? [])]));
  }
}
