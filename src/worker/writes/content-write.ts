/**
 * A new object on its way: each chunk goes through the digests, to the store and to the cache at the same time. The last chunk
 * is held back until `finish` has checked everything and the caller is ready, because a store may make the object visible with
 * its last byte; which one that is shows where the length is known, else each may be it. The store's failure is the write's failure; the cache's is not.
 */
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {Ready, WriteStream} from '#contracts/worker-api.ts';
import type {WrittenObject} from '#contracts/writing.ts';
import type {StoreWrite} from '#understore/under-store.ts';
import type {CacheCopy} from '#worker/writes/cache-copy.ts';
import type {Digests, ExpectedDigests} from '#model/digests.ts';

export class ContentWrite implements WriteStream {
  readonly copies?: true;
  readonly #content: ContentId;
  readonly #store: StoreWrite;
  readonly #cache: CacheCopy | undefined;
  readonly #digests: Digests;
  readonly #length: number | undefined;
  #taken = 0;
  #heldBack: Uint8Array | undefined;
  #state: 'open' | 'finishing' | 'done' | 'aborted' = 'open';

  /** `length`: of the whole, when known. */
  constructor(content: ContentId, store: StoreWrite, cache: CacheCopy | undefined, digests: Digests, length?: number) {
    if (store.copies && length !== undefined && (!cache || cache.copies)) this.copies = true;
    this.#length = length;
    this.#content = content;
    this.#store = store;
    this.#cache = cache;
    this.#digests = digests;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#mustBe('open');
    if (chunk.length === 0) return;
    this.#taken += chunk.length;
    const more = this.copies === true && this.#taken !== this.#length;
    const sending = more ? chunk : this.#heldBack;
    if (!more) this.#heldBack = this.copies ? Uint8Array.prototype.slice.call(chunk) : chunk;
    try {
      if (this.#length !== undefined && this.#taken > this.#length) throw new WeirError('IncompleteBody', `more than the announced ${this.#length} bytes came`);
      const sent = sending ? this.#store.write(sending) : undefined;
      const [, , result] = await Promise.allSettled([this.#cache?.write(chunk), this.#digests.update(chunk), sent]);
      if (result.status === 'rejected') throw result.reason;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async finish(ready: Ready, expected?: ExpectedDigests): Promise<WrittenObject> {
    this.#mustBe('open');
    this.#state = 'finishing';
    try {
      const {length, md5, checksums} = await this.#digests.finish(expected);
      await ready();
      if (this.#heldBack) await this.#store.write(this.#heldBack);
      this.#heldBack = undefined;
      const object = await this.#store.finish({length, etag: md5});
      if (object.length !== length) throw new WeirError('Io', `the store keeps ${object.length} of ${length} bytes that it was given`);
      this.#state = 'done';
      await this.#cache?.seal(this.#content);
      return {length, fingerprint: object.fingerprint, etag: md5, checksums};
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async abort(): Promise<void> {
    if (this.#state === 'done' || this.#state === 'aborted') return;
    this.#state = 'aborted';
    this.#heldBack = undefined;
    this.#digests.abandon();
    await Promise.allSettled([this.#store.abort(), this.#cache?.discard()]);
  }

  #mustBe(state: 'open'): void {
    if (this.#state !== state) throw new WeirError('Cancelled', 'this write has already ended');
  }
}
