/** Virtual time as a Clock. Wall time begins at one fixed moment and goes with the virtual time, but where it is set (Scheduler.wallOffsetMs). */
import type {Clock} from '#runtime/clock.ts';
import type {Life} from '#runtime/sim/life.ts';

const wallStartMs = Date.UTC(2026, 0, 1);

export function simClock(life: Life): Clock {
  let last = 0n;
  let offsetMs = Number.NEGATIVE_INFINITY;
  const steadyOffset = (): number => (offsetMs = Math.max(offsetMs, life.scheduler.wallOffsetMs));
  return {
    nowMs: () => {
      life.check();
      return wallStartMs + life.scheduler.wallOffsetMs + Math.floor(life.scheduler.nowMs);
    },
    nowNs: () => {
      life.check();
      const now = BigInt(wallStartMs + steadyOffset()) * 1_000_000n + BigInt(Math.floor(life.scheduler.nowMs * 1000)) * 1000n;
      last = now > last ? now : last + 1n;
      return last;
    },
    steadyMs: () => {
      life.check();
      return wallStartMs + steadyOffset() + Math.floor(life.scheduler.nowMs);
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
