/**
 * A state engine: an ordered map on some medium that takes synced batches and remembers up to which transaction it holds. The
 * metastore keeps what is newer in memory and the change log keeps everything, so an engine may lose whatever it had not synced.
 */
import type {Mutation} from '#codec/journal/record.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {KeyValue, MetastoreSnapshot, RangeOptions} from '#metastore/metastore.ts';

export const keyBytesMax = 1900;

/** Everything that a backup holds: all keys but the engine's own and the mark of a restore. */
export const everyKey = {from: '\0r' as ByteString, to: '\xff'.repeat(keyBytesMax + 1) as ByteString} as const;

export interface StateEngine {
  /** The last transaction whose changes are all here, and synced. */
  readonly sequence: number;
  /** A buffer that nobody else changes. */
  get(key: ByteString): Uint8Array | undefined;
  /** The same in a buffer that the next call may overwrite. */
  look(key: ByteString): Uint8Array | undefined;
  range(options: RangeOptions): Iterable<KeyValue>;
  /** Resolves when the changes and the sequence are synced, together. Readers see all of a batch or none of it. One at a time. */
  apply(mutations: readonly Mutation[], sequence: number): Promise<void>;
  /** The state as of `sequence`, unchanged by later batches. */
  snapshot(): MetastoreSnapshot;
  close(): Promise<void>;
}
