/**
 * A block store in which a content that was made of another by a small change has that one's pages where they are the same, too (successions.ts): nothing is
 * copied, and nothing that the cache had is fetched again. Who drops a content that others are made of drops its name: its pages stay
 * as long as they serve those, and are evicted like any.
 */
import type {ContentId} from '#base/ids.ts';
import {type BlockStore, type ContentHandle, type Draft, type NamedDrafts, pageBytes, type Place, type Presence} from '#blockstore/block-store.ts';
import {pageOf, pagesOf, type Succession, type Successions} from '#blockstore/successions/successions.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {PageRun} from '#model/own-pages.ts';

/** Bytes of a content that another one has, at the same place. */
interface Part {
  readonly holder: ContentHandle;
  readonly offset: number;
  readonly length: number;
}

export class SucceedingStore implements BlockStore {
  readonly #blocks: Omit<BlockStore, 'succeed'>;
  readonly #successions: Successions;
  /** Dropped, but for their pages. */
  readonly #nameless = new Set<ContentId>();

  constructor(blocks: Omit<BlockStore, 'succeed'>, successions: Successions) {
    this.#blocks = blocks;
    this.#successions = successions;
  }

  succeed({id, length}: ContentHandle, base: ContentHandle, own: readonly PageRun[]): void {
    if (length > 0) this.#successions.add(id, base, own);
  }

  presence(id: ContentId): Presence | undefined {
    return this.#blocks.presence(id);
  }

  missing(content: ContentHandle, first: number, last: number): readonly PageRun[] {
    const absent = this.#blocks.missing(content, first, last);
    const succession = this.#of(content);
    if (!succession || absent.length === 0) return absent;
    const missing: {first: number; count: number}[] = [];
    const add = (run: PageRun): void => {
      const before = missing.at(-1);
      if (before && before.first + before.count === run.first) before.count += run.count;
      else missing.push({first: run.first, count: run.count});
    };
    for (const run of absent) {
      for (const pages of pagesOf(succession, run.first, run.count)) {
        if (pages.own) add(pages);
        else for (const each of this.missing(succession.base, pages.first, pages.first + pages.count - 1)) add(each);
      }
    }
    return missing;
  }

  fill(content: ContentHandle, firstPage: number, bytes: readonly Uint8Array[]): Promise<boolean> {
    return this.#blocks.fill(content, firstPage, bytes);
  }

  readResident(content: ContentHandle, offset: number, length: number, into?: Uint8Array): Uint8Array | undefined {
    const here = this.#blocks.readResident(content, offset, length, into);
    if (here || length === 0 || !this.#of(content)) return here;
    const parts = this.#parts(content, offset, length);
    if (parts.length === 0) return undefined;
    const bytes = into ?? Buffer.allocUnsafe(length);
    for (const {holder, offset: at, length: count} of parts) if (!this.#blocks.readResident(holder, at, count, bytes.subarray(at - offset, at - offset + count))) return undefined;
    return bytes;
  }

  async read(content: ContentHandle, offset: number, length: number): Promise<Uint8Array | undefined> {
    if (length === 0 || !this.#of(content)) return await this.#blocks.read(content, offset, length);
    const parts = this.#parts(content, offset, length);
    const [only] = parts;
    if (parts.length <= 1) return only && (await this.#blocks.read(only.holder, offset, length));
    const bytes = Buffer.allocUnsafe(length);
    for (const {holder, offset: at, length: count} of parts) {
      const part = await this.#blocks.read(holder, at, count);
      if (!part) return undefined;
      bytes.set(part, at - offset);
    }
    return bytes;
  }

  async lease(content: ContentHandle, offset: number, length: number): Promise<FileLease | undefined> {
    const holder = this.#holder(content, offset, length);
    return holder && (await this.#blocks.lease(holder, offset, length));
  }

  leaseNow(content: ContentHandle, offset: number, length: number): FileLease | undefined {
    const holder = this.#holder(content, offset, length);
    return holder && this.#blocks.leaseNow(holder, offset, length);
  }

  draft(lengthHint: number | undefined): Promise<Draft | undefined> {
    return this.#blocks.draft(lengthHint);
  }

  lastingDraft(length: number | undefined): Promise<Draft | undefined> {
    return this.#blocks.lastingDraft(length);
  }

  get drafts(): NamedDrafts {
    return this.#blocks.drafts;
  }

  makeDurable(ids: readonly ContentId[]): Promise<readonly boolean[]> {
    return this.#blocks.makeDurable(ids);
  }

  keepNow(id: ContentId, bytes: Uint8Array): boolean {
    return this.#blocks.keepNow(id, bytes);
  }

  keep(content: ContentHandle, bytes: readonly Uint8Array[], options?: {readonly durable: boolean}): Promise<boolean> {
    return this.#blocks.keep(content, bytes, options);
  }

  leftDirty(): Promise<readonly ContentId[]> {
    return this.#blocks.leftDirty();
  }

  async drop(id: ContentId): Promise<void> {
    if (this.#successions.heirsOf(id) > 0) {
      this.#nameless.add(id);
      this.#blocks.pin(id, false);
      return await this.#blocks.clean(id);
    }
    this.#nameless.delete(id);
    const base = this.#successions.of(id)?.base;
    await this.#blocks.drop(id);
    if (base && this.#nameless.has(base.id)) await this.drop(base.id);
  }

  pin(id: ContentId, pinned: boolean): void {
    this.#blocks.pin(id, pinned);
    const base = this.#successions.of(id)?.base.id;
    if (base !== undefined && (pinned || this.#nameless.has(base))) this.pin(base, pinned);
  }

  clean(id: ContentId): Promise<void> {
    return this.#blocks.clean(id);
  }

  places(id: ContentId): readonly Place[] {
    const own = this.#blocks.places(id);
    const succession = this.#successions.of(id);
    if (!succession) return own;
    const {base} = succession;
    const others = this.places(base.id).map(({tier, pages}) => {
      const shared = pages.flatMap(([first, count]) => [...pagesOf(succession, first, count)].filter((run) => !run.own));
      const bytes = shared.reduce((sum, {first, count}) => sum + Math.min(count * pageBytes, base.length - first * pageBytes), 0);
      return {tier, bytes, pages: shared.map(({first, count}) => [first, count] as const)};
    });
    return [...own, ...others.filter(({bytes}) => bytes > 0)];
  }

  status(): ReturnType<BlockStore['status']> {
    return this.#blocks.status();
  }

  get warm(): boolean {
    return this.#blocks.warm;
  }

  loaded(): Promise<void> {
    return this.#blocks.loaded();
  }

  close(): Promise<void> {
    return this.#blocks.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #of({id}: ContentHandle): Succession | undefined {
    return this.#successions.areNone ? undefined : this.#successions.of(id);
  }

  /** The one that has all of the range. Of a whole content nobody looks at every page for that: some are its own, and some are not. */
  #holder(content: ContentHandle, offset: number, length: number): ContentHandle | undefined {
    if (length === 0 || length === content.length || !this.#of(content)) return content;
    const parts = this.#parts(content, offset, length);
    return parts.length === 1 ? parts[0]!.holder : undefined;
  }

  /** Empty when some of it is nowhere. */
  #parts(content: ContentHandle, offset: number, length: number): readonly Part[] {
    const parts: {holder: ContentHandle; offset: number; length: number}[] = [];
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const holder = this.#holderOf(content, pageOf(at));
      if (!holder) return [];
      const count = Math.min(end, (pageOf(at) + 1) * pageBytes) - at;
      const before = parts.at(-1);
      if (before?.holder.id === holder.id) before.length += count;
      else parts.push({holder, offset: at, length: count});
      at += count;
    }
    return parts;
  }

  #holderOf(content: ContentHandle, page: number): ContentHandle | undefined {
    if (this.#blocks.missing(content, page, page).length === 0) return content;
    const succession = this.#of(content);
    return succession && !succession.own.has(page) ? this.#holderOf(succession.base, page) : undefined;
  }
}
