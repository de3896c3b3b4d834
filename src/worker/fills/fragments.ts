/**
 * Pieces of pages that were fetched exactly, because fetching their pages whole would have amplified small random reads. They
 * cannot go to the block store (a page is there whole or not at all), so they wait in a small memory for being asked again, or for
 * the pieces that make their page whole; the pages least recently used give way.
 */
import type {ContentId} from '#base/ids.ts';
import {pageBytes} from '#blockstore/block-store.ts';
import {LRUCache} from 'lru-cache';

interface Piece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** What an entry costs beside its bytes. */
const entryBytes = 256;

export class Fragments {
  /** By page: pieces that neither overlap nor touch, ascending. */
  readonly #pages: LRUCache<string, readonly Piece[]>;

  constructor(bytesMax: number) {
    this.#pages = new LRUCache({maxSize: bytesMax, sizeCalculation: pieces => pieces.reduce((sum, {bytes}) => sum + bytes.length, entryBytes)});
  }

  /** Keeps `bytes`, which lie at `start` of the content and within one page and must not change. Returns all that lies together there now. */
  put(content: ContentId, start: number, bytes: Uint8Array): Uint8Array {
    const key = keyOf(content, start);
    let joined: Piece = {start, bytes};
    const others: Piece[] = [];
    for (const piece of this.#pages.get(key) ?? []) {
      if (piece.start > joined.start + joined.bytes.length || piece.start + piece.bytes.length < joined.start) others.push(piece);
      else joined = join(piece, joined);
    }
    this.#pages.set(key, [...others, joined].sort((a, b) => a.start - b.start));
    return joined.bytes;
  }

  /** What is known from `offset` on, up to `end`; undefined when nothing. */
  get(content: ContentId, offset: number, end: number): Uint8Array | undefined {
    const piece = this.#pages.get(keyOf(content, offset))?.find(({start, bytes}) => offset >= start && offset < start + bytes.length);
    return piece?.bytes.subarray(offset - piece.start, Math.min(end - piece.start, piece.bytes.length));
  }

  /** The page of `offset` is in the block store by now. */
  drop(content: ContentId, offset: number): void {
    this.#pages.delete(keyOf(content, offset));
  }

  get bytes(): number {
    return this.#pages.calculatedSize;
  }
}

/** Two pieces that overlap or touch. */
function join(a: Piece, b: Piece): Piece {
  const [first, second] = a.start <= b.start ? [a, b] : [b, a];
  const more = second.start + second.bytes.length - (first.start + first.bytes.length);
  return more <= 0 ? first : {start: first.start, bytes: Buffer.concat([first.bytes, second.bytes.subarray(second.bytes.length - more)])};
}

function keyOf(content: ContentId, offset: number): string {
  return `${content}:${Math.floor(offset / pageBytes)}`;
}
