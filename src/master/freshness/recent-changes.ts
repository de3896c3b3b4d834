/**
 * What Weir itself changed lately. A question to a store may be under way while a commit changes the same key; its answer
 * is then older than the namespace and must be ignored. So every change of ours is noted here with its wall time, and an
 * answer counts only if its question was asked after the last change of its key.
 *
 * Invariant: `changedSince` never says false for a change that it was told of. What is forgotten (age, bound) raises the
 * floor, below which every answer is refused.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';

/** Of a generation. */
const entriesMax = 65_536;
/** No question to a store takes longer; older answers are refused unseen. */
const rememberMs = 5 * 60_000;

type Changes = Map<string, number>;

export class RecentChanges {
  /**
   * `mount:key`, a key that ends in `/` for its whole tree. Two generations, of which the older is forgotten whole when the younger is full or of age:
   * to delete one for each that comes would have each go past all that were deleted before.
   */
  #young: Changes = new Map();
  #old: Changes = new Map();
  /** When a change was noted last, in each. */
  #youngMs = Number.NEGATIVE_INFINITY;
  #oldMs = Number.NEGATIVE_INFINITY;
  #youngUntilMs = Number.NEGATIVE_INFINITY;
  readonly #now: () => number;
  #floorMs = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Notes a change of `key`; of a key that ends in `/` (or is empty): of everything below it too. */
  note(mount: MountId, key: ByteString): void {
    const now = this.#now();
    if (this.#young.size >= entriesMax || now >= this.#youngUntilMs) this.#age(now);
    this.#young.set(`${mount}:${key}`, now);
    this.#youngMs = now;
  }

  #age(now: number): void {
    this.#floorMs = Math.max(this.#floorMs, this.#oldMs);
    [this.#old, this.#oldMs] = [this.#young, this.#youngMs];
    this.#young = new Map();
    this.#youngUntilMs = now + rememberMs;
  }

  /** Whether an answer to a question asked at `startedAt` (wall ms) may be older than what we did to `key`. */
  changedSince(mount: MountId, key: ByteString, startedAt: number): boolean {
    if (startedAt <= this.#floorMs) return true;
    if (this.#young.size === 0 && this.#old.size === 0) return false;
    return this.#noted(`${mount}:${key}`, startedAt) || this.treeChangedSince(mount, key, startedAt);
  }

  /**
   * Whether that may be so because of a change of a whole tree above. Of a key that we changed, the namespace knows all; of what
   * lies in a changed tree it may never have heard: then the store has to be asked again.
   */
  treeChangedSince(mount: MountId, key: ByteString, startedAt: number): boolean {
    if (startedAt <= this.#floorMs) return true;
    if (this.#young.size === 0 && this.#old.size === 0) return false;
    if (this.#noted(`${mount}:`, startedAt)) return true;
    for (let slash = key.indexOf('/'); slash >= 0; slash = key.indexOf('/', slash + 1)) {
      if (this.#noted(`${mount}:${key.slice(0, slash + 1)}`, startedAt)) return true;
    }
    return false;
  }

  #noted(name: string, startedAt: number): boolean {
    return (this.#young.get(name) ?? this.#old.get(name) ?? Number.NEGATIVE_INFINITY) >= startedAt;
  }
}
