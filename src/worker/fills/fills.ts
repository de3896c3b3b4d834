/** The fills of a worker: one ContentFills per content in use, one link estimate per store, and the counts that `explain` shows. */
import type {ContentId, MountId} from '#base/ids.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';
import type {StoreProvider} from '#understore/store-provider.ts';
import {ContentFills, type FillCounters, type FillParts} from '#worker/fills/content-fills.ts';
import {Fragments} from '#worker/fills/fragments.ts';
import {HeldBytes} from '#worker/fills/held-bytes.ts';
import {LinkEstimate} from '#worker/fills/link-estimate.ts';
import {ServedBytes} from '#worker/fills/served-bytes.ts';

/** Contents of which fills remember readers and thrift. Those with flights stay whatever their number. */
const contentsMax = 4096;
/** Contents of which is kept what they cost. */
const countedContentsMax = 131_072;

/** What one content, or all, cost since it was first counted. */
class Costs implements FillCounters {
  upstreamRequests = 0;
  upstreamBytes = 0;
}

const noCosts = new Costs();

export interface FillLimits {
  /** Bytes held in memory by all fills together. */
  readonly heldBytesMax: number;
  /** Bytes of page fragments kept in memory. */
  readonly fragmentBytesMax: number;
}

export class Fills {
  readonly held: HeldBytes;
  /** Of all contents. */
  readonly totals = new Costs();
  servedBytes = 0;
  readonly #parts: FillParts;
  readonly #stores: StoreProvider;
  readonly #contents = new Map<ContentId, ContentFills>();
  readonly #costs = new Map<ContentId, Costs>();
  readonly #servedBytes = new ServedBytes();
  readonly #links = new Map<MountId, LinkEstimate>();

  constructor(parts: {readonly blocks: BlockStore; readonly clock: Clock; readonly stores: StoreProvider}, limits: FillLimits) {
    this.held = new HeldBytes(limits.heldBytesMax);
    this.#parts = {blocks: parts.blocks, clock: parts.clock, held: this.held, fragments: new Fragments(limits.fragmentBytesMax), airspace: {flights: 0}};
    this.#stores = parts.stores;
  }

  /** The fills of a content if there were any lately. */
  known(id: ContentId): ContentFills | undefined {
    return this.#contents.get(id);
  }

  of(content: ReadableContent): ContentFills {
    const known = this.#contents.get(content.id);
    if (known) {
      known.moved(content);
      return known;
    }
    if (this.#contents.size >= contentsMax) this.#forgetOne();
    const fills = new ContentFills(content, () => this.#stores.get(content.mount), this.link(content.mount), this.#parts, [this.#costsOf(content.id), this.totals]);
    this.#contents.set(content.id, fills);
    return fills;
  }

  link(mount: MountId): LinkEstimate {
    let link = this.#links.get(mount);
    if (!link) this.#links.set(mount, (link = new LinkEstimate()));
    return link;
  }

  /** What a content cost, and how many bytes of it left from the cache. */
  counters(id: ContentId): Readonly<FillCounters> & {readonly servedBytes: number} {
    const {upstreamRequests, upstreamBytes} = this.#costs.get(id) ?? noCosts;
    return {upstreamRequests, upstreamBytes, servedBytes: this.#servedBytes.of(id)};
  }

  /** Bytes that left from the cache. */
  served(id: ContentId, bytes: number): void {
    this.#servedBytes.add(id, bytes);
    this.servedBytes += bytes;
  }

  #costsOf(id: ContentId): Costs {
    let costs = this.#costs.get(id);
    if (!costs) {
      if (this.#costs.size >= countedContentsMax) this.#costs.delete(this.#costs.keys().next().value!);
      this.#costs.set(id, (costs = new Costs()));
    }
    return costs;
  }

  /** Requests on their way to stores. */
  get flights(): number {
    return this.#parts.airspace.flights;
  }

  /** Breaks off what is on its way for a content and nobody waits for. */
  abandon(id: ContentId): void {
    for (const flight of this.#contents.get(id)?.flights.slice() ?? []) if (flight.readers.size === 0) flight.cancel();
  }

  close(): void {
    for (const fills of this.#contents.values()) for (const flight of fills.flights.slice()) flight.cancel();
    this.#contents.clear();
  }

  #forgetOne(): void {
    for (const [id, fills] of this.#contents) {
      if (fills.flights.length > 0) continue;
      this.#contents.delete(id);
      return;
    }
  }
}
