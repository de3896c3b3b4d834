/**
 * The small contents: each whole, an entry in a segment of some tier, one node in the index. While the index of the previous life
 * loads, what is not yet loaded is absent; if it is filled again meanwhile, the newer entry holds and the loaded one counts as dead.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {HashIndex} from '#blockstore/index/hash-index.ts';
import {nodeKept, nodeVerified, type NodeTable} from '#blockstore/index/node-table.ts';
import {Segment} from '#blockstore/segments/segment.ts';
import {isEntry, scanSegment, tierSync} from '#blockstore/segments/scan-segment.ts';
import {SegmentMover} from '#blockstore/segments/segment-mover.ts';
import {SegmentWriter} from '#blockstore/segments/segment-writer.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {TierLog} from '#blockstore/tier-log.ts';
import type {LogRecord} from '#codec/block/log-record.ts';
import {entryHeaderBytes} from '#codec/block/segment.ts';

/** Entries up to this size are verified by a read on the spot. */
const residentCheckBytesMax = 64 * 1024;
/** A segment with less than this share alive is emptied into another to win the rest. */
const sparseShare = 0.5;

export class SmallContents {
  readonly #nodes: NodeTable;
  readonly #index: HashIndex;
  readonly #isKept: (id: ContentId) => boolean;
  readonly #logs: readonly TierLog[];
  readonly #segments: (Segment | undefined)[] = [];
  readonly #freeSlots: number[] = [];
  readonly #writers: SegmentWriter[];
  readonly #movers: SegmentMover[];
  /** Dropped before they were loaded. */
  readonly #droppedEarly = new Set<ContentId>();
  /** What the logs say was dropped, by segment path, until that is loaded. */
  readonly #droppedBefore = new Map<string, number[]>();
  /** Segments of previous lives that are counted and not yet loaded. */
  readonly #unloaded: Segment[] = [];
  #loading = true;
  #nextNumber = 1;
  #life = 0;

  constructor(nodes: NodeTable, index: HashIndex, tiers: readonly Tier[], logs: readonly TierLog[], isKept: (id: ContentId) => boolean) {
    this.#nodes = nodes;
    this.#index = index;
    this.#logs = logs;
    this.#isKept = isKept;
    this.#writers = tiers.map(
      (tier) =>
        new SegmentWriter(
          tier,
          () => this.#create(tier),
          (bytes) => tier.reserve(bytes),
          (segment, offset, entry) => this.#enter(segment, offset, entry.id, entry.length, true),
        ),
    );
    this.#movers = tiers.map(
      (tier) =>
        new SegmentMover(tier, {
          nodes,
          isKept,
          create: () => this.#create(tier),
          nodeAt: (id, segment, offset) => {
            const node = this.#index.find(id);
            return node !== 0 && this.#isAt(node, id, segment, offset) ? node : 0;
          },
          remove: (node) => this.remove(node),
          noteDropped: (segment, offset) => this.#noteDropped(segment, offset),
        }),
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
    if (this.#loading) this.#droppedEarly.add(id);
    if (node === 0) return;
    const segment = this.segmentOf(node);
    const offset = this.#nodes.offset.get(node);
    this.remove(node);
    if (!segment.removed) this.#noteDropped(segment, offset);
  }

  #noteDropped(segment: Segment, offset: number): void {
    segment.dropped.add(offset);
    this.#logs[segment.tier.number]!.append({kind: 'dropped', life: segment.life, segment: segment.number, offset});
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

  /** Frees the sealed segment with the least alive when that is little, by moving it; true when one was freed. */
  async emptySparse(tier: Tier): Promise<boolean> {
    let sparsest: Segment | undefined;
    for (const segment of this.#segments) {
      if (segment?.tier !== tier || !segment.sealed || segment.removed || segment.held || segment.stuck || segment.liveBytes > segment.size * sparseShare) continue;
      if (!sparsest || segment.liveBytes * sparsest.size < sparsest.liveBytes * segment.size) sparsest = segment;
    }
    if (!sparsest) return false;
    await this.#movers[tier.number]!.empty(sparsest);
    if (!sparsest.removed) sparsest.stuck = true;
    return sparsest.removed;
  }

  replay(tier: Tier, record: LogRecord & {readonly kind: 'dropped'}): void {
    const path = tier.path('segments', `${record.life}-${record.segment}.seg`);
    const offsets = this.#droppedBefore.get(path);
    if (offsets) offsets.push(record.offset);
    else this.#droppedBefore.set(path, [record.offset]);
  }

  /** This part of the tier's log. */
  *records(tier: Tier): Generator<LogRecord> {
    for (const segment of this.#segments) {
      if (segment?.tier !== tier || segment.removed) continue;
      for (const offset of segment.dropped) yield {kind: 'dropped', life: segment.life, segment: segment.number, offset};
    }
  }

  /** Counts what previous lives left in the tier, so that nothing new overshoots the quota; `load` brings it in. */
  async count(tier: Tier): Promise<void> {
    const {disk} = tier.runtime;
    const names = new Set(await disk.readDirectory(tier.path('segments')));
    for (const name of names) {
      const [, life, number, kind] = /^(\d+)-(\d+)[.](seg|idx)$/.exec(name) ?? [];
      if (life === undefined || Number(life) >= this.#life) continue;
      if (kind === 'idx') {
        // Its segment went and a power loss brought the index back.
        if (!names.has(`${life}-${number}.seg`)) await disk.unlink(tier.path('segments', name));
        continue;
      }
      const segment = this.#make(tier, Number(life), Number(number));
      segment.size = segment.reservedBytes = (await disk.stat(segment.path)).size;
      tier.usedBytes += segment.size;
      for (const offset of this.#droppedBefore.get(segment.path) ?? []) segment.dropped.add(offset);
      this.#unloaded.push(segment);
    }
    this.#droppedBefore.clear();
  }

  /** Brings in what was counted, until `stopped`. */
  async load(stopped: () => boolean): Promise<void> {
    for (const segment of this.#unloaded) {
      if (stopped()) return;
      await this.#adopt(segment);
    }
    this.#unloaded.length = 0;
    this.#loading = false;
    this.#droppedEarly.clear();
  }

  async close(): Promise<void> {
    for (const writer of [...this.#writers, ...this.#movers]) await writer.close();
    for (const segment of this.#segments) await segment?.close();
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
    assert(segment.tier.persistent, 'what is synced is where it lasts');
    await (await segment.open()).datasync();
    await tierSync(segment.tier, 'segments');
  }

  #isAt(node: number, id: ContentId, segment: Segment, offset: number): boolean {
    return this.#index.find(id) === node && this.#nodes.segment.get(node) === segment.slot && this.#nodes.offset.get(node) === offset;
  }

  #make(tier: Tier, life: number, number: number): Segment {
    const slot = this.#freeSlots.pop() ?? this.#segments.length;
    const segment = new Segment(slot, tier, life, number, (gone) => {
      this.#segments[gone.slot] = undefined;
      this.#freeSlots.push(gone.slot);
    });
    this.#segments[slot] = segment;
    return segment;
  }

  async #create(tier: Tier): Promise<Segment> {
    const segment = this.#make(tier, this.#life, this.#nextNumber++);
    try {
      segment.file = await tier.runtime.disk.open(segment.path, {mode: 'exclusive'});
    } catch (error) {
      this.#segments[segment.slot] = undefined;
      this.#freeSlots.push(segment.slot);
      throw error;
    }
    return segment;
  }

  #enter(segment: Segment, offset: number, id: ContentId, length: number, verified: boolean): void {
    const kept = this.#isKept(id);
    const other = this.#index.find(id);
    if (other !== 0) {
      // What must stay leaves a tier that a restart of the machine empties for one that lasts.
      if (!kept || this.segmentOf(other).tier.persistent || !segment.tier.persistent) return;
      this.remove(other);
    }
    const node = this.#nodes.add(id, segment.slot, offset, length, (verified ? nodeVerified : 0) | (kept ? nodeKept : 0));
    this.#index.insert(node);
    segment.liveBytes += length + entryHeaderBytes;
    if (!kept) segment.tier.policy.insert(node);
  }

  async #adopt(segment: Segment): Promise<void> {
    segment.hold();
    try {
      await segment.open();
      const doubles: {id: ContentId; offset: number; length: number}[] = [];
      await scanSegment(segment, (id, offset, length) => {
        if (segment.dropped.has(offset)) return;
        if (this.#droppedEarly.has(id)) this.#noteDropped(segment, offset);
        else if (this.#isKept(id) && this.#index.find(id) !== 0) doubles.push({id, offset, length});
        else this.#enter(segment, offset, id, length, false);
      });
      // Of two copies one may be from before an eviction, never synced and torn: what must stay is the sound one.
      for (const {id, offset, length} of doubles) {
        await this.read(id, 0, 1);
        if (this.#isKept(id)) this.#enter(segment, offset, id, length, false);
      }
      segment.sealed = true;
    } catch (error) {
      // Another life may be able to read it; in this one it only counts.
      segment.tier.failed(error);
    }
    segment.letGo();
    if (segment.sealed && segment.liveBytes === 0) void segment.remove();
  }
}
