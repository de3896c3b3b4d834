/**
 * Counters of another thread, read where metrics are rendered: each is one number in memory that both see, written by its thread alone. A thread that
 * takes the place of another goes on with its numbers, so nothing is counted twice or lost.
 */
import {assert} from '#base/assert.ts';
import type {Counter, Metrics} from '#runtime/metrics.ts';

const countersMax = 64;

/** What a thread says of a counter that it has begun. */
export interface CounterBegun {
  readonly slot: number;
  readonly name: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
}

const nameOf = ({name, labels}: Pick<CounterBegun, 'name' | 'labels'>): string => JSON.stringify([name, labels]);

/** Of the threads that take one place after the other. */
export class SharedCounters {
  readonly memory = new SharedArrayBuffer(countersMax * Float64Array.BYTES_PER_ELEMENT);
  readonly #values = new Float64Array(this.memory);
  readonly #names: string[] = [];
  readonly #metrics: Pick<Metrics, 'counterFrom'>;

  constructor(metrics: Pick<Metrics, 'counterFrom'>) {
    this.#metrics = metrics;
  }

  begun(counter: CounterBegun): void {
    const {slot, name, help, labels} = counter;
    const known = this.#names[slot];
    assert(known === undefined || known === nameOf(counter), 'every thread of a place begins its counters in the same order');
    if (known !== undefined) return;
    this.#names[slot] = nameOf(counter);
    this.#metrics.counterFrom(name, help, () => [{labels, value: this.#values[slot]!}], Object.keys(labels));
  }
}

/** The thread's side. */
export function countersIn(memory: SharedArrayBuffer, begun: (counter: CounterBegun) => void): Pick<Metrics, 'counter'> {
  const values = new Float64Array(memory);
  const slots = new Map<string, number>();
  return {
    counter: (name, help, labels = {}): Counter => {
      const key = nameOf({name, labels});
      let slot = slots.get(key);
      if (slot === undefined) {
        slot = slots.size;
        assert(slot < countersMax, 'a thread has a bounded number of counters');
        slots.set(key, slot);
        begun({slot, name, help, labels});
      }
      const at = slot;
      return {add: (amount = 1) => void (values[at]! += amount)};
    },
  };
}
