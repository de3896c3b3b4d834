/**
 * Leases of cached contents as a whole, for those who hand the file on and see no more of it. Everything is checked first, page by page: while
 * the caller waits where it is little, and behind where it is much, for those who ask later.
 */
import {MiB} from '#base/units.ts';
import type {ContentId} from '#base/ids.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {ReadableContent} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';

/** About 10 ms. */
const checkBytesMax = 32 * MiB;
/** Contents that are checked behind at a time. */
const checksMax = 2;

export class WholeLeases {
  readonly #blocks: BlockStore;
  readonly #checking = new Set<ContentId>();

  constructor(blocks: BlockStore) {
    this.#blocks = blocks;
  }

  /** Undefined where not all of it is there, in one file; or not yet checked. `content` has some bytes. */
  async lease(content: ReadableContent): Promise<FileLease | undefined> {
    const {id, length} = content;
    const ready = this.#blocks.leaseNow(content, 0, length);
    if (ready) return ready;
    if (length <= checkBytesMax) return await this.#blocks.lease(content, 0, length);
    if (this.#blocks.presence(id)?.complete === true) void this.#check(content);
    return undefined;
  }

  async #check(content: ReadableContent): Promise<void> {
    if (this.#checking.size >= checksMax || this.#checking.has(content.id)) return;
    this.#checking.add(content.id);
    try {
      (await this.#blocks.lease(content, 0, content.length))?.[Symbol.dispose]();
    } finally {
      this.#checking.delete(content.id);
    }
  }
}
