/** The bytes of a small file that is being written, in memory; every change is in the log of drafts before it is seen here. */
import type {TimeNs} from '#model/content.ts';

const firstBytes = 4096;
/** Memory of drafts that were closed, of `firstBytes` each: most files that are made are small, and one made anew for each has the collector look for it. */
const spares: Buffer[] = [];
const sparesMax = 64;

const nothing = Buffer.alloc(0);

export class SmallDraft {
  #bytes: Buffer;
  /** Its memory was made here. */
  #isOurs = false;
  #length: number;
  modified: TimeNs;

  /** Without bytes: a new one. */
  constructor(bytes: Uint8Array | undefined, modified: TimeNs) {
    this.#bytes = bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : nothing;
    this.#length = this.#bytes.length;
    this.modified = modified;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory. */
  get room(): number {
    return this.#bytes.length;
  }

  /** All of it; the memory is the draft's. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  read(offset: number, length: number): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, Math.min(offset, this.#length), Math.min(offset + length, this.#length));
  }

  write(bytes: Uint8Array, position: number, modified: TimeNs): void {
    const end = position + bytes.length;
    this.#grow(end);
    this.#bytes.set(bytes, position);
    this.#length = Math.max(this.#length, end);
    this.modified = modified;
  }

  /** Within its length. */
  zero(position: number, length: number, modified: TimeNs): void {
    this.#bytes.fill(0, position, Math.min(position + length, this.#length));
    this.modified = modified;
  }

  truncate(length: number, modified: TimeNs): void {
    this.#grow(length);
    if (length < this.#length) this.#bytes.fill(0, length, this.#length);
    this.#length = length;
    this.modified = modified;
  }

  /** Nobody looks at it, or at `bytes`, any more. */
  letGo(): void {
    if (this.#bytes.length === firstBytes && this.#isOurs && spares.length < sparesMax) spares.push(this.#bytes);
    this.#bytes = nothing;
    this.#length = 0;
  }

  #grow(length: number): void {
    if (length <= this.#bytes.length) return;
    const spare = length <= firstBytes ? spares.pop() : undefined;
    const larger = spare?.fill(0) ?? Buffer.alloc(Math.max(firstBytes, length, Math.min(this.#bytes.length * 2, length + 256 * 1024)));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
    this.#isOurs = true;
  }
}
