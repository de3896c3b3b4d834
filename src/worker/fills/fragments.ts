/**
 * Pieces of pages that were fetched exactly, because fetching their pages whole would have amplified small random reads. They
 * cannot go to the block store (a page is there whole or not at all), so they wait in a small memory for being asked again;
 * the least recently used give way. One piece a page, the longest.
 */
import type {ContentId} from '#base/ids.ts';
import {pageBytes} from '#blockstore/block-store.ts';
import {LRUCache} from 'lru-cache';

export class Fragments {
  readonly #pieces: LRUCache<string, {start: number; bytes: Uint8Array}>;

  constructor(bytesMax: number) {
    this.#pieces = new LRUCache({maxSize: bytesMax, sizeCalculation: piece => Math.max(1, piece.bytes.length)});
  }

  /** Keeps `bytes`, which lie at `start` of the content and within one page. They must not change. */
  put(content: ContentId, start: number, bytes: Uint8Array): void {
    const key = keyOf(content, start);
    const known = this.#pieces.get(key);
    if (!known || known.bytes.length < bytes.length) this.#pieces.set(key, {start, bytes});
  }

  /** What is known from `offset` on, up to `end`; undefined when nothing. */
  get(content: ContentId, offset: number, end: number): Uint8Array | undefined {
    const piece = this.#pieces.get(keyOf(content, offset));
    if (!piece || offset < piece.start || offset >= piece.start + piece.bytes.length) return undefined;
    return piece.bytes.subarray(offset - piece.start, Math.min(end - piece.start, piece.bytes.length));
  }

  get bytes(): number {
    return this.#pieces.calculatedSize;
  }
}

function keyOf(content: ContentId, offset: number): string {
  return `${content}:${Math.floor(offset / pageBytes)}`;
}
