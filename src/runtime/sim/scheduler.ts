/**
 * Virtual time: a queue of events ordered by (time, order of asking). Nothing happens between two events but what JavaScript
 * itself still has to do, so a run is a function of its seed.
 */

/** Events in one run; more means that something spins. */
const eventsMax = 20_000_000;
/** Virtual time that one run may take; more means that it only waits for itself. */
const runMsMax = 30 * 24 * 3600 * 1000;

interface Event {
  readonly at: number;
  readonly order: number;
  fn: (() => void) | undefined;
}

const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

export class Scheduler {
  /** Virtual ms since the simulation began. */
  nowMs = 0;
  /** By how much the machines' clocks were set forward, whole ms. */
  wallOffsetMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  after(delayMs: number, fn: () => void): Disposable {
    const event: Event = {at: this.nowMs + Math.max(0, delayMs), order: this.#order++, fn};
    this.#push(event);
    return {[Symbol.dispose]: () => (event.fn = undefined)};
  }

  /** Runs events until `done` answers something; it is asked after each event, when all promises have settled that can. */
  async run<T>(done: () => {readonly value: T} | undefined): Promise<T> {
    const end = this.nowMs + runMsMax;
    for (let events = 0; ; events++) {
      await turn();
      const result = done();
      if (result) return result.value;
      const event = this.#pop();
      if (!event) throw new Error('simulation: everybody waits and nothing is left to happen');
      if (event.at > end || events > eventsMax) throw new Error(`simulation: still not done after ${events} events and ${event.at} virtual ms`);
      this.nowMs = event.at;
      event.fn?.();
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(heap[parent]!, event)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = event;
  }

  /** The next event that was not called off. */
  #pop(): Event | undefined {
    for (;;) {
      const heap = this.#heap;
      const first = heap[0];
      const last = heap.pop();
      if (!first || !last) return undefined;
      if (heap.length > 0) {
        let i = 0;
        for (;;) {
          let child = 2 * i + 1;
          if (child >= heap.length) break;
          if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
          if (!before(heap[child]!, last)) break;
          heap[i] = heap[child]!;
          i = child;
        }
        heap[i] = last;
      }
      if (first.fn) return first;
    }
  }
}

/** Lets every promise settle that can without an event. */
function turn(): Promise<void> {
  // oxlint-disable-next-line eslint/no-restricted-globals -- the one real turn of the loop that virtual time is made of
  return new Promise((resolve) => void setImmediate(resolve));
}
