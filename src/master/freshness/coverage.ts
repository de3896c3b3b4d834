/**
 * Coverage: which ranges of a mount's keys were listed completely, and when. A page of a store's listing that has been
 * merged covers the keys from its beginning to its last one; a request whose range is covered and fresh needs no store.
 * So one mechanism makes paged listings resume anywhere, first pages quick, and repeated listings free.
 *
 * A *space* is one order of keys: the recursive one of a mount (all keys, at every depth), or the children of one
 * directory (its keys up to the next `/`). Ranges are half open, by full store key; `end` undefined reaches to the end of
 * everything. Within a space ranges do not overlap: a newer one cuts what it covers out of older ones.
 */
import {LRUCache} from 'lru-cache';
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';

export interface CoveredRange {
  readonly from: ByteString;
  readonly end: ByteString | undefined;
  /** Wall ms at which the store was asked. */
  readonly at: number;
}

const spacesMax = 20_000;
const rangesPerSpaceMax = 1_024;

export class Coverage {
  readonly #spaces = new LRUCache<string, CoveredRange[]>({max: spacesMax});

  /** `directory`: a prefix whose children were listed; undefined: the mount's recursive space. */
  add(mount: MountId, directory: ByteString | undefined, range: CoveredRange): void {
    if (range.end !== undefined && range.end <= range.from) return;
    const space = spaceKey(mount, directory);
    const ranges: CoveredRange[] = [];
    for (const old of this.#spaces.get(space) ?? []) {
      if (old.from < range.from) {
        const end = lesser(old.end, range.from);
        ranges.push(end === old.end ? old : {...old, end});
      }
      if (range.end !== undefined && (old.end === undefined || old.end > range.end)) ranges.push(old.from >= range.end ? old : {...old, from: range.end});
    }
    ranges.push(range);
    ranges.sort((a, b) => (a.from < b.from ? -1 : 1));
    this.#spaces.set(space, merged(ranges));
  }

  /**
   * How far the keys from `from` on are covered by answers that `accept` takes: the first key that is not; `from` itself
   * when nothing is; undefined when all is covered.
   */
  coveredTo(mount: MountId, directory: ByteString | undefined, from: ByteString, accept: (at: number) => boolean): ByteString | undefined {
    let reached: ByteString = from;
    for (const range of this.#rangesFrom(mount, directory, from)) {
      if (range.from > reached) break;
      if (range.end !== undefined && range.end <= reached) continue;
      if (!accept(range.at)) break;
      if (range.end === undefined) return undefined;
      reached = range.end;
    }
    return reached;
  }

  /** The moment of the oldest answer among those that together cover [from, end); 0 when they do not. */
  coveredSince(mount: MountId, directory: ByteString | undefined, from: ByteString, end: ByteString | undefined): number {
    let oldest = Number.POSITIVE_INFINITY;
    let reached = from;
    for (const range of this.#rangesFrom(mount, directory, from)) {
      if (range.from > reached) break;
      if (range.end !== undefined && range.end <= reached) continue;
      oldest = Math.min(oldest, range.at);
      if (range.end === undefined || (end !== undefined && range.end >= end)) return oldest;
      reached = range.end;
    }
    return 0;
  }

  *#rangesFrom(mount: MountId, directory: ByteString | undefined, from: ByteString): Generator<CoveredRange> {
    const ranges = this.#spaces.get(spaceKey(mount, directory)) ?? [];
    let low = 0;
    for (let high = ranges.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (ranges[middle]!.from <= from) low = middle + 1;
      else high = middle;
    }
    for (let i = Math.max(low - 1, 0); i < ranges.length; i++) yield ranges[i]!;
  }

  /** Forgets what was covered of keys with this prefix (it ends in `/`), and nothing else. */
  cut(mount: MountId, prefix: ByteString): void {
    const below = spaceKey(mount, prefix);
    for (const space of this.#spaces.keys()) if (space.startsWith(below)) this.#spaces.delete(space);
    const space = spaceKey(mount, undefined);
    const ranges = this.#spaces.get(space);
    const end = prefixEnd(prefix);
    if (ranges) this.#spaces.set(space, ranges.flatMap(range => (touches(range, prefix) ? outside(range, prefix, end) : [range])));
  }

  /** Forgets everything that was covered of keys with this prefix. */
  drop(mount: MountId, prefix: ByteString): void {
    const spaces = [...this.#spaces].filter(([space]) => space.startsWith(`${mount}:`));
    for (const [space, ranges] of spaces) {
      const directory = space.endsWith(':*') ? undefined : space.slice(`${mount}:/`.length);
      if (directory !== undefined && !directory.startsWith(prefix) && !prefix.startsWith(directory)) continue;
      const kept = prefix === '' ? [] : ranges.filter(range => !touches(range, prefix));
      if (kept.length === 0) this.#spaces.delete(space);
      else this.#spaces.set(space, kept);
    }
  }
}

function spaceKey(mount: MountId, directory: ByteString | undefined): string {
  return directory === undefined ? `${mount}:*` : `${mount}:/${directory}`;
}

function touches(range: CoveredRange, prefix: ByteString): boolean {
  return (range.end === undefined || range.end > prefix) && (range.from < prefix || range.from.startsWith(prefix));
}

/** What of a range lies before `from` and behind `end`. */
function outside(range: CoveredRange, from: ByteString, end: ByteString | undefined): CoveredRange[] {
  const before = range.from < from ? [{...range, end: lesser(range.end, from)}] : [];
  const isBeyond = end !== undefined && (range.end === undefined || range.end > end);
  return isBeyond ? [...before, {...range, from: range.from < end ? end : range.from}] : before;
}

function lesser(a: ByteString | undefined, b: ByteString): ByteString {
  return a === undefined || b < a ? b : a;
}

/** Joins neighbours of one moment; over the bound the oldest moments are forgotten first. */
function merged(ranges: readonly CoveredRange[]): CoveredRange[] {
  const joined: CoveredRange[] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last && last.end === range.from && last.at === range.at) joined[joined.length - 1] = {...last, end: range.end};
    else joined.push(range);
  }
  if (joined.length <= rangesPerSpaceMax) return joined;
  const cut = joined.map(range => range.at).sort((a, b) => a - b)[joined.length - rangesPerSpaceMax]!;
  return joined.filter(range => range.at > cut);
}
