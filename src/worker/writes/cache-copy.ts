/**
 * The cached side of a write: small contents wait in memory for the segment store, larger ones go to a draft. Whatever goes wrong
 * here ends the copy and nothing else.
 */
import type {ContentId} from '#base/ids.ts';
import {type BlockStore, type Draft, segmentContentBytesMax} from '#blockstore/block-store.ts';

export class CacheCopy {
  readonly #blocks: BlockStore;
  readonly #lengthHint: number | undefined;
  #small: Uint8Array[] | undefined;
  #draft: Draft | undefined;
  #position = 0;
  #dead = false;

  constructor(blocks: BlockStore, lengthHint: number | undefined) {
    this.#blocks = blocks;
    this.#lengthHint = lengthHint;
    if (lengthHint === undefined || lengthHint <= segmentContentBytesMax) this.#small = [];
  }

  /** Done with a chunk when its write resolves. */
  get copies(): boolean {
    return !this.#small;
  }

  /** Resolves when the next chunk may come; never rejects. Where it does not copy, the buffer must not be changed afterwards. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#dead) return;
    try {
      const position = this.#position;
      this.#position += chunk.length;
      if (this.#small && this.#position <= segmentContentBytesMax) {
        this.#small.push(chunk);
        return;
      }
      if (this.#small || position === 0) {
        const waiting = this.#small ?? [];
        this.#small = undefined;
        this.#draft = await this.#blocks.draft(this.#lengthHint);
        let at = 0;
        for (const early of waiting) {
          await this.#draft?.write(early, at);
          at += early.length;
        }
      }
      if (!this.#draft?.alive) return await this.discard();
      await this.#draft.write(chunk, position);
    } catch {
      await this.discard();
    }
  }

  /** The content is what was written: it may be read from now on. False when it is not cached; never rejects. */
  async seal(id: ContentId): Promise<boolean> {
    if (this.#dead) return false;
    this.#dead = true;
    const content = {id, length: this.#position};
    try {
      if (this.#small) return content.length > 0 && (await this.#blocks.fill(content, 0, this.#small));
      return (await this.#draft?.seal(content)) ?? false;
    } catch {
      return false;
    }
  }

  async discard(): Promise<void> {
    if (this.#dead) return;
    this.#dead = true;
    this.#small = undefined;
    try {
      await this.#draft?.discard();
    } catch {
      // What cannot be removed now is swept when the block store opens next.
    }
  }
}
