/**
 * Runs jobs: a few at once, each again and again, later and later, until it succeeds, is cancelled, or the process ends. It
 * never gives up by itself; what it lacks, people see in the list.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {JobInfo} from '#contracts/administration.ts';
import type {Runtime} from '#runtime/runtime.ts';

const jobsAtOnce = 4;
const backoffMinMs = 500;
const backoffMaxMs = 60_000;

export interface JobWork {
  readonly kind: JobInfo['kind'];
  /** For people. */
  readonly path: ByteString;
  /** From wherever the last attempt, or the last life, has got to. `progress` hears of what was done. */
  run(signal: AbortSignal, progress: (count: number) => void): Promise<void>;
  /** For a job that is to stop where it stands: makes that state the one that counts. Absent: it cannot stop half way. */
  abandon?(): Promise<void>;
  /** It has done something. */
  progressed?(): void;
  /** An attempt has failed; another one is made. */
  failed?(message: string): void;
  /** In the turn in which it is done or abandoned. */
  end(): void;
}

export type JobOutcome = 'done' | 'cancelled' | 'process ended';

interface Job {
  readonly work: JobWork;
  readonly stop: AbortController;
  /** Why it could not be abandoned at the first attempt. */
  readonly stuck: PromiseWithResolvers<{readonly error: unknown}>;
  info: JobInfo;
  outcome: Promise<JobOutcome>;
}

interface Waiting {
  readonly go: (entered: boolean) => void;
}

export class JobRunner {
  readonly #runtime: Pick<Runtime, 'clock' | 'log'>;
  readonly #jobs = new Map<number, Job>();
  #running = 0;
  readonly #waiting = new Set<Waiting>();
  readonly #end = new AbortController();

  constructor(runtime: Pick<Runtime, 'clock' | 'log'>) {
    this.#runtime = runtime;
  }

  has(id: number): boolean {
    return this.#jobs.has(id);
  }

  list(): JobInfo[] {
    return Array.from(this.#jobs.values(), ({info}) => info);
  }

  start(id: number, work: JobWork): void {
    if (this.#jobs.has(id)) return;
    const {kind, path} = work;
    const info: JobInfo = {id, kind, path, state: 'waiting', done: 0, startedAt: this.#runtime.clock.nowMs()};
    const job: Job = {work, stop: new AbortController(), stuck: Promise.withResolvers(), info, outcome: Promise.resolve('process ended')};
    this.#jobs.set(id, job);
    if (this.#end.signal.aborted) return;
    job.outcome = this.#live(job);
  }

  /** Resolves when the job has ended, one way or the other; undefined when there is none. */
  async ended(id: number): Promise<JobOutcome | undefined> {
    return await this.#jobs.get(id)?.outcome;
  }

  /** Resolves when what the job had done by now is all that it will ever do. NotFound, Unsupported; what keeps it from stopping now: it is tried again. */
  async cancel(id: number): Promise<void> {
    const job = this.#jobs.get(id);
    if (!job) throw new WeirError('NotFound', `there is no job ${id}; it may be done`);
    if (!job.work.abandon) throw new WeirError('Unsupported', `job ${id} brings bytes to the only place where they will be found, and cannot stop half way`);
    job.stop.abort(new WeirError('Cancelled', `job ${id} was cancelled`));
    const outcome = await Promise.race([job.outcome, job.stuck.promise]);
    if (typeof outcome === 'object') throw outcome.error;
    if (outcome === 'process ended') throw new WeirError('Unavailable', 'this process is ending; the job goes on in the next one');
  }

  async close(): Promise<void> {
    this.#end.abort();
    for (const {stop} of this.#jobs.values()) stop.abort(new WeirError('Cancelled', 'this process is ending'));
    await Promise.all(Array.from(this.#jobs.values(), job => job.outcome));
  }

  async #live(job: Job): Promise<JobOutcome> {
    const {info: {id}, work} = job;
    const done = await this.#run(job);
    if (!done && !(await this.#abandon(job))) return 'process ended';
    this.#jobs.delete(id);
    work.end();
    return done ? 'done' : 'cancelled';
  }

  /** False when the process ends before that. */
  async #abandon(job: Job): Promise<boolean> {
    const {clock, log} = this.#runtime;
    const {signal} = this.#end;
    for (let backoff = backoffMinMs; !signal.aborted; backoff = Math.min(backoff * 2, backoffMaxMs)) {
      try {
        await job.work.abandon?.();
        return true;
      } catch (error) {
        const lastError = error instanceof Error ? error.message : String(error);
        job.info = {...job.info, state: 'failed', lastError};
        job.stuck.resolve({error});
        log.warn('a job could not be cancelled and that will be tried again', {job: job.info.id, kind: job.info.kind, path: toText(job.info.path), error: lastError, retryMs: backoff});
      }
      await clock.sleep(backoff, {signal, unref: true}).catch(() => undefined);
    }
    return false;
  }

  /** True when it is done, false when it was told to stop before. */
  async #run(job: Job): Promise<boolean> {
    const {clock, log} = this.#runtime;
    const {signal} = job.stop;
    for (let backoff = backoffMinMs; !signal.aborted; backoff = Math.min(backoff * 2, backoffMaxMs)) {
      if (!(await this.#enter(signal))) break;
      try {
        job.info = {...job.info, state: 'running'};
        await job.work.run(signal, count => {
          job.info = {...job.info, done: job.info.done + count};
          job.work.progressed?.();
        });
        return true;
      } catch (error) {
        if (signal.aborted) break;
        const lastError = error instanceof Error ? error.message : String(error);
        job.info = {...job.info, state: 'failed', lastError};
        job.work.failed?.(lastError);
        log.warn('a job failed and will be tried again', {job: job.info.id, kind: job.info.kind, path: toText(job.info.path), error: lastError, retryMs: backoff});
      } finally {
        this.#leave();
      }
      await clock.sleep(backoff, {signal, unref: true}).catch(() => undefined);
    }
    return false;
  }

  /** False when the job was told to stop while it waited for its turn. */
  async #enter(signal: AbortSignal): Promise<boolean> {
    if (this.#running < jobsAtOnce) {
      this.#running++;
      return true;
    }
    const {promise, resolve} = Promise.withResolvers<boolean>();
    const waiting: Waiting = {go: resolve};
    this.#waiting.add(waiting);
    const onAbort = (): void => {
      if (this.#waiting.delete(waiting)) resolve(false);
    };
    signal.addEventListener('abort', onAbort, {once: true});
    const entered = await promise;
    signal.removeEventListener('abort', onAbort);
    return entered;
  }

  /** The turn passes to who has waited longest. */
  #leave(): void {
    const [next] = this.#waiting;
    if (!next) return void this.#running--;
    this.#waiting.delete(next);
    next.go(true);
  }
}
