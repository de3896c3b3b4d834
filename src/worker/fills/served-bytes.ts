/**
 * Bytes of each content that left from the cache, for `explain`: one row a content, in one block of memory, because every read adds to it and a map of a
 * hundred thousand is looked up in four cold places. A content shares its row with those whose ids differ by a multiple of the rows, and who was read last has
 * it: ids are given one after the other, so the newest are there together.
 */
import type {ContentId} from '#base/ids.ts';

/** Ids of files and their contents take turns: the newest 131 072 contents. 4 MiB, taken as they are used. */
const rowsDefault = 2 ** 18;

export class ServedBytes {
  readonly #rows: number;
  /** [id, bytes, id, bytes …]; 0 is nobody's id. */
  readonly #counts: Float64Array;

  constructor(rows = rowsDefault) {
    this.#rows = rows;
    this.#counts = new Float64Array(2 * rows);
  }

  add(id: ContentId, bytes: number): void {
    const counts = this.#counts;
    const row = 2 * (id % this.#rows);
    if (counts[row] === id) counts[row + 1]! += bytes;
    else {
      counts[row] = id;
      counts[row + 1] = bytes;
    }
  }

  /** Since it has its row. */
  of(id: ContentId): number {
    const row = 2 * (id % this.#rows);
    return this.#counts[row] === id ? this.#counts[row + 1]! : 0;
  }
}
