/** Randomness. `bytes` and `id` are unpredictable in the real form; in the simulated form everything comes from the seed. */
export interface Random {
  /** 0 ≤ x < 1. Not for secrets. */
  number(): number;
  bytes(count: number): Uint8Array;
  /** 128 random bits, 32 hexadecimal digits. */
  id(): string;
}
