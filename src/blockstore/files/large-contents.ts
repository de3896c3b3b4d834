/** The large contents: fills, verified reads and leases of their pages, eviction by blocks, and their part of the log. */
import {crc32c} from '@node-rs/crc32';
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import {isKind} from '#base/errors.ts';
import {type ContentHandle, pageBytes} from '#blockstore/block-store.ts';
import {BlockTable} from '#blockstore/files/block-table.ts';
import {chooseFiles, ContentFiles} from '#blockstore/files/content-files.ts';
import {blockPages, LargeContent, type PageChecksums, pageChecksums} from '#blockstore/files/large-content.ts';
import {blockRecords, pagesRecords, runs, slice} from '#blockstore/files/page-runs.ts';
import type {NodeTable} from '#blockstore/index/node-table.ts';
import type {Slices} from '#blockstore/slices.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {TierLog} from '#blockstore/tier-log.ts';
import type {LogRecord} from '#codec/block/log-record.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';

const openFilesMax = 1024;
/** Pages that a read on the spot may verify: some microseconds each. */
const residentChecksMax = 2;
const numbersPerLife = 2 ** 31;

const lentMark = (tier: Tier): string => tier.path('lent');

/** Whether files of the tier were lent in earlier lives. */
export async function hasMark(disk: Disk, tier: Tier): Promise<boolean> {
  return await disk.stat(lentMark(tier)).then(() => true, (error: unknown) => {
    if (isKind(error, 'NotFound')) return false;
    throw error;
  });
}

export class LargeContents {
  readonly files = new ContentFiles();
  readonly #nodes: NodeTable;
  readonly #table: BlockTable;
  readonly #logs: readonly TierLog[];
  readonly #isKept: (id: ContentId) => boolean;
  readonly #byNumber = new Map<number, LargeContent>();
  readonly #open = new Set<LargeContent>();
  #nextNumber = 0;

  constructor(nodes: NodeTable, logs: readonly TierLog[], isKept: (id: ContentId) => boolean) {
    this.#nodes = nodes;
    this.#table = new BlockTable(nodes, isKept);
    this.#logs = logs;
    this.#isKept = isKept;
  }

  begin(life: number): void {
    this.#nextNumber = life * numbersPerLife;
  }

  make(id: ContentId, length: number, tier: Tier): LargeContent {
    return new LargeContent(id, length, tier, this.nextNumber());
  }

  /** For a file that is named before it is a content's. */
  nextNumber(): number {
    return this.#nextNumber++;
  }

  /** In a file that has its number already. */
  numbered({id, length}: ContentHandle, tier: Tier, number: number): LargeContent {
    return new LargeContent(id, length, tier, number);
  }

  /** Undefined when there is none with that number on the tier. */
  byNumber(tier: Tier, number: number): LargeContent | undefined {
    const content = this.#byNumber.get(number);
    return content?.tier === tier ? content : undefined;
  }

  /** A draft's file becomes the file of a content. */
  renumber(draft: LargeContent, {id, length}: ContentHandle): LargeContent {
    const content = new LargeContent(id, length, draft.tier, draft.number);
    content.handle = draft.handle;
    draft.handle = undefined;
    this.#open.delete(draft);
    this.#open.add(content);
    return content;
  }

  async file(content: LargeContent, create = false): Promise<DiskFile> {
    this.#open.delete(content);
    this.#open.add(content);
    if (content.handle) return content.handle;
    const {disk} = content.tier.runtime;
    content.opening ??= (async () => {
      if (create) await disk.makeDirectory(content.tier.path('files', content.folder), {recursive: true});
      return (content.handle = await disk.open(content.path, {mode: create ? 'create' : 'write'}));
    })().finally(() => (content.opening = undefined));
    const file = await content.opening;
    if (this.#open.size > openFilesMax) for (const other of this.#open) if (other.holds === 0 && this.#open.size > openFilesMax) this.#close(other);
    return file;
  }

  async closeFile(content: LargeContent): Promise<void> {
    this.#open.delete(content);
    const {handle} = content;
    content.handle = undefined;
    await handle?.close();
  }

  /**
   * Writes those of the pages, all of one block, that are absent: what is present may be leased and is never written again. Pages that
   * another fill is writing are waited for. A block stays in its home; `tier` is for those that have none yet.
   */
  async fill(tier: Tier, handle: ContentHandle, first: number, bytes: readonly Uint8Array[], total: number): Promise<boolean> {
    const last = first + Math.ceil(total / pageBytes) - 1;
    const number = Math.floor(first / blockPages);
    assert(number === Math.floor(last / blockPages), 'a fill is of one block');
    let content = this.files.home(handle.id, number) ?? this.files.on(handle.id, tier);
    if (!content) this.adopt((content = this.make(handle.id, handle.length, tier)));
    if (content.hasAll(first, last)) return true;
    if (content.blocks[number]?.leaving) return false;
    const hold = content.hold(first, last);
    try {
      using _ = await content.claim(first, last);
      if (!content.blocks[number]!.leaving) return await this.#write(content, first, last, bytes);
      // It moved while this waited.
      return this.files.home(handle.id, number) !== undefined && (await this.fill(tier, handle, first, bytes, total));
    } catch (error) {
      content.tier.failed(error);
      return false;
    } finally {
      hold[Symbol.dispose]();
      this.#settle(content);
    }
  }

  async #write(content: LargeContent, first: number, last: number, bytes: readonly Uint8Array[]): Promise<boolean> {
    const absent = runs(content, first, last, false);
    let reserved = absent.reduce((sum, [start, count]) => sum + content.bytesOf(start, count), 0);
    if (reserved === 0) return true;
    if (content.gone || !(await content.tier.reserve(reserved))) return false;
    try {
      const file = await this.file(content, true);
      const {runtime} = content.tier;
      for (const [start, count] of absent) {
        const part = slice(bytes, (start - first) * pageBytes, content.bytesOf(start, count));
        runtime.crashPoint('blockstore.beforePageWrite');
        await file.write(part, start * pageBytes);
        runtime.crashPoint('blockstore.afterPageWrite');
        // Dropped meanwhile: what was written goes with the file.
        if (content.gone) return false;
        reserved -= this.#table.enter(content, start, pageChecksums(part), true);
        this.#log(content, start, start + count - 1);
      }
      content.tier.worked();
      return true;
    } finally {
      content.tier.release(reserved);
    }
  }

  /**
   * FileLease.lend: the caller holds the content. That some file was lent is remembered beyond this life, but not which: then all that are found
   * go as wholes. False where the file may have to make room for a move already under way.
   */
  async lend(content: LargeContent): Promise<boolean> {
    const {tier} = content;
    if (!tier.hasLent) {
      try {
        await (await tier.runtime.disk.open(lentMark(tier), {mode: 'create'})).close();
      } catch (error) {
        tier.failed(error);
        return false;
      }
      tier.hasLent = true;
    }
    if (content.gone || content.leaving.size > 0 || content.blocks.some((block) => block?.leaving)) return false;
    content.lent = true;
    return true;
  }

  adopt(content: LargeContent): void {
    this.files.add(content);
    this.#byNumber.set(content.number, content);
  }

  /** Marks these pages of a new file present: all of them, or those that the content has of its own. Their bytes are taken from the quota already. */
  complete(content: LargeContent, runs: readonly PageChecksums[]): void {
    this.adopt(content);
    for (const {first, checksums} of runs) {
      this.#table.enter(content, first, checksums, true);
      this.#log(content, first, first + checksums.length - 1);
    }
  }

  readResident(content: LargeContent, offset: number, length: number, into?: Uint8Array): Uint8Array | undefined {
    const [first, last] = [Math.floor(offset / pageBytes), Math.floor((offset + length - 1) / pageBytes)];
    if (!content.handle || !this.#verifiedNow(content, first, last)) return undefined;
    const bytes = into ?? Buffer.allocUnsafe(length);
    if (content.handle.readResident(bytes, offset) !== length) return undefined;
    this.use(content, first, last);
    return bytes;
  }

  /** The content's file, when it is open and the pages are there and verified. */
  readyFile(content: LargeContent, first: number, last: number): DiskFile | undefined {
    if (!content.handle) return undefined;
    for (let page = first; page <= last; page++) if (!content.has(page) || content.blockOf(page)!.verified[page % blockPages] !== 1) return undefined;
    this.#open.delete(content);
    this.#open.add(content);
    return content.handle;
  }

  use(content: LargeContent, first: number, last: number): void {
    for (let b = Math.floor(first / blockPages); b <= Math.floor(last / blockPages); b++) {
      const pages = Math.min(last, (b + 1) * blockPages - 1) - Math.max(first, b * blockPages) + 1;
      content.tier.use(content.blocks[b]!.node, pages * pageBytes);
    }
  }

  /** Makes sure that present pages match their checksums; a page that does not becomes absent. The caller holds them. */
  async verify(content: LargeContent, first: number, last: number): Promise<boolean> {
    let sound = true;
    for (let page = first; page <= last; page++) {
      if (!content.has(page)) return false;
      const block = content.blockOf(page)!;
      if (block.verified[page % blockPages]) continue;
      const bytes = Buffer.allocUnsafe(content.pageLength(page));
      let count: number;
      try {
        count = await (await this.file(content)).read(bytes, page * pageBytes);
      } catch (error) {
        this.unreadable(content, page, page, error);
        return false;
      }
      if (count === bytes.length && crc32c(bytes) === block.checksums[page % blockPages]) block.verified[page % blockPages] = 1;
      else {
        sound = false;
        this.setAbsent(content, page);
      }
    }
    return sound;
  }

  /** Whether a complete content matches its checksums, every page. */
  async isSound(content: LargeContent): Promise<boolean> {
    const hold = content.hold(0, content.pages - 1);
    try {
      return await this.verify(content, 0, content.pages - 1);
    } catch (error) {
      content.tier.failed(error);
      return false;
    } finally {
      hold[Symbol.dispose]();
      this.#settle(content);
    }
  }

  /** Takes the content away from every tier. */
  dropAll(id: ContentId): void {
    for (const file of this.files.of(id)) this.drop(file);
  }

  /** Takes the file away; what is held stays readable to its holders. */
  drop(content: LargeContent): void {
    if (content.gone) return;
    content.gone = true;
    this.files.remove(content);
    this.#byNumber.delete(content.number);
    this.#table.forgetAll(content);
    this.#logs[content.tier.number]!.append({kind: 'unlinked', file: content.number});
    content.tier.runtime.disk.unlink(content.path).catch((error: unknown) => {
      if (!isKind(error, 'NotFound')) content.tier.failed(error);
    });
    this.#settle(content);
  }

  /** Called when a hold has ended. */
  settle(content: LargeContent): void {
    this.#settle(content);
  }

  /** Frees the block of a victim node, which is out of its policy. */
  async evict(node: number): Promise<void> {
    await this.#free(this.fileOf(node), this.#nodes.offset.get(node));
  }

  /** The file that has the block of a node. */
  fileOf(node: number): LargeContent {
    const id = this.#nodes.id(node);
    return this.files.home(id, this.#nodes.offset.get(node))!;
  }

  async #free(content: LargeContent, number: number): Promise<void> {
    const block = content.blocks[number]!;
    assert(block.holds === 0, 'what is leased is not punched');
    content.leaving.delete(number);
    if ((content.lent && !this.#isKept(content.id)) || (content.holds === 0 && content.blocks.every((other) => other === block || !other || other.bytes === 0))) return this.drop(content);
    if (block.node !== 0) this.#table.forget(content, block);
    content.blocks[number] = undefined;
    this.#logs[content.tier.number]!.append({kind: 'absent', file: content.number, first: number * blockPages, count: block.present.length});
    const attempt = this.#punch(content, number, block.present.length).then(() => content.tier.release(block.bytes));
    content.holds++;
    content.punching = attempt.catch(() => {});
    try {
      await attempt;
    } catch (error) {
      // Where holes cannot be punched the file goes as a whole, and its bytes count until it has.
      content.blocks[number] = block;
      if (!isKind(error, 'Unsupported')) content.tier.failed(error);
      this.drop(content);
    } finally {
      content.holds--;
      this.#settle(content);
    }
  }

  /** Takes back what was written for a block that did not come after all. */
  async clear(content: LargeContent, number: number, pages: number): Promise<void> {
    if (content.gone || content.blocks[number]) return;
    content.holds++;
    // Where holes cannot be punched the bytes stay until the file goes.
    content.punching = this.#punch(content, number, pages).catch((error: unknown) => isKind(error, 'Unsupported') || content.tier.failed(error)).then(() => {});
    await content.punching;
    content.holds--;
    this.#settle(content);
  }

  async #punch(content: LargeContent, number: number, pages: number): Promise<void> {
    await content.punching;
    content.tier.runtime.crashPoint('blockstore.beforePunch');
    const file = await this.file(content);
    await file.punch(number * blockPages * pageBytes, pages * pageBytes);
  }

  mayEvict(node: number): boolean {
    return this.fileOf(node).blocks[this.#nodes.offset.get(node)]!.holds === 0;
  }

  /**
   * From now on the block is in another file, where its pages with bits in `copied` are written; what is here goes after `leave`. In one
   * turn, log record included: a checkpoint holds one or the other.
   */
  handOver(from: LargeContent, number: number, to: LargeContent, copied: Uint8Array): number {
    const bytes = this.#table.handOver(from, number, to, copied);
    for (const record of blockRecords(to, number)) this.#logs[to.tier.number]!.append(record);
    return bytes;
  }

  /** A victim that stays goes back into its policy. */
  keep(content: LargeContent, number: number): void {
    this.#table.keep(content, number);
  }

  setKept(content: LargeContent, kept: boolean): void {
    this.#table.setKept(content, kept);
  }

  /** Frees what was handed over, once nobody holds it. */
  leave(content: LargeContent, number: number): void {
    content.leaving.add(number);
    this.#settle(content);
  }

  /** One record of a previous life's log. Contents can be found after `replayed`. */
  replay(tier: Tier, record: LogRecord & {readonly kind: 'pages' | 'absent' | 'unlinked'}): void {
    let content = this.#byNumber.get(record.file);
    if (content && content.tier !== tier) return;
    if (record.kind === 'pages') {
      if (!content) this.#byNumber.set(record.file, (content = new LargeContent(record.id, record.length, tier, record.file, tier.hasLent)));
      if (record.first + record.checksums.length <= content.pages) tier.usedBytes += this.#table.enter(content, record.first, record.checksums, false);
    } else if (!content) return;
    else if (record.kind === 'absent') {
      const end = Math.min(content.pages, record.first + record.count);
      for (let page = record.first; page < end; page++) if (content.has(page)) this.#table.clear(content, page);
    } else {
      this.#byNumber.delete(content.number);
      this.#table.forgetAll(content);
      tier.release(content.bytes);
    }
  }

  /** All logs are read: contents are found from now on, one after the other. Nothing is filled until this has ended. */
  async replayed(slices: Slices): Promise<void> {
    const found = new Map<ContentId, LargeContent[]>();
    for (const file of this.#byNumber.values()) {
      if (slices.over) await slices.rest();
      const others = found.get(file.id);
      if (others) others.push(file);
      else found.set(file.id, [file]);
    }
    for (const [id, files] of found) {
      if (slices.over) await slices.rest();
      const {stay, surplus} = files.length > 1 ? chooseFiles(files, this.#isKept(id)) : {stay: files, surplus: []};
      for (const file of files) {
        if (file.bytes === 0 || !stay.includes(file)) this.drop(file);
        else {
          this.adopt(file);
          this.setKept(file, this.#isKept(id));
        }
      }
      for (const {file, block} of surplus) void this.#free(file, block);
    }
  }

  *records(tier: Tier): Generator<LogRecord> {
    for (const content of this.files.values()) if (content.tier === tier) for (const number of content.blocks.keys()) yield* blockRecords(content, number);
  }

  /** Removes files of previous lives that no log knows. */
  async removeOrphans(tier: Tier, life: number): Promise<void> {
    const {disk} = tier.runtime;
    for (const folder of await disk.readDirectory(tier.path('files'))) {
      for (const name of await disk.readDirectory(tier.path('files', folder))) {
        const number = Number.parseInt(name, 16);
        if (number >= life * numbersPerLife || this.#byNumber.has(number)) continue;
        await disk.unlink(tier.path('files', folder, name)).catch((error: unknown) => {
          // A content of before that was dropped meanwhile.
          if (!isKind(error, 'NotFound')) throw error;
        });
      }
    }
  }

  async close(): Promise<void> {
    for (const content of this.#open) await content.handle?.close();
    this.#open.clear();
  }

  /** True when the pages are verified, or can be on the spot: a few that are in memory. What fails is left to `verify`. */
  #verifiedNow(content: LargeContent, first: number, last: number): boolean {
    let checks = residentChecksMax;
    for (let page = first; page <= last; page++) {
      const at = page % blockPages;
      if (!content.has(page)) return false;
      const block = content.blockOf(page)!;
      if (block.verified[at]) continue;
      const bytes = Buffer.allocUnsafe(content.pageLength(page));
      if (checks-- === 0 || content.handle!.readResident(bytes, page * pageBytes) !== bytes.length || crc32c(bytes) !== block.checksums[at]) return false;
      block.verified[at] = 1;
    }
    return true;
  }

  #log(content: LargeContent, first: number, last: number): void {
    for (const record of pagesRecords(content, first, last)) this.#logs[content.tier.number]!.append(record);
  }

  /** The disk does not give these pages: what need not stay is absent from now on, so that the store behind is asked. */
  unreadable(content: LargeContent, first: number, last: number, error: unknown): void {
    // A power loss kept the log and not the file.
    if (isKind(error, 'NotFound')) return this.drop(content);
    content.tier.failed(error);
    if (!this.#isKept(content.id)) for (let page = first; page <= last; page++) this.setAbsent(content, page);
  }

  /** The page proved corrupt. */
  setAbsent(content: LargeContent, page: number): void {
    if (!content.has(page) || content.gone) return;
    this.#table.clear(content, page);
    this.#logs[content.tier.number]!.append({kind: 'absent', file: content.number, first: page, count: 1});
  }

  #settle(content: LargeContent): void {
    if (!content.gone) for (const number of content.leaving) if (content.blocks[number]!.holds === 0) void this.#free(content, number);
    if (content.holds > 0) return;
    if (!content.gone && content.bytes === 0) return this.drop(content);
    if (!content.gone) return;
    content.tier.release(content.bytes);
    content.blocks.length = 0;
    content.leaving.clear();
    this.#close(content);
  }

  #close(content: LargeContent): void {
    this.closeFile(content).catch((error: unknown) => content.tier.failed(error));
  }
}
