/**
 * What was found out by reading rows that seldom change (a walk along a path), kept until any of them is written: so that it need not be read
 * again. With each goes the newest transaction that was read from until then, for who recalls it depends on that as if he had read it himself.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {RecallKey} from '#metastore/metastore.ts';

/** Whether what is kept may have been found out from this row. `value`: what is written; null: it is deleted. */
export type IsRecalled = (key: ByteString, value: Uint8Array | null) => boolean;

/** Some 20 MB, where what is kept is small. */
const keptMax = 50_000;

export interface Recollection {
  readonly found: unknown;
  /** The newest transaction that it may depend on. */
  readonly observed: number;
}

export class Recollections {
  readonly #isRecalled: IsRecalled;
  readonly #kept = new Map<RecallKey, Recollection>();

  constructor(isRecalled: IsRecalled) {
    this.#isRecalled = isRecalled;
  }

  get(key: RecallKey): Recollection | undefined {
    return this.#kept.get(key);
  }

  keep(key: RecallKey, found: unknown, observed: number): void {
    if (this.#kept.size >= keptMax) this.#kept.clear();
    this.#kept.set(key, {found, observed});
  }

  /** Whether a write makes what is kept untrue. */
  concerns(key: ByteString, value: Uint8Array | null): boolean {
    return this.#isRecalled(key, value);
  }

  written(mutations: readonly {readonly key: ByteString; readonly value: Uint8Array | null}[]): void {
    if (this.#kept.size > 0 && mutations.some(({key, value}) => this.#isRecalled(key, value))) this.#kept.clear();
  }
}
