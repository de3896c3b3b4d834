/** The large contents: fills, verified reads and leases of their pages, eviction by blocks, and their part of the log. */
import {crc32c} from '@node-rs/crc32';
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import {isKind} from '#base/errors.ts';
import {type ContentHandle, pageBytes} from '#blockstore/block-store.ts';
import {Block, blockPages, LargeContent, pageChecksums} from '#blockstore/files/large-content.ts';
import {nodeBlock, nodeKept, type NodeTable} from '#blockstore/index/node-table.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {TierLog} from '#blockstore/tier-log.ts';
import {type LogRecord, recordPagesMax} from '#codec/block/log-record.ts';
import type {DiskFile} from '#runtime/disk.ts';

const openFilesMax = 1024;
/** Pages that a read on the spot may verify: some microseconds each. */
const residentChecksMax = 2;
const numbersPerLife = 2 ** 31;

export class LargeContents {
  readonly byId = new Map<ContentId, LargeContent>();
  readonly #nodes: NodeTable;
  readonly #logs: readonly TierLog[];
  readonly #isKept: (id: ContentId) => boolean;
  readonly #byNumber = new Map<number, LargeContent>();
  readonly #open = new Set<LargeContent>();
  #nextNumber = 0;

  constructor(nodes: NodeTable, logs: readonly TierLog[], isKept: (id: ContentId) => boolean) {
    this.#nodes = nodes;
    this.#logs = logs;
    this.#isKept = isKept;
  }

  begin(life: number): void {
    this.#nextNumber = life * numbersPerLife;
  }

  make(id: ContentId, length: number, tier: Tier): LargeContent {
    return new LargeContent(id, length, tier, this.#nextNumber++);
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
   * Writes those of the pages that are absent: what is present may be leased and is never written again. Pages that another fill
   * is writing are waited for. A content stays on the tier of its file; `tier` is for contents that have none yet.
   */
  async fill(tier: Tier, handle: ContentHandle, first: number, bytes: readonly Uint8Array[], total: number): Promise<boolean> {
    const last = first + Math.ceil(total / pageBytes) - 1;
    let content = this.byId.get(handle.id);
    if (!content) this.adopt((content = this.make(handle.id, handle.length, tier)));
    if (content.hasAll(first, last)) return true;
    const hold = content.hold(first, last);
    try {
      using _ = await content.claim(first, last);
      return await this.#write(content, first, last, bytes);
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
        reserved -= this.#enter(content, start, pageChecksums(part), true);
        this.#log(content, start, start + count - 1);
      }
      content.tier.worked();
      return true;
    } finally {
      content.tier.release(reserved);
    }
  }

  adopt(content: LargeContent): void {
    this.byId.set(content.id, content);
    this.#byNumber.set(content.number, content);
  }

  /** Marks a whole new file present; its bytes are taken from the quota already. */
  complete(content: LargeContent, checksums: Uint32Array): void {
    this.adopt(content);
    this.#enter(content, 0, checksums, true);
    this.#log(content, 0, content.pages - 1);
  }

  readResident(content: LargeContent, offset: number, length: number): Uint8Array | undefined {
    const [first, last] = [Math.floor(offset / pageBytes), Math.floor((offset + length - 1) / pageBytes)];
    if (!content.handle || !this.#verifiedNow(content, first, last)) return undefined;
    const bytes = Buffer.allocUnsafe(length);
    if (content.handle.readResident(bytes, offset) !== length) return undefined;
    this.use(content, first, last);
    return bytes;
  }

  /** The content's file, when it is open and the pages are there and verified. */
  readyFile(content: LargeContent, first: number, last: number): DiskFile | undefined {
    if (!content.handle) return undefined;
    for (let page = first; page <= last; page++) if (content.blockOf(page)?.verified[page % blockPages] !== 1) return undefined;
    this.#open.delete(content);
    this.#open.add(content);
    return content.handle;
  }

  use(content: LargeContent, first: number, last: number): void {
    for (let b = Math.floor(first / blockPages); b <= Math.floor(last / blockPages); b++) content.tier.policy.use(content.blocks[b]!.node);
  }

  /** Makes sure that present pages match their checksums; a page that does not becomes absent. The caller holds them. */
  async verify(content: LargeContent, first: number, last: number): Promise<boolean> {
    let sound = true;
    for (let page = first; page <= last; page++) {
      const block = content.blockOf(page);
      if (!block?.present[page % blockPages]) return false;
      if (block.verified[page % blockPages]) continue;
      const bytes = Buffer.allocUnsafe(content.pageLength(page));
      let file: DiskFile;
      try {
        file = await this.file(content);
      } catch (error) {
        if (!isKind(error, 'NotFound')) throw error;
        // A power loss kept the log and not the file.
        this.drop(content);
        return false;
      }
      const count = await file.read(bytes, page * pageBytes);
      if (count === bytes.length && crc32c(bytes) === block.checksums[page % blockPages]) block.verified[page % blockPages] = 1;
      else {
        sound = false;
        this.#absent(content, page);
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

  /** Takes the content away; what is held stays readable to its holders. */
  drop(content: LargeContent): void {
    if (content.gone) return;
    content.gone = true;
    if (this.byId.get(content.id) === content) this.byId.delete(content.id);
    this.#byNumber.delete(content.number);
    this.#forgetAll(content);
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
    const content = this.byId.get(this.#nodes.id(node))!;
    const number = this.#nodes.offset.get(node);
    const block = content.blocks[number]!;
    assert(block.holds === 0, 'what is leased is not punched');
    if (content.holds === 0 && content.blocks.every((other) => other === block || !other || other.bytes === 0)) return this.drop(content);
    this.#forget(content, block);
    content.blocks[number] = undefined;
    this.#logs[content.tier.number]!.append({kind: 'absent', file: content.number, first: number * blockPages, count: block.present.length});
    const punch = async () => {
      content.tier.runtime.crashPoint('blockstore.beforePunch');
      const file = await this.file(content);
      await file.punch(number * blockPages * pageBytes, block.present.length * pageBytes);
      content.tier.release(block.bytes);
    };
    content.holds++;
    const attempt = content.punching.then(punch);
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

  mayEvict(node: number): boolean {
    const content = this.byId.get(this.#nodes.id(node))!;
    return content.blocks[this.#nodes.offset.get(node)]!.holds === 0;
  }

  setKept(content: LargeContent, kept: boolean): void {
    for (const block of content.blocks) {
      if (!block || block.node === 0 || this.#nodes.has(block.node, nodeKept) === kept) continue;
      this.#nodes.setFlag(block.node, nodeKept, kept);
      if (kept) content.tier.policy.remove(block.node);
      else content.tier.policy.insert(block.node);
    }
  }

  /** One record of a previous life's log. Contents can be found after `replayed`. */
  replay(tier: Tier, record: LogRecord & {readonly kind: 'pages' | 'absent' | 'unlinked'}): void {
    let content = this.#byNumber.get(record.file);
    if (content && content.tier !== tier) return;
    if (record.kind === 'pages') {
      if (!content) this.#byNumber.set(record.file, (content = new LargeContent(record.id, record.length, tier, record.file)));
      if (record.first + record.checksums.length <= content.pages) tier.usedBytes += this.#enter(content, record.first, record.checksums, false);
    } else if (!content) return;
    else if (record.kind === 'absent') {
      const end = Math.min(content.pages, record.first + record.count);
      for (let page = record.first; page < end; page++) if (content.has(page)) this.#clear(content, page);
    } else {
      this.#byNumber.delete(content.number);
      this.#forgetAll(content);
      tier.release(content.bytes);
    }
  }

  /** All logs are read. Of two files of one content (a draft was being sealed over an older copy) the better stays: whole, lasting, fuller. */
  replayed(): void {
    const worth = (content: LargeContent) => (content.complete ? 2 * content.length : content.bytes) + (content.tier.persistent ? 0.5 : 0);
    for (const content of this.#byNumber.values()) {
      const other = this.byId.get(content.id);
      if (other && worth(other) >= worth(content)) this.drop(content);
      else if (content.bytes === 0) this.drop(content);
      else {
        if (other) this.drop(other);
        this.adopt(content);
      }
    }
  }

  *records(tier: Tier): Generator<LogRecord> {
    for (const content of this.byId.values()) {
      if (content.tier !== tier) continue;
      for (const [first, count] of runs(content, 0, content.pages - 1, true)) yield* pagesRecords(content, first, first + count - 1);
    }
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
      const block = content.blockOf(page);
      const at = page % blockPages;
      if (!block?.present[at]) return false;
      if (block.verified[at]) continue;
      const bytes = Buffer.allocUnsafe(content.pageLength(page));
      if (checks-- === 0 || content.handle!.readResident(bytes, page * pageBytes) !== bytes.length || crc32c(bytes) !== block.checksums[at]) return false;
      block.verified[at] = 1;
    }
    return true;
  }

  /** Marks pages present; answers the bytes that were not present before. */
  #enter(content: LargeContent, first: number, checksums: Uint32Array, verified: boolean): number {
    let added = 0;
    checksums.forEach((checksum, i) => {
      const page = first + i;
      const number = Math.floor(page / blockPages);
      const block = (content.blocks[number] ??= new Block(Math.min(blockPages, content.pages - number * blockPages)));
      const at = page % blockPages;
      assert(!verified || block.present[at] === 0, 'a present page is not written again');
      block.checksums[at] = checksum;
      if (block.present[at] === 1) return;
      block.verified[at] = verified ? 1 : 0;
      block.present[at] = 1;
      const bytes = content.pageLength(page);
      block.bytes += bytes;
      added += bytes;
      if (block.node === 0) {
        const kept = this.#isKept(content.id);
        block.node = this.#nodes.add(content.id, 0, number, bytes, nodeBlock | (kept ? nodeKept : 0));
        if (!kept) content.tier.policy.insert(block.node);
      } else {
        this.#nodes.length.set(block.node, block.bytes);
        content.tier.policy.resized(block.node, bytes);
      }
    });
    return added;
  }

  #log(content: LargeContent, first: number, last: number): void {
    for (const record of pagesRecords(content, first, last)) this.#logs[content.tier.number]!.append(record);
  }

  #absent(content: LargeContent, page: number): void {
    if (!content.has(page) || content.gone) return;
    this.#clear(content, page);
    this.#logs[content.tier.number]!.append({kind: 'absent', file: content.number, first: page, count: 1});
  }

  #clear(content: LargeContent, page: number): void {
    const block = content.blockOf(page)!;
    const bytes = content.pageLength(page);
    block.present[page % blockPages] = 0;
    block.verified[page % blockPages] = 0;
    block.bytes -= bytes;
    content.tier.release(bytes);
    this.#nodes.length.set(block.node, block.bytes);
    content.tier.policy.resized(block.node, -bytes);
    if (block.bytes === 0) this.#forget(content, block);
  }

  #forgetAll(content: LargeContent): void {
    for (const block of content.blocks) if (block && block.node !== 0) this.#forget(content, block);
  }

  #forget(content: LargeContent, block: Block): void {
    content.tier.policy.remove(block.node);
    this.#nodes.release(block.node);
    block.node = 0;
  }

  #settle(content: LargeContent): void {
    if (content.holds > 0) return;
    if (!content.gone && content.bytes === 0) return this.drop(content);
    if (!content.gone) return;
    content.tier.release(content.bytes);
    content.blocks.length = 0;
    this.#close(content);
  }

  #close(content: LargeContent): void {
    this.closeFile(content).catch((error: unknown) => content.tier.failed(error));
  }
}

/** `length` bytes from `start` of what the buffers hold one after the other. */
function slice(buffers: readonly Uint8Array[], start: number, length: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  let [skip, rest] = [start, length];
  for (const buffer of buffers) {
    const part = buffer.subarray(skip, skip + rest);
    skip = Math.max(0, skip - buffer.length);
    if (part.length > 0) found.push(part);
    rest -= part.length;
    if (rest === 0) break;
  }
  return found;
}

/** Runs of present (or absent) pages within [first, last]. */
export function runs(content: LargeContent, first: number, last: number, present: boolean): [first: number, count: number][] {
  const found: [number, number][] = [];
  for (let page = first; page <= last; page++) {
    if (content.has(page) !== present) continue;
    const run = found.at(-1);
    if (run && run[0] + run[1] === page) run[1]++;
    else found.push([page, 1]);
  }
  return found;
}

function* pagesRecords(content: LargeContent, first: number, last: number): Generator<LogRecord> {
  for (let start = first; start <= last; start += recordPagesMax) {
    const count = Math.min(recordPagesMax, last - start + 1);
    const checksums = Uint32Array.from({length: count}, (_, i) => content.blockOf(start + i)!.checksums[(start + i) % blockPages]!);
    yield {kind: 'pages', id: content.id, length: content.length, file: content.number, first: start, checksums};
  }
}
