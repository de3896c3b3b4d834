/** Least frequently used, first in first out among equals. Counts stop at 255. */
import {type EvictionPolicy, type NodeSpace, protectedSkipsMax} from '#blockstore/eviction/policy.ts';
import {NodeQueue} from '#blockstore/eviction/queue.ts';

const countMax = 255;

export class Lfu implements EvictionPolicy {
  readonly #space: NodeSpace;
  /** By count; a node's mark is its count. */
  readonly #queues: readonly NodeQueue[];
  readonly bytes = 0;

  constructor(space: NodeSpace) {
    this.#space = space;
    this.#queues = Array.from({length: countMax + 1}, () => new NodeQueue(space));
  }

  insert(node: number): void {
    this.#enter(node, 1);
  }

  use(node: number): void {
    const count = this.#space.mark.get(node);
    if (count === 0 || count === countMax) return;
    this.#queues[count]!.remove(node);
    this.#enter(node, count + 1);
  }

  resized(node: number, delta: number): void {
    const count = this.#space.mark.get(node);
    if (count !== 0) this.#queues[count]!.bytes += delta;
  }

  remove(node: number): void {
    const count = this.#space.mark.get(node);
    if (count === 0) return;
    this.#queues[count]!.remove(node);
    this.#space.mark.set(node, 0);
  }

  /** Order is all that it knows: whatever goes is worth the next place. */
  get victimWasUsed(): boolean {
    return true;
  }

  seen(): boolean {
    return true;
  }

  evict(mayEvict: (node: number) => boolean): number {
    let skips = protectedSkipsMax;
    for (const queue of this.#queues) {
      for (let turn = queue.count; turn > 0 && skips > 0; turn--) {
        const node = queue.tail;
        if (mayEvict(node)) {
          this.remove(node);
          return node;
        }
        queue.remove(node);
        queue.push(node);
        skips--;
      }
    }
    return 0;
  }

  #enter(node: number, count: number): void {
    this.#space.mark.set(node, count);
    this.#queues[count]!.push(node);
  }
}
