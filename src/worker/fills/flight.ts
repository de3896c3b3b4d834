/**
 * One request to a store under way: the bytes [start, end) of a content, handed to whoever waits for them as they arrive and
 * written to the block store behind the readers.
 *
 * Invariants:
 * 1. Bytes [heldFrom, received) are in memory; what lies before was stored, or kept as a fragment of its page, and is needed by no reader of this flight.
 * 2. The object's fingerprint is the content's in every request; anything else fails with ContentChanged and delivers nothing.
 * 3. Nobody but a reader that waits right now makes the flight receive while the process holds as much as it may (HeldBytes).
 *    Such a reader is served past the block store then: it cannot wait for room that only its own progress makes.
 * 4. When the last reader goes away the request is broken off, unless the flight is for the cache itself.
 */
import {WeirError, isKind} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import {type BlockStore, pageBytes, segmentContentBytesMax} from '#blockstore/block-store.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';
import type {StoreRead, UnderStore} from '#understore/under-store.ts';
import type {Span} from '#worker/fills/fill-plan.ts';
import type {HeldBytes} from '#worker/fills/held-bytes.ts';
import {type GiveBack, HeldChunks, type Slice} from '#worker/fills/held-chunks.ts';
import type {LinkEstimate} from '#worker/fills/link-estimate.ts';

/** Pages go to the block store in runs of about this many bytes. */
const storeBatchBytes = MiB;
/** Requests for the rest after a body broke off, and the pause before the first of them. */
const resumesMax = 4;
const resumePauseMs = 50;

/** What a flight tells to those who keep count. */
export interface FlightObserver {
  requested(): void;
  received(bytes: number): void;
  /** A page that came only in part: [start, start + bytes.length) lies within one page. */
  fragment(start: number, bytes: Uint8Array): void;
  stored(): void;
  refused(): void;
  /** The flight is of no more use to anybody new. */
  ended(flight: Flight): void;
}

export interface FlightParts {
  readonly content: ReadableContent;
  readonly store: UnderStore;
  readonly blocks: BlockStore;
  readonly clock: Clock;
  readonly held: HeldBytes;
  readonly link: LinkEstimate;
  readonly observer: FlightObserver;
}

/** An answer of the store that is already there, and the means to break it off. */
export interface FlightSource {
  readonly read: StoreRead;
  readonly abort: AbortController;
}

/** Where a reader stands; the flight asks it what it still needs. */
export interface FlightReader {
  readonly position: number;
  readonly end: number;
}

export class Flight implements Span {
  readonly start: number;
  readonly end: number;
  /** Goes on without readers: read-ahead and loads. */
  readonly forCache: boolean;
  readonly readers = new Set<FlightReader>();
  readonly #parts: FlightParts;
  readonly #abort: AbortController;
  readonly #chunks: HeldChunks;
  readonly #storeFrom: number;
  #received: number;
  #storedTo: number;
  /** From here on nothing is stored: the block store refused, or memory ran out. */
  #passFrom = Number.POSITIVE_INFINITY;
  #storing = false;
  #storingTo = 0;
  #landed = false;
  #ended = false;
  #heldUp = false;
  #hungry = 0;
  #failure: Error | undefined;
  #progress: PromiseWithResolvers<void> | undefined;
  #wakePull: (() => void) | undefined;
  readonly #done = Promise.withResolvers<void>();

  /** `source`: an answer that is already there (a probe), from `span.start` on. */
  constructor(parts: FlightParts, span: Span, options: {readonly forCache: boolean; readonly source?: FlightSource}) {
    this.#parts = parts;
    this.#abort = options.source?.abort ?? new AbortController();
    this.start = span.start;
    this.end = span.end;
    this.forCache = options.forCache;
    this.#chunks = new HeldChunks(span.start, parts.held);
    this.#received = span.start;
    const small = parts.content.length <= segmentContentBytesMax;
    this.#storeFrom = small && span.start > 0 ? span.end : Math.min(Math.ceil(span.start / pageBytes) * pageBytes, span.end);
    this.#storedTo = this.#storeFrom;
    void this.#run(options.source?.read);
  }

  get heldFrom(): number {
    return this.#chunks.from;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Resolves when everything has arrived and what could be stored is, or when the flight has failed. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** True when a reader at `position` can wait for it here. */
  covers(position: number): boolean {
    return position >= this.#chunks.from && position < this.end;
  }

  /** True when the byte at `position` has arrived and is held. */
  has(position: number): boolean {
    return this.#chunks.has(position);
  }

  /** What `has` says is there, as much as lies together. Who looks at it later than now says so to the chunk. */
  at(position: number): Slice | undefined {
    return this.#chunks.at(position);
  }

  /** Resolves at the next change: bytes came, or the flight ended. The caller is a hungry reader meanwhile. */
  async wait(): Promise<void> {
    this.#progress ??= Promise.withResolvers<void>();
    this.#hungry++;
    this.#wakePull?.();
    try {
      await this.#progress.promise;
    } finally {
      this.#hungry--;
    }
  }

  /** A reader has moved on. */
  advanced(): void {
    if (!this.#chunks.isEmpty) this.#release();
  }

  attach(reader: FlightReader): void {
    this.readers.add(reader);
  }

  /** `gone`: the reader went away before its end. */
  detach(reader: FlightReader, gone: boolean): void {
    if (!this.readers.delete(reader)) return;
    if (gone && this.readers.size === 0 && !this.forCache && !this.#landed) this.cancel();
    else this.advanced();
  }

  /** Breaks the request off; what has arrived in whole pages is still stored. */
  cancel(reason: WeirError = new WeirError('Cancelled', 'nobody waits for these bytes any more')): void {
    if (this.#landed) return;
    this.#abort.abort(reason);
    this.#end(reason);
    this.#wakePull?.();
  }

  async #run(source: StoreRead | undefined): Promise<void> {
    let read = source;
    for (let resumes = 0; ; resumes++) {
      try {
        await this.#receive(read);
        break;
      } catch (error) {
        read = undefined;
        const mayResume = error instanceof WeirError && error.retry === 'later' && this.#received > this.start && resumes < resumesMax;
        if (!mayResume || this.#abort.signal.aborted) {
          this.#fail(error);
          break;
        }
        try {
          await this.#parts.clock.sleep(resumePauseMs * 2 ** resumes, {signal: this.#abort.signal, unref: true});
        } catch (cancelled) {
          this.#fail(cancelled);
          break;
        }
      }
    }
    this.#landed = true;
    this.#storeBehind();
    this.#settle();
  }

  async #receive(source: StoreRead | undefined): Promise<void> {
    const {content, clock, link, observer} = this.#parts;
    const sentAt = clock.monotonicMs();
    const from = this.#received;
    if (!source) observer.requested();
    const read = source ?? (await this.#request(from));
    if (read.object.fingerprint !== content.fingerprint) {
      await read.body[Symbol.asyncIterator]().return?.();
      throw changed(content);
    }
    let firstAt: number | undefined;
    for await (const chunk of read.body) {
      if (this.#abort.signal.aborted) throw this.#abort.signal.reason;
      if (firstAt === undefined) {
        firstAt = clock.monotonicMs();
        if (!source) link.firstByte(firstAt - sentAt);
      }
      // Read on to the end of the body, also when all bytes are here: only then can the connection be used again.
      this.#accept(chunk, read.giveBack);
      if (this.#parts.held.full) await this.#room();
    }
    if (this.#received < this.end) {
      throw new WeirError('Unavailable', `the store ended a body after ${this.#received - from} of ${this.end - from} bytes of content ${content.id}`);
    }
    if (firstAt !== undefined && !this.#heldUp) link.body(this.#received - from, clock.monotonicMs() - firstAt);
  }

  async #request(from: number): Promise<StoreRead> {
    const {content, store} = this.#parts;
    try {
      const read = await store.read(content.storeKey, {offset: from, length: this.end - from, ifFingerprint: content.fingerprint}, {signal: this.#abort.signal});
      if (read.offset === from && read.length === this.end - from) return read;
      await read.body[Symbol.asyncIterator]().return?.();
    } catch (error) {
      // An object that is gone, or too short for the range, is another version too: the caller refreshes and learns which.
      if (isKind(error, 'NotFound', 'RangeNotSatisfiable')) throw changed(content);
      throw error;
    }
    throw changed(content);
  }

  #accept(received: Uint8Array, giveBack: GiveBack | undefined): void {
    const room = this.end - this.#received;
    const chunk = received.length > room ? received.subarray(0, room) : received;
    if (chunk.length === 0) return;
    this.#chunks.add(chunk, giveBack);
    const before = this.#received;
    this.#received += chunk.length;
    this.#parts.observer.received(chunk.length);
    this.#keepFragments(before);
    this.#wake();
    this.#storeBehind();
  }

  /** Copies of the page parts at both ends, at the moment when they are whole: until then nothing of them goes, however fast its reader is. */
  #keepFragments(before: number): void {
    const headEnd = this.#storeFrom;
    if (before < headEnd && this.#received >= headEnd) this.#keepFragment(this.start, headEnd);
    const tail = Math.max(this.#storableEnd(this.end), this.start);
    if (this.#received === this.end && tail >= this.#storeFrom && tail < this.end) this.#keepFragment(tail, this.end);
  }

  #keepFragment(from: number, to: number): void {
    for (let at = from; at < to; ) {
      const end = Math.min((Math.floor(at / pageBytes) + 1) * pageBytes, to);
      const run = this.#chunks.slices(at, end);
      if (run) this.#parts.observer.fragment(at, Buffer.concat(run.map(({bytes}) => bytes)));
      at = end;
    }
  }

  /** Waits until the process may hold more, or until a reader is hungry and must be served past the block store. */
  async #room(): Promise<void> {
    const {held} = this.#parts;
    while (held.full && !this.#abort.signal.aborted) {
      if (this.#hungry > 0) {
        this.#pass(this.#storing ? this.#storingTo : this.#storedTo);
        return;
      }
      this.#heldUp = true;
      const {promise, resolve} = Promise.withResolvers<void>();
      const forget = held.onRoom(resolve);
      this.#wakePull = resolve;
      await promise;
      this.#wakePull = undefined;
      forget();
    }
  }

  /** The end of the last page that is whole when `received` is. */
  #storableEnd(received: number): number {
    return received === this.#parts.content.length ? received : Math.floor(received / pageBytes) * pageBytes;
  }

  /** Hands what has become whole pages to the block store, one run at a time, in order. */
  #storeBehind(): void {
    if (this.#storing || this.#passFrom !== Number.POSITIVE_INFINITY) return;
    const whole = this.#landed || this.#received === this.end;
    const small = this.#parts.content.length <= segmentContentBytesMax;
    if (small && this.#received < this.#parts.content.length) return;
    const from = this.#storedTo;
    const storable = this.#storableEnd(this.#received);
    if (storable <= from || (!whole && storable - from < storeBatchBytes)) return;
    const to = small ? storable : Math.min(storable, from + storeBatchBytes);
    const run = this.#chunks.slices(from, to);
    if (!run) return;
    this.#storing = true;
    this.#storingTo = to;
    for (const {chunk} of run) chunk.use();
    void this.#storeRun(from, to, run);
  }

  async #storeRun(from: number, to: number, run: readonly Slice[]): Promise<void> {
    const {blocks, content, observer} = this.#parts;
    let kept = false;
    try {
      kept = await blocks.fill(content, from / pageBytes, run.map(({bytes}) => bytes));
    } catch {
      // A cache that fails is a cache that refuses: the readers have their bytes.
    }
    for (const {chunk} of run) chunk.release();
    this.#storing = false;
    if (kept) {
      this.#storedTo = to;
      observer.stored();
    } else {
      observer.refused();
      this.#pass(from);
      if (this.readers.size === 0) this.cancel(new WeirError('NoSpace', 'the cache does not take these bytes'));
    }
    // First what is still to be stored, then what may go: a flight that has landed keeps nothing for its own sake.
    this.#storeBehind();
    this.#release();
    this.#settle();
  }

  /** Gives up storing what is not stored yet. */
  #pass(from: number): void {
    if (this.#passFrom === Number.POSITIVE_INFINITY) this.#passFrom = from;
    this.#release();
  }

  /** Lets go of leading buffers that are stored, or that cannot be stored and that nobody still needs. */
  #release(): void {
    // While a run is being stored its buffers stay, so that who comes now need not ask the store again.
    const settled = this.#passFrom !== Number.POSITIVE_INFINITY || (this.#landed && !this.#storing) ? this.#received : this.#storedTo;
    let needed = -1;
    this.#chunks.release((start, end) => {
      if (end > settled || this.#received < this.#storeFrom) return false;
      if (start >= this.#storeFrom && end <= this.#storedTo) return true;
      if (needed === -1) needed = this.#neededFrom();
      return needed >= end;
    });
    this.#settle();
  }

  /** The lowest position from which some reader still needs bytes of this flight. */
  #neededFrom(): number {
    let from = Number.POSITIVE_INFINITY;
    for (const reader of this.readers) {
      if (reader.position < this.end && reader.end > this.start) from = Math.min(from, Math.max(reader.position, this.start));
    }
    return from;
  }

  #wake(): void {
    const progress = this.#progress;
    this.#progress = undefined;
    progress?.resolve();
  }

  #fail(error: unknown): void {
    if (this.#failure) return;
    this.#end(error instanceof Error ? error : new WeirError('Unavailable', String(error)));
  }

  /** Takes the flight out of the list: nobody new will find it; readers wake up and see why. */
  #end(failure: Error): void {
    this.#failure ??= failure;
    this.#wake();
    if (this.#ended) return;
    this.#ended = true;
    this.#parts.observer.ended(this);
  }

  #settle(): void {
    if (!this.#landed || this.#storing) return;
    if (this.#failure) this.#chunks.clear(this.end);
    this.#done.resolve();
    if (!this.#chunks.isEmpty && this.#neededFrom() < this.end) return;
    this.#chunks.clear(this.end);
    this.#wake();
    if (this.#ended) return;
    this.#ended = true;
    this.#parts.observer.ended(this);
  }
}

function changed(content: ReadableContent): WeirError {
  return new WeirError('ContentChanged', `the store no longer has version ${content.fingerprint} of content ${content.id}`, {details: {content: content.id}});
}
