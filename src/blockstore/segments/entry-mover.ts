/**
 * Moves small contents to another tier, many at a time: their entries are read, verified, appended there and synced, then the nodes are
 * switched over and the old entries noted as dead. At any moment one of the two tiers holds each of them whole; after a crash that left both the
 * next start keeps one. What is leased is in a segment that stays as it is until the lease ends.
 */
import type {ContentId} from '#base/ids.ts';
import type {NodeTable} from '#blockstore/index/node-table.ts';
import {nodeVerified} from '#blockstore/index/node-table.ts';
import type {MoveTerms} from '#blockstore/moves/move-terms.ts';
import {isEntry, tierSync} from '#blockstore/segments/scan-segment.ts';
import type {Segment} from '#blockstore/segments/segment.ts';
import type {SegmentWriter, Written} from '#blockstore/segments/segment-writer.ts';
import type {Tier} from '#blockstore/tier.ts';
import {entryHeaderBytes} from '#codec/block/segment.ts';

export interface EntryHost {
  readonly nodes: NodeTable;
  readonly isKept: (id: ContentId) => boolean;
  /** The content's node while its bytes are there, else 0. */
  readonly nodeAt: (id: ContentId, segment: Segment, offset: number) => number;
  readonly segmentOf: (node: number) => Segment;
  readonly writer: (tier: Tier) => SegmentWriter;
  readonly remove: (node: number) => void;
  readonly noteDead: (segment: Segment, offset: number) => void;
}

interface Place {
  readonly segment: Segment;
  readonly offset: number;
}

interface Entry extends Place {
  readonly id: ContentId;
  readonly length: number;
}

export class EntryMover {
  readonly #host: EntryHost;
  readonly #terms: MoveTerms;

  constructor(host: EntryHost, terms: MoveTerms) {
    this.#host = host;
    this.#terms = terms;
  }

  /** The bytes that moved. What stays is in its policy. */
  async move(nodes: readonly number[], to: Tier): Promise<number> {
    const {segmentOf, nodes: table, noteDead} = this.#host;
    const entries = nodes.map((node): Entry => ({id: table.id(node), segment: segmentOf(node), offset: table.offset.get(node), length: table.length.get(node)}));
    const copies = new Map<ContentId, Place>();
    for (const {segment} of entries) segment.hold();
    let moved = 0;
    try {
      to.runtime.crashPoint('blockstore.beforeTierMove');
      const written: Written = (segment, offset, {id, length}) => {
        // Alive from now on, so that the segment stays until the nodes are switched.
        segment.liveBytes += length + entryHeaderBytes;
        copies.set(id, {segment, offset});
      };
      if (await this.#terms.pace(entries.reduce((sum, entry) => sum + entry.length, 0))) await Promise.all(entries.map((entry) => this.#copy(entry, to, written)));
      if (to.persistent && copies.size > 0) {
        for (const segment of new Set(Array.from(copies.values(), (place) => place.segment))) await segment.sync();
        await tierSync(to, 'segments');
      }
      to.runtime.crashPoint('blockstore.afterTierCopy');
      for (const entry of entries) moved += this.#switch(entry, to, copies);
      to.runtime.crashPoint('blockstore.afterTierMove');
    } catch (error) {
      to.failed(error);
    } finally {
      for (const entry of entries) {
        const copy = copies.get(entry.id);
        if (copy) {
          // Nobody points to it: dropped meanwhile, or not to be moved any more.
          copy.segment.liveBytes -= entry.length + entryHeaderBytes;
          noteDead(copy.segment, copy.offset);
          removeEmpty(copy.segment);
        }
        this.#keep(entry);
        entry.segment.letGo();
      }
    }
    return moved;
  }

  async #copy({id, segment, offset, length}: Entry, to: Tier, written: Written): Promise<void> {
    const {nodeAt, remove, writer} = this.#host;
    const bytes = Buffer.allocUnsafe(entryHeaderBytes + length);
    let count: number;
    try {
      count = await (await segment.open()).read(bytes, offset - entryHeaderBytes);
    } catch (error) {
      segment.tier.failed(error);
      return;
    }
    const node = nodeAt(id, segment, offset);
    if (node === 0 || !this.#terms.mayMove(id, segment.tier, to)) return;
    if (count !== bytes.length || !isEntry(bytes, id)) return remove(node);
    await writer(to).append(id, [bytes.subarray(entryHeaderBytes)], length, written);
  }

  #keep({id, segment, offset}: Entry): void {
    const {nodes, nodeAt, isKept} = this.#host;
    const node = nodeAt(id, segment, offset);
    if (node !== 0 && !isKept(id) && nodes.mark.get(node) === 0) segment.tier.policy.insert(node);
  }

  #switch({id, segment, offset, length}: Entry, to: Tier, copies: Map<ContentId, Place>): number {
    const {nodes, nodeAt, isKept, noteDead} = this.#host;
    const copy = copies.get(id);
    const node = nodeAt(id, segment, offset);
    if (!copy || node === 0 || !this.#terms.mayMove(id, segment.tier, to)) return 0;
    copies.delete(id);
    segment.tier.policy.remove(node);
    nodes.segment.set(node, copy.segment.slot);
    nodes.offset.set(node, copy.offset);
    nodes.setFlag(node, nodeVerified, true);
    if (!isKept(id)) to.policy.insert(node);
    segment.liveBytes -= length + entryHeaderBytes;
    removeEmpty(segment);
    noteDead(segment, offset);
    return length;
  }
}

function removeEmpty(segment: Segment): void {
  if (segment.sealed && segment.liveBytes === 0 && !segment.removed) void segment.remove();
}
