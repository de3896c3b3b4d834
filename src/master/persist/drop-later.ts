/**
 * Contents that nobody refers to and that something still needs: an upload that sends them, or a file that may have to take them back. They are
 * dropped when that has ended. Whoever ends a need says so: thousands may wait here, and they are not all looked at whenever one file goes.
 */
import type {ContentId} from '#base/ids.ts';

export class DropLater {
  readonly #isNeeded: (id: ContentId) => boolean;
  readonly #drop: (ids: readonly ContentId[]) => void;
  /** Bounded by what needs them. */
  readonly #waiting = new Set<ContentId>();
  /** Of those: what one need of has ended, and perhaps the last. */
  #letGo: ContentId[] = [];

  constructor(isNeeded: (id: ContentId) => boolean, drop: (ids: readonly ContentId[]) => void) {
    this.#isNeeded = isNeeded;
    this.#drop = drop;
  }

  /** Something needs it. */
  add(id: ContentId): void {
    this.#waiting.add(id);
  }

  /** A need of it has ended, whether or not it waits here. */
  letGo(id: ContentId): void {
    if (this.#waiting.has(id)) this.#letGo.push(id);
  }

  /** Drops what nothing needs any more. */
  settle(): void {
    if (this.#letGo.length === 0) return;
    const free = this.#letGo.filter((id) => this.#waiting.has(id) && !this.#isNeeded(id));
    this.#letGo = [];
    for (const id of free) this.#waiting.delete(id);
    if (free.length > 0) this.#drop([...new Set(free)]);
  }
}
