/**
 * Threads that serve connections of one HTTP server beside the main one: started when the main event loop is loaded and there are cores left, ended
 * when one fewer would do. The main thread accepts; connections go to whoever is least busy, and move between two requests when others are less.
 * Without TLS threads only answer reads, and hand on all else: no thread is started for who writes.
 *
 * A thread that fails is replaced at once, unless it failed at its start: then when load asks for it, after a while.
 */
import {availableParallelism} from 'node:os';
import {type EventLoopUtilization, performance} from 'node:perf_hooks';
import type {Socket} from 'node:net';
import {assert} from '#base/assert.ts';
import {duplicateOf} from '#runtime/node/http/own-receiving.ts';
import type {ServedSockets} from '#runtime/node/http/served-sockets.ts';
import {leastBusy, type Load, nextMove, threadsHelp, wantsFewer, wantsMore} from '#runtime/node/threads/balance.ts';
import {ServingThread, type ServingThreadOptions} from '#runtime/node/threads/serving-thread.ts';
import {SharedCounters} from '#runtime/node/threads/shared-counters.ts';
import {CpuShare, threadCpuMs} from '#runtime/node/threads/thread-cpu.ts';
import type {HttpThreads} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';
import type {Metrics} from '#runtime/metrics.ts';

const intervalMs = 1_000;
/** Intervals in a row that must be busy before a thread is started, and idle before one is ended. */
const busyIntervals = 3;
const idleIntervals = 60;
const youngMs = 30_000;

export interface ServingThreadsOptions {
  /** The module that a thread runs, as it is imported. */
  readonly entry: string;
  /** So many, from the start, whatever the load; 0: none. Absent: by load, at most one for each core but one. */
  readonly fixed?: number;
  /** A thread that fails before it is so old is not replaced at once, and none is started for as long (30 s). */
  readonly youngMs?: number;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly services: ServingThreadOptions['services'];
}

export class ServingThreads implements HttpThreads {
  declare readonly threads: HttpThreads['threads'];
  readonly #options: ServingThreadsOptions;
  readonly #most: number;
  readonly #places: (ServingThread | undefined)[];
  readonly #counters: SharedCounters[];
  #served: ServedSockets | undefined;
  #loads: readonly Load[] = [{busy: 0, cpu: 0, connections: 0}];
  /** Whose loads those are, behind the main thread's; and the connections that each got since. */
  #loaded: readonly ServingThread[] = [];
  #since: number[] = [];
  #measured: EventLoopUtilization | undefined;
  readonly #cpu = new CpuShare();
  #busyFor = 0;
  /** Of the main thread, when it was looked at last. */
  #counted = {requests: 0, reads: 0};
  #idleFor = 0;
  #notBeforeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ServingThreadsOptions) {
    this.#options = options;
    this.#most = options.fixed ?? availableParallelism() - 1;
    this.#places = Array.from({length: this.#most});
    this.#counters = Array.from({length: this.#most}, () => new SharedCounters(options.metrics));
    options.metrics.gauge('weir_serving_threads', 'Threads that serve S3 connections beside the main one.', () => this.#running().length);
  }

  /** The connections that the main thread serves. */
  async begin(served: ServedSockets): Promise<void> {
    this.#served = served;
    if (this.#most < 1) return;
    this.#timer = setInterval(() => this.#look(), intervalMs);
    this.#timer.unref();
    const {fixed} = this.#options;
    if (fixed === undefined) return;
    for (let i = 0; i < fixed; i++) this.#start();
    await Promise.all(this.#running().map(({ready}) => ready));
    this.#measure();
  }

  /** A connection that was accepted in this turn; false: the main thread serves it. */
  take(accepted: Socket): boolean {
    if (this.#loaded.length === 0) return false;
    const thread = this.#choose();
    const fd = thread ? duplicateOf(accepted) : -1;
    if (!thread || fd < 0) return false;
    accepted.destroy();
    thread.give(fd, false);
    return true;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#loaded = [];
    await Promise.all(this.#running().map((thread) => thread.end('stop')));
  }

  #running(): ServingThread[] {
    return this.#places.filter((thread) => thread !== undefined);
  }

  /** Undefined: the main thread. */
  #choose(): ServingThread | undefined {
    const best = leastBusy(this.#loads, this.#since);
    this.#since[best] = (this.#since[best] ?? 0) + 1;
    const thread = best === 0 ? undefined : this.#loaded[best - 1];
    return thread?.ending ? undefined : thread;
  }

  #start(): void {
    const place = this.#places.indexOf(undefined);
    if (place < 0 || this.#stopped) return;
    const {entry, log, services} = this.#options;
    this.#places[place] = new ServingThread({
      entry: new URL(import.meta.resolve(entry)), log, services, counters: this.#counters[place]!,
      takeBack: (fd, input) => {
        const thread = this.#stopped || input ? undefined : this.#choose();
        if (thread) thread.give(fd, true);
        else this.#served?.adopt(fd, true, input);
      },
      ended: (thread) => this.#ended(place, thread),
    });
    log.info('a serving thread starts', {threads: this.#running().length});
  }

  #ended(place: number, thread: ServingThread): void {
    this.#places[place] = undefined;
    const i = this.#loaded.indexOf(thread);
    if (i >= 0) {
      this.#loaded = this.#loaded.toSpliced(i, 1);
      this.#loads = this.#loads.toSpliced(i + 1, 1);
      this.#since.splice(i + 1, 1);
    }
    if (thread.ending || this.#stopped) return;
    const now = performance.now();
    const young = this.#options.youngMs ?? youngMs;
    if (now - thread.startedMs < young) this.#notBeforeMs = now + young;
    else this.#start();
  }

  #measure(): void {
    const now = performance.eventLoopUtilization();
    const busy = this.#measured ? performance.eventLoopUtilization(now, this.#measured).utilization : 0;
    this.#measured = now;
    assert(this.#served !== undefined, 'there is a server to measure');
    this.#loaded = this.#running().filter(({isReady, ending}) => isReady && !ending);
    const cpu = this.#cpu.look(threadCpuMs(), performance.now());
    this.#loads = [{busy, cpu, connections: this.#served.count}, ...this.#loaded.map((thread) => ({busy: thread.busy(), cpu: thread.cpu, connections: thread.connections}))];
    this.#since = [];
  }

  #look(): void {
    this.#measure();
    const starting = this.#running().length > this.#loaded.length;
    this.#busyFor = this.#isOfUse() && wantsMore(this.#loads) ? this.#busyFor + 1 : 0;
    this.#idleFor = wantsFewer(this.#loads) ? this.#idleFor + 1 : 0;
    const {fixed} = this.#options;
    // Cores that it may use now: whoever started the process may have bound it to some since.
    const most = fixed ?? Math.min(this.#most, availableParallelism() - 1);
    const wanted = this.#running().length < most && (fixed !== undefined || this.#busyFor >= busyIntervals);
    if (!starting && wanted && performance.now() >= this.#notBeforeMs) {
      this.#busyFor = 0;
      this.#start();
    } else if (!starting && fixed === undefined && this.#idleFor >= idleIntervals) {
      this.#idleFor = 0;
      void this.#loaded.at(-1)?.end('retire');
    } else this.#even();
  }

  #isOfUse(): boolean {
    const {requests, reads, secure} = this.#served!.shared;
    const before = this.#counted;
    this.#counted = {requests, reads};
    return threadsHelp(requests - before.requests, secure ? requests - before.requests : reads - before.reads);
  }

  /** Connections go from the busiest to the least busy. */
  #even(): void {
    const move = nextMove(this.#loads);
    const served = this.#served!;
    served.shared.handAway = undefined;
    if (!move) return;
    const from = this.#loaded[move.from - 1];
    if (from) {
      from.want(move.connections);
      return;
    }
    const to = this.#loaded[move.to - 1]!;
    let left = move.connections;
    served.shared.handAway = (connection) => {
      const fd = to.ending ? -1 : connection.leave();
      if (fd < 0) return false;
      to.give(fd, true);
      if (--left === 0) served.shared.handAway = undefined;
      return true;
    };
  }
}
