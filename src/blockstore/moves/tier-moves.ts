/**
 * Moves between tiers, behind everything else, one at a time and at a bounded rate. A tier with little room left hands what its policy would evict
 * next to a slower one, so that fills find room without dropping anything; what a slower tier is asked for again and again moves up. When
 * fills come faster than moves, they evict: nobody ever waits for a move.
 */
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import {GiB, MiB} from '#base/units.ts';
import type {BlockMover} from '#blockstore/files/block-mover.ts';
import type {LargeContents} from '#blockstore/files/large-contents.ts';
import {nodeBlock, nodeKept, nodeUsed, type NodeTable} from '#blockstore/index/node-table.ts';
import type {MoveTerms} from '#blockstore/moves/move-terms.ts';
import {Pace} from '#blockstore/moves/pace.ts';
import {ReadTally} from '#blockstore/moves/read-tally.ts';
import type {EntryMover} from '#blockstore/segments/entry-mover.ts';
import type {SmallContents} from '#blockstore/segments/small-contents.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {Runtime} from '#runtime/runtime.ts';

const moveBytesPerSecond = 128 * MiB;
/** Of a tier, what moves try to keep free for fills. */
const headroomShare = 1 / 16;
const headroomBytesMax = GiB;
/** After a slower tier took nothing: what a victim tries in vain costs it its place in its policy. */
const restMs = 1000;
/** Small contents moved with one sync. */
const batchEntries = 1024;
const batchBytes = 1 * MiB;
/** What is read this many times over in a slower tier moves up. */
const promoteReads = 2;
const promotionsQueuedMax = 1024;
/** What is promoted takes at most this share of the tier. */
const promotedShareMax = 1 / 4;

export interface MovesHost {
  readonly runtime: Runtime;
  /** From the fastest. */
  readonly tiers: readonly Tier[];
  readonly nodes: NodeTable;
  readonly small: SmallContents;
  readonly large: LargeContents;
  readonly isKept: (id: ContentId) => boolean;
  readonly syncLog: (tier: Tier) => Promise<void>;
  readonly mayEvict: (node: number) => boolean;
  /** Frees a victim, which is out of its policy. */
  readonly evict: (node: number) => Promise<void> | undefined;
}

export class TierMoves implements MoveTerms {
  readonly #host: MovesHost;
  readonly #pace: Pace;
  readonly #tally = new ReadTally();
  readonly #entries: EntryMover;
  readonly #blocks: BlockMover;
  /** Read often enough, and of which content. */
  readonly #promotions = new Map<number, ContentId>();
  /** Pinned while in memory only; bounded by the pinned. */
  readonly #rescues = new Set<ContentId>();
  #started = false;
  #restUntilMs = 0;
  #running: Promise<void> | undefined;

  constructor(host: MovesHost, movers: (terms: MoveTerms) => {readonly entries: EntryMover; readonly blocks: BlockMover}) {
    this.#host = host;
    this.#pace = new Pace(host.runtime.clock, moveBytesPerSecond);
    ({entries: this.#entries, blocks: this.#blocks} = movers(this));
    for (const tier of host.tiers.slice(0, -1)) {
      const headroom = Math.max(tier.segmentBytes, Math.min(headroomBytesMax, tier.fillBytesMax * headroomShare));
      tier.pressedBytes = tier.fillBytesMax - Math.min(headroom, tier.fillBytesMax / 4);
      tier.onPressed = () => this.#kick();
    }
    for (const tier of host.tiers.slice(1)) tier.onRead = (node, bytes) => this.#read(node, bytes);
  }

  /** All contents are known: moves may begin. */
  start(): void {
    this.#started = true;
    this.#kick();
  }

  /** Pinned: leaves memory for a disk that lasts. */
  rescue(id: ContentId): void {
    this.#rescues.add(id);
    this.#kick();
  }

  async close(): Promise<void> {
    this.#pace.stop();
    await this.#running;
  }

  mayMove(id: ContentId, from: Tier, to: Tier): boolean {
    return !this.#host.isKept(id) || (!from.persistent && to.persistent);
  }

  pace(bytes: number): Promise<boolean> {
    return this.#pace.take(bytes);
  }

  async syncLog(tier: Tier): Promise<void> {
    if (tier.persistent) await this.#host.syncLog(tier);
  }

  #read(node: number, bytes: number): void {
    const {nodes} = this.#host;
    if (this.#tally.note(node, bytes) < promoteReads * nodes.length.get(node) || this.#promotions.size >= promotionsQueuedMax) return;
    this.#tally.forget(node);
    if (nodes.has(node, nodeKept)) return;
    this.#promotions.set(node, nodes.id(node));
    this.#kick();
  }

  #kick(): void {
    if (!this.#started || this.#pace.stopped) return;
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  async #run(): Promise<void> {
    // After the turn that kicked.
    await this.#host.runtime.clock.yield();
    for (let worked = true; worked && !this.#pace.stopped; ) worked = (await this.#rescueOne()) || (await this.#relieveOne()) || (await this.#promoteSome());
  }

  async #rescueOne(): Promise<boolean> {
    const {tiers, small, large, isKept} = this.#host;
    const [id] = this.#rescues;
    if (id === undefined) return false;
    this.#rescues.delete(id);
    const to = tiers.find((tier) => tier.persistent && tier.writable);
    if (!to || !isKept(id)) return true;
    const node = small.nodeOf(id);
    if (node !== 0 && !small.segmentOf(node).tier.persistent) await this.#entries.move([node], to);
    for (const file of large.files.of(id)) if (!file.tier.persistent) for (const number of file.blocks.keys()) await this.#blocks.move(file, number, to);
    return true;
  }

  async #relieveOne(): Promise<boolean> {
    for (const tier of this.#host.tiers) if (tier.usedBytes > tier.pressedBytes && (await this.#demoteSome(tier))) return true;
    return false;
  }

  /** Frees some of a tier by moving down what its policy would evict, or evicting what is not worth a place further down. False when nothing went. */
  async #demoteSome(tier: Tier): Promise<boolean> {
    const {nodes, small, large, tiers, mayEvict, evict} = this.#host;
    const slower = tiers.slice(tier.number + 1).filter((other) => other.writable);
    const {clock} = this.#host.runtime;
    if (slower.length === 0 || clock.monotonicMs() < this.#restUntilMs) return false;
    if (await tier.turn(() => small.emptySparse(tier))) return true;
    const moves: Promise<number>[] = [];
    const batches = new Map<Tier, number[]>();
    let evicted = 0;
    for (let entries = 0, bytes = 0; entries < batchEntries && bytes < batchBytes; entries++) {
      const node = tier.policy.evict(mayEvict);
      if (node === 0) break;
      const length = nodes.length.get(node);
      const to = this.#placeBelow(node, tier.policy.victimWasUsed, slower);
      bytes += length;
      if (!to) {
        evicted += length;
        void evict(node);
      } else if (nodes.has(node, nodeBlock)) {
        moves.push(this.#blocks.move(large.fileOf(node), nodes.offset.get(node), to));
        break;
      } else {
        const batch = batches.get(to);
        if (batch) batch.push(node);
        else batches.set(to, [node]);
      }
    }
    // All begin in this turn, so that no node is anybody else's by then.
    for (const [to, batch] of batches) moves.push(this.#entries.move(batch, to));
    const moved = (await Promise.all(moves)).reduce((sum, bytes) => sum + bytes, 0);
    tier.demotedBytes += moved;
    if (moves.length > 0 && moved === 0) this.#restUntilMs = clock.monotonicMs() + restMs;
    return moved + evicted > 0;
  }

  /** A slower tier with room, or else the slowest, when what is moved has shown its worth: used here, or refused down there before. */
  #placeBelow(node: number, wasUsed: boolean, slower: readonly Tier[]): Tier | undefined {
    const length = this.#host.nodes.length.get(node);
    const slowest = slower.at(-1)!;
    return slower.find((tier) => tier.hasRoom(length)) ?? (wasUsed || slowest.policy.seen(node) ? slowest : undefined);
  }

  async #promoteSome(): Promise<boolean> {
    const {nodes, tiers} = this.#host;
    let from: Tier | undefined;
    let need = 0;
    const batch: number[] = [];
    for (const [node, id] of this.#promotions) {
      const tier = this.#tierOf(node, id);
      const length = nodes.length.get(node);
      const to = tier && tiers[tier.number - 1];
      if (!to?.writable || nodes.has(node, nodeKept) || length > to.fillBytesMax * promotedShareMax) {
        this.#promotions.delete(node);
        continue;
      }
      const isBlock = nodes.has(node, nodeBlock);
      if (from && (tier !== from || isBlock || need + length > batchBytes)) break;
      from = tier;
      batch.push(node);
      need += length;
      if (isBlock) break;
    }
    if (!from || batch.length === 0) return false;
    const ids = batch.map((node) => this.#promotions.get(node)!);
    for (const node of batch) this.#promotions.delete(node);
    const to = tiers[from.number - 1];
    assert(to !== undefined, 'what is promoted has a faster tier');
    const isBlock = nodes.has(batch[0]!, nodeBlock);
    while (!to.hasRoom(isBlock ? need : Math.max(need, to.segmentBytes))) if (this.#pace.stopped || !(await this.#demoteSome(to))) return true;
    const still = batch.filter((node, i) => this.#tierOf(node, ids[i]!) === from);
    if (still.length === 0) return true;
    from.promotedBytes += await (isBlock ? this.#blocks.move(this.#host.large.fileOf(still[0]!), nodes.offset.get(still[0]!), to) : this.#entries.move(still, to));
    // Its uses go along: it is not the first to leave again.
    for (const node of still) for (let use = 0; use < promoteReads && this.#tierOf(node, nodes.id(node)) === to; use++) to.policy.use(node);
    return true;
  }

  /** Undefined when the node is no longer that content's. */
  #tierOf(node: number, id: ContentId): Tier | undefined {
    const {nodes, small, large} = this.#host;
    if (!nodes.has(node, nodeUsed) || nodes.id(node) !== id) return undefined;
    return nodes.has(node, nodeBlock) ? large.fileOf(node).tier : small.segmentOf(node).tier;
  }
}
