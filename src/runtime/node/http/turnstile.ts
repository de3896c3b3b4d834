/**
 * A fair order of requests on one event loop: what is under way goes on before new requests begin.
 *
 * A turn of the loop takes every request that has arrived, and one step of each that waited for something (bytes of a body, a thread that is
 * done with a file). A small GET is answered in the turn in which it came; a PUT needs a dozen turns or two. Two hundred clients at once
 * make each of these turns as long as all their GETs and all others' steps together, and who has his answer comes back with the next
 * request: so a PUT with a millisecond of work took twenty times as long as a GET. Here requests begin for about a millisecond a
 * turn, and who comes later stands in line, in the order of arrival. Less is under way at a time, its turns are short, and what everybody
 * waits is mostly the line, which is the same for all. Nothing is lost by it: while somebody stands in line the loop does not sleep.
 *
 * What nobody competes with is not held up: while no request is under way, all may begin. After a turn that was long for other reasons (large
 * answers) requests begin for a share of its length, or small ones would starve behind large ones. Bound of the line: a connection stands in
 * it once, with what it may have sent ahead.
 */

/** Requests begin for so long a turn: about ten of a mixed load. Twice that makes the line too short to matter, half makes it nearly all of the wait. */
const beginMsPerTurn = 1;
/** The same as a share of the turn before, where that is more. */
const beginShareOfTurn = 1 / 16;

/** Who stands in line. */
export interface Waiting {
  /** Called out of the line: may enter now. */
  begin(): void;
}

/** Of a request that began while no other was under way. */
const unmeasured = -1;

export class Turnstile {
  readonly #nowMs: () => number;
  readonly #afterPoll: (fn: () => void) => void;
  readonly #line = new Set<Waiting>();
  /** Requests that began and have no answer yet. */
  #underWay = 0;
  #leftMs = beginMsPerTurn;
  /** When the first request of this turn began, or was put off. */
  #sinceMs = 0;
  #asked = false;
  #called: Waiting | undefined;

  /** `nowMs` is monotonic; `afterPoll` calls back once, when all that was ready in this turn has had its step, and does not let the loop sleep before. */
  constructor(nowMs: () => number, afterPoll: (fn: () => void) => void) {
    this.#nowMs = nowMs;
    this.#afterPoll = afterPoll;
  }

  /** True: one request may begin now. Otherwise `waiting` stands in line, and is called. */
  enter(waiting: Waiting): boolean {
    if (waiting === this.#called) {
      this.#called = undefined;
      return true;
    }
    if (this.#line.size === 0 && (this.#underWay === 0 || this.#leftMs > 0)) return true;
    this.#line.add(waiting);
    this.#ask(this.#nowMs());
    return false;
  }

  /** A request begins. What comes out is for `ran`. */
  begins(): number {
    return this.#underWay++ === 0 ? unmeasured : this.#nowMs();
  }

  /** It has run as far as it came without waiting. */
  ran(sinceMs: number): void {
    if (sinceMs === unmeasured) return;
    this.#leftMs -= this.#nowMs() - sinceMs;
    this.#ask(sinceMs);
  }

  /** A request that began has its answer, or nobody to give it to. */
  ends(): void {
    this.#underWay--;
  }

  holds(waiting: Waiting): boolean {
    return this.#line.has(waiting);
  }

  leave(waiting: Waiting): void {
    this.#line.delete(waiting);
  }

  #ask(sinceMs: number): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#sinceMs = sinceMs;
    this.#afterPoll(() => this.#turn());
  }

  #turn(): void {
    this.#asked = false;
    const now = this.#nowMs();
    this.#leftMs = Math.max(beginMsPerTurn, (now - this.#sinceMs) * beginShareOfTurn);
    for (const waiting of this.#line) {
      if (this.#underWay > 0 && this.#leftMs <= 0) break;
      this.#line.delete(waiting);
      this.#called = waiting;
      waiting.begin();
    }
    this.#called = undefined;
    if (this.#line.size > 0) this.#ask(now);
  }
}
