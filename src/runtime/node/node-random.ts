import {randomBytes} from 'node:crypto';
import type {Random} from '#runtime/random.ts';

/** The system's randomness. */
export const nodeRandom: Random = {
  number: () => Math.random(),
  bytes: (count) => randomBytes(count),
  id: () => randomBytes(16).toString('hex'),
};
