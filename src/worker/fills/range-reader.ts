/**
 * Reads a range of a content from wherever its bytes are: from flights as they arrive, from the cache, from kept fragments, and,
 * where they are nowhere, from a flight that it starts. Keeps several flights ahead of itself; never holds more than one buffer.
 *
 * Read by `pieces`, what the cache has by now leaves as a lease and does not come back into memory, and what it does not have yet is lent
 * by the flight: so a long read makes no garbage.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {ByteStream} from '#contracts/worker-api.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {ContentFills} from '#worker/fills/content-fills.ts';
import type {Flight, FlightReader} from '#worker/fills/flight.ts';
import type {HeldChunk} from '#worker/fills/held-chunks.ts';

/** Bytes read back from the cache at a time, and leased at a time. */
const cacheReadBytesMax = MiB;
const cacheLeaseBytesMax = 4 * MiB;
/** Times that a cache may say "present" and then not deliver, before the reader gives up on it. */
const cacheMissesMax = 3;

const finished: IteratorResult<Uint8Array, undefined> = {done: true, value: undefined};

export class RangeReader implements FlightReader, ByteStream, AsyncIterableIterator<Uint8Array, undefined> {
  position: number;
  readonly end: number;
  readonly #fills: ContentFills;
  readonly #blocks: BlockStore;
  readonly #signal: AbortSignal;
  readonly #served: (bytes: number) => void;
  /** Flights that were started or met for this reader. */
  readonly #attached = new Set<Flight>();
  readonly #onAbort = () => this.#close(true);
  #plannedTo: number;
  #closed = false;
  /** A buffer that was taken before anybody asked for it (see `prime`). */
  #primed: Uint8Array | undefined;
  /** What the receiver of pieces has now. */
  #lent: HeldChunk | undefined;

  constructor(fills: ContentFills, blocks: BlockStore, range: {readonly offset: number; readonly length: number}, signal: AbortSignal, served: (bytes: number) => void) {
    this.#fills = fills;
    this.#blocks = blocks;
    this.#signal = signal;
    this.#served = served;
    this.position = range.offset;
    this.#plannedTo = range.offset;
    this.end = range.offset + range.length;
    signal.addEventListener('abort', this.#onAbort, {once: true});
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /**
   * Waits until the first bytes are there, so that what makes the read impossible is known before anything is delivered. Answers them where they are all
   * that is to be read; else they stay where they are, for `pieces` to lend.
   */
  async prime(): Promise<Uint8Array | undefined> {
    try {
      const first = await this.#take('whole');
      assert(first === undefined || first instanceof Uint8Array, 'who asks for buffers gets buffers');
      return (this.#primed = first);
    } catch (error) {
      this.#close(true);
      throw error;
    }
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const primed = this.#primed;
    if (primed) {
      this.#primed = undefined;
      return {done: false, value: primed};
    }
    if (this.position >= this.end) return finished;
    try {
      return {done: false, value: await this.#takeBuffer()};
    } catch (error) {
      this.#close(true);
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#primed = undefined;
    this.#close(this.position < this.end);
    this.position = this.end;
    return finished;
  }

  pieces(): AsyncIterableIterator<Uint8Array | FileLease, undefined> {
    const iterator: AsyncIterableIterator<Uint8Array | FileLease, undefined> = {
      next: async () => {
        this.#takeBack();
        if (this.#primed || this.position >= this.end) return this.next();
        try {
          return {done: false, value: (await this.#take('piece'))!};
        } catch (error) {
          this.#close(true);
          throw error;
        }
      },
      return: () => {
        this.#takeBack();
        return this.return();
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  #takeBack(): void {
    this.#lent?.release();
    this.#lent = undefined;
  }

  async #takeBuffer(): Promise<Uint8Array> {
    const bytes = await this.#take('buffer');
    assert(bytes instanceof Uint8Array, 'who asks for buffers gets buffers');
    return bytes;
  }

  /** The next bytes; as a piece on loan, or a lease. `whole`: undefined, and they stay, where they are there and not all of the read in one. */
  async #take(as: 'buffer' | 'piece' | 'whole'): Promise<Uint8Array | FileLease | undefined> {
    const forPieces = as === 'piece';
    const atLeast = as === 'whole' ? this.end - this.position : 1;
    for (let misses = 0; ; ) {
      if (this.#signal.aborted) throw cancelled(this.#signal);
      if (this.#closed) throw new WeirError('Cancelled', 'the read was given up');
      const at = this.position;
      const flight = this.#fills.flightAt(at);
      if (flight) {
        this.#attach(flight);
        this.#planAhead(flight.end);
        if (flight.has(at)) return this.#takeFrom(flight, forPieces, atLeast);
        await flight.wait();
        // A failure is this reader's too, unless the bytes that it needs came before it.
        if (flight.failure && !flight.has(at)) throw flight.failure;
        continue;
      }
      const presentTo = this.#fills.presentUntil(at, Math.min(this.end, at + (forPieces ? cacheLeaseBytesMax : cacheReadBytesMax)));
      if (presentTo > at) {
        this.#planAhead(presentTo);
        if (presentTo - at < atLeast) return undefined;
        const {content} = this.#fills;
        // Not all that is present need be in one file.
        const lease = forPieces ? await this.#blocks.lease(content, at, presentTo - at) : undefined;
        const found = lease ?? (await this.#blocks.read(content, at, presentTo - at));
        if (found) {
          this.#served(found.length);
          this.#advance(found.length, undefined);
          return found;
        }
        if (++misses > cacheMissesMax) throw new WeirError('Io', `content ${this.#fills.id}: the cache has pages that it cannot read`);
        continue;
      }
      const piece = this.#fills.knownPiece(at, this.end);
      if (piece) {
        if (piece.length < atLeast) return undefined;
        this.#served(piece.length);
        this.#advance(piece.length, undefined);
        return piece;
      }
      const started = this.#fills.demand(this);
      if (started) {
        this.#attached.add(started);
        this.#plannedTo = Math.max(started.end, at);
      } else {
        await this.#fills.slotFree();
        this.#fills.unqueue(this);
      }
    }
  }

  #takeFrom(flight: Flight, forPieces: boolean, atLeast: number): Uint8Array | undefined {
    const room = this.end - this.position;
    const {bytes, chunk} = flight.at(this.position)!;
    if (bytes.length < atLeast) return undefined;
    if (forPieces) {
      chunk.use();
      this.#lent = chunk;
    } else chunk.keep();
    const taken = bytes.length > room ? bytes.subarray(0, room) : bytes;
    this.#advance(taken.length, flight);
    return taken;
  }

  #advance(bytes: number, flight: Flight | undefined): void {
    this.position += bytes;
    if (flight) {
      if (this.position >= flight.end || this.position >= this.end) this.#detach(flight, false);
      else flight.advanced();
    }
    if (this.position >= this.end) this.#close(false);
  }

  #planAhead(from: number): void {
    if (this.#plannedTo < from) this.#plannedTo = from;
    if (this.#plannedTo < this.end) this.#plannedTo = this.#fills.ahead(this, this.#plannedTo);
    // What was started for this reader ahead of it is told when it goes away.
    for (const flight of this.#fills.flights) if (flight.readers.has(this)) this.#attached.add(flight);
  }

  #attach(flight: Flight): void {
    if (flight.readers.has(this)) return;
    flight.attach(this);
    this.#attached.add(flight);
  }

  #detach(flight: Flight, gone: boolean): void {
    this.#attached.delete(flight);
    flight.detach(this, gone);
  }

  #close(gone: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    for (const flight of this.#attached) this.#detach(flight, gone);
  }
}

function cancelled(signal: AbortSignal): Error {
  return signal.reason instanceof WeirError ? signal.reason : new WeirError('Cancelled', 'the reader went away', {cause: signal.reason});
}
