/**
 * Which results of requests are stored, by client, for those that make many: what is acknowledged is forgotten with each commit, and looking
 * for it in the store would put all that is not applied yet in order every time. Of a client that is not known here the store is asked.
 */

/** Clients, and results of one, beyond which the store is asked. */
const clientsMax = 256;
const resultsMax = 1024;

export class StoredRequests {
  /** Counters in the order in which they were stored. */
  readonly #counters = new Map<string, Set<number>>();

  /** Up to `limit` of those up to `acknowledged`; undefined when the client is not known here. */
  forgettable(client: string, acknowledged: number, limit: number): number[] | undefined {
    const counters = this.#counters.get(client);
    if (!counters) return undefined;
    const found: number[] = [];
    for (const counter of counters) {
      if (counter > acknowledged) continue;
      if (found.push(counter) === limit) break;
    }
    return found;
  }

  /** Those are all that the store has of the client. */
  know(client: string, counters: readonly number[]): void {
    if (this.#counters.size < clientsMax) this.#counters.set(client, new Set(counters));
  }

  /** In the turn of the commit that stores one and forgets others. */
  committed(client: string, stored: number, forgotten: readonly number[]): void {
    const counters = this.#counters.get(client);
    if (!counters) return;
    for (const counter of forgotten) counters.delete(counter);
    counters.add(stored);
    if (counters.size > resultsMax) this.#counters.delete(client);
  }
}
