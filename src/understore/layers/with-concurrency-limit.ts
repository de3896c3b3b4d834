/**
 * At most so many requests in flight towards a store; the others wait their turn, first come, first served, and beyond a bound
 * are refused with Overloaded. Reads and changes have places of their own, because a write lasts as long as its writer takes:
 * slow uploads must not keep readers out. A read holds its place until its body has ended, a write until it is finished or aborted.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {StoreLayer, type StoreCall} from '#understore/layers/layer.ts';
import {tapBody} from '#understore/layers/tap-body.ts';
import type {StoreCallOptions, StoreRead, StoreReadRequest, StoreWrite, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';

export interface ConcurrencyOptions {
  /** Of reads, and of changes. */
  readonly inFlightMax: number;
  readonly waitingMax: number;
}

export const defaultConcurrency: ConcurrencyOptions = {inFlightMax: 128, waitingMax: 10_000};

const readingCalls = new Set<StoreCall['name']>(['stat', 'read', 'list', 'openLocal']);

class Places {
  readonly #options: ConcurrencyOptions;
  /** In the order of arrival. A Set, so that one that gives up leaves at once. */
  readonly #waiting = new Set<() => void>();
  #inFlight = 0;

  constructor(options: ConcurrencyOptions) {
    this.#options = options;
  }

  async enter(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#inFlight < this.#options.inFlightMax) {
      this.#inFlight++;
      return;
    }
    if (this.#waiting.size >= this.#options.waitingMax) throw new WeirError('Overloaded', `${this.#waiting.size} requests are waiting for this store already`);
    const {promise, resolve, reject} = Promise.withResolvers<void>();
    const leaveQueue = (): void => {
      if (this.#waiting.delete(resolve)) reject(signal.reason);
    };
    this.#waiting.add(resolve);
    signal.addEventListener('abort', leaveQueue, {once: true});
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', leaveQueue);
    }
  }

  /** Hands the place to the first in the queue, if there is one. */
  leave(): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      next();
      return;
    }
    this.#inFlight--;
  }
}

class ConcurrencyLayer extends StoreLayer {
  readonly #reading: Places;
  readonly #changing: Places;

  constructor(inner: UnderStore, options: ConcurrencyOptions) {
    super(inner);
    this.#reading = new Places(options);
    this.#changing = new Places(options);
  }

  protected override async around<T>(call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    const places = readingCalls.has(call.name) ? this.#reading : this.#changing;
    await places.enter(options.signal);
    try {
      return await run(options);
    } finally {
      places.leave();
    }
  }

  override async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    await this.#reading.enter(options.signal);
    try {
      const read = await this.inner.read(key, request, options);
      return {...read, body: tapBody(read.body, {done: () => this.#reading.leave()})};
    } catch (error) {
      this.#reading.leave();
      throw error;
    }
  }

  override async write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite> {
    await this.#changing.enter(options.signal);
    let held = true;
    const release = (): void => {
      if (held) this.#changing.leave();
      held = false;
    };
    try {
      const write = await this.inner.write(request, options);
      return {
        ...write,
        finish: () => write.finish().finally(release),
        abort: () => write.abort().finally(release),
      };
    } catch (error) {
      release();
      throw error;
    }
  }
}

export function withConcurrencyLimit(inner: UnderStore, options: ConcurrencyOptions = defaultConcurrency): UnderStore {
  return new ConcurrencyLayer(inner, options);
}
