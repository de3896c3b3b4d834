/**
 * How long the event loop may be held up by what is written on the spot. A buffered write takes some microseconds; but the kernel makes a writer wait
 * when too many pages are dirty, and a file system now and then for its own log. That cannot be asked beforehand (ext4 knows no RWF_NOWAIT for
 * buffered writes), so it is counted afterwards: a leaky bucket, of which a wait takes as much as it was long. Beyond its measure, writes go to
 * the pool until time has filled it again; so a slow disk holds up the loop for one part in twenty at most, and a busy machine, where a
 * thread that has to give way seems slow now and then, loses nothing.
 */
import {MiB} from '#base/units.ts';

/** A call this short, and so much longer for what it copies, has waited for nothing. */
const freeMs = 1;
const freeMsEachMiB = 1;
/** What may be lost at once. */
const measureMs = 10;
/** Of the time that goes by, so much may be lost. */
const share = 0.05;

export class HeldUp {
  readonly #nowMs: () => number;
  #lostMs = 0;
  #countedMs: number;

  /** `nowMs`: monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#countedMs = nowMs();
  }

  get tooLong(): boolean {
    if (this.#lostMs === 0) return false;
    const now = this.#nowMs();
    this.#lostMs = Math.max(0, this.#lostMs - (now - this.#countedMs) * share);
    this.#countedMs = now;
    return this.#lostMs > measureMs;
  }

  /** A call that may have waited, and began then, has ended; it has written so many bytes. */
  was(begunMs: number, bytes: number): void {
    const now = this.#nowMs();
    if (now - begunMs <= freeMs + (bytes / MiB) * freeMsEachMiB) return;
    if (this.#lostMs === 0) this.#countedMs = now;
    this.#lostMs += now - begunMs;
  }
}
