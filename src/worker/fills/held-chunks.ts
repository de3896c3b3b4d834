/**
 * Bytes that a flight has received and that lie together, and who uses them: the flight while it holds them, the block store while it
 * writes them, readers while they send them. When the last of them is done the memory goes back to where it came from, unless
 * somebody was given it for good.
 */
import {assert} from '#base/assert.ts';
import type {HeldBytes} from '#worker/fills/held-bytes.ts';

export type GiveBack = (bytes: Uint8Array) => void;

export class HeldChunk {
  bytes: Uint8Array;
  readonly #giveBack: GiveBack | undefined;
  #users = 1;
  #kept = false;

  constructor(bytes: Uint8Array, giveBack: GiveBack | undefined) {
    this.bytes = bytes;
    this.#giveBack = giveBack;
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Takes in what follows in the same memory; false when it lies elsewhere. */
  extend(next: Uint8Array, giveBack: GiveBack | undefined): boolean {
    const {buffer, byteOffset, length} = this.bytes;
    if (next.buffer !== buffer || next.byteOffset !== byteOffset + length || giveBack !== this.#giveBack) return false;
    this.bytes = new Uint8Array(buffer, byteOffset, length + next.length);
    return true;
  }

  /** One more uses the bytes, until its `release`. */
  use(): void {
    this.#users++;
  }

  /** Somebody has the bytes for good. */
  keep(): void {
    this.#kept = true;
  }

  release(): void {
    this.#users--;
    assert(this.#users >= 0, 'bytes are let go once by each user');
    if (this.#users === 0 && !this.#kept) this.#giveBack?.(this.bytes);
  }
}

/** A part of a held chunk. */
export interface Slice {
  readonly bytes: Uint8Array;
  readonly chunk: HeldChunk;
}

/** The bytes [from, to) that a flight holds, as a queue: they come at the end and go at the front. */
export class HeldChunks {
  readonly #held: HeldBytes;
  readonly #chunks: HeldChunk[] = [];
  #from: number;
  #to: number;

  constructor(start: number, held: HeldBytes) {
    this.#held = held;
    this.#from = this.#to = start;
  }

  get from(): number {
    return this.#from;
  }

  get to(): number {
    return this.#to;
  }

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  add(bytes: Uint8Array, giveBack: GiveBack | undefined): void {
    if (!this.#chunks.at(-1)?.extend(bytes, giveBack)) this.#chunks.push(new HeldChunk(bytes, giveBack));
    this.#to += bytes.length;
    this.#held.add(bytes.length);
  }

  has(position: number): boolean {
    return position >= this.#from && position < this.#to;
  }

  /** From `position` on, as much as lies together; undefined when it is not held. */
  at(position: number): Slice | undefined {
    if (!this.has(position)) return undefined;
    let at = this.#to;
    for (let i = this.#chunks.length - 1; i >= 0; i--) {
      const chunk = this.#chunks[i]!;
      at -= chunk.length;
      if (position >= at) return {bytes: position === at ? chunk.bytes : chunk.bytes.subarray(position - at), chunk};
    }
    return undefined;
  }

  /** What makes up [from, to); undefined when that is not all held. */
  slices(from: number, to: number): Slice[] | undefined {
    if (from < this.#from) return undefined;
    const slices: Slice[] = [];
    let at = this.#from;
    for (const chunk of this.#chunks) {
      const start = Math.max(from, at);
      const end = Math.min(to, at + chunk.length);
      if (start < end) slices.push({bytes: start === at && end === at + chunk.length ? chunk.bytes : chunk.bytes.subarray(start - at, end - at), chunk});
      at += chunk.length;
      if (at >= to) break;
    }
    return slices;
  }

  /** Lets go of leading chunks as long as `mayGo` agrees. */
  release(mayGo: (start: number, end: number) => boolean): void {
    let count = 0;
    for (const chunk of this.#chunks) {
      const end = this.#from + chunk.length;
      if (!mayGo(this.#from, end)) break;
      this.#from = end;
      this.#letGo(chunk);
      count++;
    }
    if (count > 0) this.#chunks.splice(0, count);
  }

  /** Lets go of all, and counts `end` as reached. */
  clear(end: number): void {
    for (const chunk of this.#chunks.splice(0)) this.#letGo(chunk);
    this.#from = end;
  }

  #letGo(chunk: HeldChunk): void {
    this.#held.remove(chunk.length);
    chunk.release();
  }
}
