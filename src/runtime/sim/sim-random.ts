/** Randomness from a seed: xoshiro128** (Blackman and Vigna), seeded by splitmix32. The same seed gives the same numbers for ever. */
import type {Random} from '#runtime/random.ts';

export class SimRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    [this.#a, this.#b, this.#c, this.#d] = [next(), next(), next(), next() | 1];
  }

  /** 32 random bits, unsigned. */
  bits(): number {
    const x = Math.imul(this.#b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  number(): number {
    return (this.bits() * 0x200000 + (this.bits() >>> 11)) / 2 ** 53;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({length: count}, () => this.bits() & 0xff);
  }

  id(): string {
    return Array.from({length: 4}, () => this.bits().toString(16).padStart(8, '0')).join('');
  }

  /** min ≤ x < max. */
  between(min: number, max: number): number {
    return min + this.number() * (max - min);
  }

  chance(probability: number): boolean {
    return this.number() < probability;
  }
}
