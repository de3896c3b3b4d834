/**
 * Bad days on order, for tests: rules fail, delay or cut the calls that they match, before or after the store has done them.
 * `faults.add(...)` while the store is in use; rules are tried in the order in which they were added, the first that matches is used.
 */
import type {ByteString} from '#base/byte-string.ts';
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Clock} from '#runtime/clock.ts';
import {StoreLayer, type StoreCall, type StoreCallName} from '#understore/layers/layer.ts';
import {tapBody} from '#understore/layers/tap-body.ts';
import type {StoreCallOptions, StoreRead, StoreReadRequest, UnderStore} from '#understore/under-store.ts';

export interface FaultRule {
  /** Absent: every call. */
  readonly call?: StoreCallName;
  /** Absent: every key. */
  readonly key?: ByteString;
  /** Lets so many matching calls pass first (default 0): 2 hits the third. */
  readonly skip?: number;
  /** How many calls it hits (default 1). */
  readonly times?: number;
  /** Waits first. */
  readonly delayMs?: number;
  /** The call fails with this and the store never hears of it. */
  readonly error?: () => Error;
  /** The store does what was asked, but the answer is this: the outcome that callers cannot know. */
  readonly errorAfter?: () => Error;
  /** The body breaks off with Unavailable after so many bytes. */
  readonly breakBodyAt?: number;
  /** The body ends after so many bytes as if that were all: a lying store. */
  readonly endBodyAt?: number;
  /** When so many bytes of the body have passed, this runs, and is waited for, before the next chunk: change the object half way. */
  readonly atByte?: {readonly bytes: number; readonly run: () => void | Promise<void>};
}

export class Faults {
  readonly #rules: {rule: FaultRule; seen: number}[] = [];
  /** Calls that were hit, since the beginning. */
  hits = 0;

  add(rule: FaultRule): Disposable {
    const entry = {rule, seen: 0};
    this.#rules.push(entry);
    return {
      [Symbol.dispose]: () => {
        const at = this.#rules.indexOf(entry);
        if (at !== -1) this.#rules.splice(at, 1);
      },
    };
  }

  clear(): void {
    this.#rules.length = 0;
  }

  /** The rule for this call, counted. */
  next(call: StoreCall): FaultRule | undefined {
    for (const entry of this.#rules) {
      const {rule} = entry;
      if ((rule.call !== undefined && rule.call !== call.name) || (rule.key !== undefined && rule.key !== call.key)) continue;
      const number = entry.seen++ - (rule.skip ?? 0);
      if (number < 0 || number >= (rule.times ?? 1)) continue;
      this.hits++;
      return rule;
    }
    return undefined;
  }
}

class FaultLayer extends StoreLayer {
  readonly #faults: Faults;
  readonly #clock: Pick<Clock, 'sleep'>;

  constructor(inner: UnderStore, clock: Pick<Clock, 'sleep'>, faults: Faults) {
    super(inner);
    this.#faults = faults;
    this.#clock = clock;
  }

  protected override around<T>(call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    return this.#apply(this.#faults.next(call), options, run);
  }

  override async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    const rule = this.#faults.next({name: 'read', key});
    const read = await this.#apply(rule, options, o => this.inner.read(key, request, o));
    return rule ? {...read, body: faultyBody(read.body, rule, key)} : read;
  }

  async #apply<T>(rule: FaultRule | undefined, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    if (!rule) return await run(options);
    if (rule.delayMs !== undefined) await this.#clock.sleep(rule.delayMs, {signal: options.signal});
    if (rule.error) throw rule.error();
    const result = await run(options);
    if (rule.errorAfter) throw rule.errorAfter();
    return result;
  }
}

function faultyBody(body: AsyncIterable<Uint8Array>, rule: FaultRule, key: ByteString): AsyncIterable<Uint8Array> {
  const limit = rule.breakBodyAt ?? rule.endBodyAt ?? Number.POSITIVE_INFINITY;
  let passed = 0;
  let ran = false;
  let over = false;
  return tapBody(body, {
    next: async source => {
      if (rule.atByte && !ran && passed >= rule.atByte.bytes) {
        ran = true;
        await rule.atByte.run();
      }
      if (over || passed >= limit) {
        if (rule.breakBodyAt !== undefined) throw new WeirError('Unavailable', `${toText(key)}: the body broke off after ${passed} bytes`);
        await source.return?.();
        return {done: true, value: undefined};
      }
      const result = await source.next();
      if (result.done) return result;
      const value = result.value.subarray(0, limit - passed);
      over = value.length < result.value.length;
      passed += value.length;
      return {done: false, value};
    },
  });
}

/** `inner` with the faults that are added to `faults`. */
export function withFaults(inner: UnderStore, clock: Pick<Clock, 'sleep'>, faults: Faults): UnderStore {
  return new FaultLayer(inner, clock, faults);
}
