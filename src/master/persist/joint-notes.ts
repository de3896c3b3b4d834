/**
 * Notes about many files in one transaction. Files that are synced, sent or placed together come here one after the other in one turn; a
 * transaction for each would cost them more than all else that is done for them behind.
 */
import type {Transactions} from '#master/transactions.ts';
import type {Transaction} from '#metastore/metastore.ts';

interface Note {
  readonly change: (tx: Transaction) => unknown;
  readonly made: (result: unknown) => void;
  readonly moment: PromiseWithResolvers<void>;
}

export class JointNotes {
  readonly #transactions: Pick<Transactions, 'changeUnseen'>;
  #waiting: Note[] = [];

  constructor(transactions: Pick<Transactions, 'changeUnseen'>) {
    this.#transactions = transactions;
  }

  /** A change of nothing that files show (Transactions.changeUnseen). `made`: told in the turn of the commit. Resolves when it is durable. */
  async note<T>(change: (tx: Transaction) => T, made: (result: T) => void): Promise<void> {
    const moment = Promise.withResolvers<void>();
    this.#waiting.push({change, made: made as Note['made'], moment});
    // When those who are ready as well have come.
    if (this.#waiting.length === 1) void Promise.resolve().then(() => this.#make(this.#waiting.splice(0)));
    await moment.promise;
  }

  #make(notes: readonly Note[]): void {
    let results: unknown[];
    let durable: Promise<void>;
    try {
      ({result: results, durable} = this.#transactions.changeUnseen((tx) => notes.map(({change}) => change(tx))));
    } catch (error) {
      // What is wrong with one is no matter of the others.
      if (notes.length > 1) for (const note of notes) this.#make([note]);
      else notes[0]!.moment.reject(error);
      return;
    }
    for (const [i, {made, moment}] of notes.entries()) {
      try {
        made(results[i]);
        durable.then(moment.resolve, moment.reject);
      } catch (error) {
        moment.reject(error);
      }
    }
  }
}
