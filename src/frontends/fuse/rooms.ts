/**
 * Memory for the bytes of large READs and WRITEs that take waiting, used again and again. Made anew each time it would cost far more than the copy:
 * it lies outside the heap, and after every few dozen of such buffers the collector looks through all of the heap.
 */
import {KiB} from '#base/units.ts';

/** Smaller ones are made from the common pool. */
const bytesMin = 64 * KiB;
const keptMax = 16;

export class Rooms {
  readonly #bytes: number;
  readonly #free: ArrayBufferLike[] = [];
  readonly #taken = new WeakSet<ArrayBufferLike>();

  /** Of so many bytes each. */
  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** What is in it is not said. */
  take(length: number): Uint8Array {
    if (length < bytesMin || length > this.#bytes) return Buffer.allocUnsafe(length);
    const memory = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes).buffer;
    this.#taken.add(memory);
    return Buffer.from(memory, 0, length);
  }

  /** Nobody looks at these bytes any more, which may be anybody's. What is not given back is only not used again. */
  give({buffer}: Uint8Array): void {
    if (this.#taken.delete(buffer) && this.#free.length < keptMax) this.#free.push(buffer);
  }
}
