/** Keeps the bytes of all bodies from and to a store below a rate: a token bucket each for reading and writing. */
import type {ByteString} from '#base/byte-string.ts';
import type {WeirError} from '#base/errors.ts';
import {KiB} from '#base/units.ts';
import type {Clock} from '#runtime/clock.ts';
import {StoreLayer} from '#understore/layers/layer.ts';
import {tapBody} from '#understore/layers/tap-body.ts';
import type {SmallWrite, StoreCallOptions, StoreObject, StorePart, StoreWrite, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';

export interface BandwidthOptions {
  /** Bytes a second; absent: no limit. */
  readonly readBytesPerSecond?: number;
  readonly writeBytesPerSecond?: number;
}

/** Time whose share of bytes may pass at once after a pause. */
const burstMs = 100;
const burstBytesMin = 64 * KiB;

/** Whoever takes more than there is leaves a debt, and waits until it would be paid; later takers wait behind. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledAt: number;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perMs = perSecond / 1000;
    this.#burst = Math.max(burstBytesMin, this.#perMs * burstMs);
    this.#tokens = this.#burst;
    this.#filledAt = clock.monotonicMs();
  }

  async take(count: number, signal: AbortSignal): Promise<void> {
    const now = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#perMs);
    this.#filledAt = now;
    this.#tokens -= count;
    if (this.#tokens < 0) await this.#clock.sleep(-this.#tokens / this.#perMs, {signal});
  }
}

class BandwidthLayer extends StoreLayer {
  readonly #reading: TokenBucket | undefined;
  readonly #writing: TokenBucket | undefined;

  constructor(inner: UnderStore, clock: Clock, options: BandwidthOptions) {
    super(inner);
    this.#reading = options.readBytesPerSecond === undefined ? undefined : new TokenBucket(clock, options.readBytesPerSecond);
    this.#writing = options.writeBytesPerSecond === undefined ? undefined : new TokenBucket(clock, options.writeBytesPerSecond);
  }

  protected override body(body: AsyncIterable<Uint8Array>, options: StoreCallOptions): AsyncIterable<Uint8Array> {
    const bucket = this.#reading;
    return bucket ? tapBody(body, {chunk: chunk => bucket.take(chunk.length, options.signal)}) : body;
  }

  override async write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite> {
    const write = await this.inner.write(request, options);
    const bucket = this.#writing;
    if (!bucket) return write;
    const {writeFile} = write;
    return {
      ...(write.copies ? {copies: true} : {}),
      ...(writeFile ? {writeFile: async (file, offset, length) => {
        await bucket.take(length, options.signal);
        return await writeFile(file, offset, length);
      }} : {}),
      write: async chunk => {
        await bucket.take(chunk.length, options.signal);
        await write.write(chunk);
      },
      finish: () => write.finish(),
      abort: () => write.abort(),
    };
  }

  override async writeTogether(files: readonly SmallWrite[], options: StoreCallOptions): Promise<readonly (StoreObject | WeirError)[]> {
    await this.#writing?.take(files.reduce((sum, {bytes}) => sum + bytes.length, 0), options.signal);
    return await this.inner.writeTogether!(files, options);
  }

  override uploadPart(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, options: StoreCallOptions): Promise<StorePart> {
    const bucket = this.#writing;
    const limited = bucket ? tapBody(body, {chunk: chunk => bucket.take(chunk.length, options.signal)}) : body;
    return this.inner.uploadPart(key, uploadId, partNumber, limited, length, options);
  }
}

export function withBandwidthLimit(inner: UnderStore, clock: Clock, options: BandwidthOptions): UnderStore {
  return new BandwidthLayer(inner, clock, options);
}
