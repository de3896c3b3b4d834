/**
 * The body of an answer, between the connection that it comes on and whoever reads it. A large one is received into slabs, straight from the
 * socket; a small one is copied out of the buffer that all connections share, into memory of its own.
 */
import {KiB} from '#base/units.ts';
import {ReceiveQueue, slabBytes} from '#runtime/node/http/receive-slabs.ts';

/** Unread bytes of one answer, from which on its connection is not read. */
const waitingBytesMax = 256 * KiB;
const slabbedBytesMin = 2 * slabBytes;

/** What a body asks of its connection. */
export interface BodySource {
  /** Nothing more for now, or more again. */
  flow(on: boolean): void;
  /** Nobody wants the rest. */
  breakOff(): void;
}

export class ReceivedBody implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #source: BodySource;
  readonly #slabs: ReceiveQueue | undefined;
  readonly #copies: Uint8Array[] = [];
  #waiting = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(source: BodySource, length: number | undefined) {
    this.#source = source;
    if (length !== undefined && length >= slabbedBytesMin) this.#slabs = new ReceiveQueue();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      const chunk = this.#slabs ? this.#slabs.take() : this.#copies.shift();
      if (chunk) {
        const wasFull = this.#waiting >= waitingBytesMax;
        this.#waiting -= chunk.length;
        if (wasFull && this.#waiting < waitingBytesMax && !this.#ended) this.#source.flow(true);
        return {done: false, value: chunk};
      }
      if (this.#failure) throw this.#failure;
      if (this.#ended) return {done: true, value: undefined};
      const {promise, resolve} = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.destroy();
    return {done: true, value: undefined};
  }

  /** Breaks the connection off, unless the answer came whole. */
  destroy(): void {
    if (!this.#ended && !this.#failure) this.#source.breakOff();
  }

  /** Where the next bytes may be put; undefined for bodies that are handed over by `add`. */
  room(): Uint8Array | undefined {
    return this.#slabs?.room();
  }

  /** So many bytes were put into `room`. */
  filled(count: number): void {
    this.#slabs!.filled(count);
    this.#received(count);
  }

  /** Copies. */
  add(bytes: Uint8Array): void {
    if (this.#slabs) this.#slabs.add(bytes);
    else this.#copies.push(Uint8Array.prototype.slice.call(bytes));
    this.#received(bytes.length);
  }

  /** All is there. */
  end(): void {
    this.#ended = true;
    this.#slabs?.end();
    this.#wakeUp();
  }

  /** Nothing more will come, though more was promised. What came can still be read. */
  fail(failure: Error): void {
    if (this.#ended) return;
    this.#failure ??= failure;
    this.#wakeUp();
  }

  #received(count: number): void {
    const wasFull = this.#waiting >= waitingBytesMax;
    this.#waiting += count;
    if (!wasFull && this.#waiting >= waitingBytesMax) this.#source.flow(false);
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
