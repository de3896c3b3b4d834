/**
 * A new object under ASYNC_THROUGH: its bytes go to the cache alone, and are durable there before the path's turn is taken. Small ones are
 * held in memory until they are all there; larger ones take their room at once. A cache that has none is waited for a while; then the
 * object goes through to its store as under CACHE_THROUGH, as long as all of its bytes are still at hand.
 */
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {type BlockStore, type Draft, segmentContentBytesMax} from '#blockstore/block-store.ts';
import type {Ready, WriteStream} from '#contracts/worker-api.ts';
import type {WrittenObject} from '#contracts/writing.ts';
import type {Clock} from '#runtime/clock.ts';
import type {StoreWrite} from '#understore/under-store.ts';
import type {Digests, ExpectedDigests} from '#model/digests.ts';

export interface PendingWriteParts {
  readonly content: ContentId;
  /** Bytes, when known. */
  readonly length: number | undefined;
  readonly blocks: BlockStore;
  readonly clock: Clock;
  readonly digests: Digests;
  /** Begins the write to the store. */
  readonly through: () => Promise<StoreWrite>;
}

const roomWaitMs = 2_000;
const roomLookMs = 50;

export class PendingWrite implements WriteStream {
  readonly #parts: PendingWriteParts;
  /** All that came so far, while that is little. */
  #chunks: Uint8Array[] | undefined = [];
  #draft: Draft | undefined;
  /** Where the bytes go after all; the last chunk is held back. */
  #store: StoreWrite | undefined;
  #heldBack: Uint8Array | undefined;
  #position = 0;
  #state: 'open' | 'finishing' | 'done' | 'aborted' = 'open';

  constructor(parts: PendingWriteParts) {
    this.#parts = parts;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#state !== 'open') throw new WeirError('Cancelled', 'this write has already ended');
    if (chunk.length === 0) return;
    try {
      if (this.#chunks && Math.max(this.#position + chunk.length, this.#parts.length ?? 0) <= segmentContentBytesMax) {
        this.#position += chunk.length;
        this.#chunks.push(chunk);
        return await this.#parts.digests.update(chunk);
      }
      const [digested, taken] = await Promise.allSettled([this.#parts.digests.update(chunk), this.#take(chunk)]);
      if (taken.status === 'rejected') throw taken.reason;
      if (digested.status === 'rejected') throw digested.reason;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async #take(chunk: Uint8Array): Promise<void> {
    const position = this.#position;
    this.#position += chunk.length;
    if (!this.#chunks) return await this.#pass(chunk, position);
    const waiting = this.#chunks;
    this.#chunks = undefined;
    this.#draft = await this.#room();
    if (!this.#draft) this.#store = await this.#parts.through();
    let at = 0;
    for (const early of [...waiting, chunk]) {
      await this.#pass(early, at);
      at += early.length;
    }
  }

  async #pass(chunk: Uint8Array, position: number): Promise<void> {
    if (this.#store) {
      if (this.#heldBack) await this.#store.write(this.#heldBack);
      this.#heldBack = chunk;
      return;
    }
    await this.#draft!.write(chunk, position);
    if (!this.#draft!.alive) throw new WeirError('NoSpace', 'the cache could not keep what was being written; try again');
  }

  async #room(): Promise<Draft | undefined> {
    const {blocks, clock, length} = this.#parts;
    const late = clock.monotonicMs() + roomWaitMs;
    for (;;) {
      const draft = await blocks.lastingDraft(length);
      if (draft || clock.monotonicMs() >= late) return draft;
      await clock.sleep(roomLookMs);
    }
  }

  async finish(ready: Ready, expected?: ExpectedDigests): Promise<WrittenObject> {
    if (this.#state !== 'open') throw new WeirError('Cancelled', 'this write has already ended');
    this.#state = 'finishing';
    const {content, digests} = this.#parts;
    try {
      const {length, md5, checksums} = await digests.finish(expected);
      if (!(await this.#keep({id: content, length}))) return {...(await this.#finishThrough(ready, length, md5)), etag: md5, checksums};
      await ready();
      this.#state = 'done';
      return {length, pending: true, fingerprint: '', etag: md5, checksums};
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  /** True when the cache has it durably; false when it goes through to the store. */
  async #keep(content: {readonly id: ContentId; readonly length: number}): Promise<boolean> {
    if (this.#store) return false;
    if (this.#draft) {
      const draft = this.#draft;
      this.#draft = undefined;
      if (await draft.seal(content, {dirty: true})) return true;
      throw new WeirError('NoSpace', 'the cache could not keep what was written; try again');
    }
    const {blocks, clock, through} = this.#parts;
    const chunks = this.#chunks!;
    const late = clock.monotonicMs() + roomWaitMs;
    for (;;) {
      if (await blocks.keep(content, chunks)) return true;
      if (clock.monotonicMs() >= late) break;
      await clock.sleep(roomLookMs);
    }
    this.#store = await through();
    for (const chunk of chunks) await this.#pass(chunk, 0);
    return false;
  }

  async #finishThrough(ready: Ready, length: number, md5: string): Promise<{readonly length: number; readonly fingerprint: string}> {
    await ready('CACHE_THROUGH');
    if (this.#heldBack) await this.#store!.write(this.#heldBack);
    const object = await this.#store!.finish({length, etag: md5});
    if (object.length !== length) throw new WeirError('Io', `the store keeps ${object.length} of ${length} bytes that it was given`);
    this.#state = 'done';
    return {length, fingerprint: object.fingerprint};
  }

  async abort(): Promise<void> {
    if (this.#state === 'done' || this.#state === 'aborted') return;
    this.#state = 'aborted';
    this.#heldBack = undefined;
    this.#chunks = undefined;
    this.#parts.digests.abandon();
    await Promise.allSettled([this.#store?.abort(), this.#draft?.discard(), this.#parts.blocks.drop(this.#parts.content)]);
  }
}
