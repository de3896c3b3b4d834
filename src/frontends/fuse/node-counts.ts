/**
 * How many times each node was named to the kernel: 16 to 32 bytes a node, whatever there is, in a hash table of three words a slot (the two
 * halves of the id, the count) by linear probing. It is cut into parts that grow by themselves, so that no growth takes long. A removal
 * shifts back what follows; a part never shrinks.
 */
import type {InodeId} from '#base/ids.ts';

const parts = 1024;
const slotsMin = 8;
const words = 3;
const two32 = 2 ** 32;

export class NodeCounts {
  readonly #parts: Uint32Array[] = Array.from({length: parts}, () => new Uint32Array(slotsMin * words));
  readonly #sizes = new Uint32Array(parts);
  #size = 0;
  /** Which part `sweep` begins with the next time. */
  #swept = 0;

  get size(): number {
    return this.#size;
  }

  /** Of the table. */
  get bytes(): number {
    return this.#parts.reduce((sum, {byteLength}) => sum + byteLength, 0);
  }

  has(id: InodeId): boolean {
    const part = this.#parts[partOf(id)]!;
    return part[find(part, id) + 2] !== 0;
  }

  /** One time more. */
  add(id: InodeId): void {
    const number = partOf(id);
    let part = this.#parts[number]!;
    let at = find(part, id);
    if (part[at + 2] === 0) {
      if (++this.#sizes[number]! * words > part.length * 0.75) {
        part = this.#grow(number);
        at = find(part, id);
      }
      part[at] = id >>> 0;
      part[at + 1] = Math.floor(id / two32);
      this.#size++;
    }
    part[at + 2]!++;
  }

  /** So many times less; a node that is not named any more is gone, and the answer false. */
  subtract(id: InodeId, count: number): boolean {
    const number = partOf(id);
    const part = this.#parts[number]!;
    const at = find(part, id);
    const before = part[at + 2]!;
    if (before > count) {
      part[at + 2] = before - count;
      return true;
    }
    if (before > 0) {
      remove(part, at);
      this.#sizes[number]!--;
      this.#size--;
    }
    return false;
  }

  /** All, each once; what comes or goes meanwhile may be among them or not. */
  *ids(): Generator<InodeId> {
    for (let number = 0; number < parts; number++) yield* this.#idsOf(number);
  }

  /** At most `count` and a few more, others the next time: all have had their turn when it begins anew. */
  sweep(count: number): InodeId[] {
    const ids: InodeId[] = [];
    for (let i = 0; i < parts && ids.length < count; i++) {
      for (const id of this.#idsOf(this.#swept)) ids.push(id);
      this.#swept = (this.#swept + 1) % parts;
    }
    return ids;
  }

  #idsOf(number: number): InodeId[] {
    const part = this.#parts[number]!;
    const ids: InodeId[] = [];
    for (let at = 0; at < part.length; at += words) if (part[at + 2] !== 0) ids.push(idAt(part, at));
    return ids;
  }

  #grow(number: number): Uint32Array {
    const old = this.#parts[number]!;
    const grown = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += words) if (old[at + 2] !== 0) grown.set(old.subarray(at, at + words), find(grown, idAt(old, at)));
    this.#parts[number] = grown;
    return grown;
  }
}

const idAt = (part: Uint32Array, at: number): InodeId => (part[at + 1]! * two32 + part[at]!) as InodeId;

function hashOf(id: number): number {
  let hash = Math.imul((id >>> 0) ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(Math.floor(id / two32) + 0x7f4a7c15, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** By the upper bits; the place in the part by the lower ones. */
const partOf = (id: InodeId): number => Math.floor(hashOf(id) / (two32 / parts));

/** Where the id is, or would be: the word where its slot begins. */
function find(part: Uint32Array, id: InodeId): number {
  const slots = part.length / words;
  const [low, high] = [id >>> 0, Math.floor(id / two32)];
  for (let slot = hashOf(id) & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
    const at = slot * words;
    if (part[at + 2] === 0 || (part[at] === low && part[at + 1] === high)) return at;
  }
}

function remove(part: Uint32Array, at: number): void {
  const mask = part.length / words - 1;
  let hole = at / words;
  for (let slot = (hole + 1) & mask; part[slot * words + 2] !== 0; slot = (slot + 1) & mask) {
    const home = hashOf(idAt(part, slot * words)) & mask;
    // It may move back to the hole unless its home lies between the two.
    if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
    part.copyWithin(hole * words, slot * words, (slot + 1) * words);
    hole = slot;
  }
  part.fill(0, hole * words, (hole + 1) * words);
}
