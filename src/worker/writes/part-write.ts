/**
 * One part of a multipart upload on its way to the store's own upload, and to the draft beside it. The last bytes are held back
 * until the digests agree, so that the store never has a part that the client did not mean.
 */
import {WeirError} from '#base/errors.ts';
import type {PartStream} from '#contracts/worker-api.ts';
import type {PartRecord} from '#contracts/writing.ts';
import type {StorePart} from '#understore/under-store.ts';
import type {Channel} from '#worker/writes/channel.ts';
import type {Digests, ExpectedDigests} from '#model/digests.ts';
import type {DraftedPart} from '#worker/writes/upload-drafts.ts';

export interface PartWriteParts {
  readonly partNumber: number;
  /** Bytes announced. */
  readonly length: number;
  readonly channel: Channel;
  /** The store's answer to what comes out of the channel. */
  readonly uploading: Promise<StorePart>;
  readonly digests: Digests;
  readonly draft: DraftedPart;
  readonly nowNs: () => bigint;
}

export class PartWrite implements PartStream {
  readonly copies = true;
  readonly #parts: PartWriteParts;
  #taken = 0;
  #heldBack: Uint8Array | undefined;
  #state: 'open' | 'finishing' | 'done' | 'aborted' = 'open';

  constructor(parts: PartWriteParts) {
    this.#parts = parts;
    parts.uploading.catch(() => {});
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#state !== 'open') throw new WeirError('Cancelled', 'this part has already ended');
    if (chunk.length === 0) return;
    const {digests, draft, length} = this.#parts;
    try {
      if (this.#taken + chunk.length > length) throw new WeirError('IncompleteBody', `more than the announced ${length} bytes came`);
      this.#taken += chunk.length;
      const isLast = this.#taken === length;
      if (isLast) this.#heldBack = Uint8Array.prototype.slice.call(chunk);
      const [, , sent] = await Promise.allSettled([draft.write(chunk), digests.update(chunk), isLast ? undefined : this.#send(chunk)]);
      if (sent.status === 'rejected') throw sent.reason;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async finish(expected?: ExpectedDigests): Promise<PartRecord> {
    if (this.#state !== 'open') throw new WeirError('Cancelled', 'this part has already ended');
    this.#state = 'finishing';
    const {partNumber, digests, draft, channel, uploading, nowNs} = this.#parts;
    try {
      const {length, md5, checksums} = await digests.finish({length: this.#parts.length, ...expected});
      if (this.#heldBack) await this.#send(this.#heldBack);
      this.#heldBack = undefined;
      channel.end();
      const stored = await uploading;
      this.#state = 'done';
      draft.done(stored.token);
      return {partNumber, length, etag: md5, checksums, storePart: stored.token, modifiedAt: nowNs()};
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async abort(): Promise<void> {
    if (this.#state === 'done' || this.#state === 'aborted') return;
    this.#state = 'aborted';
    this.#heldBack = undefined;
    this.#parts.channel.fail(new WeirError('Cancelled', 'the part was given up'));
    this.#parts.draft.abandon();
    this.#parts.digests.abandon();
    await this.#parts.uploading.catch(() => {});
  }

  /** Offers a chunk; fails as soon as the store does. */
  async #send(chunk: Uint8Array): Promise<void> {
    const pushed = this.#parts.channel.push(chunk);
    pushed.catch(() => {});
    await Promise.race([pushed, this.#parts.uploading]);
  }
}
