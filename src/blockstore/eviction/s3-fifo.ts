/**
 * S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): new things enter a small queue (a tenth of
 * the bytes); what is used again there moves to the main queue, the rest leaves early and is remembered as a ghost. A ghost that comes
 * back enters the main queue at once. Scans pass through the small queue and hurt nobody. A hit costs one byte's change.
 */
import {Ghosts} from '#blockstore/eviction/ghosts.ts';
import {type EvictionPolicy, type NodeSpace, protectedSkipsMax} from '#blockstore/eviction/policy.ts';
import {NodeQueue} from '#blockstore/eviction/queue.ts';

const smallShare = 0.1;
/** Bits of the mark: uses since the last judgement, which queue, and that it is in one. */
const usesMask = 3;
const inMain = 4;
const queued = 8;

export class S3Fifo implements EvictionPolicy {
  readonly #space: NodeSpace;
  readonly #small: NodeQueue;
  readonly #main: NodeQueue;
  readonly #ghosts = new Ghosts();
  victimWasUsed = false;

  constructor(space: NodeSpace) {
    this.#space = space;
    this.#small = new NodeQueue(space);
    this.#main = new NodeQueue(space);
  }

  get bytes(): number {
    return this.#ghosts.bytes;
  }

  insert(node: number): void {
    this.#enter(node, this.#ghosts.take(this.#space.hashOf(node)), 0);
  }

  use(node: number): void {
    const mark = this.#space.mark.get(node);
    if (mark !== 0 && (mark & usesMask) !== usesMask) this.#space.mark.set(node, mark + 1);
  }

  resized(node: number, delta: number): void {
    const mark = this.#space.mark.get(node);
    if (mark !== 0) this.#queueOf(mark).bytes += delta;
  }

  remove(node: number): void {
    const mark = this.#space.mark.get(node);
    if (mark === 0) return;
    this.#queueOf(mark).remove(node);
    this.#space.mark.set(node, 0);
  }

  evict(mayEvict: (node: number) => boolean): number {
    // Every turn but a protected one lowers a use count or empties the small queue, so this ends.
    for (let skips = 0; skips < protectedSkipsMax && this.#small.count + this.#main.count > 0; ) {
      const fromSmall = this.#main.count === 0 || (this.#small.count > 0 && this.#small.bytes >= smallShare * (this.#small.bytes + this.#main.bytes));
      const node = fromSmall ? this.#small.tail : this.#main.tail;
      const uses = this.#space.mark.get(node) & usesMask;
      this.remove(node);
      if (fromSmall ? uses > 1 : uses > 0) this.#enter(node, true, fromSmall ? 0 : uses - 1);
      else if (!mayEvict(node)) {
        this.#enter(node, true, 0);
        skips++;
      } else {
        this.victimWasUsed = !fromSmall || uses > 0;
        if (fromSmall) this.#ghosts.add(this.#space.hashOf(node), this.#main.count + this.#small.count);
        return node;
      }
    }
    return 0;
  }

  seen(node: number): boolean {
    const hash = this.#space.hashOf(node);
    const known = this.#ghosts.has(hash);
    if (!known) this.#ghosts.add(hash, this.#main.count + this.#small.count);
    return known;
  }

  #queueOf(mark: number): NodeQueue {
    return (mark & inMain) !== 0 ? this.#main : this.#small;
  }

  #enter(node: number, main: boolean, uses: number): void {
    this.#space.mark.set(node, queued | (main ? inMain : 0) | uses);
    (main ? this.#main : this.#small).push(node);
  }
}
