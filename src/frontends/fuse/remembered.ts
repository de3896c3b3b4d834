/**
 * What the kernel remembers of our answers: nodes, from the LOOKUP that named them to the FORGET, and names that led nowhere. Kept so that
 * only what the kernel may hold is taken back. Bounded: beyond the bounds answers are given without any validity, and nothing is kept.
 *
 * Answers are valid no longer than what they are made of, and no longer than `validMsMax`, which bounds what a notification that is lost
 * could do. One that was being made while a change was told (`turn`) may be older than that, and is not valid at all.
 */
import type {ByteString} from '#base/byte-string.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';

const nodesMax = 1_000_000;
const absentMax = 100_000;
const validMsMax = 60_000;

export class Remembered {
  readonly #now: () => number;
  /** How many times each was named to the kernel, which knows the root from the beginning. */
  readonly #nodes: Map<InodeId, number>;
  /** In two halves: what is in the older one when that goes is not valid any more. */
  #absent = new Set<string>();
  #absentBefore = new Set<string>();
  #absentSince = 0;
  #following = false;
  /** Grows with every change that is told. A request takes it along from its beginning. */
  turn = 0;

  /** What the kernel remembers of an earlier daemon's answers is not known: it may be anything. */
  readonly inherited: boolean;

  /** `now`: wall ms. */
  constructor(now: () => number, {root = rootInodeId, inherited = false}: {readonly root?: InodeId; readonly inherited?: boolean} = {}) {
    this.#now = now;
    this.#nodes = new Map([[root, 1]]);
    this.inherited = inherited;
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
    const count = this.#nodes.get(id);
    if (count === undefined && this.#nodes.size >= nodesMax) return 0;
    this.#nodes.set(id, (count ?? 0) + 1);
    return this.#validMs(validUntil, turn);
  }

  /** Entries of a listing: for how many ms they may be believed. Each is counted by `node`. */
  listed(validUntil: number, turn: number): number {
    return this.#nodes.size < nodesMax ? this.#validMs(validUntil, turn) : 0;
  }

  /** Attributes alone. */
  attributes(id: InodeId, validUntil: number, turn = this.turn): number {
    return this.hasNode(id) ? this.#validMs(validUntil, turn) : 0;
  }

  absence(directory: InodeId, name: ByteString, validUntil: number, turn = this.turn): number {
    const validMs = this.#validMs(validUntil, turn);
    if (this.#now() - this.#absentSince > validMsMax) {
      this.#absentBefore = this.#absent;
      this.#absent = new Set();
      this.#absentSince = this.#now();
    }
    if (validMs === 0 || this.#absent.size >= absentMax) return 0;
    this.#absent.add(`${directory}/${name}`);
    return validMs;
  }

  forget(id: InodeId, count: number): void {
    const left = (this.#nodes.get(id) ?? 0) - count;
    if (left > 0) this.#nodes.set(id, left);
    else this.#nodes.delete(id);
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
    return this.#nodes.keys();
  }

  get count(): number {
    return this.#nodes.size;
  }

  #validMs(validUntil: number, turn: number): number {
    return this.#following && turn === this.turn ? Math.max(0, Math.min(validUntil - this.#now(), validMsMax)) : 0;
  }
}
