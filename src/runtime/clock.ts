/** Time and timers. The only way to know what time it is, or to wait. */
export interface Clock {
  /** Wall time, ms since 1970; may jump. */
  nowMs(): number;
  /** As `steadyMs`, in ns; never the same twice from one Clock. */
  nowNs(): bigint;
  /** Wall time, ms since 1970, that follows when the machine's clock is set forward and never goes back: for what is compared with each other. */
  steadyMs(): number;
  /** Milliseconds with fractions since some start; never goes back. */
  monotonicMs(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted. Does not keep the process alive by itself when `unref`. */
  sleep(ms: number, options?: {signal?: AbortSignal; unref?: boolean}): Promise<void>;
  /** Calls `fn` once after `ms` unless disposed before. Never keeps the process alive. */
  after(ms: number, fn: () => void): Disposable;
  /** A turn of the event loop: lets I/O and other work run. */
  yield(): Promise<void>;
}
