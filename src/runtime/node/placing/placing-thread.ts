/**
 * Small files by a thread of their own: one of them costs the event loop a twentieth of the five or six trips to libuv's threads that it takes otherwise, and
 * many together cost the disk a few syncs (thread-main.ts). All about them goes through memory that both threads see (placing.ts).
 */
import {Worker} from 'node:worker_threads';
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {type FilePlacer, type FileStat, type PlacedFile, placedFilesMax} from '#runtime/disk.ts';
import {type PlacingAnswer, PlacingMemory} from '#runtime/node/placing/placing.ts';
import {systemError} from '#runtime/node/system-errors.ts';

/** One for each of so many stores; a store on a disk that hangs holds up no other. */
const threadsMax = 4;
const idleMsDefault = 30_000;

let threads = 0;

/** A thread that ends when it had nothing to do for a while. */
export function placingThread(idleMs = idleMsDefault): FilePlacer | undefined {
  return threads < threadsMax ? new PlacingThread(idleMs) : undefined;
}

class PlacingThread implements FilePlacer {
  state: FilePlacer['state'] = 'starting';
  readonly #memory = new PlacingMemory();
  readonly #idleMs: number;
  readonly #worker: Worker;
  #under: {readonly files: readonly PlacedFile[]; readonly answer: PromiseWithResolvers<readonly (FileStat | WeirError)[]>} | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(idleMs: number) {
    threads++;
    this.#idleMs = idleMs;
    this.#worker = new Worker(new URL(import.meta.resolve('#runtime/node/placing/thread-main.ts')), {workerData: this.#memory.shared, resourceLimits: {maxYoungGenerationSizeMb: 2}});
    this.#worker.on('message', (said: PlacingAnswer) => this.#heard(said));
    this.#worker.on('error', (error) => this.#end(error));
    this.#worker.on('exit', () => this.#end(undefined));
    this.#worker.unref();
  }

  place(files: readonly PlacedFile[]): Promise<readonly (FileStat | WeirError)[]> {
    assert(files.length <= placedFilesMax && !this.#under, 'a bounded number of files, one call at a time');
    if (this.state === 'ended') return Promise.reject(ended());
    clearTimeout(this.#idle);
    this.#worker.ref();
    const order = this.#memory.putFiles(files);
    const answer = Promise.withResolvers<readonly (FileStat | WeirError)[]>();
    this.#under = {files, answer};
    this.#worker.postMessage(order);
    return answer.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(undefined);
    await this.#worker.terminate();
  }

  #heard(said: PlacingAnswer): void {
    if (this.state === 'ended') return;
    if (said === 'ready') this.state = 'ready';
    else {
      const {files, answer} = this.#under!;
      this.#under = undefined;
      const failures = new Map(said.map((failure) => [failure.file, failure]));
      answer.resolve(files.map(({place}, i) => {
        const failure = failures.get(i);
        return failure ? systemError(failure, `placing ${Buffer.from(place).toString()}`) : this.#memory.stat(i);
      }));
    }
    if (this.#under) return;
    this.#worker.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => void this[Symbol.asyncDispose](), this.#idleMs);
    this.#idle.unref();
  }

  #end(cause: unknown): void {
    if (this.state === 'ended') return;
    this.state = 'ended';
    threads--;
    clearTimeout(this.#idle);
    this.#under?.answer.reject(ended(cause));
    this.#under = undefined;
  }
}

function ended(cause?: unknown): WeirError {
  return new WeirError('Internal', 'the thread that places files has ended', {cause});
}
