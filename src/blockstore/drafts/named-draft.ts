/**
 * One named draft. Its file is `drafts/NAME.NUMBER` of its tier; sealed, the same file is also the content's `files/NN/NUMBER`, so that a crash
 * at any moment leaves the draft, or the draft and the content, and a restart knows by the number that they share their bytes.
 *
 * Invariants: every page that was written is counted by the tier once, by the draft or by the content; while both have names, the content's
 * blocks are held, so that nothing is punched out of the draft.
 */
import {assert} from '#base/assert.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import {type ContentHandle, type NamedDraft, pageBytes, segmentContentBytesMax} from '#blockstore/block-store.ts';
import {type DraftServices, keepDirty} from '#blockstore/draft-place.ts';
import {DraftPages} from '#blockstore/drafts/draft-pages.ts';
import {type LargeContent, type PageChecksums, pageChecksums} from '#blockstore/files/large-content.ts';
import {tierSync} from '#blockstore/segments/scan-segment.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {PageRun} from '#model/own-pages.ts';
import type {DiskFile} from '#runtime/disk.ts';

const readPages = 16;
/** So much is given to the disk at a time, of what is written from the beginning on. */
const writeBackBytes = 8 * MiB;
const zeros = new Uint8Array(pageBytes);

/** The drafts that it is one of. */
export interface DraftFolder {
  readonly services: DraftServices;
  /** Throws AlreadyExists. */
  readonly renamed: (draft: OpenDraft, name: string) => void;
  readonly gone: (draft: OpenDraft, left: boolean) => void;
}

export const draftPath = (tier: Tier, name: string, number: number): string => tier.path('drafts', `${name}.${number.toString(16)}`);

export class OpenDraft implements NamedDraft {
  readonly tier: Tier;
  readonly #folder: DraftFolder;
  readonly #file: DiskFile;
  readonly #pages = new DraftPages();
  #name: string;
  #number: number;
  #length = 0;
  /** Of the quota, for what is the draft's alone; `#spare` of it is not written to yet. */
  #taken = 0;
  #spare = 0;
  /** The content that shares the file. */
  #sealed: {readonly content: LargeContent; readonly hold: Disposable} | undefined;
  /** Its number is of this life, and was no content's yet. */
  #fresh: boolean;
  /** Its name is on disk for good. */
  #lasting = false;
  #state: 'open' | 'closed' = 'open';
  /** Writes under way, and the end of the last of them. */
  #writes = 0;
  /** Up to where the disk was told to begin. */
  #begunWriteBack = 0;
  #written = Promise.withResolvers<void>();
  #syncing: Promise<void> | undefined;
  #nextSync: Promise<void> | undefined;

  /** `fresh`: made now, for `reserved` bytes that are taken already. */
  constructor(folder: DraftFolder, {tier, name, number}: {readonly tier: Tier; readonly name: string; readonly number: number}, file: DiskFile, {fresh, reserved}: {readonly fresh: boolean; readonly reserved: number}) {
    this.#folder = folder;
    this.tier = tier;
    this.#name = name;
    this.#number = number;
    this.#file = file;
    this.#fresh = fresh;
    this.#taken = this.#spare = reserved;
  }

  get name(): string {
    return this.#name;
  }

  get number(): number {
    return this.#number;
  }

  get length(): number {
    return this.#length;
  }

  /** Of a draft from before: looks at what is there, for which `counted` bytes of the quota are taken already. */
  async load(counted: number): Promise<void> {
    this.#taken = counted;
    this.#length = (await this.#file.stat()).size;
    let pages = 0;
    for (let at = 0; ; ) {
      const data = await this.#file.seek(at, 'data');
      if (data === undefined) break;
      const hole = (await this.#file.seek(data, 'hole')) ?? this.#length;
      pages += this.#pages.touch(data, hole - data);
      at = hole;
    }
    this.#take(pages * pageBytes - counted);
  }

  async reserve(bytes: number): Promise<boolean> {
    this.#mustBeOpen();
    if (!(await this.tier.reserve(bytes))) return false;
    if (this.#state === 'closed') {
      this.tier.release(bytes);
      return false;
    }
    this.#taken += bytes;
    this.#spare += bytes;
    return true;
  }

  unreserve(): void {
    this.#take(-this.#spare);
    this.#spare = 0;
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    this.#mustBeOpen();
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    if (length === 0) return;
    // In one turn, so that of two writers to a page one takes its room.
    const more = this.#pages.touch(position, length) * pageBytes;
    const spare = Math.min(this.#spare, more);
    this.#spare -= spare;
    this.#pages.write(buffers, position);
    if (more > spare && !(await this.reserve(more - spare))) {
      // Counted all the same: who gives up discards or punches, and that gives it back.
      this.#take(more - spare);
      this.#pages.doubt(position, length);
      throw new WeirError('NoSpace', `the cache has no room for ${length} more bytes of what is being written`);
    }
    if (more > spare) this.#spare -= more - spare;
    this.#length = Math.max(this.#length, position + length);
    const {runtime} = this.tier;
    runtime.crashPoint('blockstore.beforeDraftWrite');
    await this.#writing(this.#file.write(buffers, position), () => this.#pages.doubt(position, length));
    this.#writtenTo(position + length);
    runtime.crashPoint('blockstore.afterDraftWrite');
    this.tier.worked();
  }

  writeNow(bytes: Uint8Array, position: number): boolean {
    this.#mustBeOpen();
    const {length} = bytes;
    const more = this.#pages.untouched(position, length) * pageBytes;
    const room = Math.max(0, more - this.#spare);
    if (room > 0 && !this.tier.reserveNow(room)) return false;
    this.#taken += room;
    this.#spare += room;
    const {runtime} = this.tier;
    runtime.crashPoint('blockstore.beforeDraftWrite');
    if (!this.#file.writeNow(bytes, position)) return false;
    this.#pages.touch(position, length);
    this.#spare -= more;
    this.#pages.write([bytes], position);
    this.#length = Math.max(this.#length, position + length);
    this.#writtenTo(position + length);
    runtime.crashPoint('blockstore.afterDraftWrite');
    this.tier.worked();
    return true;
  }

  read(into: Uint8Array, position: number): Promise<number> {
    this.#mustBeOpen();
    return this.#on(this.#file.read(into, position));
  }

  async truncate(length: number): Promise<void> {
    this.#mustBeOpen();
    await this.#on(this.#file.truncate(length));
    this.#length = length;
    this.#take(-this.#pages.clear(Math.ceil(length / pageBytes), Infinity) * pageBytes);
    if (length % pageBytes !== 0) this.#pages.doubt(length, 1);
  }

  async punch(position: number, length: number): Promise<void> {
    this.#mustBeOpen();
    if (length === 0) return;
    try {
      await this.#file.punch(position, length);
    } catch (error) {
      if (!isKind(error, 'Unsupported')) throw this.#failed(error);
      return await this.#zero(position, Math.min(length, this.#length - position));
    }
    this.#pages.doubt(position, 1);
    this.#pages.doubt(position + length - 1, 1);
    const end = position + length >= this.#length ? Math.ceil((position + length) / pageBytes) : Math.floor((position + length) / pageBytes);
    this.#take(-this.#pages.clear(Math.ceil(position / pageBytes), end) * pageBytes);
  }

  seek(position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    return this.#on(this.#file.seek(position, to));
  }

  async modified(): Promise<bigint> {
    return (await this.#on(this.#file.stat())).mtimeNs;
  }

  sync(): Promise<void> {
    if (!this.#syncing) return this.#beginSync();
    // The one under way may have begun before the last write.
    this.#nextSync ??= this.#syncing
      .catch(() => undefined)
      .then(() => {
        this.#nextSync = undefined;
        return this.#beginSync();
      });
    return this.#nextSync;
  }

  async rename(name: string): Promise<void> {
    this.#mustBeOpen();
    this.#folder.renamed(this, name);
    await this.#move(name, this.#number);
  }

  async seal(content: ContentHandle, {durable, own}: {readonly durable: boolean; readonly own?: readonly PageRun[]}): Promise<boolean> {
    this.#mustBeOpen();
    await this.#takeBack();
    try {
      if (content.length <= segmentContentBytesMax) return await this.#sealSmall(content, durable);
      const runs: PageChecksums[] = [];
      for (const {first, count} of own ?? [{first: 0, count: Math.ceil(content.length / pageBytes)}]) runs.push({first, checksums: await this.#checksums(first, count, content.length)});
      const {services} = this.#folder;
      return await keepDirty(services, content.id, () => this.#sealLarge(content, runs, durable).catch((error: unknown) => this.#refuse(error)));
    } catch (error) {
      return this.#refuse(error);
    }
  }

  async discard(): Promise<void> {
    await this.#end(async () => {
      const {runtime} = this.tier;
      runtime.crashPoint('blockstore.beforeDraftDiscard');
      const sealed = this.#sealed;
      if (sealed && !sealed.content.gone && this.#length > sealed.content.length) await this.#file.truncate(sealed.content.length);
      await this.#file.close();
      await runtime.disk.unlink(draftPath(this.tier, this.#name, this.#number));
      runtime.crashPoint('blockstore.afterDraftDiscard');
    });
    this.#letGo();
    this.#folder.gone(this, false);
    this.#take(-this.#taken);
    this.#spare = 0;
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    await this.#end(() => this.#file.close());
    this.unreserve();
    this.#folder.gone(this, true);
  }

  /** What is taken of the quota for it alone. */
  get counted(): number {
    return this.#taken;
  }

  /** The hold on the content that shares its bytes, for who goes on when this is closed. */
  get sealed(): {readonly content: LargeContent; readonly hold: Disposable} | undefined {
    return this.#sealed;
  }

  async #sealSmall(content: ContentHandle, durable: boolean): Promise<boolean> {
    const {services} = this.#folder;
    const {small} = services;
    const bytes = Buffer.allocUnsafe(content.length);
    assert((await this.#file.read(bytes, 0)) === content.length, 'a draft reads as long as it was written');
    return await keepDirty(services, content.id, async () => {
      try {
        if (content.length > 0 && !(await small.fill(this.tier, content.id, [bytes], content.length))) return false;
        if (durable && content.length > 0) await small.syncEntry(content.id);
        await (durable ? services.sync(this.tier) : services.written(this.tier));
        return true;
      } catch (error) {
        return this.#refuse(error);
      }
    });
  }

  async #sealLarge(handle: ContentHandle, runs: readonly PageChecksums[], durable: boolean): Promise<boolean> {
    const {large, sync, written} = this.#folder.services;
    const {runtime} = this.tier;
    const bytes = runs.reduce((sum, {first, checksums}) => sum + Math.min(checksums.length * pageBytes, handle.length - first * pageBytes), 0);
    // Where there are holes, the content counts more than the draft.
    const more = Math.max(0, bytes - (this.#taken - this.#spare));
    if (more > 0 && !(await this.tier.reserve(more))) return false;
    this.#taken += more;
    const renumbered = !this.#fresh;
    if (renumbered) await this.#move(this.#name, large.nextNumber());
    this.#fresh = false;
    const content = large.numbered(handle, this.tier, this.#number);
    await runtime.disk.makeDirectory(this.tier.path('files', content.folder), {recursive: true});
    runtime.crashPoint('blockstore.beforeDraftLink');
    await runtime.disk.link(draftPath(this.tier, this.#name, this.#number), content.path);
    runtime.crashPoint('blockstore.afterDraftLink');
    // The log names the content only when the draft's number says that they share the file.
    if (durable) await Promise.all([this.sync(), tierSync(this.tier, 'files', content.folder)]);
    else if (renumbered) await tierSync(this.tier, 'drafts');
    large.complete(content, runs);
    this.#taken -= bytes;
    this.#sealed = {content, hold: content.holdAll()};
    await (durable ? sync(this.tier) : written(this.tier));
    runtime.crashPoint('blockstore.afterDraftSeal');
    return true;
  }

  /** Of `count` pages, in a content of that length. */
  async #checksums(first: number, count: number, length: number): Promise<Uint32Array> {
    const checksums = new Uint32Array(count);
    const last = first + count;
    const known = (page: number): number | undefined => this.#pages.checksum(page, Math.min(pageBytes, length - page * pageBytes));
    for (let page = first; page < last; ) {
      const checksum = known(page);
      if (checksum !== undefined) {
        checksums[page++ - first] = checksum;
        continue;
      }
      let end = page + 1;
      while (end < last && end < page + readPages && known(end) === undefined) end++;
      const bytes = Buffer.alloc(Math.min(end * pageBytes, length) - page * pageBytes);
      // What lies behind its end reads as zeros.
      await this.#file.read(bytes, page * pageBytes);
      checksums.set(pageChecksums([bytes]), page - first);
      page = end;
    }
    return checksums;
  }

  /** The draft counts its bytes again, when the content that shared them was dropped. */
  async #takeBack(): Promise<void> {
    const sealed = this.#sealed;
    if (!sealed) return;
    assert(sealed.content.gone, 'a draft is sealed again only when its content is gone');
    this.#take(sealed.content.bytes);
    this.#letGo();
  }

  #letGo(): void {
    const sealed = this.#sealed;
    if (!sealed) return;
    this.#sealed = undefined;
    sealed.hold[Symbol.dispose]();
    this.#folder.services.large.settle(sealed.content);
  }

  async #move(name: string, number: number): Promise<void> {
    const [from, to] = [draftPath(this.tier, this.#name, this.#number), draftPath(this.tier, name, number)];
    this.#lasting = false;
    await this.#on(this.tier.runtime.disk.rename(from, to));
    this.#name = name;
    this.#number = number;
  }

  /** What is written from the beginning on keeps the disk busy, so that a sync has not all of it to wait for. */
  #writtenTo(end: number): void {
    if (end - this.#begunWriteBack < writeBackBytes || end < this.#length) return;
    this.#file.beginWriteBack(this.#begunWriteBack, end - this.#begunWriteBack);
    this.#begunWriteBack = end;
  }

  /** Where holes cannot be punched. */
  async #zero(position: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += zeros.length) await this.write([zeros.subarray(0, Math.min(zeros.length, length - done))], position + done);
  }

  #beginSync(): Promise<void> {
    const run = this.#syncNow().finally(() => (this.#syncing = undefined));
    this.#syncing = run;
    return run;
  }

  async #syncNow(): Promise<void> {
    this.#mustBeOpen();
    const {runtime} = this.tier;
    runtime.crashPoint('blockstore.beforeDraftSync');
    const lasting = this.#lasting;
    this.#lasting = true;
    const synced = this.#file.datasync();
    await this.#on(lasting ? synced : Promise.all([synced, tierSync(this.tier, 'drafts')]).then(() => undefined), () => (this.#lasting = false));
    runtime.crashPoint('blockstore.afterDraftSync');
  }

  async #end(work: () => Promise<void>): Promise<void> {
    this.#mustBeOpen();
    this.#state = 'closed';
    await this.#syncing?.catch(() => undefined);
    // What comes to the file after this would be nobody's.
    if (this.#writes > 0) await this.#written.promise;
    await this.#on(work());
  }

  #take(bytes: number): void {
    this.#taken += bytes;
    this.tier.release(-bytes);
  }

  async #writing(work: Promise<void>, undo: () => void): Promise<void> {
    if (this.#writes++ === 0) this.#written = Promise.withResolvers();
    try {
      await this.#on(work, undo);
    } finally {
      if (--this.#writes === 0) this.#written.resolve();
    }
  }

  async #on<T>(work: Promise<T>, undo?: () => void): Promise<T> {
    try {
      return await work;
    } catch (error) {
      undo?.();
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): unknown {
    this.tier.failed(error);
    return error;
  }

  #refuse(error: unknown): false {
    this.tier.failed(error);
    return false;
  }

  #mustBeOpen(): void {
    if (this.#state !== 'open') throw new WeirError('Cancelled', `the draft ${this.#name} is closed`);
  }
}
