/**
 * A distant store in trouble: calls are refused, done without an answer, or not answered for long; bodies break off. A write over a
 * certain version whose sender has given up, or died, may arrive later all the same: its condition is what keeps it from doing harm.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Random} from '#blockstore/fixture.test.ts';
import type {Clock} from '#runtime/clock.ts';
import {type StoreCall, StoreLayer} from '#understore/layers/layer.ts';
import {tapBody} from '#understore/layers/tap-body.ts';
import type {StoreCallOptions, StoreRead, StoreReadRequest, StoreWrite, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';

const never = new AbortController().signal;
const stallMsMax = 60_000;
/** What may be done and not answered, without anybody coming later than the next who is answered. */
const refusals = ['Overloaded', 'Unavailable', 'Conflict'] as const;

interface Late {
  readonly dueMs: number;
  readonly arrive: () => void;
}

/** What outlives the machine of it. */
export class Trouble {
  /** How many of a hundred calls go wrong. */
  percent = 0;
  readonly random: Random;
  readonly late = new Set<Late>();
  readonly #pauses = new Set<Disposable>();

  constructor(random: Random) {
    this.random = random;
  }

  /** Until it is disposed of all goes well, but for what goes wrong already. */
  pause(): Disposable {
    const pause = {[Symbol.dispose]: () => void this.#pauses.delete(pause)};
    this.#pauses.add(pause);
    return pause;
  }

  get strikes(): boolean {
    return this.#pauses.size === 0 && this.random() * 100 < this.percent;
  }

  /** In every life: what is still to arrive does so. */
  resume(clock: Clock): void {
    this.#pauses.clear();
    for (const late of this.late) {
      clock.after(Math.max(0, late.dueMs - clock.nowMs()), () => {
        if (this.late.delete(late)) late.arrive();
      });
    }
  }
}

export class TroubledStore extends StoreLayer {
  readonly #clock: Clock;
  readonly #trouble: Trouble;

  constructor(inner: UnderStore, clock: Clock, trouble: Trouble) {
    super(inner);
    this.#clock = clock;
    this.#trouble = trouble;
  }

  protected override async around<T>(call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    const {random, strikes} = this.#trouble;
    if (!strikes || call.name === 'writeChunk' || call.name === 'abort') return await run(options);
    const roll = random();
    const what = `the store is in trouble: ${call.name} of ${call.key}`;
    if (roll < 0.4) throw new WeirError(refusals[Math.floor(random() * refusals.length)]!, `${what} is refused`);
    if (roll < 0.7) {
      await run(options);
      throw new WeirError('Unavailable', `${what} was done and not answered`);
    }
    await this.#clock.sleep(random() * stallMsMax, {signal: options.signal});
    return await run(options);
  }

  override async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    const read = await super.read(key, request, options);
    if (!this.#trouble.strikes) return read;
    const breaks = this.#trouble.random() * read.length;
    let passed = 0;
    return {...read, body: tapBody(read.body, {
      next: async (source) => {
        const result = await source.next();
        passed += result.done === true ? 0 : result.value.length;
        if (passed > breaks) throw new WeirError('Unavailable', `the store is in trouble: the body of ${key} broke off`);
        return result;
      },
    })};
  }

  override async write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite> {
    const write = await super.write(request, options);
    if (!request.condition || !('ifFingerprint' in request.condition)) return write;
    const chunks: Uint8Array[] = [];
    return {
      write: async (chunk) => {
        chunks.push(chunk.slice());
        await write.write(chunk);
      },
      finish: async () => {
        if (!this.#trouble.strikes) return await write.finish();
        await write.abort();
        this.#later(request, chunks);
        return await new Promise<never>(() => undefined);
      },
      abort: () => write.abort(),
    };
  }

  #later(request: StoreWriteRequest, chunks: readonly Uint8Array[]): void {
    const {late, random} = this.#trouble;
    const arrive = async (): Promise<void> => {
      const write = await this.inner.write(request, {signal: never});
      for (const chunk of chunks) await write.write(chunk);
      await write.finish();
    };
    const dueMs = this.#clock.nowMs() + random() * 2 * stallMsMax;
    const each = {dueMs, arrive: () => void arrive().catch(() => undefined)};
    late.add(each);
    this.#clock.after(dueMs - this.#clock.nowMs(), () => {
      if (late.delete(each)) each.arrive();
    });
  }
}
