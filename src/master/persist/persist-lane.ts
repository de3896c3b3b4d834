/** Whose turn it is among the pending files of one mount: in order, some at once; after a failure of the store one attempt now and then. */
import type {InodeId} from '#base/ids.ts';
import {KiB} from '#base/units.ts';
import type {BacklogEntry as Entry} from '#master/persist/backlog.ts';
import type {Clock} from '#runtime/clock.ts';

const backoffMinMs = 500;
const backoffMaxMs = 60_000;

/** Files up to this are small: they cost memory and disk little. */
const smallBytesMax = 64 * KiB;

export interface Pace {
  readonly uploadsAtOnce: number;
  /** Of those, that are not small. */
  readonly largeAtOnce: number;
  /** How long nothing more is begun after so many were, but what somebody waits for; `since`: of what would be next, wall ms. */
  readonly restMs: (since: number | undefined) => number;
  readonly beforeRest: number;
}

export class PersistLane {
  readonly #clock: Clock;
  readonly #attempt: (entries: readonly Entry[], lane: PersistLane) => void;
  /** What somebody waits for: before all others, and also while they rest. */
  readonly #awaited = new Set<Entry>();
  readonly #ready = new Set<Entry>();
  /** Goes on behind those that were taken: a set's first entry is found past all that were deleted before it, and there may be many thousands. */
  #line = this.#ready.values();
  /** It was taken from the line and has to wait for its turn. */
  #held: Entry | undefined;
  readonly #running = new Set<Entry>();
  #largeRunning = 0;
  readonly #pace: Pace;
  #rest: Disposable | undefined;
  /** Their key is being changed, or another content of it is on its way. */
  readonly #blocked = new Set<Entry>();
  readonly #delayed = new Map<InodeId, {readonly timer: Disposable; readonly untilMs: number; readonly entry: Entry}>();
  /** The store has failed: when it is asked again. */
  #pauseMs = 0;
  #pause: {readonly timer: Disposable; readonly untilMs: number} | undefined;
  #pumping = false;
  #closed = false;

  constructor(clock: Clock, pace: Pace, attempt: (entries: readonly Entry[], lane: PersistLane) => void) {
    this.#clock = clock;
    this.#pace = pace;
    this.#attempt = attempt;
  }

  /** Something is on its way, or could be. */
  get flows(): boolean {
    return this.#running.size > 0 || (this.#ready.size + this.#awaited.size > 0 && this.#pauseMs === 0);
  }

  add(entry: Entry): void {
    if (entry.conflict || this.#closed) return;
    this.#enqueue(entry);
    this.#pumpSoon();
  }

  /** Before all others, and without waiting for the end of a pause. */
  hurry(entry: Entry): void {
    entry.isAwaited = true;
    if (entry.conflict || this.#closed || this.#running.has(entry)) return;
    this.remove(entry);
    this.#awaited.add(entry);
    this.#pause?.timer[Symbol.dispose]();
    this.#pause = undefined;
    this.#pumpSoon();
  }

  remove(entry: Entry): void {
    this.#awaited.delete(entry);
    this.#ready.delete(entry);
    this.#blocked.delete(entry);
    const delayed = this.#delayed.get(entry.id);
    if (delayed?.entry !== entry) return;
    delayed.timer[Symbol.dispose]();
    this.#delayed.delete(entry.id);
  }

  block(entry: Entry): void {
    this.#blocked.add(entry);
  }

  unblock(): void {
    if (this.#blocked.size === 0 || this.#closed) return;
    for (const entry of this.#blocked) this.#enqueue(entry);
    this.#blocked.clear();
    this.#pumpSoon();
  }

  /** This file alone waits: so long, or longer with each failure. Answers ms. */
  delay(entry: Entry, ms: number | undefined): number {
    const delayMs = ms ?? Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(entry.failures - 1, 10));
    if (this.#closed) return delayMs;
    const timer = this.#clock.after(delayMs, () => {
      this.#delayed.delete(entry.id);
      this.add(entry);
    });
    this.#delayed.set(entry.id, {timer, untilMs: this.#clock.steadyMs() + delayMs, entry});
    return delayMs;
  }

  /** The store failed: all wait, longer each time. Answers ms. */
  failed(entry: Entry): number {
    if (this.#closed) return 0;
    this.#enqueue(entry);
    if (this.#pause) return this.#pause.untilMs - this.#clock.steadyMs();
    const ms = (this.#pauseMs = Math.min(backoffMaxMs, Math.max(backoffMinMs, this.#pauseMs * 2)));
    const timer = this.#clock.after(ms, () => {
      this.#pause = undefined;
      this.#pumpSoon();
    });
    this.#pause = {timer, untilMs: this.#clock.steadyMs() + ms};
    return ms;
  }

  /** Their attempts have, well or not. */
  ended(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#running.delete(entry);
      if (isLarge(entry)) this.#largeRunning--;
    }
    this.#pumpSoon();
  }

  succeeded(): void {
    this.#pauseMs = 0;
  }

  /** Wall ms; undefined: as soon as its turn comes. */
  nextAttemptMs(entry: Entry): number | undefined {
    return this.#delayed.get(entry.id)?.untilMs ?? this.#pause?.untilMs;
  }

  close(): void {
    this.#closed = true;
    this.#pause?.timer[Symbol.dispose]();
    this.#rest?.[Symbol.dispose]();
    for (const {timer} of this.#delayed.values()) timer[Symbol.dispose]();
    this.#awaited.clear();
    this.#ready.clear();
    this.#blocked.clear();
    this.#delayed.clear();
  }

  #enqueue(entry: Entry): void {
    (entry.isAwaited ? this.#awaited : this.#ready).add(entry);
  }

  /** The first of those that nobody waits for; held, it comes again. */
  #next(): Entry | undefined {
    const held = this.#held;
    this.#held = undefined;
    if (held && this.#ready.has(held)) return held;
    const next = this.#line.next();
    if (next.done !== true) return next.value;
    this.#line = this.#ready.values();
    return this.#line.next().value;
  }

  /** When all that becomes ready, or ends, in this turn has: small ones go together. */
  #pumpSoon(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    void Promise.resolve().then(() => {
      this.#pumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    if (this.#pause || this.#closed) return;
    // While nobody knows whether the store works again, one finds out.
    const most = this.#pauseMs > 0 ? 1 : this.#pace.uploadsAtOnce;
    const together: Entry[] = [];
    for (const entry of this.#awaited) {
      if (this.#running.size >= most) break;
      this.#awaited.delete(entry);
      this.#take(entry, together);
    }
    let begun = 0;
    while (!this.#rest && this.#running.size < most) {
      const entry = this.#next();
      if (!entry) break;
      if (isLarge(entry) && this.#largeRunning >= this.#pace.largeAtOnce) {
        this.#held = entry;
        break;
      }
      this.#ready.delete(entry);
      this.#take(entry, together);
      if (++begun % this.#pace.beforeRest === 0) this.#restAfter();
    }
    if (begun % this.#pace.beforeRest > 0) this.#restAfter();
    if (together.length > 0) this.#attempt(together, this);
  }

  /** It runs from now on: with the other small ones, or by itself. */
  #take(entry: Entry, together: Entry[]): void {
    this.#running.add(entry);
    if (!isLarge(entry)) {
      together.push(entry);
      return;
    }
    this.#largeRunning++;
    this.#attempt([entry], this);
  }

  #restAfter(): void {
    this.#held = this.#next();
    const restMs = this.#pace.restMs(this.#held?.since);
    if (restMs === 0) return;
    this.#rest = this.#clock.after(restMs, () => {
      this.#rest = undefined;
      this.#pump();
    });
  }
}

function isLarge({length}: Entry): boolean {
  return length > smallBytesMax;
}
