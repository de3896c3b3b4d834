/**
 * A growable array of numbers in chunks, so that growing never copies and never holds old and new at once. Starts as zeros.
 */
type Numbers = Uint32Array | Float64Array;

const chunkShift = 16;
const chunkLength = 1 << chunkShift;
const chunkMask = chunkLength - 1;

export class Column<T extends Numbers> {
  readonly #chunks: T[] = [];
  readonly #make: (length: number) => T;

  constructor(make: (length: number) => T) {
    this.#make = make;
  }

  /** Makes positions below `length` usable. */
  reserve(length: number): void {
    while (this.#chunks.length << chunkShift < length) this.#chunks.push(this.#make(chunkLength));
  }

  get(position: number): number {
    return this.#chunks[position >>> chunkShift]![position & chunkMask]!;
  }

  set(position: number, value: number): void {
    this.#chunks[position >>> chunkShift]![position & chunkMask] = value;
  }

  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  }
}

export const uint32Column = (): Column<Uint32Array> => new Column((length) => new Uint32Array(length));
export const float64Column = (): Column<Float64Array> => new Column((length) => new Float64Array(length));
