/**
 * Single flight: many callers of one question share one request. The request is cancelled when the last caller has gone
 * away; a failure reaches everyone who waits and is remembered by nobody.
 */
interface Flight<T> {
  readonly answer: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
}

export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** Joins the question `key` if it is under way and `joinable`, else asks it. */
  async run(key: string, signal: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    let flight = this.#flights.get(key);
    if (!flight || flight.stop.signal.aborted) {
      const stop = new AbortController();
      const answer = ask(stop.signal).finally(() => {
        if (this.#flights.get(key) === started) this.#flights.delete(key);
      });
      const started: Flight<T> = {answer, stop, waiting: 0};
      // Whoever waits sees the failure; when nobody does any more, nobody needs to.
      answer.catch(() => undefined);
      this.#flights.set(key, started);
      flight = started;
    }
    flight.waiting++;
    const {promise: aborted, reject} = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, {once: true});
    try {
      return await Promise.race([flight.answer, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      flight.waiting--;
      if (flight.waiting === 0) flight.stop.abort();
    }
  }

  /** Questions under way. */
  get count(): number {
    return this.#flights.size;
  }
}
