/**
 * LRFU (Lee et al., IEEE Transactions on Computers 2001): each use at time t is worth 2^(-lambda × age); the least worthy goes.
 * All worths decay alike, so the order of log2(sum of 2^(lambda × t)) never changes by waiting: it is kept as one number a
 * node, in a binary heap. Time is the count of uses.
 */
import {type EvictionPolicy, type NodeSpace, protectedSkipsMax} from '#blockstore/eviction/policy.ts';
import {float64Column, uint32Column} from '#blockstore/index/column.ts';

/** A use loses half its worth in 1/lambda further uses. Nearer 0 is LFU, nearer 1 is LRU. */
const lambda = 0.001;

export class Lrfu implements EvictionPolicy {
  readonly #space: NodeSpace;
  readonly #worth = float64Column();
  /** Heap position → node, from 1. A node's own position is in the `next` column. */
  readonly #heap = uint32Column();
  #count = 0;
  #time = 0;

  constructor(space: NodeSpace) {
    this.#space = space;
  }

  get bytes(): number {
    return this.#worth.bytes + this.#heap.bytes;
  }

  insert(node: number): void {
    this.#worth.reserve(node + 1);
    this.#heap.reserve(this.#count + 2);
    this.#worth.set(node, ++this.#time * lambda);
    this.#space.mark.set(node, 1);
    this.#put(++this.#count, node);
    this.#rise(this.#count);
  }

  use(node: number): void {
    if (this.#space.mark.get(node) === 0) return;
    const now = ++this.#time * lambda;
    const before = this.#worth.get(node);
    this.#worth.set(node, Math.max(now, before) + Math.log2(1 + 2 ** -Math.abs(now - before)));
    this.#sink(this.#space.next.get(node));
  }

  resized(): void {}

  remove(node: number): void {
    if (this.#space.mark.get(node) === 0) return;
    this.#space.mark.set(node, 0);
    const position = this.#space.next.get(node);
    const last = this.#heap.get(this.#count--);
    if (last === node) return;
    this.#put(position, last);
    this.#rise(position);
    this.#sink(this.#space.next.get(last));
  }

  /** Order is all that it knows: whatever goes is worth the next place. */
  get victimWasUsed(): boolean {
    return true;
  }

  seen(): boolean {
    return true;
  }

  evict(mayEvict: (node: number) => boolean): number {
    const passed: number[] = [];
    let victim = 0;
    while (this.#count > 0 && passed.length < protectedSkipsMax) {
      const node = this.#heap.get(1);
      this.remove(node);
      if (mayEvict(node)) {
        victim = node;
        break;
      }
      passed.push(node);
    }
    for (const node of passed) {
      this.#space.mark.set(node, 1);
      this.#put(++this.#count, node);
      this.#rise(this.#count);
    }
    return victim;
  }

  #put(position: number, node: number): void {
    this.#heap.set(position, node);
    this.#space.next.set(node, position);
  }

  #less(a: number, b: number): boolean {
    return this.#worth.get(this.#heap.get(a)) < this.#worth.get(this.#heap.get(b));
  }

  #swap(a: number, b: number): void {
    const node = this.#heap.get(a);
    this.#put(a, this.#heap.get(b));
    this.#put(b, node);
  }

  #rise(position: number): void {
    for (let at = position; at > 1 && this.#less(at, at >>> 1); at >>>= 1) this.#swap(at, at >>> 1);
  }

  #sink(position: number): void {
    for (let at = position; ; ) {
      let child = at * 2;
      if (child > this.#count) return;
      if (child < this.#count && this.#less(child + 1, child)) child++;
      if (!this.#less(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }
}
