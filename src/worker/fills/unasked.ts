/**
 * Bytes of one content that were fetched and that nobody has asked for yet: ahead of a reader, or to make a page whole. Who asks for them
 * now asks for the first time, though they are cached: that pays for fetching them, and shows that a reader goes on into what is new.
 * Who reads again what was read before earns nothing and needs nothing more fetched.
 */
import {pageBytes} from '#blockstore/block-store.ts';

/** Two of the longest windows of read-ahead. What does not fit is forgotten, and then not paid for: less is fetched ahead. */
const pagesMax = 1024;

export class Unasked {
  /** By page, one stretch. */
  readonly #pages = new Map<number, {start: number; end: number}>();

  /** Bytes [start, end) were fetched without being asked for, but for pages of which a part was asked for before. */
  note(start: number, end: number, wasAsked: (page: number) => boolean): void {
    for (let at = start; at < end; ) {
      const page = Math.floor(at / pageBytes);
      const to = Math.min(end, (page + 1) * pageBytes);
      if (this.#pages.size >= pagesMax) this.#pages.delete(this.#pages.keys().next().value!);
      if (!wasAsked(page)) this.#pages.set(page, {start: at, end: to});
      at = to;
    }
  }

  /** Bytes [start, end) are asked for; returns how many of them are for the first time. */
  ask(start: number, end: number): number {
    if (this.#pages.size === 0) return 0;
    let first = 0;
    for (let page = Math.floor(start / pageBytes); page * pageBytes < end; page++) {
      const stretch = this.#pages.get(page);
      if (!stretch) continue;
      const from = Math.max(start, stretch.start);
      const to = Math.min(end, stretch.end);
      if (from >= to) continue;
      first += to - from;
      // What is left: behind the read, where its reader goes on, unless it came from behind.
      if (to < stretch.end) stretch.start = to;
      else stretch.end = from;
      if (stretch.start >= stretch.end) this.#pages.delete(page);
    }
    return first;
  }
}
