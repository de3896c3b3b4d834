/** A large content's file on one tier: sparse, and by blocks which of its pages are there, with their checksums. */
import {crc32c} from '@node-rs/crc32';
import type {ContentId} from '#base/ids.ts';
import {blockBytes, pageBytes} from '#blockstore/block-store.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {DiskFile} from '#runtime/disk.ts';

export const blockPages = blockBytes / pageBytes;

export class Block {
  readonly present: Uint8Array;
  readonly verified: Uint8Array;
  readonly checksums: Uint32Array;
  bytes = 0;
  /** Leases, reads and writes under way: not punched. */
  holds = 0;
  /** Its pages are on another tier now: nobody finds them here, and they are punched when the last hold has ended. */
  leaving = false;
  node = 0;

  constructor(pages: number) {
    this.present = new Uint8Array(pages);
    this.verified = new Uint8Array(pages);
    this.checksums = new Uint32Array(pages);
  }
}

/** Of pages one after the other. */
export interface PageChecksums {
  readonly first: number;
  readonly checksums: Uint32Array;
}

export class LargeContent {
  readonly id: ContentId;
  readonly length: number;
  readonly tier: Tier;
  readonly number: number;
  readonly blocks: (Block | undefined)[] = [];
  /** The same content's file on a slower tier. */
  slower: LargeContent | undefined;
  handle: DiskFile | undefined;
  opening: Promise<DiskFile> | undefined;
  holds = 0;
  /** Blocks that may be punched when nobody holds them. */
  readonly leaving = new Set<number>();
  /** Unlinked; what is left goes with the last hold. */
  gone = false;
  /** The kernel has it, or had it in an earlier life: no hole is punched any more, it goes as a whole. */
  lent: boolean;
  /** A punch under way; writes wait for it. */
  punching: Promise<void> = Promise.resolve();
  /** Pages that are being written. */
  readonly #writes = new Set<{readonly first: number; readonly last: number; readonly done: PromiseWithResolvers<void>}>();

  constructor(id: ContentId, length: number, tier: Tier, number: number, lent = false) {
    this.id = id;
    this.length = length;
    this.tier = tier;
    this.number = number;
    // Which of the files of earlier lives were is not known.
    this.lent = lent;
  }

  get pages(): number {
    return Math.ceil(this.length / pageBytes);
  }

  get folder(): string {
    return (this.number % 256).toString(16).padStart(2, '0');
  }

  get path(): string {
    return this.tier.path('files', this.folder, this.number.toString(16));
  }

  /** On the disk, and counted by the tier: with what is leaving. */
  get bytes(): number {
    return this.blocks.reduce((sum, block) => sum + (block?.bytes ?? 0), 0);
  }

  get presentBytes(): number {
    return this.blocks.reduce((sum, block) => sum + (block && !block.leaving ? block.bytes : 0), 0);
  }

  pageLength(page: number): number {
    return Math.min(pageBytes, this.length - page * pageBytes);
  }

  bytesOf(first: number, count: number): number {
    return Math.min(count * pageBytes, this.length - first * pageBytes);
  }

  get complete(): boolean {
    return this.presentBytes === this.length;
  }

  /** Waits until nobody punches, nor writes among these pages, which are held, and takes them for writing in the same turn. */
  async claim(first: number, last: number): Promise<Disposable> {
    await this.punching;
    for (;;) {
      const other = [...this.#writes].find((write) => write.first <= last && write.last >= first);
      if (!other) break;
      await other.done.promise;
    }
    const write = {first, last, done: Promise.withResolvers<void>()};
    this.#writes.add(write);
    return {
      [Symbol.dispose]: () => {
        this.#writes.delete(write);
        write.done.resolve();
      },
    };
  }

  blockOf(page: number): Block | undefined {
    return this.blocks[Math.floor(page / blockPages)];
  }

  has(page: number): boolean {
    const block = this.blockOf(page);
    return block !== undefined && !block.leaving && block.present[page % blockPages] === 1;
  }

  hasAll(first: number, last: number): boolean {
    for (let page = first; page <= last; page++) if (!this.has(page)) return false;
    return true;
  }

  /** All that is there. */
  holdAll(): Disposable {
    return this.#hold(this.blocks.filter((block) => block !== undefined));
  }

  hold(first: number, last: number): Disposable {
    const held: Block[] = [];
    for (let b = Math.floor(first / blockPages); b <= Math.floor(last / blockPages); b++) {
      const block = (this.blocks[b] ??= new Block(Math.min(blockPages, this.pages - b * blockPages)));
      held.push(block);
    }
    return this.#hold(held);
  }

  #hold(held: Block[]): Disposable {
    for (const block of held) block.holds++;
    this.holds++;
    return {
      [Symbol.dispose]: () => {
        for (const block of held.splice(0)) block.holds--;
        this.holds--;
      },
    };
  }
}

/** The checksum of each page of `bytes`, which begin at a page. */
export function pageChecksums(bytes: readonly Uint8Array[]): Uint32Array {
  const total = bytes.reduce((sum, part) => sum + part.length, 0);
  const checksums = new Uint32Array(Math.ceil(total / pageBytes));
  let position = 0;
  for (const part of bytes) {
    for (let at = 0; at < part.length; ) {
      const take = Math.min(part.length - at, pageBytes - (position % pageBytes));
      const page = Math.floor(position / pageBytes);
      checksums[page] = crc32c(part.subarray(at, at + take), checksums[page]);
      at += take;
      position += take;
    }
  }
  return checksums;
}
