/**
 * The bytes that fills hold in memory, all together: received from stores and neither in the block store nor taken by the last
 * reader that needs them. Who fetches ahead waits while the bound is reached; who has a hungry reader does not (see
 * flight.ts), so waiting can never go round in a circle.
 */
export class HeldBytes {
  readonly max: number;
  #held = 0;
  #peak = 0;
  readonly #waiting = new Set<() => void>();

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** The most that was ever held. */
  get peak(): number {
    return this.#peak;
  }

  get full(): boolean {
    return this.#held >= this.max;
  }

  add(bytes: number): void {
    this.#held += bytes;
    if (this.#held > this.#peak) this.#peak = this.#held;
  }

  remove(bytes: number): void {
    const wasFull = this.full;
    this.#held -= bytes;
    if (!wasFull || this.full) return;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Calls `wake` once when there is room again, unless cancelled by the result. */
  onRoom(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }
}
