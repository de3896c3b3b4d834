/**
 * One part of an upload that the cache keeps: bytes are copied into large pieces, which go to the disk while they are digested, and are synced
 * before the part is acknowledged.
 */
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {PartStream} from '#contracts/worker-api.ts';
import type {PartRecord} from '#contracts/writing.ts';
import type {Digests, ExpectedDigests} from '#model/digests.ts';
import type {PartRoom} from '#worker/writes/kept-upload.ts';

/** Bytes of one write. */
const pieceBytes = 1 * MiB;
/** Writes under way. */
const writesMax = 2;

/** Memory of pieces, used again. */
const free: Buffer[] = [];
const freeMax = 16;

export interface KeptPartWriteParts {
  readonly partNumber: number;
  /** Bytes announced. */
  readonly length: number;
  readonly room: PartRoom;
  readonly digests: Digests;
  readonly nowNs: () => bigint;
}

export class KeptPartWrite implements PartStream {
  readonly copies = true;
  readonly #parts: KeptPartWriteParts;
  /** What is gathered for the next write. */
  #piece: Buffer | undefined;
  #pieceBytes = 0;
  /** Of what has been given to the disk. */
  #position = 0;
  #writes = new Set<Promise<void>>();
  #failure: {readonly error: unknown} | undefined;
  #state: 'open' | 'finishing' | 'done' | 'aborted' = 'open';

  constructor(parts: KeptPartWriteParts) {
    this.#parts = parts;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#state !== 'open') throw new WeirError('Cancelled', 'this part has already ended');
    if (chunk.length === 0) return;
    const {digests, length} = this.#parts;
    try {
      if (digests.length + chunk.length > length) throw new WeirError('IncompleteBody', `more than the announced ${length} bytes came`);
      this.#take(chunk);
      await digests.update(chunk);
      while (this.#writes.size >= writesMax) await Promise.race(this.#writes);
      if (this.#failure) throw this.#failure.error;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async finish(expected?: ExpectedDigests): Promise<PartRecord> {
    if (this.#state !== 'open') throw new WeirError('Cancelled', 'this part has already ended');
    this.#state = 'finishing';
    const {partNumber, digests, room, nowNs} = this.#parts;
    try {
      if (this.#pieceBytes > 0) this.#begin();
      const {length, md5, checksums} = await digests.finish({length: this.#parts.length, ...expected});
      await this.#settled();
      if (this.#failure) throw this.#failure.error;
      await room.draft.sync();
      await room.done();
      this.#state = 'done';
      return {partNumber, length, etag: md5, checksums, storePart: room.place, modifiedAt: nowNs()};
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async abort(): Promise<void> {
    if (this.#state === 'done' || this.#state === 'aborted') return;
    this.#state = 'aborted';
    this.#parts.digests.abandon();
    await this.#settled();
    await this.#parts.room.abandon();
  }

  #take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = (this.#piece ??= free.pop() ?? Buffer.allocUnsafeSlow(pieceBytes));
      const count = Math.min(chunk.length - at, pieceBytes - this.#pieceBytes);
      piece.set(count === chunk.length ? chunk : chunk.subarray(at, at + count), this.#pieceBytes);
      this.#pieceBytes += count;
      at += count;
      if (this.#pieceBytes === pieceBytes) this.#begin();
    }
  }

  #begin(): void {
    const {room} = this.#parts;
    const piece = this.#piece!;
    const writing = room.draft
      .write([piece.subarray(0, this.#pieceBytes)], room.offset + this.#position)
      .catch((error: unknown) => void (this.#failure ??= {error}))
      .finally(() => {
        this.#writes.delete(writing);
        if (free.length < freeMax) free.push(piece);
      });
    this.#writes.add(writing);
    this.#position += this.#pieceBytes;
    this.#piece = undefined;
    this.#pieceBytes = 0;
  }

  async #settled(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }
}
