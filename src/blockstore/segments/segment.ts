/** One segment file of one tier. Its bytes never change once written; it is removed whole, and goes when the last lease on it has ended. */
import {assert} from '#base/assert.ts';
import {isKind} from '#base/errors.ts';
import type {DeadEntries} from '#blockstore/segments/dead-entries.ts';
import type {OpenSegment, OpenSegments} from '#blockstore/segments/open-segments.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {DiskFile} from '#runtime/disk.ts';

export class Segment implements OpenSegment {
  /** Its place in the table of all segments; what a node remembers. */
  readonly slot: number;
  readonly tier: Tier;
  /** The life of the store that wrote it, and its number there: its name. */
  readonly life: number;
  readonly number: number;
  /** Entries that the index left (dropped, evicted, moved, corrupt), so that no later life takes them up again. */
  readonly dead: DeadEntries;
  /** Bytes written, headers included. */
  size = 0;
  /** Of those, bytes of entries that the index points to. */
  liveBytes = 0;
  sealed = false;
  removed = false;
  /** Emptying it was tried and something had to stay: it goes when that does. */
  stuck = false;
  file: DiskFile | undefined;
  /** The same, for writes that are durable by themselves; while it is written to, from the first such. */
  #durable: DiskFile | undefined;
  /** So many bytes from the beginning survive power loss. */
  #syncedSize = 0;
  recent = false;
  /** Taken from the quota; given back when the file is gone. */
  reservedBytes = 0;
  /** Its name survives power loss. */
  named = false;
  #holds = 0;
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;
  #opening: Promise<DiskFile> | undefined;
  readonly #open: OpenSegments;
  readonly #onGone: (segment: Segment) => void;

  constructor(slot: number, {tier, life, number, dead}: Pick<Segment, 'tier' | 'life' | 'number' | 'dead'>, open: OpenSegments, onGone: (segment: Segment) => void) {
    this.slot = slot;
    this.tier = tier;
    this.life = life;
    this.number = number;
    this.dead = dead;
    this.#open = open;
    this.#onGone = onGone;
  }

  get path(): string {
    return this.tier.path('segments', `${this.life}-${this.number}.seg`);
  }

  get indexPath(): string {
    return this.tier.path('segments', `${this.life}-${this.number}.idx`);
  }

  get held(): boolean {
    return this.#holds > 0;
  }

  hold(): void {
    this.#holds++;
  }

  letGo(): void {
    assert(this.#holds > 0, 'a segment is let go as often as held');
    if (--this.#holds === 0 && this.removed) this.#end();
  }

  /** Makes the file that did not exist. */
  async create(): Promise<void> {
    this.file = await this.tier.runtime.disk.open(this.path, {mode: 'exclusive'});
    this.#open.opened(this);
  }

  /** The open file; it stays so while the caller, or somebody else, holds the segment. */
  async open(): Promise<DiskFile> {
    this.recent = true;
    if (this.file) return this.file;
    this.#opening ??= this.tier.runtime.disk
      .open(this.path, {mode: 'read'})
      .then((file) => {
        this.file = file;
        this.#open.opened(this);
        return file;
      })
      .finally(() => (this.#opening = undefined));
    return await this.#opening;
  }

  /**
   * Appends; with `durably` these bytes survive power loss then, but for the segment's name, and so do those before them: entries are found
   * one after the other, so that behind a torn one nothing is.
   */
  async append(bytes: Uint8Array, durably: boolean): Promise<void> {
    if (!durably && this.appendNow(bytes)) return;
    const atOnce = durably && this.#syncedSize === this.size;
    let file = this.file!;
    if (atOnce) file = this.#durable ??= await this.tier.runtime.disk.open(this.path, {mode: 'write', durable: true});
    await file.write([bytes], this.size);
    if (durably && !atOnce) await file.datasync();
    this.size += bytes.length;
    if (durably) this.#syncedSize = this.size;
  }

  /** The same on the spot, not durably; false where the disk does not let us. */
  appendNow(bytes: Uint8Array): boolean {
    if (this.file?.writeNow(bytes, this.size) !== true) return false;
    this.size += bytes.length;
    return true;
  }

  /** Nothing is appended any more. */
  async seal(): Promise<void> {
    this.sealed = true;
    const durable = this.#durable;
    this.#durable = undefined;
    await durable?.close();
  }

  /** Everything written so far survives power loss, but for its name. Those who ask while a sync is under way share the next one. */
  sync(): Promise<void> {
    if (!this.#syncing) return (this.#syncing = this.#sync());
    this.#nextSync ??= this.#syncing.catch(() => undefined).then(() => {
      this.#nextSync = undefined;
      return (this.#syncing = this.#sync());
    });
    return this.#nextSync;
  }

  async #sync(): Promise<void> {
    this.hold();
    try {
      const file = await this.open();
      const {size} = this;
      await file.datasync();
      this.#syncedSize = Math.max(this.#syncedSize, size);
    } finally {
      this.#syncing = undefined;
      this.letGo();
    }
  }

  /** Takes the names away; the bytes count until nobody holds them. */
  async remove(): Promise<void> {
    assert(!this.removed && this.liveBytes === 0, 'only an empty segment is removed, once');
    this.removed = true;
    const {runtime} = this.tier;
    this.hold();
    try {
      runtime.crashPoint('blockstore.beforeSegmentRemove');
      for (const path of [this.indexPath, this.path]) {
        await runtime.disk.unlink(path).catch((error: unknown) => {
          if (!isKind(error, 'NotFound')) throw error;
        });
      }
    } catch (error) {
      this.tier.failed(error);
    } finally {
      this.letGo();
    }
  }

  /** Gives the open file back; the bytes stay. */
  async close(): Promise<void> {
    const [file, durable] = [this.file, this.#durable];
    [this.file, this.#durable] = [undefined, undefined];
    this.#open.closed(this);
    await durable?.close();
    await file?.close();
  }

  #end(): void {
    this.tier.release(this.reservedBytes);
    this.reservedBytes = 0;
    this.#onGone(this);
    this.close().catch((error: unknown) => this.tier.failed(error));
  }
}
