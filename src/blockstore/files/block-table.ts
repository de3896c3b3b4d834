/**
 * Which pages of large contents are present, block by block, and the nodes that stand for the blocks: in the policy of their tier while they may be
 * evicted.
 */
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import {Block, blockPages, type LargeContent} from '#blockstore/files/large-content.ts';
import {nodeBlock, nodeKept, type NodeTable} from '#blockstore/index/node-table.ts';

export class BlockTable {
  readonly #nodes: NodeTable;
  readonly #isKept: (id: ContentId) => boolean;

  constructor(nodes: NodeTable, isKept: (id: ContentId) => boolean) {
    this.#nodes = nodes;
    this.#isKept = isKept;
  }

  /** Marks pages present; answers the bytes that were not present before. */
  enter(content: LargeContent, first: number, checksums: Uint32Array, verified: boolean): number {
    let added = 0;
    checksums.forEach((checksum, i) => {
      const page = first + i;
      const number = Math.floor(page / blockPages);
      const block = (content.blocks[number] ??= new Block(Math.min(blockPages, content.pages - number * blockPages)));
      const at = page % blockPages;
      assert(!verified || block.present[at] === 0, 'a present page is not written again');
      block.checksums[at] = checksum;
      if (block.present[at] === 1) return;
      block.verified[at] = verified ? 1 : 0;
      block.present[at] = 1;
      const bytes = content.pageLength(page);
      block.bytes += bytes;
      added += bytes;
      if (block.node === 0) {
        const kept = this.#isKept(content.id);
        block.node = this.#nodes.add(content.id, 0, number, bytes, nodeBlock | (kept ? nodeKept : 0));
        if (!kept) content.tier.policy.insert(block.node);
      } else {
        this.#nodes.length.set(block.node, block.bytes);
        content.tier.policy.resized(block.node, bytes);
      }
    });
    return added;
  }

  clear(content: LargeContent, page: number): void {
    const block = content.blockOf(page)!;
    const bytes = content.pageLength(page);
    block.present[page % blockPages] = 0;
    block.verified[page % blockPages] = 0;
    block.bytes -= bytes;
    content.tier.release(bytes);
    this.#nodes.length.set(block.node, block.bytes);
    content.tier.policy.resized(block.node, -bytes);
    if (block.bytes === 0) this.forget(content, block);
  }

  forgetAll(content: LargeContent): void {
    for (const block of content.blocks) if (block && block.node !== 0) this.forget(content, block);
  }

  forget(content: LargeContent, block: Block): void {
    content.tier.policy.remove(block.node);
    this.#nodes.release(block.node);
    block.node = 0;
  }

  /** The block's home is another file, where its pages with bits in `copied` are written. Answers their bytes. */
  handOver(from: LargeContent, number: number, to: LargeContent, copied: Uint8Array): number {
    const block = from.blocks[number]!;
    assert(!to.blocks[number] && !block.leaving && block.node !== 0, 'a block is handed over to where it is not');
    const next = (to.blocks[number] = new Block(block.present.length));
    next.present.set(copied);
    next.verified.set(copied);
    next.checksums.set(block.checksums);
    for (let at = 0; at < copied.length; at++) if (copied[at]) next.bytes += to.pageLength(number * blockPages + at);
    from.tier.policy.remove(block.node);
    next.node = block.node;
    block.node = 0;
    block.leaving = true;
    this.#nodes.length.set(next.node, next.bytes);
    if (!this.#nodes.has(next.node, nodeKept)) to.tier.policy.insert(next.node);
    return next.bytes;
  }

  /** A victim that stays goes back into its policy. */
  keep(content: LargeContent, number: number): void {
    const node = content.blocks[number]?.node ?? 0;
    if (node === 0 || this.#nodes.has(node, nodeKept) || this.#nodes.mark.get(node) !== 0) return;
    content.tier.policy.insert(node);
  }

  setKept(content: LargeContent, kept: boolean): void {
    for (const block of content.blocks) {
      if (!block || block.node === 0 || this.#nodes.has(block.node, nodeKept) === kept) continue;
      this.#nodes.setFlag(block.node, nodeKept, kept);
      if (kept) content.tier.policy.remove(block.node);
      else if (this.#nodes.mark.get(block.node) === 0) content.tier.policy.insert(block.node);
    }
  }
}
