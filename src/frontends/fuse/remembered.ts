/**
 * What the kernel remembers of our answers: nodes, from the LOOKUP that named them to the FORGET, names that led nowhere, and listings of
 * directories. Kept so that only what the kernel may hold is taken back. Bounded: beyond the bounds answers are given without any validity,
 * and nothing is kept.
 *
 * Answers are valid no longer than what they are made of, and no longer than an hour, which bounds what a notification that is lost could
 * do: a minute where the kernel cannot forget all names at once. One that was being made while a change was told (`turn`) may be older than
 * that, and is not valid at all.
 *
 * What the kernel keeps of a listing has no time of its own: whoever opens the directory is told whether it still holds, and where it does
 * not it is dropped and made anew from what is read next.
 */
import type {ByteString} from '#base/byte-string.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import {NodeCounts} from '#frontends/fuse/node-counts.ts';

/** Their counts take 64 MB at most. */
const nodesMax = 2_000_000;
/** From which share of that on the kernel is asked to forget, and down to which. */
const crowdedShare = 7 / 8;
const prunedShare = 3 / 4;
const sweptAtOnce = 4096;
const absentMax = 100_000;
const listingsMax = 50_000;
const validMsMax = 3_600_000;
const unforgettableMsMax = 60_000;
const absentMsMax = 60_000;
/** Protocol 7.44: FUSE_NOTIFY_INC_EPOCH; 7.45: FUSE_NOTIFY_PRUNE. */
const forgetsAllSince = 44;
const prunesSince = 45;

/** What the kernel keeps of a directory's listing. */
export interface Listing {
  /** Wall ms: all that it got may be believed so long. */
  until: number;
  /** The last key that was read by anybody, and whether somebody has come to the end. */
  reached: ByteString;
  complete: boolean;
  /** How often this mount has changed it. */
  changes: number;
}

export class Remembered {
  readonly #now: () => number;
  /** How many times each was named to the kernel, which knows the root from the beginning. */
  readonly #nodes = new NodeCounts();
  readonly #nodesMax: number;
  /** How many nodes there are when the kernel is asked to forget some. */
  #crowdedAt = Infinity;
  /** In two halves: what is in the older one when that goes is not valid any more. */
  #absent = new Set<string>();
  #absentBefore = new Set<string>();
  #absentSince = 0;
  /** The oldest first. */
  readonly #listings = new Map<InodeId, Listing>();
  #following = false;
  #validMsMax = unforgettableMsMax;
  /** Grows with every change that is told. A request takes it along from its beginning. */
  turn = 0;

  /** What the kernel remembers of an earlier daemon's answers is not known: it may be anything. */
  readonly inherited: boolean;

  /** `now`: Clock.steadyMs. */
  constructor(now: () => number, {root = rootInodeId, inherited = false, nodes = nodesMax}: {readonly root?: InodeId; readonly inherited?: boolean; readonly nodes?: number} = {}) {
    this.#now = now;
    this.#nodes.add(root);
    this.#nodesMax = nodes;
    this.inherited = inherited;
  }

  /** What was agreed on at INIT. */
  set minor(value: number) {
    this.#validMsMax = value >= forgetsAllSince ? validMsMax : unforgettableMsMax;
    this.#crowdedAt = value >= prunesSince ? this.#nodesMax * crowdedShare : Infinity;
  }

  /** Whether we hear of changes: else nothing may be remembered. */
  set following(value: boolean) {
    this.#following = value;
    this.turn++;
  }

  get following(): boolean {
    return this.#following;
  }

  /** The node goes to the kernel in an answer that holds until `validUntil`: for how many ms it may be believed. */
  node(id: InodeId, validUntil: number, turn = this.turn): number {
    if (this.#nodes.size >= this.#nodesMax && !this.#nodes.has(id)) return 0;
    this.#nodes.add(id);
    return this.#validMs(validUntil, turn);
  }

  /** Entries of a listing: for how many ms they may be believed. Each is counted by `node`. */
  listed(validUntil: number, turn: number): number {
    return this.#nodes.size < this.#nodesMax ? this.#validMs(validUntil, turn) : 0;
  }

  /** Attributes alone. */
  attributes(id: InodeId, validUntil: number, turn = this.turn): number {
    return this.hasNode(id) ? this.#validMs(validUntil, turn) : 0;
  }

  absence(directory: InodeId, name: ByteString, validUntil: number, turn = this.turn): number {
    const validMs = Math.min(this.#validMs(validUntil, turn), absentMsMax);
    if (this.#now() - this.#absentSince > absentMsMax) {
      this.#absentBefore = this.#absent;
      this.#absent = new Set();
      this.#absentSince = this.#now();
    }
    if (validMs === 0 || this.#absent.size >= absentMax) return 0;
    this.#absent.add(`${directory}/${name}`);
    return validMs;
  }

  /** At OPENDIR: `keep` tells whether what the kernel has of the listing still holds; else it drops that. */
  openListing(directory: InodeId): {readonly keep: boolean; readonly listing: Listing | undefined} {
    const known = this.#listings.get(directory);
    if (known && this.#following && known.until > this.#now()) return {keep: true, listing: known};
    this.#listings.delete(directory);
    if (!this.#following) return {keep: false, listing: undefined};
    if (this.#listings.size >= listingsMax) this.#listings.delete(this.#listings.keys().next().value!);
    const listing: Listing = {until: Infinity, reached: '' as ByteString, complete: false, changes: 0};
    this.#listings.set(directory, listing);
    return {keep: false, listing};
  }

  /**
   * Part of a listing goes to the kernel. `listing`: of the OPENDIR. What is read for one that was dropped since may get among what the kernel
   * keeps for another. True when the kernel has all of it now, and must not keep it.
   */
  readListing(directory: InodeId, listing: Listing | undefined, {validUntil, reached, complete}: {readonly validUntil: number; readonly reached: ByteString | undefined; readonly complete: boolean}): boolean {
    if (!listing || this.#listings.get(directory) !== listing) {
      this.#listings.delete(directory);
      return false;
    }
    listing.until = Math.min(listing.until, validUntil, this.#now() + this.#validMsMax);
    if (reached !== undefined && reached > listing.reached) listing.reached = reached;
    listing.complete ||= complete;
    return complete && listing.until <= this.#now() && this.#listings.delete(directory);
  }

  /** This mount has changed names in the directory: the kernel knows, but not what somebody has read before and gets after it. */
  ownNamesChanged(directory: InodeId): void {
    const listing = this.#listings.get(directory);
    if (listing) listing.changes++;
  }

  /**
   * Others have changed a name in the directory: whether what the kernel keeps of the listing must go. What is not complete is not read by anybody
   * yet, and should not go: the kernel never completes what it has lost a part of. It goes when it is complete, unless nobody had got so far, as
   * when the store was asked for what comes next.
   */
  nameChanged(directory: InodeId, name: ByteString): boolean {
    const listing = this.#listings.get(directory);
    if (!listing || listing.complete) {
      this.#listings.delete(directory);
      return true;
    }
    if (name <= listing.reached) listing.until = 0;
    return false;
  }

  hasListing(directory: InodeId): boolean {
    return this.#listings.has(directory);
  }

  dropListings(): void {
    this.#listings.clear();
  }

  forget(id: InodeId, count: number): void {
    if (!this.#nodes.subtract(id, count)) this.#listings.delete(id);
  }

  /** Whether the kernel holds so much that it is time to ask it to forget some: `toPrune`. */
  get crowded(): boolean {
    return this.#nodes.size >= this.#crowdedAt;
  }

  /** Nodes to be forgotten, in turn. What the kernel cannot let go, because it is in use or holds what is, it keeps: it is not asked again before as much has come anew. */
  *toPrune(atOnce: number): Generator<readonly InodeId[]> {
    const wanted = Math.max(0, this.#nodes.size - this.#nodesMax * prunedShare);
    for (let asked = 0; asked < wanted; ) {
      const ids = this.#nodes.sweep(Math.min(wanted - asked, sweptAtOnce));
      asked += ids.length;
      for (let at = 0; at < ids.length; at += atOnce) yield ids.slice(at, at + atOnce);
    }
    this.#crowdedAt = Math.max(this.#nodesMax * crowdedShare, this.#nodes.size + (this.#nodesMax * (1 - crowdedShare)) / 2);
  }

  hasNode(id: InodeId): boolean {
    return this.inherited || this.#nodes.has(id);
  }

  /** Once: then it is taken back. */
  takeAbsence(directory: InodeId, name: ByteString): boolean {
    const key = `${directory}/${name}`;
    const [now, before] = [this.#absent.delete(key), this.#absentBefore.delete(key)];
    return now || before || this.inherited;
  }

  nodes(): Iterable<InodeId> {
    return this.#nodes.ids();
  }

  get count(): number {
    return this.#nodes.size;
  }

  #validMs(validUntil: number, turn: number): number {
    return this.#following && turn === this.turn ? Math.max(0, Math.min(validUntil - this.#now(), this.#validMsMax)) : 0;
  }
}
