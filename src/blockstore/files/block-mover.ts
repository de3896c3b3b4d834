/**
 * Moves a block of a large content to another tier: its pages are read, verified, written and synced there, then the block is handed over in
 * one turn, the log that names its new home is synced, and only then is the old place freed, when no lease holds it. At any moment one of the
 * two files has the block whole; a crash leaves it on both, and the next start keeps one.
 */
import {crc32c} from '@node-rs/crc32';
import {pageBytes} from '#blockstore/block-store.ts';
import {type Block, blockPages, type LargeContent} from '#blockstore/files/large-content.ts';
import type {LargeContents} from '#blockstore/files/large-contents.ts';
import type {MoveTerms} from '#blockstore/moves/move-terms.ts';
import {tierSync} from '#blockstore/segments/scan-segment.ts';
import type {Tier} from '#blockstore/tier.ts';

/** Read, verified and written at a time. */
const copyPages = 16;

interface Move {
  readonly from: LargeContent;
  readonly block: Block;
  readonly first: number;
  readonly to: LargeContent;
  /** One for each page of the block that is written. */
  readonly copied: Uint8Array;
}

export class BlockMover {
  readonly #large: LargeContents;
  readonly #terms: MoveTerms;

  constructor(large: LargeContents, terms: MoveTerms) {
    this.#large = large;
    this.#terms = terms;
  }

  /** The bytes that moved; 0 when it stayed, and then it is in its policy. */
  async move(from: LargeContent, number: number, tier: Tier): Promise<number> {
    const moved = await this.#move(from, number, tier);
    if (moved === 0) this.#large.keep(from, number);
    return moved;
  }

  async #move(from: LargeContent, number: number, tier: Tier): Promise<number> {
    const large = this.#large;
    const block = from.blocks[number];
    if (!block || block.bytes === 0 || block.leaving || from.gone || from.lent || !this.#terms.mayMove(from.id, from.tier, tier)) return 0;
    if (large.files.on(from.id, tier)?.blocks[number]) return 0;
    const first = number * blockPages;
    const last = first + block.present.length - 1;
    const hold = from.hold(first, last);
    let reserved = 0;
    let to: LargeContent | undefined;
    let moved = 0;
    try {
      const wanted = block.bytes;
      if (!(await tier.reserve(wanted))) return 0;
      reserved = wanted;
      if (from.gone) return 0;
      to = large.files.on(from.id, tier);
      if (!to) large.adopt((to = large.make(from.id, from.length, tier)));
      to.holds++;
      tier.runtime.crashPoint('blockstore.beforeTierMove');
      const move = {from, block, first, to, copied: new Uint8Array(block.present.length)};
      if (!(await this.#copy(move))) return 0;
      // Nobody fills it from here until it is handed over; what came meanwhile goes along.
      using _ = await from.claim(first, last);
      const more = block.bytes - reserved;
      if (more > 0 && !(await tier.reserve(more))) return 0;
      reserved += Math.max(0, more);
      if (!(await this.#copy(move))) return 0;
      tier.runtime.crashPoint('blockstore.afterTierCopy');
      if (block.bytes === 0 || to.blocks[number] || from.lent || !this.#terms.mayMove(from.id, from.tier, tier)) return 0;
      moved = large.handOver(from, number, to, move.copied);
      reserved -= moved;
      tier.worked();
      await this.#terms.syncLog(tier);
      tier.runtime.crashPoint('blockstore.afterTierMove');
    } catch (error) {
      tier.failed(error);
    } finally {
      tier.release(reserved);
      hold[Symbol.dispose]();
      if (moved > 0) large.leave(from, number);
      else large.settle(from);
      if (to) {
        to.holds--;
        if (moved === 0 && to.bytes > 0) void large.clear(to, number, block.present.length);
        large.settle(to);
      }
    }
    return moved;
  }

  /** Brings what is present and not yet copied over, synced. False when it cannot go on. */
  async #copy({from, block, first, to, copied}: Move): Promise<boolean> {
    const bytes = Buffer.allocUnsafe(copyPages * pageBytes);
    let wrote = false;
    for (let at = 0; at < copied.length; ) {
      if (!block.present[at] || copied[at]) {
        at++;
        continue;
      }
      let end = at + 1;
      while (end < copied.length && end - at < copyPages && block.present[end] && !copied[end]) end++;
      const part = bytes.subarray(0, from.bytesOf(first + at, end - at));
      let count: number;
      try {
        count = await (await this.#large.file(from)).read(part, (first + at) * pageBytes);
      } catch (error) {
        // The disk that it leaves is to blame, not the one that it goes to.
        this.#large.unreadable(from, first + at, first + end - 1, error);
        return false;
      }
      if (from.gone || to.gone) return false;
      if (!this.#sound(from, block, first, at, end, part.subarray(0, count))) continue;
      await (await this.#large.file(to, true)).write([part], (first + at) * pageBytes);
      wrote = true;
      copied.fill(1, at, end);
      at = end;
      if (!(await this.#terms.pace(part.length)) || from.gone || to.gone) return false;
    }
    if (wrote && to.tier.persistent) {
      await (await this.#large.file(to)).datasync();
      await tierSync(to.tier, 'files', to.folder);
    }
    return !from.gone && !to.gone;
  }

  /** Whether these pages match their checksums; those that do not are absent from now on. */
  #sound(from: LargeContent, block: Block, first: number, at: number, end: number, bytes: Uint8Array): boolean {
    let sound = true;
    for (let page = at; page < end; page++) {
      const start = (page - at) * pageBytes;
      if (crc32c(bytes.subarray(start, start + from.pageLength(first + page))) === block.checksums[page]) continue;
      this.#large.setAbsent(from, first + page);
      sound = false;
    }
    return sound;
  }
}
