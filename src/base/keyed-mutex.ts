/**
 * One holder per key at a time, first come, first served. For ordering work that has to wait for the outside world (two
 * uploads to one key of a store); never held inside a namespace operation, which is synchronous.
 */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  /** Waits for the key's turn; the result releases it. Releasing twice is harmless. */
  async acquire(key: string): Promise<Disposable> {
    const before = this.#tails.get(key);
    const turn = this.#line(key, before);
    await before;
    return turn;
  }

  /** The same on the spot; undefined where somebody has it. */
  take(key: string): Disposable | undefined {
    return this.#tails.has(key) ? undefined : this.#line(key, undefined);
  }

  #line(key: string, before: Promise<void> | undefined): Disposable {
    const {promise, resolve} = Promise.withResolvers<void>();
    const tail = before ? before.then(() => promise) : promise;
    this.#tails.set(key, tail);
    return {
      [Symbol.dispose]: () => {
        resolve();
        if (this.#tails.get(key) === tail) this.#tails.delete(key);
      },
    };
  }

  get heldKeys(): number {
    return this.#tails.size;
  }
}
