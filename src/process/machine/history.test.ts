/**
 * What may be seen of files after a crash. Of each file the bytes that it had, one after the other, and of a directory of files the names; and of both
 * how much must be there after a kill (what was answered) and after power loss (what was said to last). Later states may be there: nobody was told
 * that they are not.
 */
export type Death = 'kill' | 'crash';

interface State<T> {
  readonly value: T;
  /** Somebody was to see it, or to find it again: a sync or a close of it began. What nobody was told of is not there after power loss. */
  shown: boolean;
}

/** States one after the other; which must be there at least. */
export class History<T> {
  #states: State<T>[];
  readonly #floor: Record<Death, number> = {kill: 0, crash: 0};
  readonly #same: (a: T, b: T) => boolean;

  constructor(first: T, same: (a: T, b: T) => boolean) {
    this.#states = [{value: first, shown: true}];
    this.#same = same;
  }

  get last(): T {
    return this.#states.at(-1)!.value;
  }

  /** Since it began. */
  get all(): readonly T[] {
    return this.#states.map(({value}) => value);
  }

  /** Answers what says, later, that this state must be there after a death of that kind. */
  push(value: T, shown = true): (...deaths: Death[]) => void {
    const state = {value, shown};
    this.#states.push(state);
    return this.#mark(state);
  }

  /** The last state is to be shown. */
  show(): (...deaths: Death[]) => void {
    const state = this.#states.at(-1)!;
    state.shown = true;
    return this.#mark(state);
  }

  /** The next life has published what was answered. */
  published(): void {
    for (const state of this.#states.slice(this.#floor.kill)) state.shown = true;
  }

  #mark(state: State<T>): (...deaths: Death[]) => void {
    return (...deaths) => {
      const at = this.#states.indexOf(state);
      if (at >= 0) for (const death of deaths) this.#floor[death] = Math.max(this.#floor[death], at);
    };
  }

  /** The states that may be there. */
  possible(death: Death): readonly T[] {
    return this.#states.slice(this.#floor[death]).filter(({shown}, i) => death === 'kill' || shown || i === 0).map(({value}) => value);
  }

  /** All from that which must be there on, whether or not they were to be shown. */
  since(death: Death): readonly T[] {
    return this.#states.slice(this.#floor[death]).map(({value}) => value);
  }

  /** What is there: later states have never been, and after power loss there is no other. False when it may not be. */
  settle(value: T, death: Death): boolean {
    const found = this.#states.findIndex((state, i) => i >= this.#floor[death] && (death === 'kill' || state.shown || i === this.#floor.crash) && this.#same(state.value, value));
    if (found < 0) return false;
    if (death === 'crash') this.begin(value);
    else {
      this.#states.length = found + 1;
      this.#floor.kill = found;
    }
    return true;
  }

  /** After power loss this is there, which need not have been: until it lasts by what is answered, the same may be there again that had to be. */
  survived(value: T): (...deaths: Death[]) => void {
    const [floor] = this.possible('crash');
    this.begin(value);
    if (floor === undefined || this.#same(floor, value)) return () => undefined;
    const state = {value, shown: true};
    this.#states = [{value: floor, shown: true}, state];
    this.#floor.kill = 1;
    return this.#mark(state);
  }

  /** Only this is, for good. */
  begin(value: T): void {
    this.#states = [{value, shown: true}];
    this.#floor.kill = this.#floor.crash = 0;
  }
}

/** Whether every byte is that of one of the states, or was not written yet: what a disk makes of a file that was changed after it was synced. */
export function isMixedOf(bytes: Buffer, states: readonly Buffer[]): boolean {
  const lengths = states.map(({length}) => length);
  if (bytes.length < Math.min(...lengths) || bytes.length > Math.max(...lengths)) return false;
  return bytes.every((byte, i) => byte === 0 || states.some((state) => state[i] === byte));
}

/** One file, whatever its name is. */
export class SeenFile {
  readonly number: number;
  readonly bytes: History<Buffer>;
  /** The extended attribute that it has; none is empty. */
  readonly mark = new History('', (a, b) => a === b);
  /** It was synced since it was opened, and changed: its disk may have any of what was written since. */
  mixed = false;
  /** A publication through to its store failed, and the store may have it all the same: rightly it is taken for another's, and what is open then is kept aside. */
  doubtful = false;

  constructor(number: number, bytes: Buffer) {
    this.number = number;
    this.bytes = new History(bytes, (a, b) => a.equals(b));
  }

  /** Whether these bytes may be found after such a death. */
  may(found: Buffer, death: Death): boolean {
    const states = this.bytes.possible(death);
    if (this.doubtful && this.bytes.all.some((state) => state.equals(found))) return true;
    return states.some((state) => state.equals(found)) || (death === 'crash' && this.mixed && isMixedOf(found, this.bytes.since(death)));
  }

  told(found: Buffer, death: Death): string {
    return `(file ${this.number}) is ${summary(found)}, and may be ${this.bytes.possible(death).map(summary).join(' or ')}`;
  }

  /** It was found so, as it may be. Answers what says that this lasts. */
  settle(found: Buffer, death: Death): (...deaths: Death[]) => void {
    const doubtful = this.doubtful || (death === 'crash' && this.mixed);
    this.doubtful = false;
    if (death === 'crash') this.mixed = false;
    if (death === 'crash' && !doubtful) return this.bytes.survived(found);
    if (doubtful || !this.bytes.settle(found, death)) this.bytes.begin(found);
    return () => undefined;
  }
}

/** Lengths and stamps, without repetition. */
export function summary(bytes: Buffer): string {
  const stamps = bytes.toString('latin1').match(/<[^<> ]*>|\0+/g) ?? [];
  const told = stamps.map((stamp) => (stamp.startsWith('\0') ? `${stamp.length} zeros` : stamp));
  return `${bytes.length} bytes of ${told.filter((stamp, i) => stamp !== told[i - 1]).slice(0, 12).join('')}`;
}
