/**
 * Leases of ranges: a place in a segment or in a content's own file, held until the lease ends. What is verified is leased on the spot; what is not
 * yet is read once before. Pages that prove corrupt, or that the disk does not give, are absent from then on.
 */
import type {ContentId} from '#base/ids.ts';
import {type ContentHandle, isSmall, pageBytes} from '#blockstore/block-store.ts';
import {blockPages} from '#blockstore/files/large-content.ts';
import type {LargeContents} from '#blockstore/files/large-contents.ts';
import type {HashIndex} from '#blockstore/index/hash-index.ts';
import type {NodeTable} from '#blockstore/index/node-table.ts';
import {RangeLease} from '#blockstore/range-lease.ts';
import type {SmallContents} from '#blockstore/segments/small-contents.ts';
import type {FileLease} from '#model/file-lease.ts';

export interface LeasedParts {
  readonly nodes: NodeTable;
  readonly index: HashIndex;
  readonly small: SmallContents;
  readonly large: LargeContents;
}

export class Leases {
  readonly #nodes: NodeTable;
  readonly #index: HashIndex;
  readonly #small: SmallContents;
  readonly #large: LargeContents;

  constructor({nodes, index, small, large}: LeasedParts) {
    this.#nodes = nodes;
    this.#index = index;
    this.#small = small;
    this.#large = large;
  }

  /** As BlockStore.lease. */
  async lease({id, length: whole}: ContentHandle, offset: number, length: number): Promise<FileLease | undefined> {
    if (length === 0) return undefined;
    if (isSmall(whole)) return await this.#leaseSmall(id, offset, length);
    const now = this.#leaseLargeNow(id, offset, length);
    if (now) return now;
    const [first, last] = [Math.floor(offset / pageBytes), Math.floor((offset + length - 1) / pageBytes)];
    const content = this.#large.files.whole(id, first, last);
    if (!content) return undefined;
    const hold = content.hold(first, last);
    const release = () => {
      hold[Symbol.dispose]();
      this.#large.settle(content);
    };
    try {
      const file = await this.#large.file(content);
      if (await this.#large.verify(content, first, last)) {
        this.#large.use(content, first, last);
        return new RangeLease(file, offset, length, release, (error) => this.#large.unreadable(content, first, last, error), () => this.#large.lend(content));
      }
    } catch (error) {
      this.#large.unreadable(content, first, last, error);
    }
    release();
    return undefined;
  }

  /** As BlockStore.leaseNow. */
  leaseNow({id, length: whole}: ContentHandle, offset: number, length: number): FileLease | undefined {
    if (length === 0) return undefined;
    return isSmall(whole) ? this.#leaseSmallNow(id, offset, length) : this.#leaseLargeNow(id, offset, length);
  }

  async #leaseSmall(id: ContentId, offset: number, length: number): Promise<FileLease | undefined> {
    // Reading it once verifies it.
    return this.#leaseSmallNow(id, offset, length) ?? ((await this.#small.read(id, offset, length)) ? this.#leaseSmallNow(id, offset, length) : undefined);
  }

  #leaseSmallNow(id: ContentId, offset: number, length: number): FileLease | undefined {
    const node = this.#index.find(id);
    if (node === 0 || !this.#small.isReady(node)) return undefined;
    const segment = this.#small.segmentOf(node);
    segment.tier.use(node, length);
    segment.recent = true;
    segment.hold();
    const place = this.#nodes.offset.get(node);
    return new RangeLease(
      segment.file!,
      place + offset,
      length,
      () => segment.letGo(),
      (error) => this.#small.unreadable(id, segment, place, error),
    );
  }

  #leaseLargeNow(id: ContentId, offset: number, length: number): FileLease | undefined {
    const [first, last] = [Math.floor(offset / pageBytes), Math.floor((offset + length - 1) / pageBytes)];
    const content = this.#large.files.home(id, Math.floor(first / blockPages));
    const file = content && this.#large.readyFile(content, first, last);
    if (!file) return undefined;
    const hold = content.hold(first, last);
    this.#large.use(content, first, last);
    const release = () => {
      hold[Symbol.dispose]();
      this.#large.settle(content);
    };
    return new RangeLease(file, offset, length, release, (error) => this.#large.unreadable(content, first, last, error), () => this.#large.lend(content));
  }
}
