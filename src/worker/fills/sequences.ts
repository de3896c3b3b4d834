/**
 * Recognises sequential readers of one content, several at a time: each sequence is known by where it should go on. The window
 * to read ahead starts with the second step, doubles with each further one up to a bound, and a jump starts a new sequence
 * with none. Who begins at the beginning with a long read, as the kernel does for a file that is read through, is believed at once.
 */
import {KiB, MiB} from '#base/units.ts';

/** Sequences remembered per content; the one that moved longest ago gives way. */
const sequencesMax = 8;
/** A reader that skips or repeats this little (kernel read-ahead out of order, record headers) is still the same reader. */
const slackBytes = 128 * KiB;
const windowBytesMin = 128 * KiB;
const windowBytesMax = 32 * MiB;
/** Of who wants the beginning alone, as a header, reads are shorter. */
const longReadBytes = 512 * KiB;
/** Who asks for much at once may want just that. */
const firstWindowBytesMax = MiB;
/** What is fetched ahead of who reads through, as a multiple of what he has read: so a long link is busy from the third round trip on. */
const throughWindows = 4;

/** One reader, as far as can be told from outside. */
export interface Sequence {
  /** Where it should go on. */
  next: number;
  /** Bytes that it has read, one after the other. */
  run: number;
  /** It began at the beginning, with a long read. */
  readonly isThrough: boolean;
  /** Bytes behind `next` worth fetching ahead; 0 until it has proved sequential. */
  window: number;
  /** Up to here was fetched ahead. */
  aheadTo: number;
  /** The last read asked for something that nobody had asked for before. */
  isFirst: boolean;
}

export class Sequences {
  /** Most recently moved last. */
  readonly #sequences: Sequence[] = [];

  /** Takes note of a read; returns the sequence that it belongs to. */
  note(offset: number, length: number, isFirst: boolean): Sequence {
    const end = offset + length;
    const at = this.#sequences.findLastIndex(s => offset <= s.next + slackBytes && offset >= s.next - slackBytes && end > s.next);
    if (at === -1) {
      if (this.#sequences.length >= sequencesMax) this.#sequences.shift();
      const isThrough = offset === 0 && length >= longReadBytes;
      const sequence = {next: end, run: length, isThrough, window: isThrough ? Math.min(length, firstWindowBytesMax) : 0, aheadTo: end, isFirst};
      this.#sequences.push(sequence);
      return sequence;
    }
    const [sequence] = this.#sequences.splice(at, 1) as [Sequence];
    this.#sequences.push(sequence);
    sequence.run += end - sequence.next;
    sequence.next = end;
    sequence.isFirst = isFirst;
    sequence.window = Math.min(windowBytesMax, sequence.isThrough ? throughWindows * sequence.run : Math.max(windowBytesMin, sequence.window * 2, length));
    return sequence;
  }
}
