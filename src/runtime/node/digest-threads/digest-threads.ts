/**
 * Digests of large uploads on the other cores. MD5 makes 0.6 GB/s on one core, less than everything else that an upload costs together; so the bytes
 * are copied (a twentieth of that work) into a ring that a thread reads, and the event loop goes on with the next.
 *
 * An instance without large uploads has no such thread: the first comes with the first body that is worth one, more come while all are busy, up to one
 * for each core but the event loop's, and they go when there was nothing for them for a while. A full ring makes its writers wait, so a thread never
 * holds more than its ring (byte-ring.ts).
 */
import {availableParallelism} from 'node:os';
import {Worker} from 'node:worker_threads';
import {WeirError} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import type {ComputedDigests, DigestsElsewhere, DigestWork} from '#model/digests.ts';
import type {ChecksumAlgorithm} from '#model/content.ts';
import {makeRing, recordBytesMax, RingWriter} from '#runtime/node/threads/byte-ring.ts';
import {Task, type ThreadAnswer} from '#runtime/node/digest-threads/task.ts';

export interface DigestThreadOptions {
  readonly threadsMax?: number;
  /** A body of this length starts the first thread, as do so many bytes of smaller ones within a second; below it nobody would notice the difference. */
  readonly startBytesMin?: number;
  readonly startBytesPerSecond?: number;
  /** Of bodies that go to threads that are there. At 64 KiB the event loop saves two thirds of its work (docs/decisions/0004). */
  readonly bytesMin?: number;
  /** A thread without work ends after this time. */
  readonly idleMs?: number;
}

const nothing = new Uint8Array(0);

export class DigestThreads implements DigestsElsewhere {
  #threads: readonly DigestThread[] = [];
  readonly #threadsMax: number | undefined;
  readonly #startBytesMin: number;
  readonly #startBytesPerSecond: number;
  /** Since a moment in the last second. */
  #bytes = 0;
  #sinceMs = 0;
  readonly #bytesMin: number;
  readonly #idleMs: number;

  constructor(options: DigestThreadOptions = {}) {
    this.#threadsMax = options.threadsMax;
    this.#startBytesMin = options.startBytesMin ?? 8 * MiB;
    this.#startBytesPerSecond = options.startBytesPerSecond ?? 32 * MiB;
    this.#bytesMin = options.bytesMin ?? 64 * KiB;
    this.#idleMs = options.idleMs ?? 30_000;
  }

  /** Now. */
  get threads(): number {
    return this.#threads.length;
  }

  begin(algorithms: readonly ChecksumAlgorithm[], length: number | undefined, {md5 = true}: {readonly md5?: boolean} = {}): DigestWork | undefined {
    if (length === undefined || length < this.#bytesMin) return undefined;
    // As many as there are cores now: whoever started the process may have bound it to some since.
    const most = this.#threadsMax ?? availableParallelism() - 1;
    if (most < 1) return undefined;
    let free = this.#threads[0];
    for (const thread of this.#threads) if (thread.working < free!.working) free = thread;
    const wanted = free ? free.working > 0 : length >= this.#startBytesMin || this.#isMuch(length);
    if (wanted && this.#threads.length < most) {
      free = new DigestThread(this.#idleMs, (ended) => void (this.#threads = this.#threads.filter((thread) => thread !== ended)));
      this.#threads = [...this.#threads, free];
    }
    return free?.begin(md5 ? Task.begin : Task.beginWithoutMd5, algorithms);
  }

  #isMuch(length: number): boolean {
    const now = performance.now();
    if (now - this.#sinceMs > 1000) [this.#bytes, this.#sinceMs] = [0, now];
    this.#bytes += length;
    return this.#bytes >= this.#startBytesPerSecond;
  }

  /** Ends all threads; work that they have fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.end()));
  }
}

class DigestThread {
  readonly #worker: Worker;
  readonly #ring: RingWriter;
  readonly #idleMs: number;
  readonly #work = new Map<number, PromiseWithResolvers<ComputedDigests>>();
  readonly #onEnd: (thread: DigestThread) => void;
  #nextId = 1;
  #failure: WeirError | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(idleMs: number, onEnd: (thread: DigestThread) => void) {
    const ring = makeRing();
    this.#ring = new RingWriter(ring);
    this.#idleMs = idleMs;
    this.#onEnd = onEnd;
    this.#worker = new Worker(new URL(import.meta.resolve('#runtime/node/digest-threads/thread-main.ts')), {workerData: ring, resourceLimits: {maxYoungGenerationSizeMb: 4}});
    this.#worker.on('message', (answer: ThreadAnswer) => this.#answered(answer));
    this.#worker.on('error', (error) => this.#failed(error));
    this.#worker.on('exit', () => this.#failed(undefined));
    this.#worker.unref();
  }

  get working(): number {
    return this.#work.size;
  }

  begin(task: typeof Task.begin | typeof Task.beginWithoutMd5, algorithms: readonly ChecksumAlgorithm[]): DigestWork {
    clearTimeout(this.#idle);
    this.#worker.ref();
    const id = this.#nextId++;
    const result = Promise.withResolvers<ComputedDigests>();
    result.promise.catch(() => {});
    this.#work.set(id, result);
    const begun = this.#post(task, id, Buffer.from(algorithms.join(' ')));
    begun?.catch(() => {});
    const update = async (chunk: Uint8Array): Promise<void> => {
      await begun;
      for (let at = 0; at < chunk.length; at += recordBytesMax) await this.#post(Task.update, id, chunk.subarray(at, at + recordBytesMax));
    };
    return {
      update,
      finish: async () => {
        await this.#post(Task.finish, id, nothing);
        return await result.promise;
      },
      abandon: () => {
        if (!this.#work.delete(id)) return;
        result.reject(new WeirError('Cancelled', 'nobody wants these digests any more'));
        this.#post(Task.abandon, id, nothing)?.catch(() => {});
        this.#rest();
      },
    };
  }

  async end(): Promise<void> {
    this.#failed(undefined);
    await this.#worker.terminate();
  }

  /** Undefined when it is written, which it nearly always is at once. */
  #post(task: number, id: number, payload: Uint8Array): Promise<void> | undefined {
    if (this.#failure) return Promise.reject(this.#failure);
    return this.#ring.write(task, id, payload) ? undefined : this.#postInTime(task, id, payload);
  }

  async #postInTime(task: number, id: number, payload: Uint8Array): Promise<void> {
    do {
      await this.#ring.moved();
      if (this.#failure) throw this.#failure;
    } while (!this.#ring.write(task, id, payload));
  }

  #answered(answer: ThreadAnswer): void {
    const work = this.#work.get(answer.id);
    this.#work.delete(answer.id);
    if ('failure' in answer) work?.reject(new WeirError('Internal', `computing digests failed: ${answer.failure}`));
    else work?.resolve(answer);
    this.#rest();
  }

  #rest(): void {
    if (this.#work.size > 0 || this.#failure) return;
    this.#worker.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this.end(), this.#idleMs);
    this.#idle.unref();
  }

  #failed(error: unknown): void {
    if (this.#failure) return;
    this.#failure = new WeirError('Internal', 'the thread that computes digests has ended', {cause: error});
    clearTimeout(this.#idle);
    for (const {reject} of this.#work.values()) reject(this.#failure);
    this.#work.clear();
    this.#onEnd(this);
  }
}
