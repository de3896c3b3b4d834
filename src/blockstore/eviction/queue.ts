/** A doubly linked queue through the shared link columns: in at the head, out at the tail, or from the middle. */
import type {NodeSpace} from '#blockstore/eviction/policy.ts';

export class NodeQueue {
  readonly #space: NodeSpace;
  #head = 0;
  #tail = 0;
  count = 0;
  bytes = 0;

  constructor(space: NodeSpace) {
    this.#space = space;
  }

  get tail(): number {
    return this.#tail;
  }

  push(node: number): void {
    const {next, previous} = this.#space;
    next.set(node, this.#head);
    previous.set(node, 0);
    if (this.#head === 0) this.#tail = node;
    else previous.set(this.#head, node);
    this.#head = node;
    this.count++;
    this.bytes += this.#space.bytesOf(node);
  }

  remove(node: number): void {
    const {next, previous} = this.#space;
    const [after, before] = [next.get(node), previous.get(node)];
    if (before === 0) this.#head = after;
    else next.set(before, after);
    if (after === 0) this.#tail = before;
    else previous.set(after, before);
    this.count--;
    this.bytes -= this.#space.bytesOf(node);
  }
}
