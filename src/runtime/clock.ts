/** Time and timers. The only way to know what time it is, or to wait. */
export interface Clock {
  /** Wall time, ms since 1970; may jump. */
  nowMs(): number;
  /** Wall time, ns since 1970; never the same twice in a row from one Clock. */
  nowNs(): bigint;
  /** Milliseconds with fractions since some start; never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted. Does not keep the process alive by itself when `unref`. */
  sleep(ms: number, options?: {signal?: AbortSignal; unref?: boolean}): Promise<void>;
  /** Calls `fn` once after `ms` unless disposed before. Never keeps the process alive. */
  after(ms: number, fn: () => void): Disposable;
  /** A turn of the event loop: lets I/O and other work run. */
  yield(): Promise<void>;
}
