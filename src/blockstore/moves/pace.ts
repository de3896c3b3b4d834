/** A rate that moves keep to, so that they leave the disks to readers. */
import type {Clock} from '#runtime/clock.ts';

export class Pace {
  readonly #clock: Clock;
  readonly #bytesPerMs: number;
  readonly #stop = new AbortController();
  #freeAtMs = 0;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Waits until so many bytes fit; false when it was stopped. */
  async take(bytes: number): Promise<boolean> {
    const now = this.#clock.monotonicMs();
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + bytes / this.#bytesPerMs;
    try {
      await this.#clock.sleep(this.#freeAtMs - now, {signal: this.#stop.signal, unref: true});
    } catch (error) {
      if (!this.stopped) throw error;
    }
    return !this.stopped;
  }

  stop(): void {
    this.#stop.abort();
  }
}
