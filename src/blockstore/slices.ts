/**
 * Cuts long work into slices between which others get their turn: by time, since some entries cost a thousand times what others do (a part of the
 * index that doubles), and by count, since looking at the clock costs too.
 */
import type {Clock} from '#runtime/clock.ts';

const sliceMs = 3;
const looksEvery = 64;
/** Where time stands still in a turn (a simulated machine), slices end by count. */
const sliceEntriesMax = 8192;

export class Slices {
  readonly #clock: Clock;
  #count = 0;
  #endMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#endMs = clock.monotonicMs() + sliceMs;
  }

  /** Called for each entry; true when it is time for `rest`. */
  get over(): boolean {
    this.#count++;
    return this.#count % looksEvery === 0 && (this.#count >= sliceEntriesMax || this.#clock.monotonicMs() >= this.#endMs);
  }

  async rest(): Promise<void> {
    await this.#clock.yield();
    this.#count = 0;
    this.#endMs = this.#clock.monotonicMs() + sliceMs;
  }
}
