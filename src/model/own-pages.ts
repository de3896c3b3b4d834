/**
 * Which pages of a file are its own, where all others are those of another version, at the same place (model/content.ts, `over`): a set of
 * page numbers, and the same as bytes: runs in order, each the pages since the end of the run before and its length, as LEB128.
 */
import {WeirError} from '#base/errors.ts';

/** Bytes of a page: the unit of ownership, as of presence. */
export const ownPageBytes = 64 * 1024;
/** Of the largest file that there can be: 128 TiB. */
const pagesMax = 2 ** 31;
const blockPages = 1024;
/** Most of what is a file's own lies together: these are one. Never written to. */
const fullBlock = new Uint8Array(blockPages).fill(1);

export interface PageRun {
  readonly first: number;
  readonly count: number;
}

export class OwnPages {
  readonly #blocks = new Map<number, Uint8Array>();

  copy(): OwnPages {
    const copy = new OwnPages();
    for (const [number, block] of this.#blocks) copy.#blocks.set(number, block === fullBlock ? block : block.slice());
    return copy;
  }

  has(page: number): boolean {
    return this.#blocks.get(Math.floor(page / blockPages))?.[page % blockPages] === 1;
  }

  add(first: number, count: number): void {
    const end = first + count;
    for (let page = first; page < end; ) {
      const number = Math.floor(page / blockPages);
      const start = number * blockPages;
      const [from, to] = [page - start, Math.min(end - start, blockPages)];
      page = start + to;
      let block = this.#blocks.get(number);
      if (block === fullBlock) continue;
      if (to - from === blockPages) {
        this.#blocks.set(number, fullBlock);
        continue;
      }
      if (!block) this.#blocks.set(number, (block = new Uint8Array(blockPages)));
      block.fill(1, from, to);
    }
  }

  /** Those that encoded runs tell of, within the first `length` bytes: all behind is nobody else's. Throws Corrupt. */
  addEncoded(runs: Uint8Array, length: number): void {
    const pages = Math.ceil(length / ownPageBytes);
    for (const {first, count} of decodeRuns(runs)) this.add(first, Math.min(count, pages - first));
  }

  /** Those within [first, end), in order. */
  *runs(first: number, end: number): Generator<PageRun> {
    const numbers = [...this.#blocks.keys()].filter((number) => number * blockPages < end && (number + 1) * blockPages > first).toSorted((a, b) => a - b);
    let run: {first: number; count: number} | undefined;
    for (const number of numbers) {
      const block = this.#blocks.get(number)!;
      const start = number * blockPages;
      for (let page = Math.max(first, start); page < Math.min(end, start + blockPages); page++) {
        if (block[page - start] === 0) continue;
        if (run && run.first + run.count === page) {
          run.count++;
          continue;
        }
        if (run) yield run;
        run = {first: page, count: 1};
      }
    }
    if (run) yield run;
  }
}

export function encodeRuns(runs: Iterable<PageRun>): Uint8Array {
  const out: number[] = [];
  const put = (value: number): void => {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
    out.push(rest);
  };
  let end = 0;
  for (const {first, count} of runs) {
    put(first - end);
    put(count);
    end = first + count;
  }
  return Uint8Array.from(out);
}

/** Throws Corrupt. */
export function decodeRuns(bytes: Uint8Array): PageRun[] {
  const runs: PageRun[] = [];
  let at = 0;
  const take = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 42) throw new WeirError('Corrupt', 'runs of pages end in the middle, or are none');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  for (let end = 0; at < bytes.length; ) {
    const first = end + take();
    const count = take();
    end = first + count;
    if (count === 0 || end > pagesMax) throw new WeirError('Corrupt', 'a run of pages is empty, or longer than any file');
    runs.push({first, count});
  }
  return runs;
}

/** A part of a file: its own bytes, or those of what it is over. */
export interface Piece {
  readonly own: boolean;
  readonly offset: number;
  readonly length: number;
}

/** A range of bytes of a file, in pieces, in order. */
export function* piecesOf(runs: Iterable<PageRun>, offset: number, length: number): Generator<Piece> {
  const end = offset + length;
  let at = offset;
  for (const {first, count} of runs) {
    const [from, to] = [Math.max(at, first * ownPageBytes), Math.min(end, (first + count) * ownPageBytes)];
    if (from >= to) continue;
    if (from > at) yield {own: false, offset: at, length: from - at};
    yield {own: true, offset: from, length: to - from};
    at = to;
  }
  if (at < end) yield {own: false, offset: at, length: end - at};
}

/** How many bytes of a file of that length are its own. */
export function ownBytes(runs: Iterable<PageRun>, length: number): number {
  let bytes = 0;
  for (const {first, count} of runs) bytes += Math.max(0, Math.min(length, (first + count) * ownPageBytes) - first * ownPageBytes);
  return bytes;
}
