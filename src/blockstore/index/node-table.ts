/**
 * What can be evicted, as rows of 32 bytes in typed arrays: one row (a node) for each small content in a segment and for each 64 MiB block of
 * a large content. Node 0 is nobody. A hit at ten million looks at one row, one or two lines of memory that are in no processor's cache: with an array
 * for each field it would be nine. The hash table over the small contents adds 5 to 11 bytes.
 */
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import type {Cells, NodeSpace} from '#blockstore/eviction/policy.ts';

/** Bits of `flags`. */
export const nodeUsed = 1;
/** A block of a large content; its block number is in `offset`, its present bytes in `length`. */
export const nodeBlock = 2;
/** The bytes are known to match their checksum, in this process's life. */
export const nodeVerified = 4;
/** Pinned or dirty: out of the eviction policy's sight. */
export const nodeKept = 8;

/** Well-mixed 32 bits of a content id and a part number. */
export function hashId(low: number, high: number): number {
  let hash = Math.imul(low ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul((high + 0x7f4a7c15) | 0, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}

const two32 = 2 ** 32;
export const lowOf = (id: number): number => id >>> 0;
export const highOf = (id: number): number => Math.floor(id / two32);

const chunkShift = 16;
const chunkRows = 1 << chunkShift;
const rowWords = 8;
const rowBytes = rowWords * 4;

/** One field of all rows. Two classes, so that each meets one kind of array only. */
class WordField implements Cells {
  readonly #chunks: readonly Uint32Array[];
  readonly #place: number;

  constructor(chunks: readonly Uint32Array[], place: number) {
    this.#chunks = chunks;
    this.#place = place;
  }

  get(node: number): number {
    return this.#chunks[node >>> chunkShift]![(node & (chunkRows - 1)) * rowWords + this.#place]!;
  }

  set(node: number, value: number): void {
    this.#chunks[node >>> chunkShift]![(node & (chunkRows - 1)) * rowWords + this.#place] = value;
  }
}

class ByteField implements Cells {
  readonly #chunks: readonly Uint8Array[];
  readonly #place: number;

  constructor(chunks: readonly Uint8Array[], place: number) {
    this.#chunks = chunks;
    this.#place = place;
  }

  get(node: number): number {
    return this.#chunks[node >>> chunkShift]![(node & (chunkRows - 1)) * rowBytes + this.#place]!;
  }

  set(node: number, value: number): void {
    this.#chunks[node >>> chunkShift]![(node & (chunkRows - 1)) * rowBytes + this.#place] = value;
  }
}

export class NodeTable implements NodeSpace {
  readonly #words: Uint32Array[] = [];
  /** The same memory. */
  readonly #bytes: Uint8Array[] = [];
  readonly idLow = new WordField(this.#words, 0);
  readonly idHigh = new WordField(this.#words, 1);
  readonly segment = new WordField(this.#words, 2);
  readonly offset = new WordField(this.#words, 3);
  readonly length = new WordField(this.#words, 4);
  readonly next = new WordField(this.#words, 5);
  readonly previous = new WordField(this.#words, 6);
  readonly flags = new ByteField(this.#bytes, 28);
  readonly mark = new ByteField(this.#bytes, 29);
  #end = 1;
  #free = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(id: ContentId, segment: number, offset: number, length: number, flags: number): number {
    let node = this.#free;
    if (node !== 0) this.#free = this.next.get(node);
    else {
      node = this.#end++;
      assert(node < two32, 'the block index is full');
      if (node >>> chunkShift >= this.#words.length) this.#grow();
    }
    this.idLow.set(node, lowOf(id));
    this.idHigh.set(node, highOf(id));
    this.segment.set(node, segment);
    this.offset.set(node, offset);
    this.length.set(node, length);
    this.flags.set(node, flags | nodeUsed);
    this.next.set(node, 0);
    this.previous.set(node, 0);
    this.mark.set(node, 0);
    this.#count++;
    return node;
  }

  /** The node must be out of its policy. */
  release(node: number): void {
    assert((this.flags.get(node) & nodeUsed) !== 0, 'a node is released once');
    this.flags.set(node, 0);
    this.next.set(node, this.#free);
    this.#free = node;
    this.#count--;
  }

  id(node: number): ContentId {
    return (this.idHigh.get(node) * two32 + this.idLow.get(node)) as ContentId;
  }

  has(node: number, flag: number): boolean {
    return (this.flags.get(node) & flag) !== 0;
  }

  setFlag(node: number, flag: number, on: boolean): void {
    const flags = this.flags.get(node);
    this.flags.set(node, on ? flags | flag : flags & ~flag);
  }

  bytesOf(node: number): number {
    return this.length.get(node);
  }

  hashOf(node: number): number {
    const part = this.has(node, nodeBlock) ? this.offset.get(node) + 1 : 0;
    return hashId(this.idLow.get(node) ^ Math.imul(part, 0x9e3779b1), this.idHigh.get(node));
  }

  get bytes(): number {
    return this.#bytes.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  #grow(): void {
    const words = new Uint32Array(chunkRows * rowWords);
    this.#words.push(words);
    this.#bytes.push(new Uint8Array(words.buffer));
  }
}
