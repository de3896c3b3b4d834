/** A transaction whose every change is seen before it is made. */
import type {ByteString} from '#base/byte-string.ts';
import type {KeyValue, RangeOptions, RecallKey, Transaction} from '#metastore/metastore.ts';

export abstract class WatchedTransaction implements Transaction {
  protected readonly tx: Transaction;

  constructor(tx: Transaction) {
    this.tx = tx;
  }

  /** The key still has what it had. */
  protected abstract changing(key: ByteString, change: 'put' | 'delete'): void;

  get(key: ByteString): Uint8Array | undefined {
    return this.tx.get(key);
  }

  look(key: ByteString): Uint8Array | undefined {
    return this.tx.look(key);
  }

  range(options: RangeOptions): Iterable<KeyValue> {
    return this.tx.range(options);
  }

  recall(key: RecallKey): unknown {
    return this.tx.recall(key);
  }

  keep(key: RecallKey, found: unknown): void {
    this.tx.keep(key, found);
  }

  put(key: ByteString, value: Uint8Array): void {
    this.changing(key, 'put');
    this.tx.put(key, value);
  }

  delete(key: ByteString): void {
    this.changing(key, 'delete');
    this.tx.delete(key);
  }
}
