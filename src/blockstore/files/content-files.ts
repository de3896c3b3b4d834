/**
 * The files of the large contents: of each content at most one on a tier, chained from the fastest. The pages of a block are in one of
 * them: its home.
 */
import type {ContentId} from '#base/ids.ts';
import {blockBytes} from '#blockstore/block-store.ts';
import {blockPages, type LargeContent} from '#blockstore/files/large-content.ts';
import type {Tier} from '#blockstore/tier.ts';

export class ContentFiles {
  readonly #fastest = new Map<ContentId, LargeContent>();

  /** Contents. */
  get size(): number {
    return this.#fastest.size;
  }

  /** All files of all contents. */
  *values(): Generator<LargeContent> {
    for (const first of this.#fastest.values()) for (let file: LargeContent | undefined = first; file; file = file.slower) yield file;
  }

  /** From the fastest tier to the slowest. */
  of(id: ContentId): LargeContent[] {
    const files: LargeContent[] = [];
    for (let file = this.#fastest.get(id); file; file = file.slower) files.push(file);
    return files;
  }

  on(id: ContentId, tier: Tier): LargeContent | undefined {
    let file = this.#fastest.get(id);
    while (file && file.tier !== tier) file = file.slower;
    return file;
  }

  /** The file that has pages of this block, else the one to which some are being written. */
  home(id: ContentId, block: number): LargeContent | undefined {
    let filling: LargeContent | undefined;
    for (let file = this.#fastest.get(id); file; file = file.slower) {
      const here = file.blocks[block];
      if (!here || here.leaving) continue;
      if (here.bytes > 0) return file;
      if (here.holds > 0) filling ??= file;
    }
    return filling;
  }

  /** Which pages are on any tier; undefined when nothing is. */
  pages(id: ContentId): Pick<LargeContent, 'has'> | undefined {
    const first = this.#fastest.get(id);
    if (!first?.slower) return first;
    return {
      has: (page) => {
        for (let file: LargeContent | undefined = first; file; file = file.slower) if (file.has(page)) return true;
        return false;
      },
    };
  }

  /** The one file that has all pages of [first, last], which lie in few blocks. */
  whole(id: ContentId, first: number, last: number): LargeContent | undefined {
    const file = this.home(id, Math.floor(first / blockPages));
    return file?.hasAll(first, last) ? file : undefined;
  }

  /** How far the bytes from `start` to `end` lie in one file. */
  endOfFile(id: ContentId, start: number, end: number): number {
    const file = this.home(id, Math.floor(start / blockBytes));
    let next = (Math.floor(start / blockBytes) + 1) * blockBytes;
    while (next < end && this.home(id, next / blockBytes) === file) next += blockBytes;
    return Math.min(next, end);
  }

  add(file: LargeContent): void {
    let before: LargeContent | undefined;
    let after = this.#fastest.get(file.id);
    while (after && after.tier.number < file.tier.number) [before, after] = [after, after.slower];
    file.slower = after;
    if (before) before.slower = file;
    else this.#fastest.set(file.id, file);
  }

  /** Harmless when it is not in. */
  remove(file: LargeContent): void {
    let before: LargeContent | undefined;
    let at = this.#fastest.get(file.id);
    while (at && at !== file) [before, at] = [at, at.slower];
    if (!at) return;
    if (before) before.slower = file.slower;
    else if (file.slower) this.#fastest.set(file.id, file.slower);
    else this.#fastest.delete(file.id);
    file.slower = undefined;
  }
}

/**
 * What a restart makes of the files that the logs name for one content. Two on a tier: a draft was being sealed over an older copy. A block on two
 * tiers: it was being moved. The fuller stays. Of a content that must stay a whole file on a disk that lasts stays alone, the newest of them.
 */
export function chooseFiles(files: readonly LargeContent[], isKept: boolean): {readonly stay: readonly LargeContent[]; readonly surplus: readonly {readonly file: LargeContent; readonly block: number}[]} {
  const lasting = isKept ? files.filter((file) => file.complete && file.tier.persistent).toSorted((a, b) => b.number - a.number) : [];
  if (lasting.length > 0) return {stay: lasting.slice(0, 1), surplus: []};
  const byTier = new Map<Tier, LargeContent>();
  for (const file of files) {
    const other = byTier.get(file.tier);
    if (!other || file.bytes > other.bytes || (file.bytes === other.bytes && file.number > other.number)) byTier.set(file.tier, file);
  }
  const stay = [...byTier.values()].toSorted((a, b) => a.tier.number - b.tier.number);
  const surplus: {file: LargeContent; block: number}[] = [];
  const blocks = Math.max(...stay.map((file) => file.blocks.length));
  for (let block = 0; block < blocks; block++) {
    const worth = (file: LargeContent) => file.blocks[block]!.bytes + (isKept && file.tier.persistent ? 0.5 : 0);
    const places = stay.filter((file) => (file.blocks[block]?.bytes ?? 0) > 0).toSorted((a, b) => worth(b) - worth(a));
    for (const file of places.slice(1)) surplus.push({file, block});
  }
  return {stay, surplus};
}
