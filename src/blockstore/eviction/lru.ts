/** Least recently used. */
import {type EvictionPolicy, type NodeSpace, protectedSkipsMax} from '#blockstore/eviction/policy.ts';
import {NodeQueue} from '#blockstore/eviction/queue.ts';

export class Lru implements EvictionPolicy {
  readonly #space: NodeSpace;
  readonly #queue: NodeQueue;
  readonly bytes = 0;

  constructor(space: NodeSpace) {
    this.#space = space;
    this.#queue = new NodeQueue(space);
  }

  insert(node: number): void {
    this.#space.mark.set(node, 1);
    this.#queue.push(node);
  }

  use(node: number): void {
    if (this.#space.mark.get(node) === 0) return;
    this.#queue.remove(node);
    this.#queue.push(node);
  }

  resized(node: number, delta: number): void {
    if (this.#space.mark.get(node) !== 0) this.#queue.bytes += delta;
  }

  remove(node: number): void {
    if (this.#space.mark.get(node) === 0) return;
    this.#space.mark.set(node, 0);
    this.#queue.remove(node);
  }

  /** Order is all that it knows: whatever goes is worth the next place. */
  get victimWasUsed(): boolean {
    return true;
  }

  seen(): boolean {
    return true;
  }

  evict(mayEvict: (node: number) => boolean): number {
    for (let turn = Math.min(this.#queue.count, protectedSkipsMax); turn > 0; turn--) {
      const node = this.#queue.tail;
      if (mayEvict(node)) {
        this.remove(node);
        return node;
      }
      this.use(node);
    }
    return 0;
  }
}
