/**
 * One life of a simulated machine, from its start to its crash. What a dead life still asks for never happens: asynchronous calls do
 * not resolve, synchronous ones throw SimulatedCrash. So code that catches the crash and goes on cannot touch the next life.
 */
import type {Scheduler} from '#runtime/sim/scheduler.ts';
import type {SimRandom} from '#runtime/sim/sim-random.ts';

/** Not a WeirError: no handling of failures may take it for one. */
export class SimulatedCrash extends Error {
  override name = 'SimulatedCrash';
}

export class Life {
  readonly machine: string;
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly #trace: (line: string) => void;
  readonly #ends: (() => void)[] = [];
  #crash: SimulatedCrash | undefined;

  constructor(machine: string, scheduler: Scheduler, random: SimRandom, trace: (line: string) => void) {
    this.machine = machine;
    this.scheduler = scheduler;
    this.random = random;
    this.#trace = trace;
  }

  get crash(): SimulatedCrash | undefined {
    return this.#crash;
  }

  get alive(): boolean {
    return this.#crash === undefined;
  }

  /** Ends the life. The rest of the world learns of it in `onEnd` order. */
  end(crash: SimulatedCrash): void {
    if (this.#crash) return;
    this.#crash = crash;
    this.note(`crash ${crash.message}`);
    for (const fn of this.#ends) fn();
  }

  onEnd(fn: () => void): void {
    this.#ends.push(fn);
  }

  /** For synchronous calls. */
  check(): void {
    if (this.#crash) throw this.#crash;
  }

  after(delayMs: number, fn: () => void): Disposable {
    return this.scheduler.after(delayMs, () => {
      if (this.alive) fn();
    });
  }

  /** Resolves after a random time between the two, never in a dead life. */
  pause(minMs: number, maxMs: number): Promise<void> {
    if (!this.alive) return new Promise(() => {});
    const delay = this.random.between(minMs, maxMs);
    return new Promise((resolve) => void this.after(delay, resolve));
  }

  note(what: string): void {
    this.#trace(`${this.scheduler.nowMs.toFixed(6)} ${this.machine} ${what}`);
  }
}
