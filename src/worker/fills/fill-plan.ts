/**
 * Which bytes the next request to the store asks for. Pure: everything it needs is handed in.
 *
 * The run begins with the first wanted byte that is neither cached nor on its way and goes on to the end of what is wanted, or of
 * the hole in the cache, or to the length of a piece. It reaches over to what other readers wait for in the same hole when the
 * gap costs less than another request, and is widened to whole pages (only whole pages can be cached); both as far as
 * the allowance for unwanted bytes goes. What it is not allowed to widen stays exact. Cached pages are never fetched again.
 */
import {pageBytes} from '#blockstore/block-store.ts';

/** Bytes [start, end). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface PlanInput {
  readonly contentLength: number;
  /** What is wanted, starting where the search begins. */
  readonly wanted: Span;
  /** What other readers wait for, in any order. */
  readonly others?: readonly Span[];
  /** Runs of absent pages that touch `wanted`, ascending, as the block store tells them. */
  readonly absent: readonly {readonly first: number; readonly count: number}[];
  /** What is on its way, in any order. */
  readonly flying: readonly Span[];
  readonly pieceBytes: number;
  readonly gapBytes: number;
  /** Unwanted bytes that may be fetched with the wanted ones. */
  readonly extraBytes: number;
  /** Pages that were asked for in part before, and so are worth having whole whatever the allowance. */
  readonly known: (page: number) => boolean;
}

const pageOf = (offset: number): number => Math.floor(offset / pageBytes);

/** Undefined when all that is wanted is cached or on its way. */
export function planFill(input: PlanInput): Span | undefined {
  const {wanted, contentLength, pieceBytes} = input;
  const hole = firstHole(input);
  if (!hole) return undefined;
  const start = Math.max(hole.start, wanted.start);
  let end = Math.min(hole.end, wanted.end);
  let extra = input.extraBytes;
  for (const other of input.others?.toSorted((a, b) => a.start - b.start) ?? []) {
    if (other.end <= end || other.start < start || other.start >= hole.end) continue;
    const gap = Math.max(0, other.start - end);
    if (gap > input.gapBytes || gap > extra || end - start >= pieceBytes) break;
    extra -= gap;
    end = Math.min(other.end, hole.end);
  }
  if (end - start > pieceBytes) {
    // A piece ends with a page, so that the next one starts with one.
    const cut = pageOf(start + pieceBytes) * pageBytes;
    end = cut > start ? cut : start + pieceBytes;
  }
  return widen({start, end}, extra, contentLength, input);
}

function firstHole(input: PlanInput): Span | undefined {
  const {start, end} = input.wanted;
  for (const hole of uncovered(input)) if (hole.start < end && hole.end > start) return hole;
  return undefined;
}

/** Absent bytes that no flight brings, ascending. */
function* uncovered(input: PlanInput): Generator<{start: number; end: number}> {
  const flying = input.flying.toSorted((a, b) => a.start - b.start);
  for (const {first, count} of input.absent) {
    let start = first * pageBytes;
    const end = Math.min((first + count) * pageBytes, input.contentLength);
    for (const flight of flying) {
      if (flight.end <= start || flight.start >= end) continue;
      if (flight.start > start) yield {start, end: flight.start};
      start = Math.max(start, flight.end);
    }
    if (start < end) yield {start, end};
  }
}

/** Grows the run to whole pages, tail first (a reader that goes on needs it), unless that overlaps what is on its way. */
function widen(run: Span, allowance: number, contentLength: number, input: PlanInput): Span {
  let {start, end} = run;
  let extra = allowance;
  const pageEnd = Math.min(Math.ceil(end / pageBytes) * pageBytes, contentLength);
  const isFree = (from: number, to: number) => !input.flying.some(flight => flight.start < to && flight.end > from);
  if (pageEnd > end && (pageEnd - end <= extra || input.known(pageOf(end))) && isFree(end, pageEnd)) {
    extra -= pageEnd - end;
    end = pageEnd;
  }
  const pageStart = pageOf(start) * pageBytes;
  if (pageStart < start && (start - pageStart <= extra || input.known(pageOf(start))) && isFree(pageStart, start)) start = pageStart;
  return {start, end};
}
