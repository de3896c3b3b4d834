/** A content being written: small ones in memory, larger ones in a file of their own, whose page checksums are made when it is sealed. */
import {assert} from '#base/assert.ts';
import {type ContentHandle, type Draft, pageBytes, segmentContentBytesMax} from '#blockstore/block-store.ts';
import type {DraftPlace} from '#blockstore/draft-place.ts';
import {pageChecksums} from '#blockstore/files/large-content.ts';

const readPages = 16;

export class FileDraft implements Draft {
  readonly #place: DraftPlace;
  #memory: Buffer | undefined = Buffer.alloc(0);
  /** Written ranges, apart and in order. */
  #written: {start: number; end: number}[] = [];
  #alive = true;

  constructor(place: DraftPlace) {
    this.#place = place;
  }

  get alive(): boolean {
    return this.#alive;
  }

  async write(chunk: Uint8Array, position: number): Promise<void> {
    if (!this.#alive || chunk.length === 0) return;
    const end = position + chunk.length;
    if (this.#memory && end <= segmentContentBytesMax) {
      if (end > this.#memory.length) this.#memory = Buffer.concat([this.#memory, Buffer.alloc(Math.min(segmentContentBytesMax, end * 2) - this.#memory.length)]);
      this.#memory.set(chunk, position);
    } else {
      const memory = this.#memory;
      this.#memory = undefined;
      if (memory) for (const {start, end: stop} of this.#written) if (this.#alive) this.#alive = await this.#place.write([memory.subarray(start, stop)], start);
      if (this.#alive) this.#alive = await this.#place.write([chunk], position);
    }
    this.#cover(position, end);
  }

  async seal(content: ContentHandle, options?: {dirty?: boolean}): Promise<boolean> {
    const [only] = this.#written;
    const whole = content.length === 0 || (this.#written.length === 1 && only!.start === 0 && only!.end === content.length);
    if (!this.#alive || !whole) {
      await this.discard();
      return false;
    }
    this.#alive = false;
    if (this.#memory) return await this.#place.sealSmall(content, this.#memory.subarray(0, content.length), options?.dirty ?? false);
    const checksums = new Uint32Array(Math.ceil(content.length / pageBytes));
    for (let page = 0; page < checksums.length; page += readPages) {
      const bytes = Buffer.allocUnsafe(Math.min(readPages * pageBytes, content.length - page * pageBytes));
      const count = await this.#place.read(bytes, page * pageBytes);
      assert(count === bytes.length || count === -1, 'a draft reads as long as it was written');
      if (count === -1) {
        await this.#place.discard();
        return false;
      }
      checksums.set(pageChecksums([bytes]), page);
    }
    return await this.#place.sealLarge(content, checksums, options?.dirty ?? false);
  }

  async discard(): Promise<void> {
    this.#alive = false;
    this.#memory = undefined;
    await this.#place.discard();
  }

  #cover(start: number, end: number): void {
    const apart = this.#written.filter((range) => range.end < start || range.start > end);
    for (const range of this.#written) if (!apart.includes(range)) [start, end] = [Math.min(start, range.start), Math.max(end, range.end)];
    this.#written = [...apart, {start, end}].toSorted((a, b) => a.start - b.start);
  }
}
