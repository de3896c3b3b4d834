/**
 * One tier: a directory with a quota, its health, and its count of bytes.
 *
 * Invariants: `usedBytes` never passes the quota by what is newly taken; a failure of the disk is remembered for a while, so that a full or
 * broken disk costs one attempt now and then and not one a request.
 */
import {WeirError} from '#base/errors.ts';
import {GiB, KiB, MiB} from '#base/units.ts';
import type {TierOptions, TierUse} from '#blockstore/block-store.ts';
import type {EvictionPolicy} from '#blockstore/eviction/policy.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** How long a full or failed tier is left alone before the next write tries it. */
const retryMs = 2000;
const spaceCheckMs = 1000;
/** Rounds of freeing between two turns of the event loop. */
const roundsAtOnce = 32;
const segmentBytesMin = 640 * KiB;
const segmentBytesMax = 64 * MiB;

/** Frees something of a tier: true when it is worth looking again. */
export type FreeSome = () => Promise<boolean>;

export class Tier {
  readonly number: number;
  readonly options: TierOptions;
  readonly policy: EvictionPolicy;
  readonly runtime: Runtime;
  readonly segmentBytes: number;
  /** What is new may fill the quota up to here; the rest is for moving segments together. */
  readonly fillBytesMax: number;
  usedBytes = 0;
  state: 'ok' | 'full' | 'failed' = 'ok';
  /** False until the log of the previous life is read: what is there is not known yet, so nothing new is taken. */
  ready = false;
  /** Files of it were given to the kernel, in this life or an earlier one. */
  hasLent = false;
  freeSome: FreeSome = () => Promise.resolve(false);
  /** With more in use than this, `onPressed` is called at every reservation. */
  pressedBytes = Infinity;
  onPressed: () => void = () => {};
  /** Of a tier with a faster one: told of every use. */
  onRead: ((node: number, bytes: number) => void) | undefined;
  /** Since the start: dropped for room, moved to a slower tier, moved to a faster one. */
  evictedBytes = 0;
  demotedBytes = 0;
  promotedBytes = 0;
  #retryAtMs = 0;
  #spaceCheckedAtMs = -spaceCheckMs;
  #diskFreeBytes = Infinity;
  #turn: Promise<void> = Promise.resolve();

  constructor(number: number, options: TierOptions, policy: EvictionPolicy, runtime: Runtime) {
    this.number = number;
    this.options = options;
    this.policy = policy;
    this.runtime = runtime;
    this.segmentBytes = Math.min(segmentBytesMax, Math.max(segmentBytesMin, Math.floor(options.quotaBytes / 16)));
    this.fillBytesMax = options.quotaBytes - (options.quotaBytes >= 4 * this.segmentBytes ? this.segmentBytes : 0);
  }

  path(...names: string[]): string {
    return [this.options.directory, ...names].join('/');
  }

  /** Memory disks hold only what may be lost. */
  get persistent(): boolean {
    return this.options.name !== 'MEM';
  }

  get writable(): boolean {
    return this.ready && (this.state === 'ok' || this.runtime.clock.monotonicMs() >= this.#retryAtMs);
  }

  /** Takes `bytes` of the quota, after making room. False when there is none to make. One at a time, in order. */
  async reserve(bytes: number): Promise<boolean> {
    if (this.reserveNow(bytes)) return true;
    if (!this.writable || bytes > this.fillBytesMax || !(await this.turn(() => this.#makeRoom(bytes)))) return false;
    if (this.usedBytes > this.pressedBytes) this.onPressed();
    return true;
  }

  /** The same where there is room and the disk was looked at lately; else false. */
  reserveNow(bytes: number): boolean {
    if (!this.writable || !this.hasRoom(bytes) || !this.#spaceFresh || !this.#diskHolds(bytes)) return false;
    this.usedBytes += bytes;
    if (this.usedBytes > this.pressedBytes) this.onPressed();
    return true;
  }

  hasRoom(bytes: number): boolean {
    return this.usedBytes + bytes <= this.fillBytesMax;
  }

  /** Whoever frees something of the tier takes turns, in order. */
  async turn(work: () => Promise<boolean>): Promise<boolean> {
    const before = this.#turn;
    const {promise, resolve} = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await work();
    } finally {
      resolve();
    }
  }

  status(): TierUse {
    const {options, usedBytes, state, evictedBytes, demotedBytes, promotedBytes} = this;
    const {name, directory, quotaBytes} = options;
    return {name, directory, quotaBytes, usedBytes, state, evictedBytes, demotedBytes, promotedBytes};
  }

  /** A node of this tier was used, so many bytes of it. */
  use(node: number, bytes: number): void {
    this.policy.use(node);
    this.onRead?.(node, bytes);
  }

  /** Takes of the last part of the quota, which is for moving; frees nothing. */
  reserveForMoving(bytes: number): boolean {
    if (!this.writable || this.usedBytes + bytes > this.options.quotaBytes) return false;
    this.usedBytes += bytes;
    return true;
  }

  release(bytes: number): void {
    this.usedBytes -= bytes;
  }

  /** Notes a failure of the disk; rethrows what is not one. */
  failed(error: unknown): void {
    if (!(error instanceof WeirError)) throw error;
    const state = error.kind === 'NoSpace' ? 'full' : 'failed';
    if (this.state !== state) this.runtime.log.warn('a cache tier does not take writes', {tier: this.options.name, directory: this.options.directory, state, reason: error.message});
    this.state = state;
    this.#retryAtMs = this.runtime.clock.monotonicMs() + retryMs;
  }

  worked(): void {
    if (this.state === 'ok') return;
    this.state = 'ok';
    this.runtime.log.info('a cache tier takes writes again', {tier: this.options.name, directory: this.options.directory});
  }

  get #spaceFresh(): boolean {
    return this.runtime.clock.monotonicMs() - this.#spaceCheckedAtMs < spaceCheckMs;
  }

  #diskHolds(bytes: number): boolean {
    if (bytes > this.#diskFreeBytes) return false;
    this.#diskFreeBytes -= bytes;
    return true;
  }

  async #makeRoom(bytes: number): Promise<boolean> {
    for (let round = 1; this.usedBytes + bytes > this.fillBytesMax; round++) {
      if (!(await this.freeSome())) return false;
      // Small contents go without any waiting, and there may be millions.
      if (round % roundsAtOnce === 0) await this.runtime.clock.yield();
    }
    // Taken before anything is awaited, so that nobody else takes it too.
    this.usedBytes += bytes;
    try {
      if (!this.#spaceFresh) {
        const {free, total} = await this.runtime.disk.space(this.options.directory);
        this.#spaceCheckedAtMs = this.runtime.clock.monotonicMs();
        // The last bytes of a disk are for others: logs, the metastore, the system.
        this.#diskFreeBytes = free - Math.min(GiB, total / 50);
      }
      if (this.#diskHolds(bytes)) return true;
      this.failed(new WeirError('NoSpace', `the disk of ${this.options.directory} is nearly full`));
    } catch (error) {
      this.failed(error);
    }
    this.usedBytes -= bytes;
    return false;
  }
}
