/**
 * Content id → node, by open addressing with linear probing over the node table. The table is cut into 1024 small ones, each of which doubles
 * by itself: growing takes a fraction of a millisecond and a thousandth of the memory, at any size. A removal shifts back what
 * follows, so there are no tombstones.
 */
import {assert} from '#base/assert.ts';
import type {ContentId} from '#base/ids.ts';
import {hashId, highOf, lowOf, type NodeTable} from '#blockstore/index/node-table.ts';

const partShift = 22;
const parts = 1 << (32 - partShift);
const partSlotsMin = 8;

export class HashIndex {
  readonly #nodes: NodeTable;
  readonly #slots: Uint32Array[] = Array.from({length: parts}, () => new Uint32Array(partSlotsMin));
  readonly #counts = new Uint32Array(parts);
  #count = 0;

  constructor(nodes: NodeTable) {
    this.#nodes = nodes;
  }

  get count(): number {
    return this.#count;
  }

  /** The node of a content, or 0. */
  find(id: ContentId): number {
    const low = lowOf(id);
    const high = highOf(id);
    const hash = hashId(low, high);
    const slots = this.#slots[hash >>> partShift]!;
    const mask = slots.length - 1;
    const {idLow, idHigh} = this.#nodes;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const node = slots[i]!;
      if (node === 0 || (idLow.get(node) === low && idHigh.get(node) === high)) return node;
    }
  }

  /** The content must not be there yet. */
  insert(node: number): void {
    const hash = this.#hash(node);
    const part = hash >>> partShift;
    let slots = this.#slots[part]!;
    if (++this.#counts[part]! > slots.length * 0.75) slots = this.#grow(part);
    place(slots, hash, node);
    this.#count++;
  }

  remove(node: number): void {
    const hash = this.#hash(node);
    const part = hash >>> partShift;
    const slots = this.#slots[part]!;
    const mask = slots.length - 1;
    let hole = hash & mask;
    while (slots[hole] !== node) {
      assert(slots[hole] !== 0, 'what is removed from the index is there');
      hole = (hole + 1) & mask;
    }
    for (let i = (hole + 1) & mask; slots[i] !== 0; i = (i + 1) & mask) {
      const home = this.#hash(slots[i]!) & mask;
      // It may move back to the hole unless its home lies between the two.
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      slots[hole] = slots[i]!;
      hole = i;
    }
    slots[hole] = 0;
    this.#counts[part]!--;
    this.#count--;
  }

  get bytes(): number {
    return this.#slots.reduce((sum, slots) => sum + slots.byteLength, 0);
  }

  #hash(node: number): number {
    return hashId(this.#nodes.idLow.get(node), this.#nodes.idHigh.get(node));
  }

  #grow(part: number): Uint32Array {
    const old = this.#slots[part]!;
    const slots = new Uint32Array(old.length * 2);
    for (const node of old) if (node !== 0) place(slots, this.#hash(node), node);
    this.#slots[part] = slots;
    return slots;
  }
}

function place(slots: Uint32Array, hash: number, node: number): void {
  const mask = slots.length - 1;
  let i = hash & mask;
  while (slots[i] !== 0) i = (i + 1) & mask;
  slots[i] = node;
}
