/**
 * Rows that the log carries for somebody: what they say is safe elsewhere and does not last there yet. So one sync makes last what would take two. They are
 * in the log and in memory; before the log is cut behind them, whoever they are for is asked whether it lasts by now (`Metastore.carrier`), and the
 * state engine gets those only of which it does not. What an earlier life has left is there to be read (`carriedRange`): to be made last, and deleted.
 */
import type {ByteString} from '#base/byte-string.ts';
import {KiB, MiB} from '#base/units.ts';
import type {Lasts} from '#metastore/metastore.ts';
import type {Overlaid} from '#metastore/overlay.ts';

const prefix = '\0c';
export const carriedRange = {from: prefix as ByteString, to: '\0d' as ByteString} as const;

/** Of one row: more is cheaper where it belongs. */
const valueBytesMax = 16 * KiB;
/** Of all: they are in memory until the engine has caught up. */
const bytesMax = 32 * MiB;

export const carriedKey = (name: ByteString): ByteString => `${prefix}${name}` as ByteString;
export const nameOfCarried = (key: ByteString): ByteString => key.slice(prefix.length) as ByteString;

const isCarried = ({key, value}: Overlaid): boolean => value !== null && key.charCodeAt(0) === 0 && key.startsWith(prefix);
const bytesOf = (rows: readonly Overlaid[]): number => rows.reduce((sum, {value}) => sum + value!.length, 0);

export class CarriedRows {
  readonly #carrier = Promise.withResolvers<Lasts>();
  #bytes = 0;

  /** Once; until then nothing is applied with such rows among it. */
  carrier(lasts: Lasts): void {
    this.#carrier.resolve(lasts);
  }

  mayTake(bytes: number): boolean {
    return bytes <= valueBytesMax && this.#bytes + bytes <= bytesMax;
  }

  took(mutations: readonly Overlaid[]): void {
    this.#bytes += bytesOf(mutations.filter(isCarried));
  }

  /** They were applied, or need not be. */
  left(mutations: readonly Overlaid[]): void {
    this.#bytes -= bytesOf(mutations.filter(isCarried));
  }

  /** What the engine is to have of a batch. */
  async rest(batch: readonly Overlaid[]): Promise<readonly Overlaid[]> {
    const carried = batch.filter(isCarried);
    if (carried.length === 0) return batch;
    const lasts = await this.#carrier.promise;
    const answers = await lasts(carried.map(({key}) => nameOfCarried(key)));
    const lasting = new Set(carried.filter((_, i) => answers[i]));
    return batch.filter((row) => !lasting.has(row));
  }
}
