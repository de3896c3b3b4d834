/**
 * Which bytes the next request to the store asks for. Pure: everything it needs is handed in.
 *
 * The run begins with the first wanted byte that is neither cached nor on its way, goes on to the end of what is wanted or to
 * the length of a piece, swallows cached gaps that cost less than another request, and is widened to whole pages (only whole
 * pages can be cached) as far as the allowance for unwanted bytes goes. What it is not allowed to widen stays exact.
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
  const {wanted, contentLength} = input;
  let run: {start: number; end: number} | undefined;
  let extra = input.extraBytes;
  for (const free of uncovered(input)) {
    const start = Math.max(free.start, wanted.start);
    const end = Math.min(free.end, wanted.end);
    if (start >= end) continue;
    if (!run) {
      run = {start, end};
    } else {
      const gap = start - run.end;
      const crossesFlight = input.flying.some(flight => flight.start < start && flight.end > run!.end);
      if (crossesFlight || gap > input.gapBytes || gap > extra || end - run.start > input.pieceBytes) break;
      extra -= gap;
      run.end = end;
    }
    if (run.end - run.start >= input.pieceBytes) break;
  }
  if (!run) return undefined;
  run.end = Math.min(run.end, run.start + input.pieceBytes);
  // A piece that ends within what is wanted ends with a page, so that the next one starts with one.
  if (run.end < wanted.end && run.end % pageBytes !== 0 && pageOf(run.end) * pageBytes > run.start && !endsAtFlight(run.end, input.flying)) {
    run.end = pageOf(run.end) * pageBytes;
  }
  return widen(run, extra, contentLength, input);
}

function endsAtFlight(end: number, flying: readonly Span[]): boolean {
  return flying.some(flight => flight.start === end);
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
