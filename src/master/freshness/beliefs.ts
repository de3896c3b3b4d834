/**
 * What was learned from stores lately and is not worth a commit: that an object is still the version that we know
 * (a re-check that found nothing new), and that there is no such object. Bounded; what is forgotten is asked again.
 */
import {LRUCache} from 'lru-cache';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';

const confirmationsMax = 200_000;
const absencesMax = 100_000;
const countersMax = 100_000;
const forgottenMax = 1_000;
const arrivedMax = 10_000;

/** At most so many, without room made for all of them at once: with `max` a start pays 0.1 s for lists that may stay empty. */
const growingTo = (entriesMax: number) => ({maxSize: entriesMax, sizeCalculation: () => 1});

export class Beliefs {
  readonly #confirmed = new LRUCache<InodeId, number>(growingTo(confirmationsMax));
  readonly #absent = new LRUCache<string, number>(growingTo(absencesMax));
  readonly #asked = new LRUCache<InodeId, number>(growingTo(countersMax));
  /** When trees of which not all is known came to lie at a prefix, and until when that is not remembered any more. */
  readonly #arrived = new Map<string, number>();
  #arrivedFloor = 0;
  readonly #now: () => number;
  /** It was as late as this. */
  #reached = 0;
  /** Prefixes of which nothing learned before a moment counts, oldest first. */
  #forgotten: {readonly mount: MountId; readonly prefix: ByteString; readonly at: number}[] = [];

  /** `now`: Transactions.now. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The store said at `at` (wall ms) that the inode is still as recorded. */
  confirm(inode: InodeId, at: number): void {
    if ((this.#confirmed.peek(inode) ?? 0) < at) this.#confirmed.set(inode, at);
  }

  /** When the store last confirmed the inode; 0 = not that we remember. */
  confirmedAt(inode: InodeId): number {
    return this.#confirmed.get(inode) ?? 0;
  }

  /** The store said at `at` that it has no `key`. A key ending in `/`: nothing at or below it. */
  deny(mount: MountId, key: ByteString, at: number): void {
    this.#absent.set(`${mount}:${key}`, at);
  }

  /** When the store last said that there is no `key`; 0 = not that we remember. */
  deniedAt(mount: MountId, key: ByteString): number {
    const at = this.#absent.get(`${mount}:${key}`) ?? 0;
    if (at === 0 || this.#arrived.size === 0) return at;
    if (at <= this.#arrivedFloor) return 0;
    for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) {
      if ((this.#arrived.get(`${mount}:${key.slice(0, slash + 1)}`) ?? 0) >= at) return 0;
    }
    return at;
  }

  /** A tree of which not all is known lies at `prefix` now: that there was no such object there says nothing any more. */
  arrived(mount: MountId, prefix: ByteString, now: number): void {
    if (this.#arrived.size >= arrivedMax) {
      this.#arrived.clear();
      this.#arrivedFloor = now;
    }
    this.#arrived.set(`${mount}:${prefix}`, now);
  }

  /** Something of ours is at `key` now. */
  exists(mount: MountId, key: ByteString): void {
    if (this.#absent.size === 0) return;
    this.#absent.delete(`${mount}:${key}`);
    for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) this.#absent.delete(`${mount}:${key.slice(0, slash + 1)}`);
  }

  /** Nothing that was learned up to now about keys with this prefix counts any more. */
  forget(mount: MountId, prefix: ByteString, now: number): void {
    this.#forgotten = this.#forgotten.filter(entry => entry.mount !== mount || !entry.prefix.startsWith(prefix));
    if (this.#forgotten.length >= forgottenMax) {
      // Too many to tell apart: forget more than asked, never less.
      const mounts = new Set(this.#forgotten.map(entry => entry.mount));
      this.#forgotten = [...mounts].map(each => ({mount: each, prefix: '' as ByteString, at: now}));
    }
    this.#forgotten.push({mount, prefix, at: now});
  }

  /** `at`, or 0 when a `forget` since then covers the key, or it is still to come: an earlier life has noted it by a clock that was ahead of ours, and nobody knows when that was. */
  stillCounts(mount: MountId, key: ByteString, at: number): number {
    if (at > this.#reached && at > (this.#reached = this.#now())) return 0;
    for (const entry of this.#forgotten) {
      if (entry.at >= at && entry.mount === mount && (key.startsWith(entry.prefix) || entry.prefix === `${key}/`)) return 0;
    }
    return at;
  }

  /** Counts requests that were sent upstream for an inode; for `explain`. */
  countRequest(inode: InodeId): void {
    this.#asked.set(inode, (this.#asked.peek(inode) ?? 0) + 1);
  }

  requestsFor(inode: InodeId): number {
    return this.#asked.peek(inode) ?? 0;
  }
}
