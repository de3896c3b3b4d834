/**
 * Which entries of a segment are dead, as bits: no two entries begin within `entryBytesMin` of each other, so a bit for each such stretch tells
 * them apart. About three bytes an entry of 500 bytes, and only where something died.
 */
import {entryHeaderBytes} from '#codec/block/segment.ts';

const entryBytesMin = entryHeaderBytes + 1;
const chunkBits = 4096;

export class DeadEntries {
  readonly #chunks: (Uint32Array | undefined)[] = [];

  /** `offset` is that of the entry's bytes. */
  add(offset: number): void {
    const bit = Math.floor(offset / entryBytesMin);
    const chunk = (this.#chunks[Math.floor(bit / chunkBits)] ??= new Uint32Array(chunkBits / 32));
    chunk[(bit % chunkBits) >>> 5]! |= 1 << (bit & 31);
  }

  has(offset: number): boolean {
    const bit = Math.floor(offset / entryBytesMin);
    const chunk = this.#chunks[Math.floor(bit / chunkBits)];
    return chunk !== undefined && (chunk[(bit % chunkBits) >>> 5]! & (1 << (bit & 31))) !== 0;
  }

  /** For each one an offset that `has` and `add` take for the same. */
  *offsets(): Generator<number> {
    for (const [i, chunk] of this.#chunks.entries()) {
      for (let word = 0; chunk && word < chunk.length; word++) {
        for (let bits = chunk[word]!; bits !== 0; bits &= bits - 1) yield (i * chunkBits + word * 32 + 31 - Math.clz32(bits & -bits)) * entryBytesMin;
      }
    }
  }
}
