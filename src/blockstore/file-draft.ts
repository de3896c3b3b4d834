/** A content being written: small ones in memory, larger ones in a file of their own, whose page checksums are made as it is written. */
import {assert} from '#base/assert.ts';
import {type ContentHandle, type Draft, pageBytes, segmentContentBytesMax} from '#blockstore/block-store.ts';
import type {DraftPlace} from '#blockstore/draft-place.ts';
import {DraftPages} from '#blockstore/drafts/draft-pages.ts';
import {pageChecksums} from '#blockstore/files/large-content.ts';

export class FileDraft implements Draft {
  readonly #place: DraftPlace;
  #memory: Buffer | undefined;
  readonly #pages = new DraftPages();
  /** Written ranges, apart and in order. */
  #written: {start: number; end: number}[] = [];
  #alive = true;

  /** `length`: of the content, when known. */
  constructor(place: DraftPlace, length = 0) {
    this.#place = place;
    if (length <= segmentContentBytesMax) this.#memory = Buffer.alloc(0);
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
      if (memory) for (const {start, end: stop} of this.#written) await this.#put(memory.subarray(start, stop), start);
      await this.#put(chunk, position);
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
    if (content.length <= segmentContentBytesMax) return await this.#sealShorter(content, options?.dirty ?? false);
    const checksums = new Uint32Array(Math.ceil(content.length / pageBytes));
    for (let page = 0; page < checksums.length; page++) {
      const length = Math.min(pageBytes, content.length - page * pageBytes);
      const checksum = this.#pages.checksum(page, length) ?? (await this.#readChecksum(page, length));
      if (checksum === undefined) {
        await this.#place.discard();
        return false;
      }
      checksums[page] = checksum;
    }
    return await this.#place.sealLarge(content, checksums, options?.dirty ?? false);
  }

  async discard(): Promise<void> {
    this.#alive = false;
    this.#memory = undefined;
    await this.#place.discard();
  }

  /** It was to be larger than it has become. */
  async #sealShorter(content: ContentHandle, dirty: boolean): Promise<boolean> {
    const bytes = Buffer.allocUnsafe(content.length);
    const isRead = content.length === 0 || (await this.#place.read(bytes, 0)) === content.length;
    await this.#place.discard();
    return isRead && (await this.#place.sealSmall(content, bytes, dirty));
  }

  async #put(bytes: Uint8Array, position: number): Promise<void> {
    if (!this.#alive) return;
    this.#pages.touch(position, bytes.length);
    this.#pages.write([bytes], position);
    this.#alive = await this.#place.write([bytes], position);
  }

  /** Of a page that was not written from its beginning on. Undefined when the disk does not give it. */
  async #readChecksum(page: number, length: number): Promise<number | undefined> {
    const bytes = Buffer.allocUnsafe(length);
    const count = await this.#place.read(bytes, page * pageBytes);
    assert(count === length || count === -1, 'a draft reads as long as it was written');
    return count === -1 ? undefined : pageChecksums([bytes])[0];
  }

  #cover(start: number, end: number): void {
    const apart = this.#written.filter((range) => range.end < start || range.start > end);
    for (const range of this.#written) if (!apart.includes(range)) [start, end] = [Math.min(start, range.start), Math.max(end, range.end)];
    this.#written = [...apart, {start, end}].toSorted((a, b) => a.start - b.start);
  }
}
