/**
 * An OPEN of what has no name any more is refused once (ESTALE): whoever opened it by a name that its kernel took for still true looks for that again, and
 * finds what is there now. Who opened it by a descriptor of his (/proc/self/fd) asks a second time, in the same call, for the same.
 */
import type {InodeId} from '#base/ids.ts';

/** Refusals that nobody came back for. */
const refusedMax = 1_000;

export class SecondAsks {
  /** The oldest first. */
  readonly #refused = new Set<string>();

  /** Whether the thread has asked for the node before, and was refused; else it is to be refused now. */
  isSecond(node: InodeId, thread: number): boolean {
    const key = `${node}/${thread}`;
    if (this.#refused.delete(key)) return true;
    if (this.#refused.size >= refusedMax) for (const oldest of this.#refused) {
      this.#refused.delete(oldest);
      break;
    }
    this.#refused.add(key);
    return false;
  }
}
