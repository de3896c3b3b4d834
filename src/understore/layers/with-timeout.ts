/**
 * No call waits forever. A call fails with Timeout when its answer takes too long, and a body when no chunk comes for too
 * long; the receiver's own slowness is not counted. The store below is told by its signal, and not waited for.
 */
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {KiB} from '#base/units.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {Clock} from '#runtime/clock.ts';
import {StoreLayer, type StoreCall} from '#understore/layers/layer.ts';
import {tapBody} from '#understore/layers/tap-body.ts';
import type {StoreCallOptions, StoreRead, StoreReadRequest, UnderStore} from '#understore/under-store.ts';

export interface TimeoutOptions {
  /** Until an answer begins. */
  readonly callMs: number;
  /** Between two chunks of a body. */
  readonly idleMs: number;
  /** For calls that make the store assemble or copy what may be large. */
  readonly longCallMs: number;
}

export const defaultTimeout: TimeoutOptions = {callMs: 30_000, idleMs: 30_000, longCallMs: 300_000};

/** Calls below which nobody is told by a signal of their own: what a write goes on doing after one of them is bound to the caller's signal. */
const ofWrites = new Set<StoreCall['name']>(['write', 'writeTogether', 'writeChunk', 'finish', 'abort']);

/** Calls that carry bytes get as much longer as this rate needs. */
const uploadBytesPerSecondMin = 64 * KiB;

const longCalls = new Set<StoreCall['name']>(['finish', 'writeTogether', 'copy', 'rename', 'completeUpload', 'remove']);

class TimeoutLayer extends StoreLayer {
  readonly #clock: Clock;
  readonly #options: TimeoutOptions;

  constructor(inner: UnderStore, clock: Clock, options: TimeoutOptions) {
    super(inner);
    this.#clock = clock;
    this.#options = options;
  }

  protected override async around<T>(call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    const limit = (longCalls.has(call.name) ? this.#options.longCallMs : this.#options.callMs) + ((call.length ?? 0) / uploadBytesPerSecondMin) * 1000;
    const what = (): string => `${call.name} of ${toText(call.key)}`;
    if (ofWrites.has(call.name)) return await this.#within(limit, undefined, () => run(options), what);
    const own = new AbortController();
    return await this.#within(limit, own, () => run({signal: AbortSignal.any([options.signal, own.signal])}), what);
  }

  override async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    const own = new AbortController();
    const signal = AbortSignal.any([options.signal, own.signal]);
    const what = (): string => `read of ${toText(key)}`;
    const read = await this.#within(this.#options.callMs, own, () => this.inner.read(key, request, {signal}), what);
    const watch = new IdleWatch(this.#clock, this.#options.idleMs, tell => this.#late(this.#options.idleMs, own, `${what()}, in its body,`, tell));
    return {...read, body: tapBody(read.body, {next: source => watch.next(source), done: () => watch.stop()})};
  }

  /** Tells who waited too long, and then the store below. */
  #late(limitMs: number, own: AbortController | undefined, what: string, tell: (error: Error) => void): void {
    const error = new WeirError('Timeout', `${what} had no answer from the store for ${Math.round(limitMs)} ms`);
    tell(error);
    own?.abort(error);
  }

  async #within<T>(limitMs: number, own: AbortController | undefined, run: () => Promise<T>, what: () => string): Promise<T> {
    const {promise: late, reject} = Promise.withResolvers<never>();
    const timer = this.#clock.after(limitMs, () => this.#late(limitMs, own, what(), reject));
    try {
      return await Promise.race([run(), late]);
    } finally {
      timer[Symbol.dispose]();
    }
  }
}

/** Between the chunks of one body: one timer now and then, rather than one for each of thousands of chunks. */
class IdleWatch {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #late: (tell: (error: Error) => void) => void;
  /** Since when the receiver waits; undefined while it does not. */
  #since: number | undefined;
  #timer: Disposable | undefined;
  #fail: (error: Error) => void = () => {};

  constructor(clock: Clock, limitMs: number, late: (tell: (error: Error) => void) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#late = late;
  }

  next(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array, unknown>> {
    return new Promise((resolve, reject) => {
      this.#since = this.#clock.monotonicMs();
      this.#fail = reject;
      this.#timer ??= this.#clock.after(this.#limitMs, this.#check);
      source.next().then(result => {
        this.#since = undefined;
        resolve(result);
      }, reject);
    });
  }

  stop(): void {
    this.#since = undefined;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }

  readonly #check = (): void => {
    this.#timer = undefined;
    if (this.#since === undefined) return;
    const leftMs = this.#limitMs - (this.#clock.monotonicMs() - this.#since);
    if (leftMs > 0) this.#timer = this.#clock.after(leftMs, this.#check);
    else this.#late(this.#fail);
  };
}

export function withTimeout(inner: UnderStore, clock: Clock, options: TimeoutOptions = defaultTimeout): UnderStore {
  return new TimeoutLayer(inner, clock, options);
}
