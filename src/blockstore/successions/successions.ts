/**
 * Which contents are others but for some pages of their own: a small change of a large file. That is so for good, whatever the cache has of either; it is
 * logged on every tier that lasts, and is worth something as long as the cache has pages of the other.
 *
 * A content changed again and again is a chain. A long one is made short by leaving out what lies between its ends: what was changed there is not
 * found any more, and is asked of the store.
 */
import type {ContentId} from '#base/ids.ts';
import {type ContentHandle, pageBytes} from '#blockstore/block-store.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {TierLog} from '#blockstore/tier-log.ts';
import {type LogRecord, recordRunBytesMax} from '#codec/block/log-record.ts';
import {encodeRuns, OwnPages, type PageRun} from '#model/own-pages.ts';

export interface Succession {
  readonly base: ContentHandle;
  /** Pages that are not the base's. */
  readonly own: OwnPages;
  /** The same, encoded. */
  readonly runs: Uint8Array;
  /** Of the chain below. */
  readonly depth: number;
}

const depthMax = 8;
/** In memory, a few hundred bytes each. */
const successionsMax = 65_536;

export class Successions {
  readonly #of = new Map<ContentId, Succession>();
  readonly #heirs = new Map<ContentId, number>();
  readonly #tiers: readonly Tier[];
  readonly #logs: readonly TierLog[];
  /** Those that this life has changed before it knew what earlier ones had logged. */
  #changedEarly: Set<ContentId> | undefined = new Set();

  constructor(tiers: readonly Tier[], logs: readonly TierLog[]) {
    this.#tiers = tiers;
    this.#logs = logs;
  }

  get areNone(): boolean {
    return this.#of.size === 0;
  }

  of(id: ContentId): Succession | undefined {
    return this.#of.get(id);
  }

  /** How many contents are this one but for their own pages. */
  heirsOf(id: ContentId): number {
    return this.#heirs.get(id) ?? 0;
  }

  add(id: ContentId, base: ContentHandle, runs: Iterable<PageRun>): void {
    const own = new OwnPages();
    for (const {first, count} of runs) own.add(first, count);
    let to = base;
    if ((this.#of.get(base.id)?.depth ?? 0) + 1 > depthMax) {
      for (let between = this.#of.get(to.id); between; between = this.#of.get(to.id)) {
        own.addEncoded(between.runs, to.length);
        to = between.base;
      }
    }
    const encoded = encodeRuns(own.runs(0, Infinity));
    this.remove(id);
    if (this.#of.size >= successionsMax || encoded.length > recordRunBytesMax) return;
    this.#put(id, {base: to, own, runs: encoded, depth: (this.#of.get(to.id)?.depth ?? 0) + 1});
    this.#log(id);
  }

  remove(id: ContentId): void {
    this.#changedEarly?.add(id);
    const succession = this.#of.get(id);
    if (!succession) return;
    this.#of.delete(id);
    const {id: base} = succession.base;
    const left = this.heirsOf(base) - 1;
    if (left > 0) this.#heirs.set(base, left);
    else this.#heirs.delete(base);
    this.#log(id);
  }

  replay({id, base, length, runs}: LogRecord & {readonly kind: 'succeeds'}): void {
    if (this.#changedEarly?.has(id)) return;
    this.#of.delete(id);
    if (base === 0) return;
    const own = new OwnPages();
    own.addEncoded(runs, Number.MAX_SAFE_INTEGER);
    this.#of.set(id, {base: {id: base as ContentId, length}, own, runs, depth: 1});
  }

  /** All logs are read. `isThere`: the cache has something of it. */
  replayed(isThere: (id: ContentId) => boolean): void {
    this.#changedEarly = undefined;
    this.#heirs.clear();
    const isUseful = (id: ContentId): boolean => {
      for (let at = this.#of.get(id); at; at = this.#of.get(at.base.id)) if (isThere(at.base.id)) return true;
      return false;
    };
    const all = [...this.#of].filter(([id]) => isUseful(id));
    this.#of.clear();
    // Ids grow: what a content is of was there before it.
    for (const [id, succession] of all.toSorted(([a], [b]) => a - b)) this.#put(id, {...succession, depth: (this.#of.get(succession.base.id)?.depth ?? 0) + 1});
  }

  /** This part of the tier's log. */
  *records(tier: Tier): Generator<LogRecord> {
    if (this.#tiers.includes(tier)) for (const id of this.#of.keys()) yield this.#record(id);
  }

  #put(id: ContentId, succession: Succession): void {
    this.#changedEarly?.add(id);
    this.#of.set(id, succession);
    const {id: base} = succession.base;
    this.#heirs.set(base, this.heirsOf(base) + 1);
  }

  #log(id: ContentId): void {
    for (const tier of this.#tiers) this.#logs[tier.number]!.append(this.#record(id));
  }

  #record(id: ContentId): LogRecord {
    const {base, runs} = this.#of.get(id) ?? {base: {id: 0, length: 0}, runs: new Uint8Array(0)};
    return {kind: 'succeeds', id, base: base.id as ContentId | 0, length: base.length, runs};
  }
}

/** Pages of a content, by whether they are its own. */
export function* pagesOf({own}: Succession, first: number, count: number): Generator<PageRun & {readonly own: boolean}> {
  for (let at = first; at < first + count; ) {
    const is = own.has(at);
    let end = at + 1;
    while (end < first + count && own.has(end) === is) end++;
    yield {own: is, first: at, count: end - at};
    at = end;
  }
}

export const pageOf = (offset: number): number => Math.floor(offset / pageBytes);
