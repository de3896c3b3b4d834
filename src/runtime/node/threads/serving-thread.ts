/**
 * A serving thread as the main one sees it. It ends when it is told to, or by a failure of its own: then its connections are gone, what it had
 * borrowed or was given comes back here, and nothing else has happened.
 */
import {type EventLoopUtilization, performance} from 'node:perf_hooks';
import {type Transferable, Worker} from 'node:worker_threads';
import {closeDuplicates, makeDuplicatePlaces} from '#runtime/node/http/duplicates.ts';
import {libc} from '#runtime/node/native/libc.ts';
import type {RingRecord} from '#runtime/node/threads/byte-ring.ts';
import type {SharedCounters} from '#runtime/node/threads/shared-counters.ts';
import {CpuShare} from '#runtime/node/threads/thread-cpu.ts';
import {makeLine, ThreadLine} from '#runtime/node/threads/thread-line.ts';
import {type FromThread, recordKinds, type ThreadBeginning, type ToThread} from '#runtime/node/threads/thread-words.ts';
import type {Log} from '#runtime/log.ts';

/** A thread that was told to end and has not by then is ended. */
const endMs = 5_000;
const keptConnection = Buffer.from([1]);
const newConnection = new Uint8Array(0);

/** What a thread needs of the main one, by whoever wrote what it runs. */
export interface ThreadServices {
  /** With what it begins, and what of that is transferred. */
  readonly data: unknown;
  readonly transfer: readonly Transferable[];
  /** Records and messages of the thread that are not about connections. */
  receive(record: RingRecord): void;
  heard(said: unknown): void;
  /** The thread has ended: what it had is let go. */
  ended(): void;
}

export interface ServingThreadOptions {
  readonly entry: URL;
  readonly log: Log;
  readonly counters: SharedCounters;
  readonly services: (line: ThreadLine) => ThreadServices;
  /** A connection comes back; with `input`, a request that the main thread is to answer. */
  readonly takeBack: (fd: number, input: Buffer | undefined) => void;
  readonly ended: (thread: ServingThread) => void;
}

export class ServingThread {
  readonly startedMs = performance.now();
  readonly ready: Promise<void>;
  /** As it said last: its connections, and what it had of a core before. */
  connections = 0;
  cpu = 0;
  isReady = false;
  ending = false;
  readonly #options: ServingThreadOptions;
  readonly #worker: Worker;
  readonly #line: ThreadLine;
  readonly #services: ThreadServices;
  readonly #duplicates = makeDuplicatePlaces();
  /** Descriptors on their way to it. */
  readonly #given = new Set<number>();
  readonly #readiness = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();
  readonly #cpu = new CpuShare();
  #measured: EventLoopUtilization | undefined;

  constructor(options: ServingThreadOptions) {
    this.#options = options;
    this.ready = this.#readiness.promise;
    const [here, there] = makeLine();
    this.#line = new ThreadLine(here, (record) => this.#received(record));
    this.#line.unref();
    this.#services = options.services(this.#line);
    const beginning: ThreadBeginning = {line: there, counters: options.counters.memory, duplicates: this.#duplicates, data: this.#services.data};
    this.#worker = new Worker(options.entry, {workerData: beginning, transferList: [there.port, ...this.#services.transfer]});
    this.#worker.on('message', (message: FromThread) => this.#heard(message));
    this.#worker.on('error', (error) => options.log.error('a serving thread failed', {error}));
    this.#worker.on('exit', () => this.#exited());
    this.#worker.unref();
  }

  /** The connection is the thread's from here on. */
  give(fd: number, kept: boolean): void {
    this.#given.add(fd);
    this.#line.send(recordKinds.connection, fd, kept ? keptConnection : newConnection);
  }

  /** It hands so many connections back when it can. */
  want(connections: number): void {
    this.#line.send(recordKinds.wanted, connections, newConnection);
  }

  /** Of its time since it was asked last, how much its event loop was not waiting. */
  busy(): number {
    const now = this.#worker.performance.eventLoopUtilization();
    const before = this.#measured;
    this.#measured = now;
    return before ? performance.eventLoopUtilization(now, before).utilization : 0;
  }

  /** Answers what is under way, then ends. `retire`: its connections come back, however long that takes. */
  async end(how: ToThread['end']): Promise<void> {
    this.ending = true;
    this.#worker.ref();
    this.#worker.postMessage({end: how} satisfies ToThread);
    if (how === 'retire') return await this.#gone.promise;
    const late = setTimeout(() => void this.#worker.terminate(), endMs);
    await this.#gone.promise;
    clearTimeout(late);
  }

  #received(record: RingRecord): void {
    if (record.kind === recordKinds.taken) this.#given.delete(record.id);
    else if (record.kind === recordKinds.connection) this.#options.takeBack(record.id, record.payload.length > keptConnection.length ? Buffer.from(record.payload) : undefined);
    else this.#services.receive(record);
  }

  #heard(message: FromThread): void {
    if ('ready' in message) {
      this.isReady = true;
      this.#readiness.resolve();
    } else if ('log' in message) this.#options.log[message.log](message.message, message.fields);
    else if ('counter' in message) this.#options.counters.begun(message.counter);
    else if ('connections' in message) {
      this.connections = message.connections;
      this.cpu = this.#cpu.look(message.cpuMs, performance.now());
    }
    else this.#services.heard(message.said);
  }

  #exited(): void {
    // What it said last is still in the ring.
    this.#line.drain();
    this.#line.close();
    for (const fd of this.#given) libc()?.close(fd);
    closeDuplicates(this.#duplicates);
    this.#services.ended();
    this.#readiness.resolve();
    this.#gone.resolve();
    this.#options.ended(this);
  }
}
