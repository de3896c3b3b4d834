/**
 * Empties a sparse segment: what is alive there is copied to a segment of the mover's own, which comes from the part of the quota that
 * fills may not take. Nodes are switched over only when all copies are written, and synced when any of them must last, so at any
 * moment one of the two places holds every content whole. What is not sound is forgotten; without room only what must stay is left.
 */
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import {nodeKept, type NodeTable} from '#blockstore/index/node-table.ts';
import {isEntry, scanSegment, tierSync} from '#blockstore/segments/scan-segment.ts';
import type {Segment} from '#blockstore/segments/segment.ts';
import {SegmentWriter} from '#blockstore/segments/segment-writer.ts';
import type {Tier} from '#blockstore/tier.ts';
import {entryHeaderBytes} from '#codec/block/segment.ts';

export interface MoverHost {
  readonly nodes: NodeTable;
  readonly isKept: (id: ContentId) => boolean;
  readonly create: () => Promise<Segment>;
  /** The content's node while its bytes are there, else 0. */
  readonly nodeAt: (id: ContentId, segment: Segment, offset: number) => number;
  readonly remove: (node: number) => void;
  /** The entry is nobody's from now on, in later lives too. */
  readonly noteDead: (segment: Segment, offset: number) => void;
}

interface Place {
  readonly segment: Segment;
  readonly offset: number;
  readonly length: number;
}

export class SegmentMover {
  readonly #tier: Tier;
  readonly #host: MoverHost;
  readonly #writer: SegmentWriter;
  /** Where the copies of this run are. */
  readonly #copies = new Map<ContentId, Place>();

  constructor(tier: Tier, host: MoverHost) {
    this.#tier = tier;
    this.#host = host;
    this.#writer = new SegmentWriter(tier, host.create, (bytes) => Promise.resolve(tier.reserveForMoving(bytes)), (segment, offset, {id, length}) => {
      // Alive from now on, so that the segment stays until the nodes are switched.
      segment.liveBytes += length + entryHeaderBytes;
      this.#copies.set(id, {segment, offset, length});
    });
  }

  /** One segment at a time; it is removed when everything could go. */
  async empty(from: Segment): Promise<void> {
    const {nodeAt, isKept, remove} = this.#host;
    const found: {id: ContentId; offset: number; length: number}[] = [];
    const left: number[] = [];
    from.hold();
    try {
      await scanSegment(from, (id, offset, length) => {
        if (nodeAt(id, from, offset) !== 0) found.push({id, offset, length});
      });
      for (const entry of found) if (!(await this.#copy(from, entry))) break;
      const lasting = await this.#syncKept();
      this.#tier.runtime.crashPoint('blockstore.beforeMove');
      // What became dirty since the sync is lasting where it was.
      for (const {id, offset} of found) if ((!isKept(id) || lasting.has(id)) && this.#switch(id, from, offset)) left.push(offset);
    } catch (error) {
      this.#tier.failed(error);
    } finally {
      for (const place of this.#copies.values()) this.#forget(place);
      this.#copies.clear();
      for (const {id, offset} of found) {
        const node = nodeAt(id, from, offset);
        if (node !== 0 && !isKept(id)) remove(node);
      }
      from.letGo();
    }
    if (from.liveBytes === 0) {
      if (!from.removed) await from.remove();
    } else for (const offset of left) this.#host.noteDead(from, offset);
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  async #copy(from: Segment, {id, offset, length}: {id: ContentId; offset: number; length: number}): Promise<boolean> {
    const entry = Buffer.allocUnsafe(entryHeaderBytes + length);
    const count = await (await from.open()).read(entry, offset - entryHeaderBytes);
    const node = this.#host.nodeAt(id, from, offset);
    if (node === 0) return true;
    if (count !== entry.length || !isEntry(entry, id)) {
      this.#host.remove(node);
      return true;
    }
    return await this.#writer.append(id, [entry.subarray(entryHeaderBytes)], length);
  }

  /** Makes the copies of what must stay survive power loss; answers which. */
  async #syncKept(): Promise<ReadonlySet<ContentId>> {
    const kept = [...this.#copies].filter(([id]) => this.#host.isKept(id));
    for (const segment of new Set(kept.map(([, place]) => place.segment))) await segment.sync();
    if (kept.length > 0) await tierSync(this.#tier, 'segments');
    return new Set(kept.map(([id]) => id));
  }

  #switch(id: ContentId, from: Segment, offset: number): boolean {
    const {nodes, nodeAt, isKept} = this.#host;
    const place = this.#copies.get(id);
    const node = nodeAt(id, from, offset);
    if (!place || node === 0) return false;
    assert(nodes.has(node, nodeKept) === isKept(id), 'a node knows whether it must stay');
    this.#copies.delete(id);
    nodes.segment.set(node, place.segment.slot);
    nodes.offset.set(node, place.offset);
    from.liveBytes -= place.length + entryHeaderBytes;
    return true;
  }

  /** A copy that nothing points to: dropped meanwhile, or not needed. */
  #forget({segment, offset, length}: Place): void {
    segment.liveBytes -= length + entryHeaderBytes;
    this.#host.noteDead(segment, offset);
    if (segment.sealed && segment.liveBytes === 0 && !segment.removed) void segment.remove();
  }
}
