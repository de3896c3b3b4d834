/**
 * Records from one thread to one other, in memory that both see: the writer copies in, the reader copies out, and nobody makes objects for it.
 *
 * Invariants: `written` and `read` count bytes and go round at 2^32; a record lies in one piece, so what is left before the end of the ring is skipped
 * when it is too short; a record may be read when `written` has passed it, and its place be used again when `read` has.
 */
import {assert} from '#base/assert.ts';
import {KiB, MiB} from '#base/units.ts';

/** A power of two, so that counters which go round stay in step with places. */
const ringBytes = MiB;
export const recordBytesMax = 128 * KiB;
const headerBytes = 12;
const written = 0;
const read = 1;
/** 1 while the reader will not look by itself, and 1 while the writer wants to know of room. */
const asleep = 2;
const crowded = 3;
const controlWords = 4;
const controlBytes = controlWords * 4;
const skipped = -1;
/** For how long a writer waits before it looks whether the reader is still alive. */
const waitMs = 1_000;

export function makeRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(controlBytes + ringBytes);
}

const paddedTo4 = (length: number): number => (length + 3) & ~3;

export class RingWriter {
  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(ring: SharedArrayBuffer) {
    this.#control = new Int32Array(ring, 0, controlWords);
    this.#words = new Int32Array(ring, controlBytes);
    this.#bytes = new Uint8Array(ring, controlBytes);
  }

  /** False when there is no room for it now: then wait for `moved`. */
  write(kind: number, id: number, payload: Uint8Array): boolean {
    assert(payload.length <= recordBytesMax, 'a record has a bound');
    const from = Atomics.load(this.#control, written);
    let place = (from >>> 0) % ringBytes;
    const bytes = headerBytes + paddedTo4(payload.length);
    const gap = ringBytes - place < bytes ? ringBytes - place : 0;
    const used = (from - Atomics.load(this.#control, read)) >>> 0;
    if (used + gap + bytes > ringBytes) return false;
    if (gap > 0) {
      this.#words[place / 4] = skipped;
      place = 0;
    }
    this.#words[place / 4] = payload.length;
    this.#words[place / 4 + 1] = kind;
    this.#words[place / 4 + 2] = id;
    this.#bytes.set(payload, place + headerBytes);
    Atomics.store(this.#control, written, (from + gap + bytes) | 0);
    Atomics.notify(this.#control, written);
    return true;
  }

  /** True when the reader said that it will not look by itself: then whoever asked wakes it. */
  wakes(): boolean {
    return Atomics.exchange(this.#control, asleep, 0) === 1;
  }

  /** There was no room: the reader is asked to say when it has gone on. False when it has by now, so that writing may be tried again. */
  awaitRoom(): boolean {
    const seen = Atomics.load(this.#control, read);
    Atomics.store(this.#control, crowded, 1);
    return Atomics.load(this.#control, read) === seen && seen !== Atomics.load(this.#control, written);
  }

  /** Resolves when the reader may have gone on, or after a while. */
  async moved(): Promise<void> {
    const seen = Atomics.load(this.#control, read);
    if (seen === Atomics.load(this.#control, written)) return;
    await Atomics.waitAsync(this.#control, read, seen, waitMs).value;
  }
}

export interface RingRecord {
  readonly kind: number;
  readonly id: number;
  /** The reader's own, until the next record. */
  readonly payload: Buffer;
}

export class RingReader {
  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #payload = Buffer.allocUnsafeSlow(recordBytesMax);

  constructor(ring: SharedArrayBuffer) {
    this.#control = new Int32Array(ring, 0, controlWords);
    this.#words = new Int32Array(ring, controlBytes);
    this.#bytes = new Uint8Array(ring, controlBytes);
  }

  /** The next record; blocks the thread until there is one. */
  next(): RingRecord {
    for (;;) {
      const record = this.take();
      if (record) return record;
      const at = Atomics.load(this.#control, read);
      while (Atomics.load(this.#control, written) === at) Atomics.wait(this.#control, written, at);
    }
  }

  /** The next record, where there is one. */
  take(): RingRecord | undefined {
    let at = Atomics.load(this.#control, read);
    if (Atomics.load(this.#control, written) === at) return undefined;
    let place = (at >>> 0) % ringBytes;
    if (this.#words[place / 4] === skipped) {
      at = (at + ringBytes - place) | 0;
      place = 0;
    }
    const length = this.#words[place / 4]!;
    const record = {kind: this.#words[place / 4 + 1]!, id: this.#words[place / 4 + 2]!, payload: this.#payload.subarray(0, length)};
    this.#payload.set(this.#bytes.subarray(place + headerBytes, place + headerBytes + length));
    Atomics.store(this.#control, read, (at + headerBytes + paddedTo4(length)) | 0);
    Atomics.notify(this.#control, read);
    return record;
  }

  /** Says that nobody looks until the writer wakes; false when there is a record after all. */
  sleeps(): boolean {
    Atomics.store(this.#control, asleep, 1);
    if (Atomics.load(this.#control, read) === Atomics.load(this.#control, written)) return true;
    Atomics.store(this.#control, asleep, 0);
    return false;
  }

  /** True when the writer waits for room: then whoever asked tells it. */
  madeRoom(): boolean {
    return Atomics.load(this.#control, crowded) === 1 && Atomics.exchange(this.#control, crowded, 0) === 1;
  }
}
