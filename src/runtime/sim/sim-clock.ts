/** Virtual time as a Clock. Wall time begins at one fixed moment and goes with the virtual time. */
import type {Clock} from '#runtime/clock.ts';
import type {Life} from '#runtime/sim/life.ts';

const wallStartMs = Date.UTC(2026, 0, 1);

export function simClock(life: Life): Clock {
  let last = 0n;
  return {
    nowMs: () => {
      life.check();
      return wallStartMs + Math.floor(life.scheduler.nowMs);
    },
    nowNs: () => {
      life.check();
      const now = BigInt(wallStartMs) * 1_000_000n + BigInt(Math.floor(life.scheduler.nowMs * 1000)) * 1000n;
      last = now > last ? now : last + 1n;
      return last;
    },
    monotonicMs: () => {
      life.check();
      return life.scheduler.nowMs;
    },
    sleep: (ms, options) =>
      new Promise((resolve, reject) => {
        if (!life.alive) return;
        const {signal} = options ?? {};
        if (signal?.aborted) return reject(signal.reason as Error);
        const onAbort = (): void => {
          timer[Symbol.dispose]();
          if (life.alive) reject(signal?.reason as Error);
        };
        const timer = life.after(ms, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        signal?.addEventListener('abort', onAbort, {once: true});
      }),
    after: (ms, fn) => life.after(ms, fn),
    yield: () => life.pause(0, 0),
  };
}
