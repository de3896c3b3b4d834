/**
 * The small contents: each whole, an entry in a segment of some tier, one node in the index. While the index of the previous life
 * loads, what is not yet loaded is absent; if it is filled again meanwhile, the newer entry holds and the loaded one counts as dead.
 */
import {crc32c} from '@node-rs/crc32';
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {HashIndex} from '#blockstore/index/hash-index.ts';
import {nodeKept, nodeVerified, type NodeTable} from '#blockstore/index/node-table.ts';
import {Segment} from '#blockstore/segments/segment.ts';
import {SegmentWriter, writeSegmentIndex} from '#blockstore/segments/segment-writer.ts';
import type {Tier} from '#blockstore/tier.ts';
import {entryHeaderBytes, indexEntry, readEntryHeader, readIndexCount, SegmentIndexWriter} from '#codec/block/segment.ts';

/** Entries loaded between two turns of the event loop. */
const loadSliceEntries = 8192;
/** Entries up to this size are verified by a read on the spot. */
const residentCheckBytesMax = 64 * 1024;
/** A segment with less than this share alive is emptied to win the rest. */
const sparseShare = 0.3;

export class SmallContents {
  readonly #nodes: NodeTable;
  readonly #index: HashIndex;
  readonly #isKept: (id: ContentId) => boolean;
  readonly #segments: (Segment | undefined)[] = [];
  readonly #writers: SegmentWriter[];
  /** Dropped before they were loaded. */
  readonly #droppedEarly = new Set<number>();
  loading = true;
  #nextName = 1;
  #life = 0;

  constructor(nodes: NodeTable, index: HashIndex, tiers: readonly Tier[], isKept: (id: ContentId) => boolean) {
    this.#nodes = nodes;
    this.#index = index;
    this.#isKept = isKept;
    this.#writers = tiers.map(
      (tier) =>
        new SegmentWriter(
          tier,
          () => this.#create(tier),
          (segment, offset, entry) => this.#enter(segment, offset, entry.id, entry.length, true),
        ),
    );
  }

  begin(life: number): void {
    this.#life = life;
  }

  async fill(tier: Tier, id: ContentId, bytes: readonly Uint8Array[], length: number): Promise<boolean> {
    if (this.#index.find(id) !== 0) return true;
    return tier.writable && (await this.#writers[tier.number]!.append(id, bytes, length));
  }

  segmentOf(node: number): Segment {
    return this.#segments[this.#nodes.segment.get(node)]!;
  }

  /** Verified, and its segment open. */
  isReady(node: number): boolean {
    return this.#nodes.has(node, nodeVerified) && this.segmentOf(node).file !== undefined;
  }

  readResident(id: ContentId, offset: number, length: number): Uint8Array | undefined {
    const node = this.#index.find(id);
    if (node === 0) return undefined;
    const segment = this.segmentOf(node);
    if (!segment.file) return undefined;
    const whole = this.#nodes.length.get(node);
    assert(offset + length <= whole, 'a read lies within its content');
    const place = this.#nodes.offset.get(node);
    let bytes: Buffer;
    if (this.#nodes.has(node, nodeVerified)) {
      bytes = Buffer.allocUnsafe(length);
      if (segment.file.readResident(bytes, place + offset) !== length) return undefined;
    } else {
      // The first use of this life: a checksum over so little costs less than a turn of the event loop.
      if (whole > residentCheckBytesMax) return undefined;
      const entry = Buffer.allocUnsafe(entryHeaderBytes + whole);
      if (segment.file.readResident(entry, place - entryHeaderBytes) !== entry.length || !isEntry(entry, id)) return undefined;
      this.#nodes.setFlag(node, nodeVerified, true);
      bytes = entry.subarray(entryHeaderBytes + offset, entryHeaderBytes + offset + length);
    }
    segment.tier.policy.use(node);
    return bytes;
  }

  /** Verifies on the first use of this life. Undefined when absent or corrupt. */
  async read(id: ContentId, offset: number, length: number): Promise<Uint8Array | undefined> {
    const node = this.#index.find(id);
    if (node === 0) return undefined;
    const segment = this.segmentOf(node);
    const place = this.#nodes.offset.get(node);
    const whole = this.#nodes.length.get(node);
    assert(offset + length <= whole, 'a read lies within its content');
    segment.tier.policy.use(node);
    segment.hold();
    try {
      const file = await segment.open();
      if (this.#nodes.has(node, nodeVerified) && this.#index.find(id) === node) {
        const bytes = Buffer.allocUnsafe(length);
        if ((await file.read(bytes, place + offset)) === length) return bytes;
      } else {
        const entry = Buffer.allocUnsafe(entryHeaderBytes + whole);
        const count = await file.read(entry, place - entryHeaderBytes);
        if (count === entry.length && isEntry(entry, id)) {
          if (this.#isAt(node, id, segment, place)) this.#nodes.setFlag(node, nodeVerified, true);
          return entry.subarray(entryHeaderBytes + offset, entryHeaderBytes + offset + length);
        }
      }
    } catch (error) {
      segment.tier.failed(error);
      return undefined;
    } finally {
      segment.letGo();
    }
    if (this.#isAt(node, id, segment, place)) this.remove(node);
    return undefined;
  }

  drop(id: ContentId): void {
    const node = this.#index.find(id);
    if (node !== 0) this.remove(node);
    if (this.loading) this.#droppedEarly.add(id);
  }

  /** Forgets a node; its segment goes when it was the last. */
  remove(node: number): void {
    const segment = this.segmentOf(node);
    segment.tier.policy.remove(node);
    this.#index.remove(node);
    segment.liveBytes -= this.#nodes.length.get(node) + entryHeaderBytes;
    this.#nodes.release(node);
    if (segment.sealed && segment.liveBytes === 0 && !segment.removed) void segment.remove();
  }

  /** Empties the sealed segment with the least alive when that is little; true when one was found. */
  async emptySparse(tier: Tier): Promise<boolean> {
    let sparsest: Segment | undefined;
    for (const segment of this.#segments) {
      if (segment?.tier !== tier || !segment.sealed || segment.removed || segment.held || segment.liveBytes > segment.size * sparseShare) continue;
      if (!sparsest || segment.liveBytes * sparsest.size < sparsest.liveBytes * segment.size) sparsest = segment;
    }
    if (!sparsest) return false;
    const segment = sparsest;
    await this.#scan(segment, (id, offset) => {
      const node = this.#index.find(id);
      if (node !== 0 && this.#isAt(node, id, segment, offset) && !this.#nodes.has(node, nodeKept)) this.remove(node);
    });
    return segment.removed;
  }

  /** Brings in what previous lives left in the tier. */
  async load(tier: Tier): Promise<void> {
    const {disk} = tier.runtime;
    const names = (await disk.readDirectory(tier.path('segments'))).filter((name) => name.endsWith('.seg') && Number.parseInt(name) < this.#life);
    for (const name of names) tier.usedBytes += await this.#adopt(tier, name);
  }

  async close(): Promise<void> {
    for (const writer of this.#writers) await writer.close();
    for (const segment of this.#segments) await segment?.file?.close();
  }

  /** Takes away the copy on a tier that a restart of the machine empties, so that a fill makes one that lasts. */
  dropFleeting(id: ContentId): void {
    const node = this.#index.find(id);
    if (node !== 0 && !this.segmentOf(node).tier.persistent) this.remove(node);
  }

  /** The content's bytes survive power loss. NotFound when it is not there. */
  async syncEntry(id: ContentId): Promise<void> {
    const node = this.#index.find(id);
    if (node === 0) throw new WeirError('NotFound', `content ${id} is not in the cache`);
    const segment = this.segmentOf(node);
    await (await segment.open()).datasync();
    await tierSync(segment.tier, 'segments');
  }

  #isAt(node: number, id: ContentId, segment: Segment, offset: number): boolean {
    return this.#index.find(id) === node && this.#nodes.segment.get(node) === segment.slot && this.#nodes.offset.get(node) === offset;
  }

  #make(tier: Tier, name: string): Segment {
    const free = this.#segments.indexOf(undefined);
    const slot = free < 0 ? this.#segments.length : free;
    const segment = new Segment(slot, tier, name, (gone) => (this.#segments[gone.slot] = undefined));
    this.#segments[slot] = segment;
    return segment;
  }

  async #create(tier: Tier): Promise<Segment> {
    const name = `${this.#life}-${this.#nextName++}.seg`;
    const file = await tier.runtime.disk.open(tier.path('segments', name), {mode: 'exclusive'});
    const segment = this.#make(tier, name);
    segment.file = file;
    return segment;
  }

  #enter(segment: Segment, offset: number, id: ContentId, length: number, verified: boolean): void {
    if (this.#index.find(id) !== 0) return;
    const kept = this.#isKept(id);
    const node = this.#nodes.add(id, segment.slot, offset, length, (verified ? nodeVerified : 0) | (kept ? nodeKept : 0));
    this.#index.insert(node);
    segment.liveBytes += length + entryHeaderBytes;
    if (!kept) segment.tier.policy.insert(node);
  }

  async #adopt(tier: Tier, name: string): Promise<number> {
    const segment = this.#make(tier, name);
    segment.hold();
    try {
      segment.size = (await (await segment.open()).stat()).size;
      segment.reservedBytes = segment.size;
      await this.#scan(segment, (id, offset, length) => {
        if (!this.#droppedEarly.has(id)) this.#enter(segment, offset, id, length, false);
      });
    } catch (error) {
      tier.failed(error);
    }
    segment.sealed = true;
    segment.letGo();
    if (segment.liveBytes === 0) void segment.remove();
    return segment.reservedBytes;
  }

  /** Every entry of a segment, from its index, else from the segment itself (and then an index is made). */
  async #scan(segment: Segment, visit: (id: ContentId, offset: number, length: number) => void): Promise<void> {
    const {disk, clock} = segment.tier.runtime;
    const path = segment.path.replace(/seg$/, 'idx');
    let index: Buffer | undefined;
    try {
      await using file = await disk.open(path, {mode: 'read'});
      index = Buffer.allocUnsafe((await file.stat()).size);
      await file.read(index, 0);
    } catch {
      index = undefined;
    }
    let count = index && readIndexCount(index);
    if (!index || count === undefined) {
      const made = await this.#rebuild(segment);
      index = made.finish();
      count = readIndexCount(index)!;
      await writeSegmentIndex(segment, made).catch((error: unknown) => segment.tier.failed(error));
    }
    for (let i = 0; i < count; i++) {
      const {id, offset, length} = indexEntry(index, i);
      if (offset + length <= segment.size) visit(id, offset, length);
      if (i % loadSliceEntries === loadSliceEntries - 1) await clock.yield();
    }
  }

  async #rebuild(segment: Segment): Promise<SegmentIndexWriter> {
    const index = new SegmentIndexWriter();
    const bytes = Buffer.allocUnsafe(segment.size);
    await (await segment.open()).read(bytes, 0);
    for (let at = 0, n = 1; ; n++) {
      const header = readEntryHeader(bytes, at);
      if (!header || at + entryHeaderBytes + header.length > bytes.length) return index;
      index.add(header.id, at + entryHeaderBytes, header.length);
      at += entryHeaderBytes + header.length;
      if (n % loadSliceEntries === 0) await segment.tier.runtime.clock.yield();
    }
  }
}

/** Whether these bytes are a sound entry of that content, header and all. */
function isEntry(entry: Buffer, id: ContentId): boolean {
  const header = readEntryHeader(entry, 0);
  return header?.id === id && header.length === entry.length - entryHeaderBytes && header.checksum === crc32c(entry.subarray(entryHeaderBytes));
}

/** Names of a tier's folder survive power loss. */
export async function tierSync(tier: Tier, ...folder: string[]): Promise<void> {
  for (let depth = folder.length; depth >= 0; depth--) await tier.runtime.disk.syncDirectory(tier.path(...folder.slice(0, depth)));
}
