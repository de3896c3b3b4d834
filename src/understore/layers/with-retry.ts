/**
 * Sends failed calls again, with growing, jittered pauses, as long as the retry budget of the store lasts: when most calls
 * fail, sending each several times is what keeps a struggling store down.
 *
 * Only calls whose repetition cannot hurt are sent again: those that change nothing, or end in the same state. Where the
 * outcome of a failed call may be unknown (a completion whose answer was lost), only refusals that say that nothing was done
 * are retried. Bodies are never repeated: neither the half-read one of a read, nor the one of a write.
 */
import {isKind, type ErrorKind} from '#base/errors.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Random} from '#runtime/random.ts';
import {StoreLayer, type StoreCall, type StoreCallName} from '#understore/layers/layer.ts';
import type {StoreCallOptions, UnderStore} from '#understore/under-store.ts';

export interface RetryOptions {
  readonly attemptsMax: number;
  /** The first pause is between 0 and this; each later one up to twice as long. */
  readonly baseMs: number;
  readonly pauseMsMax: number;
  /** Retries that may be spent before successes have earned new ones. */
  readonly budget: number;
}

export const defaultRetry: RetryOptions = {attemptsMax: 5, baseMs: 50, pauseMsMax: 5000, budget: 100};

/** What a success gives back to the budget: in the long run at most one call in ten is a retry. */
const earnedPerSuccess = 0.1;

/** The store said that it did nothing. */
const refusals: readonly ErrorKind[] = ['Overloaded', 'Conflict', 'Busy'];
/** It may have been done or not. */
const interruptions: readonly ErrorKind[] = ['Unavailable', 'Timeout', 'Io'];

const safety: Record<StoreCallName, 'repeatable' | 'after refusal' | 'never'> = {
  stat: 'repeatable', read: 'repeatable', list: 'repeatable', remove: 'repeatable', makeDirectory: 'repeatable', abortUpload: 'repeatable', openLocal: 'repeatable',
  write: 'repeatable', copy: 'repeatable', copyPart: 'repeatable', createUpload: 'after refusal', completeUpload: 'after refusal', rename: 'after refusal',
  uploadPart: 'never', writeTogether: 'never', writeChunk: 'never', finish: 'never', abort: 'never',
};

class RetryLayer extends StoreLayer {
  readonly #options: RetryOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  #budget: number;

  constructor(inner: UnderStore, clock: Clock, random: Random, options: RetryOptions) {
    super(inner);
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#budget = options.budget;
  }

  protected override async around<T>(call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        const result = await run(options);
        this.#budget = Math.min(this.#options.budget, this.#budget + earnedPerSuccess);
        return result;
      } catch (error) {
        if (attempt >= this.#options.attemptsMax || this.#budget < 1 || options.signal.aborted || !mayRepeat(call.name, error)) throw error;
        this.#budget--;
      }
      const ceiling = Math.min(this.#options.pauseMsMax, this.#options.baseMs * 2 ** (attempt - 1));
      await this.#clock.sleep(this.#random.number() * ceiling, {signal: options.signal});
    }
  }
}

function mayRepeat(name: StoreCallName, error: unknown): boolean {
  if (safety[name] === 'never') return false;
  return isKind(error, ...refusals) || (safety[name] === 'repeatable' && isKind(error, ...interruptions));
}

export function withRetry(inner: UnderStore, clock: Clock, random: Random, options: RetryOptions = defaultRetry): UnderStore {
  return new RetryLayer(inner, clock, random, options);
}
