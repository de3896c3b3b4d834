/** The commit of a transaction for whose `durable` nobody waits yet (TransactOptions.unhurried), and of a read that depends on what is not durable. */
import type {ChangeLog} from '#journal/change-log.ts';
import type {Commit} from '#metastore/metastore.ts';

/** Who takes its `safe` or `durable` waits for it, and so the log hurries. */
export class UnhurriedCommit<T> implements Commit<T> {
  readonly result: T;
  readonly sequence: number;
  readonly eventually: Promise<void>;
  readonly #safe: Promise<void>;
  readonly #log: ChangeLog;

  constructor(result: T, sequence: number, {safe, durable}: {readonly safe: Promise<void>; readonly durable: Promise<void>}, log: ChangeLog) {
    this.result = result;
    this.sequence = sequence;
    this.#safe = safe;
    this.eventually = durable;
    this.#log = log;
  }

  get safe(): Promise<void> {
    if (this.sequence > this.#log.safeSequence) this.#log.writeNow();
    return this.#safe;
  }

  get durable(): Promise<void> {
    this.#log.hurry(this.sequence);
    return this.eventually;
  }
}
