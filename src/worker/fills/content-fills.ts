/**
 * All fills of one content: what is on its way, who reads, and what to ask the store for next. The decision is made in one
 * turn of the event loop (look at the cache, look at the flights, start a flight), so that no page is asked for twice.
 */
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import {type BlockStore, pageBytes, segmentContentBytesMax} from '#blockstore/block-store.ts';
import {MiB} from '#base/units.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';
import type {UnderStore} from '#understore/under-store.ts';
import {planFill, type Span} from '#worker/fills/fill-plan.ts';
import {Flight, type FlightObserver, type FlightReader, type FlightSource} from '#worker/fills/flight.ts';
import {footerSpan} from '#worker/fills/footer.ts';
import type {Fragments} from '#worker/fills/fragments.ts';
import type {HeldBytes} from '#worker/fills/held-bytes.ts';
import {type LinkEstimate, pieceBytesMin} from '#worker/fills/link-estimate.ts';
import {type Sequence, Sequences} from '#worker/fills/sequences.ts';
import {Thrift} from '#worker/fills/thrift.ts';
import {Unasked} from '#worker/fills/unasked.ts';

/** Requests for one content that readers wait for; the next reader waits for one of them to end. */
const demandFlightsMax = 32;
/** Requests for one content while more than what a reader waits for is fetched. */
const aheadFlightsMax = 8;
/** Requests of the whole worker while nothing is fetched ahead any more: below what a store is asked at once, so that readers who wait get through. */
const allFlightsAheadMax = 64;
/** Who has read so many bytes one after the other may have as many fetched ahead, beyond what thrift allows. */
const provedBytes = 4 * MiB;
/** Pages remembered as asked for in part. */
const partialPagesMax = 4096;

/** What upstream cost and how much it brought, for one content or for a whole worker. */
export interface FillCounters {
  upstreamRequests: number;
  upstreamBytes: number;
}

export interface FillParts {
  readonly blocks: BlockStore;
  readonly clock: Clock;
  readonly held: HeldBytes;
  readonly fragments: Fragments;
  /** Requests of the whole worker under way. */
  readonly airspace: {flights: number};
}

export class ContentFills implements FlightObserver {
  #content: ReadableContent;
  readonly #store: () => UnderStore;
  readonly #link: LinkEstimate;
  readonly #parts: FillParts;
  readonly #counters: readonly FillCounters[];
  readonly #flights: Flight[] = [];
  readonly #thrift = new Thrift();
  readonly #sequences = new Sequences();
  readonly #partialPages = new Set<number>();
  readonly #unasked = new Unasked();
  /** Readers that wait for one of the flights to end. */
  readonly #queued = new Set<FlightReader>();
  #slot: PromiseWithResolvers<void> | undefined;
  #touched = false;
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(content: ReadableContent, store: () => UnderStore, link: LinkEstimate, parts: FillParts, counters: readonly FillCounters[]) {
    this.#content = content;
    this.#store = store;
    this.#link = link;
    this.#parts = parts;
    this.#counters = counters;
  }

  get id(): ContentId {
    return this.content.id;
  }

  get content(): ReadableContent {
    return this.#content;
  }

  /** The store has the same bytes under another key, or calls them otherwise, since they were moved there. What is on its way is not asked again. */
  moved(content: ReadableContent): void {
    if (content.storeKey !== this.#content.storeKey || content.fingerprint !== this.#content.fingerprint) this.#content = content;
  }

  get flights(): readonly Flight[] {
    return this.#flights;
  }

  /**
   * Takes note of a read before it happens; hand the result to `readAhead`. `isCached`: nothing needs to be fetched for it. What is read
   * again earns no credit to fetch more, and nothing is fetched ahead of it: a program that runs a second time would otherwise find
   * something new to fetch, each time.
   */
  note({offset, length}: ByteRange, isCached: boolean): Sequence {
    const first = this.#unasked.ask(offset, offset + length);
    this.#thrift.asked(isCached ? first : length);
    return this.#sequences.note(offset, length, !isCached || first > 0);
  }

  /**
   * Fetches ahead of a sequential reader; called when what the read itself needs has been asked for. Waits until half of the
   * window is used up, so that the requests stay long.
   */
  readAhead(sequence: Sequence): void {
    const {next, run, isThrough, window, isFirst} = sequence;
    if (window === 0 || !isFirst || this.#isRefusing) return;
    const ahead = Math.max(0, sequence.aheadTo - next);
    // Who has read so much at a stretch goes on: a quarter of that would leave a long link idle until some round trips' worth of bytes are read.
    const limit = isThrough ? window : Math.min(window, Math.max(ahead + this.#thrift.extra(0), run >= provedBytes ? run : 0));
    if (ahead > limit / 2 || limit - ahead < pageBytes) return;
    const start = Math.ceil((next + ahead) / pageBytes) * pageBytes;
    const end = Math.min(Math.floor((next + limit) / pageBytes) * pageBytes, this.content.length);
    let at = start;
    while (at < end && this.#mayFetchAhead) {
      const flight = this.#start({start: at, end}, {forCache: true});
      at = flight ? Math.max(flight.end, at + 1) : this.#lookEnd({start: at, end});
    }
    sequence.aheadTo = Math.max(sequence.aheadTo, at);
  }

  /** The flight from which a reader at `position` should take its bytes. */
  flightAt(position: number): Flight | undefined {
    for (const flight of this.#flights) if (flight.covers(position)) return flight;
    return undefined;
  }

  /** End of the present run that begins at `position`, at most `end`; `position` itself when its page is absent. */
  presentUntil(position: number, end: number): number {
    const [absent] = this.#absent(position, end);
    return absent === undefined ? end : Math.max(position, Math.min(end, absent.first * pageBytes));
  }

  fragment(start: number, bytes: Uint8Array): void {
    const {fragments} = this.#parts;
    if (this.#partialPages.size >= partialPagesMax) this.#partialPages.clear();
    const page = Math.floor(start / pageBytes);
    const known = fragments.put(this.id, start, bytes);
    this.#partialPages.add(page);
    if (known.length === Math.min(pageBytes, this.content.length - page * pageBytes)) void this.#storeWhole(page, known);
  }

  /** Two readers side by side, each with a part of one page: together they have brought it. */
  async #storeWhole(page: number, bytes: Uint8Array): Promise<void> {
    const {blocks, fragments} = this.#parts;
    const isSegment = this.content.length <= segmentContentBytesMax;
    try {
      if (isSegment || !(await blocks.fill(this.content, page, [bytes]))) return;
    } catch {
      // A cache that fails is a cache that refuses; the pieces stay in memory.
      return;
    }
    fragments.drop(this.id, page * pageBytes);
    this.#partialPages.delete(page);
  }

  /** Bytes of a page that is known in part; its second use makes the page worth having whole. */
  knownPiece(position: number, end: number): Uint8Array | undefined {
    return this.#partialPages.size === 0 ? undefined : this.#parts.fragments.get(this.id, position, end);
  }

  /**
   * Starts what must be fetched for a reader that stands at `position` and finds neither flight nor cache. Undefined when as much
   * as may be is in flight already: then the result of `slotFree` says when to look again.
   */
  demand(reader: FlightReader): Flight | undefined {
    if (this.#flights.length >= demandFlightsMax) {
      this.#queued.add(reader);
      return undefined;
    }
    this.#queued.delete(reader);
    const first = !this.#touched;
    this.#touched = true;
    const wanted = {start: reader.position, end: reader.end};
    const flight = this.#start(wanted, {forCache: false});
    assert(flight !== undefined, 'a reader asked for bytes that are there');
    flight.attach(reader);
    if (first) this.#fetchFooter(wanted);
    // Who waits for a slot may find its bytes on this flight.
    if (this.#queued.size > 0) this.#freeSlot();
    return flight;
  }

  /** Resolves when a queued reader should look again. */
  slotFree(): Promise<void> {
    this.#slot ??= Promise.withResolvers<void>();
    return this.#slot.promise;
  }

  /** Fetches more of what the reader will want, from `from` on, while there is room; returns up to where all is cached or on its way. */
  ahead(reader: FlightReader, from: number): number {
    const window = (aheadFlightsMax - 1) * this.#link.pieceBytes;
    let at = from;
    while (at < reader.end && at - reader.position < window && this.#mayFetchAhead) {
      const known = this.knownPiece(at, reader.end);
      if (known) {
        at += known.length;
        continue;
      }
      const wanted = {start: at, end: reader.end};
      const flight = this.#start(wanted, {forCache: false});
      flight?.attach(reader);
      at = flight ? Math.max(flight.end, at + 1) : this.#lookEnd(wanted);
    }
    return at;
  }

  /** A flight of an answer that is already there; undefined when its bytes are cached or on their way otherwise. */
  adopt(source: FlightSource, wanted: ByteRange): Flight | undefined {
    const span = {start: source.read.offset, end: source.read.offset + source.read.length};
    this.#touched = true;
    if (span.end <= span.start || this.#flights.some(f => f.start < span.end && f.end > span.start)) return undefined;
    this.#fetch(span, {start: wanted.offset, end: wanted.offset + wanted.length});
    for (const counters of this.#counters) counters.upstreamRequests++;
    return this.#launch(span, {forCache: true, source});
  }

  /** Brings what stands at `start` into the cache: by a flight under way or a new one, unless it is there. `next` is where to go on. */
  load(start: number, end: number): {readonly flight: Flight | undefined; readonly next: number} {
    const flying = this.flightAt(start);
    if (flying) return {flight: flying, next: flying.end};
    const present = this.presentUntil(start, end);
    if (present > start) return {flight: undefined, next: present};
    const flight = this.#start({start, end}, {forCache: true});
    assert(flight !== undefined, 'a load asked for bytes that are there');
    return {flight, next: flight.end};
  }

  requested(): void {
    for (const counters of this.#counters) counters.upstreamRequests++;
  }

  received(bytes: number): void {
    for (const counters of this.#counters) counters.upstreamBytes += bytes;
  }

  stored(): void {
    this.#refusedAt = Number.NEGATIVE_INFINITY;
  }

  refused(): void {
    this.#refusedAt = this.#parts.clock.monotonicMs();
  }

  ended(flight: Flight): void {
    const at = this.#flights.indexOf(flight);
    if (at === -1) return;
    this.#flights.splice(at, 1);
    this.#parts.airspace.flights--;
    this.#freeSlot();
  }

  /** A reader that was queued goes on otherwise. */
  unqueue(reader: FlightReader): void {
    this.#queued.delete(reader);
  }

  #freeSlot(): void {
    const slot = this.#slot;
    this.#slot = undefined;
    slot?.resolve();
  }

  /** While the block store refuses, whatever nobody waits for would be fetched for nothing. */
  get #isRefusing(): boolean {
    return this.#parts.clock.monotonicMs() - this.#refusedAt < 1000;
  }

  get #mayFetchAhead(): boolean {
    const {airspace, held} = this.#parts;
    return this.#flights.length < aheadFlightsMax && airspace.flights < allFlightsAheadMax && !held.full;
  }

  /** The first of several requests are shorter, so that they do not all end, and leave the link idle, at the same moment. */
  get #pieceBytes(): number {
    const share = (this.#flights.length + 1) / aheadFlightsMax;
    const {pieceBytes} = this.#link;
    return share >= 1 ? pieceBytes : Math.max(pieceBytesMin, Math.ceil((pieceBytes * share) / pageBytes) * pageBytes);
  }

  #absent(start: number, end: number): readonly {first: number; count: number}[] {
    return this.#parts.blocks.missing(this.content, Math.floor(start / pageBytes), Math.floor((end - 1) / pageBytes));
  }

  /** Up to where a plan looks: enough to find the next request, however long the read. */
  #lookEnd(wanted: Span): number {
    return Math.min(wanted.end, Math.ceil((wanted.start + 2 * this.#link.pieceBytes) / pageBytes) * pageBytes);
  }

  #fetchFooter(wanted: Span): void {
    const footer = footerSpan(this.content.length, wanted);
    if (footer && !this.#isRefusing) this.#start(footer, {forCache: true});
  }

  #start(wanted: Span, options: {readonly forCache: boolean}): Flight | undefined {
    const {length} = this.content;
    const small = length <= segmentContentBytesMax;
    // A small content is cached whole or not at all.
    const span = small && this.#flights.length === 0 && this.#absent(0, length).length > 0 ? {start: 0, end: length} : this.#plan(wanted);
    if (!span) return undefined;
    this.#fetch(span, options.forCache ? {start: span.end, end: span.end} : wanted);
    return this.#launch(span, options);
  }

  #fetch(span: Span, wanted: Span): void {
    this.#thrift.fetched(span.end - span.start);
    const wasAsked = (page: number): boolean => this.#partialPages.has(page);
    this.#unasked.note(span.start, Math.min(wanted.start, span.end), wasAsked);
    this.#unasked.note(Math.max(wanted.end, span.start), span.end, wasAsked);
  }

  #plan(wanted: Span): Span | undefined {
    const near = {start: wanted.start, end: this.#lookEnd(wanted)};
    return planFill({
      contentLength: this.content.length,
      wanted: near,
      others: Array.from(this.#queued, reader => ({start: reader.position, end: reader.end})),
      absent: this.#absent(near.start, Math.min(this.content.length, near.end + this.#link.gapBytes)),
      flying: this.#flights.map(flight => ({start: flight.heldFrom, end: flight.end})),
      pieceBytes: this.#pieceBytes,
      gapBytes: this.#link.gapBytes,
      extraBytes: this.#thrift.extra(wanted.end - wanted.start),
      known: page => this.#partialPages.has(page),
    });
  }

  #launch(span: Span, options: {readonly forCache: boolean; readonly source?: FlightSource}): Flight {
    const {blocks, clock, held} = this.#parts;
    const flight = new Flight({content: this.content, store: this.#store(), blocks, clock, held, link: this.#link, observer: this}, span, options);
    this.#flights.push(flight);
    this.#parts.airspace.flights++;
    return flight;
  }
}
