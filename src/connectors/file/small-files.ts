/**
 * Small files that are written at once go to their places together (FilePlacer): while some are on their way, those that come meanwhile gather for the next
 * trip. Who writes one file after the other does not need that: as long as few are under way, each goes by itself.
 */
import {WeirError} from '#base/errors.ts';
import type {Clock} from '#runtime/clock.ts';
import {type Disk, type DiskDirectory, type FilePlacer, type FileStat, type PlacedFile, placedFilesMax, placedTogetherBytesMax} from '#runtime/disk.ts';

/** So many by themselves at once, and a placer is made. */
const manyAtOnce = 4;

type Within = Pick<DiskDirectory, 'isThere'>;

/** What it looks like at its place, which survives power loss; or why it may not be there. */
export type Placed = FileStat | WeirError;

export interface ToPlace {
  readonly file: PlacedFile;
  /** Directories that its paths go by, looked at just before: NotFound where one of them is elsewhere by then. */
  readonly within: readonly Within[];
}

interface Waiting extends ToPlace {
  readonly answer: (placed: Placed) => void;
}

export class SmallFiles {
  readonly #disk: Disk;
  readonly #clock: Pick<Clock, 'yield'>;
  #placer: FilePlacer | undefined;
  #byThemselves = 0;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(disk: Disk, clock: Pick<Clock, 'yield'>) {
    this.#disk = disk;
    this.#clock = clock;
  }

  /** Whether `place` may be called now, for files of up to `placedBytesMax`. */
  get isReady(): boolean {
    return this.#placer?.state === 'ready';
  }

  /** Answers in order. What is not placed is undone, or, where the disk fails, may not last. */
  place(files: readonly ToPlace[]): Promise<readonly Placed[]> {
    const {promise, resolve} = Promise.withResolvers<readonly Placed[]>();
    const answers: Placed[] = [];
    let left = files.length;
    for (const [i, {file, within}] of files.entries()) {
      const answer = (placed: Placed): void => {
        answers[i] = placed;
        if (--left === 0) resolve(answers);
      };
      this.#waiting.push({file, within, answer});
    }
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
    return promise;
  }

  /** A file goes another way; dispose of it at the end. */
  byItself(): Disposable {
    this.#byThemselves++;
    if (this.#byThemselves >= manyAtOnce && (!this.#placer || this.#placer.state === 'ended')) this.#placer = this.#disk.placer();
    return {[Symbol.dispose]: () => void this.#byThemselves--};
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#placer?.[Symbol.asyncDispose]();
    this.#placer = undefined;
  }

  async #run(): Promise<void> {
    // All that come in this turn of the event loop go together.
    await this.#clock.yield();
    while (this.#waiting.length > 0) await this.#trip(this.#next());
  }

  #next(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const {file} of this.#waiting) {
      bytes += file.bytes.length;
      if (count === placedFilesMax || bytes > placedTogetherBytesMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #trip(all: readonly Waiting[]): Promise<void> {
    const together = stillThere(all);
    if (together.length === 0) return;
    let answers: readonly Placed[];
    try {
      answers = await this.#placer!.place(together.map(({file}) => file));
    } catch (error) {
      const failure = error instanceof WeirError ? error : new WeirError('Internal', 'files could not be placed', {cause: error});
      answers = together.map(() => failure);
    }
    for (const [i, {answer}] of together.entries()) answer(answers[i]!);
  }
}

/** Those whose directories are where they were, each looked at once; the others fail. */
function stillThere(all: readonly Waiting[]): readonly Waiting[] {
  const looked = new Map<Within, boolean>();
  const isThere = (directory: Within): boolean => {
    const known = looked.get(directory) ?? directory.isThere();
    looked.set(directory, known);
    return known;
  };
  return all.filter(({within, answer}) => {
    if (within.every(isThere)) return true;
    answer(new WeirError('NotFound', 'a directory is not where it was'));
    return false;
  });
}
