/**
 * Does what timers say when they are due, one task after the other. The queue is in the metastore (namespace/timers.ts): a restart goes on
 * where the last life was, and what was due meanwhile is done at once. A task notes how far it has got and says when it is due again; one that was
 * set anew while it ran (its rules have changed) ends at its next note, and begins anew.
 */
import type {Timer} from '#codec/namespace/timer-record.ts';
import type {TimerKind} from '#codec/namespace/keys.ts';
import {listTimers, replaceTimer, type SetTimer} from '#master/namespace/timers.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** Timers are looked at so often at least: who sets one need not tell. */
const lookMs = 60_000;
const retryMs = 600_000;

export interface Task {
  readonly timer: SetTimer;
  readonly signal: AbortSignal;
  /** Keeps how far it has got. Throws when the task was set anew, or the queue stops. */
  readonly note: (progress: NonNullable<Timer['progress']>) => Promise<void>;
}

/** Resolves to when it is due again, wall ms; undefined: never. */
export type TimerHandler = (task: Task) => Promise<number | undefined>;

const setAnew = new Error('the task was set anew');

export class TimerQueue {
  readonly #transactions: Transactions;
  readonly #runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>;
  readonly #handlers: Readonly<Record<TimerKind, TimerHandler>>;
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;
  #working: Promise<void> = Promise.resolve();

  constructor(transactions: Transactions, runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>, handlers: Readonly<Record<TimerKind, TimerHandler>>) {
    this.#transactions = transactions;
    this.#runtime = runtime;
    this.#handlers = handlers;
  }

  /** Looks for the first time after `delayMs`: a start has other things to do. */
  start(delayMs = lookMs): void {
    this.#timer = this.#runtime.clock.after(delayMs, () => {
      this.#working = this.#work().then(
        untilMs => this.#again(untilMs),
        (error: unknown) => {
          this.#runtime.log.warn('timers could not be looked at', {error: String(error)});
          this.#again(lookMs);
        },
      );
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
    await this.#working;
  }

  #again(delayMs: number): void {
    if (!this.#stop.signal.aborted) this.start(delayMs);
  }

  /** Until the next look, ms. */
  async #work(): Promise<number> {
    const now = this.#runtime.clock.nowMs();
    const timers = this.#transactions.peek(listTimers).toSorted((a, b) => a.dueMs - b.dueMs);
    for (const timer of timers) {
      if (this.#stop.signal.aborted) return 0;
      if (timer.dueMs > now) return Math.min(lookMs, timer.dueMs - now);
      await this.#run(timer);
    }
    return lookMs;
  }

  async #run(timer: SetTimer): Promise<void> {
    let current = timer;
    const replace = async (next: Timer | undefined): Promise<void> => {
      this.#stop.signal.throwIfAborted();
      let replaced = false;
      await this.#transactions.changeOwn(tx => void (replaced = replaceTimer(tx, current, next)));
      if (!replaced) throw setAnew;
      if (next) current = {kind: timer.kind, subject: timer.subject, ...next};
      this.#runtime.crashPoint('master.timer.noted');
    };
    try {
      const dueMs = await this.#handlers[timer.kind]({timer, signal: this.#stop.signal, note: async progress => await replace({dueMs: current.dueMs, progress})});
      await replace(dueMs === undefined ? undefined : {dueMs});
    } catch (error) {
      if (error === setAnew || this.#stop.signal.aborted) return;
      this.#runtime.log.warn('a task could not be done and is tried again later', {kind: timer.kind, subject: timer.subject, error: String(error)});
      const {kind: _, subject: __, ...rest} = current;
      await replace({...rest, dueMs: this.#runtime.clock.nowMs() + retryMs}).catch((failure: unknown) => {
        if (failure !== setAnew && !this.#stop.signal.aborted) throw failure;
      });
    }
  }
}
