/**
 * The account of one content that keeps speculation honest: bytes that readers asked for against bytes asked of the store.
 * Rounding to pages, filling gaps and reading ahead may together cost a quarter of what was asked, never more; what read-ahead
 * fetched and readers then asked for has paid for itself.
 */
import {KiB} from '#base/units.ts';

const extraShare = 0.25;
/** Credit of a content of which nothing was asked yet: two rounded edges. */
const creditBytes = 128 * KiB;

export class Thrift {
  #asked = 0;
  #fetched = 0;

  asked(bytes: number): void {
    this.#asked += bytes;
  }

  fetched(bytes: number): void {
    this.#fetched += bytes;
  }

  /** Bytes that may be fetched beyond what is asked for now, of which `wanted` bytes are not fetched yet. */
  extra(wanted: number): number {
    return Math.max(0, Math.floor(this.#asked * (1 + extraShare)) + creditBytes - this.#fetched - wanted);
  }
}
