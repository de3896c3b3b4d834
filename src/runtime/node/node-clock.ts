// The global of this name is a property that is asked for each time.
import {performance} from 'node:perf_hooks';
import type {Clock} from '#runtime/clock.ts';

/** The real clock. */
export function nodeClock(): Clock {
  let last = 0n;
  let origin = performance.timeOrigin;
  const steady = (): number => {
    const since = performance.now();
    // It was set forward, or the machine has slept, which the monotonic clock does not know of.
    origin = Math.max(origin, Date.now() - since);
    return origin + since;
  };
  return {
    nowMs: () => Date.now(),
    nowNs: () => {
      const now = BigInt(Math.floor(steady() * 1e3)) * 1000n;
      last = now > last ? now : last + 1n;
      return last;
    },
    steadyMs: () => Math.floor(steady()),
    monotonicMs: () => performance.now(),
    sleep: (ms, options) =>
      new Promise((resolve, reject) => {
        const {signal} = options ?? {};
        if (signal?.aborted) return reject(signal.reason as Error);
        const onAbort = () => {
          clearTimeout(timer);
          reject(signal!.reason as Error);
        };
        const timer = setTimeout(() => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        }, ms);
        if (options?.unref) timer.unref();
        signal?.addEventListener('abort', onAbort, {once: true});
      }),
    after: (ms, fn) => {
      const timer = setTimeout(fn, ms).unref();
      return {[Symbol.dispose]: () => clearTimeout(timer)};
    },
    yield: () => new Promise((resolve) => setImmediate(resolve)),
  };
}
