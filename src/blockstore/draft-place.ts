/**
 * Where a draft's bytes go. Sealed dirty, a content is on a persistent tier, its bytes synced before the logs that name it, and the seal
 * answers true only after both; when any of it fails, the store is as it was before, older copies included.
 */
import type {ContentId} from '#base/ids.ts';
import type {ContentHandle} from '#blockstore/block-store.ts';
import type {LargeContent} from '#blockstore/files/large-content.ts';
import type {LargeContents} from '#blockstore/files/large-contents.ts';
import {tierSync} from '#blockstore/segments/scan-segment.ts';
import type {SmallContents} from '#blockstore/segments/small-contents.ts';
import type {Tier} from '#blockstore/tier.ts';

export interface DraftServices {
  readonly small: SmallContents;
  readonly large: LargeContents;
  readonly isDirty: (id: ContentId) => boolean;
  /** Remembers it, and appends it to the log. */
  readonly setDirty: (id: ContentId, dirty: boolean) => void;
  /** What the logs say of this tier's contents, and of dirt, survives power loss. */
  readonly sync: (tier: Tier) => Promise<void>;
  /** The same survives the process. */
  readonly written: (tier: Tier) => Promise<void>;
  /** The same on the spot; false where that takes waiting. */
  readonly writeNow: (tier: Tier) => boolean;
}

export class DraftPlace {
  readonly #services: DraftServices;
  readonly #tier: Tier;
  /** Its length is known when it is sealed; until then it is a file without a content. */
  readonly #file: LargeContent;
  #reserved = 0;

  constructor(services: DraftServices, tier: Tier) {
    this.#services = services;
    this.#tier = tier;
    this.#file = services.large.make(0 as ContentId, Number.MAX_SAFE_INTEGER, tier);
  }

  write(bytes: readonly Uint8Array[], position: number): Promise<boolean> {
    return this.#attempt(async () => {
      const end = position + bytes.reduce((sum, part) => sum + part.length, 0);
      const more = Math.max(0, end - this.#reserved);
      if (!(await this.#tier.reserve(more))) return false;
      this.#reserved += more;
      // Its file stays open.
      this.#file.holds = 1;
      await (await this.#services.large.file(this.#file, true)).write(bytes, position);
      return true;
    });
  }

  /** Bytes read, or -1. */
  async read(into: Uint8Array, position: number): Promise<number> {
    let count = -1;
    await this.#attempt(async () => (count = await (await this.#services.large.file(this.#file)).read(into, position)) >= 0);
    return count;
  }

  /** Takes room of the quota before it is written to. */
  async reserve(bytes: number): Promise<boolean> {
    if (!(await this.#tier.reserve(bytes))) return false;
    this.#reserved += bytes;
    return true;
  }

  async sealSmall({id}: ContentHandle, bytes: Uint8Array, dirty: boolean): Promise<boolean> {
    const {small} = this.#services;
    // What is dirty already stays so, and may have no copy but the one from before that is not loaded yet.
    if (!dirty && !this.#services.isDirty(id)) return bytes.length === 0 || (await small.fill(this.#tier, id, [bytes], bytes.length));
    return await this.keepSmall(id, [bytes], bytes.length);
  }

  /** Dirty. Of an empty content there is nothing to be kept. */
  async keepSmall(id: ContentId, bytes: readonly Uint8Array[], length: number, durable = true): Promise<boolean> {
    const {small} = this.#services;
    if (!this.#tier.persistent) return false;
    if (length === 0) return true;
    return await this.#keep(id, async () => {
      const logged = durable ? this.#services.sync(this.#tier) : this.#services.written(this.#tier);
      // Only awaited below.
      logged.catch(() => undefined);
      // What is there from before must prove sound; what does not is gone then.
      if (small.nodeOf(id) !== 0) await small.read(id, 0, length);
      small.dropFleeting(id);
      if (!(await (durable ? small.fillDurably(this.#tier, id, bytes, length) : small.fill(this.#tier, id, bytes, length)))) return false;
      await logged;
      return true;
    });
  }

  async sealLarge(handle: ContentHandle, checksums: Uint32Array, dirty: boolean): Promise<boolean> {
    if (!dirty) {
      await this.#enter(handle, checksums);
      return true;
    }
    if (!this.#tier.persistent || !(await this.#attempt(() => this.#syncFile(this.#file)))) {
      await this.discard();
      return false;
    }
    return await this.#keep(handle.id, async () => {
      const content = await this.#enter(handle, checksums);
      // Another one that was there before.
      if (content.number !== this.#file.number) await this.#syncFile(content);
      await this.#services.sync(content.tier);
      return true;
    });
  }

  async discard(): Promise<void> {
    this.#tier.release(this.#reserved);
    this.#reserved = 0;
    const file = this.#file;
    if (!file.handle) return;
    await this.#attempt(async () => {
      await this.#services.large.closeFile(file);
      await this.#tier.runtime.disk.unlink(file.path);
      return true;
    });
  }

  /** The draft's file becomes that of the content, unless a sound and lasting copy is there: that one is kept, as it may be dirty or leased. */
  async #enter(handle: ContentHandle, checksums: Uint32Array): Promise<LargeContent> {
    const {large} = this.#services;
    const older = large.files.of(handle.id).find((file) => file.complete && file.tier.persistent);
    if (older && (await large.isSound(older))) {
      await this.discard();
      return older;
    }
    large.dropAll(handle.id);
    const sealed = large.renumber(this.#file, handle);
    this.#tier.release(this.#reserved - handle.length);
    this.#reserved = 0;
    large.complete(sealed, [{first: 0, checksums}]);
    return sealed;
  }

  #keep(id: ContentId, work: () => Promise<boolean>): Promise<boolean> {
    return keepDirty(this.#services, id, () => this.#attempt(work));
  }

  async #syncFile(content: LargeContent): Promise<boolean> {
    const {runtime} = content.tier;
    runtime.crashPoint('blockstore.beforeSeal');
    await (await this.#services.large.file(content)).datasync();
    await tierSync(content.tier, 'files', content.folder);
    runtime.crashPoint('blockstore.afterSeal');
    return true;
  }

  async #attempt(work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work();
    } catch (error) {
      this.#tier.failed(error);
      return false;
    }
  }
}

/** DraftPlace.keepSmall, safe and no more, on the spot, of some bytes that were never kept; false, and nothing is, where that takes waiting. */
export function keepSmallNow({small, isDirty, setDirty, writeNow}: DraftServices, tier: Tier, id: ContentId, bytes: Uint8Array): boolean {
  if (small.nodeOf(id) !== 0 || isDirty(id)) return false;
  setDirty(id, true);
  if (writeNow(tier) && small.fillNow(tier, id, bytes)) return true;
  setDirty(id, false);
  return false;
}

/** Marks the content dirty while `work` makes it last; takes mark and content back when that fails and it was not dirty before. */
export async function keepDirty({small, large, isDirty, setDirty}: DraftServices, id: ContentId, work: () => Promise<boolean>): Promise<boolean> {
  const before = isDirty(id);
  setDirty(id, true);
  if (await work()) return true;
  if (before) return false;
  setDirty(id, false);
  small.drop(id);
  large.dropAll(id);
  return false;
}
