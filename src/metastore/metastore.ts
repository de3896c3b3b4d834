/**
 * The metastore: an ordered map from byte keys to byte values, changed only by transactions that a change log makes
 * lasting. Keys are ByteStrings (1 to 1900 bytes), compared as bytes.
 *
 * Invariants, each asserted and tested:
 * 1. A transaction is applied whole or not at all, also across crashes.
 * 2. Transactions are numbered without gaps; after a crash the state is that of the first n, with n ≥ every number whose
 *    `safe` (process crash) or `durable` (power loss) had resolved.
 * 3. Reads see every transaction that has been committed, at once, whether or not it is safe yet.
 * 4. A request id commits once.
 */
import type {ByteString} from '#base/byte-string.ts';

export interface KeyValue {
  readonly key: ByteString;
  readonly value: Uint8Array;
}

export interface RangeOptions {
  /** Inclusive. */
  readonly from: ByteString;
  /** Exclusive. */
  readonly to: ByteString;
  readonly limit?: number;
  readonly reverse?: boolean;
}

export interface Reader {
  /** The value must not be changed, and is valid until the end of the transaction; copy what must live longer. */
  get(key: ByteString): Uint8Array | undefined;
  /** The same without a copy, for who decodes it at once: valid until the next call. */
  look(key: ByteString): Uint8Array | undefined;
  /** In key order. Lazy: stop early at no cost. Not to be continued after the transaction. */
  range(options: RangeOptions): Iterable<KeyValue>;
  /** What somebody who read has kept under the key, as good as read now; undefined when nothing is, any more. */
  recall(key: RecallKey): unknown;
  /** Keeps what was found out from rows of the kind that `MetastoreOptions.recalled` names, and from no others, until one of them is written. */
  keep(key: RecallKey, found: unknown): void;
}

export type RecallKey = string | number;

/** Reads see the transaction's own writes. */
export interface Transaction extends Reader {
  put(key: ByteString, value: Uint8Array): void;
  delete(key: ByteString): void;
}

/** The two moments of a commit (design 4.1). */
export interface Commit<T> {
  readonly result: T;
  /** Number of the last transaction that the result depends on; a read-only one has written none but may have read others. */
  readonly sequence: number;
  /** In the log file: survives the process. Whoever takes this promise waits for it: where the disk lets us, it is settled then. */
  readonly safe: Promise<void>;
  /** Synced: survives power loss. Whoever takes this promise is waited for: the sync begins at once. */
  readonly durable: Promise<void>;
  /** The same, for who can wait a second. */
  readonly eventually: Promise<void>;
}

export interface RequestId {
  readonly client: string;
  readonly counter: number;
  /** Results of this client up to this counter may be forgotten. */
  readonly acknowledged: number;
  /** No result can be stored: it was never made before. */
  readonly isNew?: boolean;
}

export interface MetastoreStatus {
  readonly sequence: number;
  readonly durableSequence: number;
  /** What the state engine itself holds on disk; the log reaches back at least to here. */
  readonly appliedSequence: number;
  readonly logBytes: number;
  readonly overlayEntries: number;
}

/** A consistent picture of the state at one sequence, while transactions go on. */
export interface MetastoreSnapshot extends AsyncDisposable {
  readonly sequence: number;
  range(options: RangeOptions): Iterable<KeyValue>;
}

export interface Metastore extends AsyncDisposable {
  /**
   * Runs `fn` at once and synchronously. If it throws, nothing happened. With a `request` that has committed before, `fn`
   * is not run and the stored result is returned; `codec` turns results into the bytes that are stored with the commit.
   * Fails with Io from the moment that the log has failed: then nothing new is accepted until a restart.
   */
  transact<T>(fn: (tx: Transaction) => T, request?: {readonly id: RequestId; readonly codec: ResultCodec<T>}, options?: TransactOptions): Commit<T>;
  /** Like transact without writing. `durable` waits for whatever was read and is not durable yet; already resolved when nothing was. */
  read<T>(fn: (reader: Reader) => T): Commit<T>;
  /** The same for deciding, not for answering: what was read may be lost yet. */
  peek<T>(fn: (reader: Reader) => T): T;
  /** Number of the last transaction: what was read stays as it is while this does. */
  readonly sequence: number;
  /** Of the last one that survives the process. */
  readonly safeSequence: number;
  /** Of the last one that survives power loss. */
  readonly durableSequence: number;
  /** Resolves when everything that was committed before survives power loss. */
  sync(): Promise<void>;
  /** The same for who can wait a second: no sync begins for it. */
  eventually(): Promise<void>;
  snapshot(): Promise<MetastoreSnapshot>;
  /** Who says of rows that were carried (`TransactOptions.carried`) what lasts by now. Once, when what is left of earlier lives has been seen to. */
  carrier(lasts: Lasts): void;
  /** Whether so many bytes more may be carried now. */
  mayCarry(bytes: number): boolean;
  status(): MetastoreStatus;
  /** Applies and syncs everything, then closes. */
  close(): Promise<void>;
}

/** Of each, in order: what it says survives power loss elsewhere. */
export type Lasts = (names: readonly ByteString[]) => Promise<readonly boolean[]>;

export interface TransactOptions {
  /** Beside what it changes: bytes that survive the process elsewhere, and power loss in the log until they do so there, too (carried-rows.ts). A name is carried once. */
  readonly carried?: {readonly name: ByteString; readonly bytes: Uint8Array} | undefined;
  /**
   * What it writes can be learned again when it is lost (a store said it). Its `durable`, and that of whoever reads it, waits only for what
   * it was made from. It is in the log all the same, in order: whatever becomes durable after it keeps it too.
   */
  readonly relearnable?: boolean;
  /** Nobody waits for its `durable` for now, which comes within a second. */
  readonly unhurried?: boolean;
  /** Beside that: somebody waits for its `safe` in this very turn. */
  readonly awaited?: boolean;
}

export interface ResultCodec<T> {
  encode(result: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}
