/** What every bench is: a function from its options to sections. */
import type {Section} from './report.ts';

export interface BenchOptions {
  /** Small sizes, one round: to see that the bench still runs, not to measure. */
  readonly quick: boolean;
  readonly say: (what: string) => void;
}

export type Bench = (options: BenchOptions) => Promise<Section>;

export const kib = 1024;
export const mib = 1024 * kib;
/** Rates are said in MB and GB, as links and disks are. */
export const mb = 1e6;
export const gb = 1e9;

/** `count` different whole numbers below `from`, in an order that no read-ahead guesses; the same in every run. */
export function scattered(count: number, from: number, start = 0): number[] {
  const step = 7919; // prime, and no divisor of the sizes that are used here
  return Array.from({length: count}, (_, i) => ((start + i) * step) % from);
}
