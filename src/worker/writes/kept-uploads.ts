/**
 * Multipart uploads whose parts the cache keeps until they are completed: found by the content id that they were begun with. What an earlier
 * life has left is put in order first (`restore`): uploads that the master still has go on with the parts that it knows, the rest goes.
 */
import {isKind, WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {PartRecord, UploadRecord} from '#contracts/writing.ts';
import type {Clock} from '#runtime/clock.ts';
import {KeptUpload, type PartRoom} from '#worker/writes/kept-upload.ts';

/** Without so much room an upload begins in its store. */
const beginBytes = 16 * MiB;
/** Of the disks of the cache, for uploads that are not completed. */
const cacheShare = 0.5;
const openFilesMax = 256;
const roomWaitMs = 2_000;
const roomLookMs = 50;

const namePattern = /^upload-([1-9][0-9]{0,15})(?:-([1-9][0-9]{0,9}))?$/;
const nameOf = (id: ContentId): string => `upload-${id}`;

/** An upload that the master has, with its parts. */
export interface OpenUpload {
  readonly upload: UploadRecord;
  readonly parts: readonly PartRecord[];
}

export class KeptUploads {
  readonly #blocks: BlockStore;
  readonly #clock: Clock;
  readonly #uploads = new Map<ContentId, KeptUpload>();
  /** Those that may have their file open; used last comes last. */
  readonly #open = new Set<KeptUpload>();
  /** Of the parts of all. */
  readonly #kept = {bytes: 0};
  #restored: Promise<void> = Promise.resolve();

  constructor(blocks: BlockStore, clock: Clock) {
    this.#blocks = blocks;
    this.#clock = clock;
  }

  /** Until it is done, calls for uploads wait. Of an upload whose draft is lost (power loss before its first part, an older backup) `lost` is told; its parts can be sent again. */
  restore(uploads: Iterable<OpenUpload>, lost: (upload: UploadRecord, error: unknown) => void): Promise<void> {
    this.#restored = this.#restore(uploads, lost);
    return this.#restored;
  }

  /** False when the cache does not have room for it. */
  async begin(id: ContentId): Promise<boolean> {
    await this.#restored;
    const draft = await this.#waitForRoom(async () => (this.#isFull ? undefined : await this.#blocks.drafts.make(nameOf(id), beginBytes)));
    if (!draft) return false;
    draft.unreserve();
    const upload = new KeptUpload(this.#blocks, this.#kept, nameOf(id), draft);
    this.#uploads.set(id, upload);
    await this.#use(upload);
    return true;
  }

  /** Undefined: it goes to the store. NotFound. */
  async room({content}: UploadRecord, partNumber: number, length: number): Promise<PartRoom | undefined> {
    const upload = await this.get(content);
    if (upload.spilled) return undefined;
    return await this.#waitForRoom(async () => {
      if (this.#isFull) return undefined;
      try {
        return await upload.room(partNumber, length);
      } catch (error) {
        if (isKind(error, 'Overloaded')) return undefined;
        throw error;
      }
    });
  }

  /** NotFound. */
  async get(id: ContentId): Promise<KeptUpload> {
    await this.#restored;
    const upload = this.#uploads.get(id);
    if (!upload) throw new WeirError('NotFound', 'the parts of this upload are not in the cache (any more)');
    await this.#use(upload);
    return upload;
  }

  /** It was committed, or is aborted. Harmless when it is not there. */
  async end(id: ContentId, how: 'committed' | 'aborted'): Promise<void> {
    await this.#restored;
    const upload = this.#uploads.get(id);
    this.#uploads.delete(id);
    if (upload) this.#open.delete(upload);
    await (how === 'committed' ? upload?.end() : upload?.abort());
  }

  async #restore(uploads: Iterable<OpenUpload>, lost: (upload: UploadRecord, error: unknown) => void): Promise<void> {
    const {drafts} = this.#blocks;
    const names = new Set<string>();
    const known = new Map(Array.from(uploads, (open) => [open.upload.content, open]));
    const others = new Map<ContentId, number[]>();
    for (const {name} of await drafts.left()) {
      const [, content, number] = namePattern.exec(name) ?? [];
      if (content === undefined) continue;
      names.add(name);
      const id = Number(content) as ContentId;
      if (!known.has(id)) await drafts.discard(name);
      else if (number !== undefined) others.set(id, [...(others.get(id) ?? []), Number(number)]);
    }
    for (const [id, {upload, parts}] of known) {
      try {
        const anew = names.has(nameOf(id)) ? undefined : await drafts.make(nameOf(id));
        if (anew && parts.length > 0) lost(upload, new WeirError('NotFound', 'the cache does not have its draft'));
        const kept = new KeptUpload(this.#blocks, this.#kept, nameOf(id), anew);
        await kept.restore(parts.map(({partNumber, length, storePart}) => ({partNumber, length, place: storePart})), others.get(id) ?? []);
        this.#uploads.set(id, kept);
      } catch (error) {
        lost(upload, error);
      }
    }
  }

  get #isFull(): boolean {
    let quota = 0;
    for (const tier of this.#blocks.status().tiers) if (tier.name !== 'MEM') quota += tier.quotaBytes;
    return this.#kept.bytes > quota * cacheShare;
  }

  async #waitForRoom<T>(look: () => Promise<T | undefined>): Promise<T | undefined> {
    const late = this.#clock.monotonicMs() + roomWaitMs;
    for (;;) {
      const found = await look();
      if (found !== undefined || this.#clock.monotonicMs() >= late) return found;
      await this.#clock.sleep(roomLookMs);
    }
  }

  async #use(upload: KeptUpload): Promise<void> {
    this.#open.delete(upload);
    this.#open.add(upload);
    if (this.#open.size <= openFilesMax) return;
    for (const other of this.#open) {
      if (!other.idle || other === upload) continue;
      this.#open.delete(other);
      return await other.rest();
    }
  }
}
