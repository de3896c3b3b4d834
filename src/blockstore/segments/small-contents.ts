/**
 * The small contents: each whole, an entry in a segment of some tier, one node in the index. While the index of the previous life
 * loads, what is not yet loaded is absent; if it is filled again meanwhile, the newer entry holds and the loaded one counts as dead.
 * Of every content at most one entry is alive, and the log names those that died while their segment goes on: no restart revives them.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {HashIndex} from '#blockstore/index/hash-index.ts';
import {nodeKept, nodeVerified, type NodeTable} from '#blockstore/index/node-table.ts';
import {DeadEntries} from '#blockstore/segments/dead-entries.ts';
import {OpenSegments} from '#blockstore/segments/open-segments.ts';
import {Segment} from '#blockstore/segments/segment.ts';
import {isEntry, scanSegment, tierSync} from '#blockstore/segments/scan-segment.ts';
import {EntryMover} from '#blockstore/segments/entry-mover.ts';
import type {MoveTerms} from '#blockstore/moves/move-terms.ts';
import {SegmentMover} from '#blockstore/segments/segment-mover.ts';
import {SegmentWriter, type Written} from '#blockstore/segments/segment-writer.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {TierLog} from '#blockstore/tier-log.ts';
import {type LogRecord, recordOffsetsMax} from '#codec/block/log-record.ts';
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
  readonly #open = new OpenSegments();
  readonly #freeSlots: number[] = [];
  readonly #writers: SegmentWriter[];
  readonly #movers: SegmentMover[];
  /** Dropped before they were loaded. */
  readonly #droppedEarly = new Set<ContentId>();
  /** What the logs say is dead, by segment path, until that is counted. */
  readonly #deadBefore = new Map<string, DeadEntries>();
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
          nodeAt: (id, segment, offset) => this.#nodeAt(id, segment, offset),
          remove: (node) => this.remove(node),
          noteDead: (segment, offset) => this.#noteDead(segment, offset),
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

  /** The same on the spot, of one that is not here; false where that takes waiting. */
  fillNow(tier: Tier, id: ContentId, bytes: Uint8Array): boolean {
    return tier.writable && this.#writers[tier.number]!.appendNow(id, bytes);
  }

  /** The same, and survives power loss then; the tier is one that lasts. False when it could not be kept. */
  async fillDurably(tier: Tier, id: ContentId, bytes: readonly Uint8Array[], length: number): Promise<boolean> {
    let own: Segment | undefined;
    if (this.#index.find(id) === 0) {
      if (!tier.writable) return false;
      const enter: Written = (segment, offset, entry) => {
        this.#enter(segment, offset, id, entry.length, true);
        if (this.#nodeAt(id, segment, offset) !== 0) own = segment;
      };
      if (!(await this.#writers[tier.number]!.append(id, bytes, length, enter, true))) return false;
    }
    // Another copy stays: one that was there before, or has come meanwhile.
    if (own) await this.#name(own);
    else await this.syncEntry(id);
    return true;
  }

  /** The mover of this store's entries to other tiers. */
  entryMover(terms: MoveTerms): EntryMover {
    return new EntryMover(
      {
        nodes: this.#nodes,
        isKept: this.#isKept,
        nodeAt: (id, segment, offset) => this.#nodeAt(id, segment, offset),
        segmentOf: (node) => this.segmentOf(node),
        writer: (tier) => this.#writers[tier.number]!,
        remove: (node) => this.remove(node),
        noteDead: (segment, offset) => this.#noteDead(segment, offset),
      },
      terms,
    );
  }

  /** 0 when it is not there. */
  nodeOf(id: ContentId): number {
    return this.#index.find(id);
  }

  segmentOf(node: number): Segment {
    return this.#segments[this.#nodes.segment.get(node)]!;
  }

  /** Verified, and its segment open. */
  isReady(node: number): boolean {
    return this.#nodes.has(node, nodeVerified) && this.segmentOf(node).file !== undefined;
  }

  readResident(id: ContentId, offset: number, length: number, into?: Uint8Array): Uint8Array | undefined {
    const node = this.#index.find(id);
    if (node === 0) return undefined;
    const segment = this.segmentOf(node);
    if (!segment.file) return undefined;
    const whole = this.#nodes.length.get(node);
    assert(offset + length <= whole, 'a read lies within its content');
    const place = this.#nodes.offset.get(node);
    let bytes: Uint8Array;
    if (this.#nodes.has(node, nodeVerified)) {
      bytes = into ?? Buffer.allocUnsafe(length);
      if (segment.file.readResident(bytes, place + offset) !== length) return undefined;
    } else {
      // The first use of this life: a checksum over so little costs less than a turn of the event loop.
      if (whole > residentCheckBytesMax) return undefined;
      const entry = Buffer.allocUnsafe(entryHeaderBytes + whole);
      if (segment.file.readResident(entry, place - entryHeaderBytes) !== entry.length || !isEntry(entry, id)) return undefined;
      this.#nodes.setFlag(node, nodeVerified, true);
      bytes = entry.subarray(entryHeaderBytes + offset, entryHeaderBytes + offset + length);
      into?.set(bytes);
    }
    segment.recent = true;
    segment.tier.use(node, length);
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
    segment.tier.use(node, length);
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
      this.unreadable(id, segment, place, error);
      return undefined;
    } finally {
      segment.letGo();
    }
    if (this.#isAt(node, id, segment, place)) this.remove(node);
    return undefined;
  }

  /** The disk does not give an entry: what need not stay is absent from now on, so that the store behind is asked. */
  unreadable(id: ContentId, segment: Segment, offset: number, error: unknown): void {
    segment.tier.failed(error);
    const node = this.#nodeAt(id, segment, offset);
    if (node !== 0 && !this.#isKept(id)) this.remove(node);
  }

  drop(id: ContentId): void {
    const node = this.#index.find(id);
    if (this.#loading) this.#droppedEarly.add(id);
    if (node !== 0) this.remove(node);
  }

  /** Forgets a node, in later lives too; its segment goes when it was the last. */
  remove(node: number): void {
    const segment = this.segmentOf(node);
    segment.tier.policy.remove(node);
    this.#index.remove(node);
    const offset = this.#nodes.offset.get(node);
    segment.liveBytes -= this.#nodes.length.get(node) + entryHeaderBytes;
    this.#nodes.release(node);
    if (segment.sealed && segment.liveBytes === 0 && !segment.removed) void segment.remove();
    this.#noteDead(segment, offset);
  }

  #noteDead(segment: Segment, offset: number): void {
    if (segment.removed) return;
    segment.dead.add(offset);
    this.#logs[segment.tier.number]!.appendDead(segment.life, segment.number, offset);
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

  replay(tier: Tier, record: LogRecord & {readonly kind: 'dead'}): void {
    const path = tier.path('segments', `${record.life}-${record.segment}.seg`);
    let dead = this.#deadBefore.get(path);
    if (!dead) this.#deadBefore.set(path, (dead = new DeadEntries()));
    for (const offset of record.offsets) dead.add(offset);
  }

  /** This part of the tier's log. */
  *records(tier: Tier): Generator<LogRecord> {
    for (const segment of this.#segments) {
      if (segment?.tier !== tier || segment.removed) continue;
      const {life, number} = segment;
      let offsets: number[] = [];
      for (const offset of segment.dead.offsets()) {
        if (offsets.push(offset) < recordOffsetsMax) continue;
        yield {kind: 'dead', life, segment: number, offsets};
        offsets = [];
      }
      if (offsets.length > 0) yield {kind: 'dead', life, segment: number, offsets};
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
      const segment = this.#make(tier, Number(life), Number(number), this.#deadBefore.get(tier.path('segments', name)));
      segment.size = segment.reservedBytes = (await disk.stat(segment.path)).size;
      tier.usedBytes += segment.size;
      this.#unloaded.push(segment);
    }
    this.#deadBefore.clear();
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
    await this.syncSegment(this.segmentOf(node));
  }

  /** So do those of all its entries. */
  async syncSegment(segment: Segment): Promise<void> {
    assert(segment.tier.persistent, 'what is synced is where it lasts');
    await segment.sync();
    await this.#name(segment);
  }

  async #name(segment: Segment): Promise<void> {
    if (segment.named) return;
    await tierSync(segment.tier, 'segments');
    segment.named = true;
  }

  #nodeAt(id: ContentId, segment: Segment, offset: number): number {
    const node = this.#index.find(id);
    return node !== 0 && this.#isAt(node, id, segment, offset) ? node : 0;
  }

  #isAt(node: number, id: ContentId, segment: Segment, offset: number): boolean {
    return this.#index.find(id) === node && this.#nodes.segment.get(node) === segment.slot && this.#nodes.offset.get(node) === offset;
  }

  #make(tier: Tier, life: number, number: number, dead = new DeadEntries()): Segment {
    const slot = this.#freeSlots.pop() ?? this.#segments.length;
    const segment = new Segment(slot, {tier, life, number, dead}, this.#open, (gone) => {
      this.#segments[gone.slot] = undefined;
      this.#freeSlots.push(gone.slot);
    });
    this.#segments[slot] = segment;
    return segment;
  }

  async #create(tier: Tier): Promise<Segment> {
    const segment = this.#make(tier, this.#life, this.#nextNumber++);
    try {
      await segment.create();
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
      if (!kept || this.segmentOf(other).tier.persistent || !segment.tier.persistent) return this.#noteDead(segment, offset);
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
      // So that the first reads are answered on the spot.
      if (!this.#open.full) await segment.open();
      const doubles: {id: ContentId; offset: number; length: number}[] = [];
      await scanSegment(segment, (id, offset, length) => {
        if (segment.dead.has(offset)) return;
        if (this.#droppedEarly.has(id)) this.#noteDead(segment, offset);
        else if (this.#isKept(id) && this.#index.find(id) !== 0) doubles.push({id, offset, length});
        else this.#enter(segment, offset, id, length, false);
      });
      // Of two copies one may be from before an eviction, never synced and torn: what must stay is the sound one.
      for (const {id, offset, length} of doubles) {
        await this.read(id, 0, 1);
        if (this.#droppedEarly.has(id)) this.#noteDead(segment, offset);
        else this.#enter(segment, offset, id, length, false);
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
