/**
 * What is known of the pages of a draft: which were written, and how far from its beginning each one's checksum goes. Where pages are
 * written from their beginning on, in pieces of any size, nothing has to be read again when the draft is sealed.
 */
import {crc32c} from '@node-rs/crc32';
import {pageBytes} from '#blockstore/block-store.ts';
import {blockPages} from '#blockstore/files/large-content.ts';

class PageBlock {
  readonly written = new Uint8Array(blockPages);
  /** Bytes from the page's beginning that the checksum is of. */
  readonly covered = new Uint32Array(blockPages);
  readonly checksums = new Uint32Array(blockPages);
}

let zeroChecksum: number | undefined;

export class DraftPages {
  readonly #blocks = new Map<number, PageBlock>();

  /** Marks the pages of a range as written; answers how many were not before. */
  touch(position: number, length: number): number {
    let added = 0;
    for (const [block, at] of this.#pages(position, length)) {
      if (block.written[at] === 1) continue;
      block.written[at] = 1;
      added++;
    }
    return added;
  }

  /** How many pages of a range were not written yet. */
  untouched(position: number, length: number): number {
    let count = 0;
    for (let page = Math.floor(position / pageBytes), end = Math.ceil((position + length) / pageBytes); page < end; page++) {
      if (this.#blocks.get(Math.floor(page / blockPages))?.written[page % blockPages] !== 1) count++;
    }
    return count;
  }

  /** These bytes are being written there, which was touched before. */
  write(buffers: readonly Uint8Array[], position: number): void {
    let place = position;
    for (const buffer of buffers) {
      for (let done = 0; done < buffer.length; ) {
        const from = place % pageBytes;
        const count = Math.min(buffer.length - done, pageBytes - from);
        this.#extend(Math.floor(place / pageBytes), from, buffer.subarray(done, done + count));
        done += count;
        place += count;
      }
    }
  }

  /** What the range holds is not known any more. */
  doubt(position: number, length: number): void {
    for (const [block, at] of this.#pages(position, length)) block.covered[at] = 0;
  }

  /** These pages hold nothing any more; answers how many did. */
  clear(first: number, end: number): number {
    let cleared = 0;
    for (const [number, block] of this.#blocks) {
      const start = number * blockPages;
      for (let page = Math.max(first, start); page < Math.min(end, start + blockPages); page++) {
        cleared += block.written[page - start]!;
        block.written[page - start] = 0;
        block.covered[page - start] = 0;
      }
      if (first <= start && end >= start + blockPages) this.#blocks.delete(number);
    }
    return cleared;
  }

  /** Of the page's first `length` bytes, all there is of it; undefined when they must be read. */
  checksum(page: number, length: number): number | undefined {
    const block = this.#blocks.get(Math.floor(page / blockPages));
    const at = page % blockPages;
    if (block?.written[at] === 1) return block.covered[at] === length ? block.checksums[at] : undefined;
    return length === pageBytes ? (zeroChecksum ??= crc32c(Buffer.alloc(pageBytes))) : crc32c(Buffer.alloc(length));
  }

  #extend(page: number, from: number, bytes: Uint8Array): void {
    const block = this.#blockOf(page);
    const at = page % blockPages;
    const covered = block.covered[at]!;
    if (from === 0 && bytes.length >= covered) {
      block.checksums[at] = crc32c(bytes);
      block.covered[at] = bytes.length;
    } else if (from === covered) {
      block.checksums[at] = crc32c(bytes, block.checksums[at]);
      block.covered[at] = covered + bytes.length;
    } else if (from < covered) block.covered[at] = 0;
  }

  *#pages(position: number, length: number): Generator<readonly [PageBlock, number]> {
    if (length === 0) return;
    const last = Math.floor((position + length - 1) / pageBytes);
    for (let page = Math.floor(position / pageBytes); page <= last; page++) yield [this.#blockOf(page), page % blockPages];
  }

  #blockOf(page: number): PageBlock {
    const number = Math.floor(page / blockPages);
    let block = this.#blocks.get(number);
    if (!block) this.#blocks.set(number, (block = new PageBlock()));
    return block;
  }
}
