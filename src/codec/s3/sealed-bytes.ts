/**
 * AES-256 in counter mode (NIST SP 800-38A, 6.5): ciphertext is as long as plaintext and any place of it can be worked on by itself, so lengths,
 * ranges and pages stay what they are. The counter is the number of the 16-byte block; a key must never be used for two plaintexts.
 * It hides and does not vouch: that bytes are unchanged is for checksums to say.
 */
import {createCipheriv} from 'node:crypto';
import {assert} from '#base/assert.ts';

const blockBytes = 16;

/** Consecutive bytes under one key, from a position on. Sealing and opening are the same. */
export class SealedBytes {
  readonly #cipher: ReturnType<typeof createCipheriv>;

  constructor(key: Uint8Array, position: number) {
    const counter = Buffer.alloc(blockBytes);
    counter.writeBigUInt64BE(BigInt(Math.floor(position / blockBytes)), 8);
    this.#cipher = createCipheriv('aes-256-ctr', key, counter);
    const skipped = position % blockBytes;
    if (skipped > 0) this.#cipher.update(Buffer.alloc(skipped));
  }

  /** In a buffer of its own. */
  update(chunk: Uint8Array): Uint8Array {
    return this.#cipher.update(chunk);
  }
}

/** Where each piece of an object begins, and behind them the end; and the key of each. */
export interface SealedPieces {
  readonly offsets: readonly number[];
  readonly keyOf: (piece: number) => Uint8Array;
}

/** Opens the chunks of a range that begins at `position`. */
export async function* openedBytes(pieces: SealedPieces, position: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const opener = new PiecesOpener(pieces, position);
  for await (const chunk of chunks) yield* opener.open(chunk);
}

export class PiecesOpener {
  readonly #pieces: SealedPieces;
  #piece = 0;
  #position: number;
  #current: SealedBytes | undefined;

  constructor(pieces: SealedPieces, position: number) {
    this.#pieces = pieces;
    this.#position = position;
  }

  /** The next bytes; more than one buffer where a piece ends among them. */
  *open(chunk: Uint8Array): Generator<Uint8Array> {
    const {offsets, keyOf} = this.#pieces;
    for (let at = 0; at < chunk.length; ) {
      while (this.#position >= offsets[this.#piece + 1]!) {
        this.#piece++;
        this.#current = undefined;
        assert(this.#piece < offsets.length - 1, 'the bytes go on behind the last piece');
      }
      this.#current ??= new SealedBytes(keyOf(this.#piece), this.#position - offsets[this.#piece]!);
      const count = Math.min(chunk.length - at, offsets[this.#piece + 1]! - this.#position);
      yield this.#current.update(at === 0 && count === chunk.length ? chunk : chunk.subarray(at, at + count));
      at += count;
      this.#position += count;
    }
  }
}
