/** Memory for parts that are on their way: so many bytes for all writers of a store together, first come, first served. */
export class ByteBudget {
  readonly #max: number;
  readonly #waiting: {bytes: number; grant: () => void}[] = [];
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Waits for room; more than the whole budget is granted when nothing else is. The result gives it back, once. */
  async take(bytes: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && this.#fits(bytes)) this.#used += bytes;
    else await this.#wait(bytes, signal);
    let held = true;
    return () => {
      if (held) this.#used -= bytes;
      held = false;
      this.#grantNext();
    };
  }

  get usedBytes(): number {
    return this.#used;
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#max;
  }

  async #wait(bytes: number, signal: AbortSignal): Promise<void> {
    const {promise, resolve, reject} = Promise.withResolvers<void>();
    const entry = {bytes, grant: resolve};
    const giveUp = (): void => {
      const at = this.#waiting.indexOf(entry);
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      reject(signal.reason);
      this.#grantNext();
    };
    this.#waiting.push(entry);
    signal.addEventListener('abort', giveUp, {once: true});
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  #grantNext(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#used += next.bytes;
      next.grant();
    }
  }
}
