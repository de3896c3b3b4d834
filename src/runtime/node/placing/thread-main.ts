/**
 * A placing thread: blocking calls, one after the other, in an order that makes syncs few. All drafts are written and on their way to the medium
 * before the first is synced, so that a journaling file system makes them durable by one commit; then all get their names, and each directory is synced once.
 * Only syncs go on beside each other, by the pool: a disk does some together in the time of one (measured: of 64 drafts 8 ms instead of 100).
 */
import * as fs from 'node:fs';
import {promisify} from 'node:util';
import {parentPort, workerData} from 'node:worker_threads';
import {toStat} from '#runtime/node/file-stat.ts';
import {libc} from '#runtime/node/native/libc.ts';
import {type FileToPlace, type PlacingAnswer, type PlacingFailure, PlacingMemory, type PlacingOrder} from '#runtime/node/placing/placing.ts';

const {O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_DIRECTORY} = fs.constants;
const memory = new PlacingMemory(workerData as SharedArrayBuffer);

const datasync = promisify(fs.fdatasync);
const sync = promisify(fs.fsync);
/** Half of the pool's threads (bin/weir.mjs): others come to their turn. */
const syncsAtOnce = 8;

/** One of them on its way. */
class Placing {
  readonly #file: FileToPlace;
  #fd = -1;
  #hasDraft = false;
  failure: {readonly code: string; readonly message: string} | undefined;

  constructor(file: FileToPlace) {
    this.#file = file;
  }

  get directory(): string {
    return this.#file.directory.toString('latin1');
  }

  /** A step, unless an earlier one has failed. */
  try(step: () => void): void {
    if (this.failure) return;
    try {
      step();
    } catch (error) {
      this.fail(error as NodeJS.ErrnoException);
    }
  }

  fail({code = '', message}: NodeJS.ErrnoException): void {
    this.failure ??= {code, message};
  }

  write(): void {
    const {draft, permissions, at, length} = this.#file;
    this.#fd = fs.openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, permissions);
    this.#hasDraft = true;
    for (let done = 0; done < length; ) done += fs.writeSync(this.#fd, memory.bytes, at + done, length - done, done);
    // Only makes the syncs fewer: where it fails, they do all.
    libc()?.startWriteBack(this.#fd);
  }

  async sync(): Promise<void> {
    if (!this.failure) await datasync(this.#fd).catch((error: NodeJS.ErrnoException) => this.fail(error));
  }

  name(): void {
    const {draft, place, absent} = this.#file;
    for (const path of absent) if (fs.lstatSync(path, {throwIfNoEntry: false})) throw Object.assign(new Error('it exists'), {code: 'EEXIST'});
    fs.renameSync(draft, place);
    this.#hasDraft = false;
  }

  /** Renaming changes ctime: this is how it is found from now on. */
  end(number: number): PlacingFailure | undefined {
    this.try(() => memory.putStat(number, toStat(fs.fstatSync(this.#fd, {bigint: true}))));
    if (this.#fd >= 0) this.try(() => fs.closeSync(this.#fd));
    if (this.#hasDraft) {
      try {
        fs.unlinkSync(this.#file.draft);
      } catch (error) {
        this.fail(error as NodeJS.ErrnoException);
      }
    }
    return this.failure && {file: number, ...this.failure};
  }
}

async function syncDirectory(path: string): Promise<void> {
  const fd = fs.openSync(Buffer.from(path, 'latin1'), O_RDONLY | O_DIRECTORY);
  try {
    await sync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Some at once. */
async function together<T>(all: Iterable<T>, work: (each: T) => Promise<void>): Promise<void> {
  const left = all[Symbol.iterator]() as IterableIterator<T>;
  await Promise.all(Array.from({length: syncsAtOnce}, async () => {
    for (const each of left) await work(each);
  }));
}

async function place(order: PlacingOrder): Promise<PlacingFailure[]> {
  const all = memory.files(order).map((file) => new Placing(file));
  for (const each of all) each.try(() => each.write());
  await together(all, async (each) => await each.sync());
  for (const each of all) each.try(() => each.name());
  const directories = Map.groupBy(all.filter(({failure}) => !failure), ({directory}) => directory);
  await together(directories, async ([directory, named]) => {
    await syncDirectory(directory).catch((error: NodeJS.ErrnoException) => {
      for (const each of named) each.fail(error);
    });
  });
  return all.flatMap((each, number) => each.end(number) ?? []);
}

const answer = (said: PlacingAnswer): void => parentPort!.postMessage(said);

parentPort!.on('message', (order: PlacingOrder) => void place(order).then(answer));
answer('ready');
