/**
 * What was evicted lately, by fingerprint: a table of buckets of four, each slot a 32-bit hash and the time (count of evictions) when it
 * came in. What came in more than `slots` evictions ago has left. Two things with one fingerprint are taken for each other once in billions.
 */
const bucketSlots = 4;
const slotsMin = 64;

export class Ghosts {
  #hashes = new Uint32Array(0);
  #times = new Uint32Array(0);
  #time = 0;

  /** Remembers, among `wanted` others. */
  add(hash: number, wanted: number): void {
    if (this.#hashes.length < wanted) this.#resize(wanted);
    const start = this.#bucket(hash);
    this.#time = (this.#time + 1) >>> 0;
    let oldest = start;
    for (let i = start; i < start + bucketSlots; i++) if (this.#age(i) > this.#age(oldest)) oldest = i;
    this.#hashes[oldest] = hash;
    this.#times[oldest] = this.#time;
  }

  has(hash: number): boolean {
    const slot = this.#find(hash);
    return slot !== -1 && this.#isFresh(slot);
  }

  /** True when it was remembered; forgets it. */
  take(hash: number): boolean {
    const slot = this.#find(hash);
    if (slot === -1) return false;
    const known = this.#isFresh(slot);
    this.#times[slot] = 0;
    return known;
  }

  #isFresh(slot: number): boolean {
    return this.#age(slot) < this.#hashes.length;
  }

  #find(hash: number): number {
    if (this.#hashes.length === 0) return -1;
    const start = this.#bucket(hash);
    for (let i = start; i < start + bucketSlots; i++) if (this.#hashes[i] === hash && this.#times[i] !== 0) return i;
    return -1;
  }

  get bytes(): number {
    return this.#hashes.byteLength + this.#times.byteLength;
  }

  #age(slot: number): number {
    return this.#times[slot] === 0 ? 0xffff_ffff : (this.#time - this.#times[slot]!) >>> 0;
  }

  #bucket(hash: number): number {
    return ((hash % (this.#hashes.length / bucketSlots)) * bucketSlots) | 0;
  }

  /** Starts anew: rare, and forgetting ghosts costs a few second chances. */
  #resize(wanted: number): void {
    let slots = slotsMin;
    while (slots < wanted) slots *= 2;
    this.#hashes = new Uint32Array(slots);
    this.#times = new Uint32Array(slots);
  }
}
