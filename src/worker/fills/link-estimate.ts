/**
 * What a store's link is like, learned from the requests themselves: the time to a first byte, and the rate of one connection
 * while as many are in flight as usual. Both are moving averages. From them follow the two sizes that fills are made of:
 * a gap that is cheaper to fetch than to skip, and a piece that is long enough for its round trip not to matter.
 */
import {KiB, MiB} from '#base/units.ts';
import {pageBytes} from '#blockstore/block-store.ts';

const weight = 0.25;
/** Shorter bodies say more about the first packet than about the rate. */
const sampleBytesMin = 128 * KiB;
const gapBytesMax = MiB;
/** Shorter pieces cost more in requests than they gain. */
export const pieceBytesMin = MiB;
const pieceBytesMax = 8 * MiB;
const pieceBytesUnknown = 4 * MiB;
/** A piece lasts this many round trips, so that waiting for its first byte costs little of the whole. */
const roundTripsAPiece = 6;

const wholePages = (bytes: number): number => Math.max(1, Math.round(bytes / pageBytes)) * pageBytes;

export class LinkEstimate {
  #roundTripMs: number | undefined;
  #bytesPerMs: number | undefined;

  /** `ms` from sending a request to its first byte. */
  firstByte(ms: number): void {
    this.#roundTripMs = this.#roundTripMs === undefined ? ms : this.#roundTripMs + weight * (ms - this.#roundTripMs);
  }

  /** A body of `bytes` that nobody held up took `ms` from its first byte to its last. */
  body(bytes: number, ms: number): void {
    if (bytes < sampleBytesMin || ms <= 0) return;
    const rate = bytes / ms;
    this.#bytesPerMs = this.#bytesPerMs === undefined ? rate : this.#bytesPerMs + weight * (rate - this.#bytesPerMs);
  }

  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /**
   * Unwanted bytes between two wanted runs up to this many are fetched rather than skipped. The rate of one connection is the
   * link's divided by the requests in flight, so this is round trip × rate ÷ requests in flight.
   */
  get gapBytes(): number {
    return this.#product === undefined ? pageBytes : Math.min(gapBytesMax, this.#product);
  }

  /** Bytes of one request when much is wanted, in whole pages. */
  get pieceBytes(): number {
    if (this.#product === undefined) return pieceBytesUnknown;
    return wholePages(Math.min(pieceBytesMax, Math.max(pieceBytesMin, roundTripsAPiece * this.#product)));
  }

  get #product(): number | undefined {
    return this.#roundTripMs === undefined || this.#bytesPerMs === undefined ? undefined : this.#roundTripMs * this.#bytesPerMs;
  }
}
