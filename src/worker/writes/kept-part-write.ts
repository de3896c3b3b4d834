/** One part of an upload that the cache keeps: bytes go to the disk in large pieces while they are digested, and are synced before the part is acknowledged. */
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {PartRecord} from '#contracts/master-api.ts';
import type {PartStream} from '#contracts/worker-api.ts';
import type {Digests, ExpectedDigests} from '#model/digests.ts';
import type {PartRoom} from '#worker/writes/kept-upload.ts';

/** Bytes of one write. */
const pieceBytes = 1 * MiB;
/** Writes under way. */
const writesMax = 2;

export interface KeptPartWriteParts {
  readonly partNumber: number;
  /** Bytes announced. */
  readonly length: number;
  readonly room: PartRoom;
  readonly digests: Digests;
  readonly nowNs: () => bigint;
}

export class KeptPartWrite implements PartStream {
  readonly #parts: KeptPartWriteParts;
  #piece: Uint8Array[] = [];
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
      this.#piece.push(chunk);
      this.#pieceBytes += chunk.length;
      if (this.#pieceBytes >= pieceBytes) this.#begin();
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
    this.#piece = [];
    this.#parts.digests.abandon();
    await this.#settled();
    await this.#parts.room.abandon();
  }

  #begin(): void {
    const {room} = this.#parts;
    const writing = room.draft
      .write(this.#piece, room.offset + this.#position)
      .catch((error: unknown) => void (this.#failure ??= {error}))
      .finally(() => this.#writes.delete(writing));
    this.#writes.add(writing);
    this.#position += this.#pieceBytes;
    this.#piece = [];
    this.#pieceBytes = 0;
  }

  async #settled(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }
}
