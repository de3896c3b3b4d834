/**
 * Turns: who may let a store and the namespace change together, and in which order. A claim names single store keys and
 * whole trees of them (prefixes that end in `/`, or the empty prefix); two claims conflict when one's keys or trees touch
 * the other's. Claims are granted first come, first served, so the store's order of versions is the namespace's.
 *
 * Every claim waits only for claims that were registered before it, all in one synchronous step; so there is no deadlock,
 * whatever a claim names. Never held inside a namespace operation, which is synchronous.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';

export interface TurnRequest {
  readonly mount: MountId;
  readonly keys?: readonly ByteString[];
  /** Prefixes: everything that starts with one of them. */
  readonly trees?: readonly ByteString[];
}

interface Claim {
  readonly mount: MountId;
  readonly keys: readonly ByteString[];
  readonly trees: readonly ByteString[];
  readonly done: Promise<void>;
}

export class Turns {
  /** The last claim of each single key; it waited for those before it. */
  readonly #tails = new Map<string, Claim>();
  /** Claims that name trees, from registration to release; few. */
  readonly #trees = new Set<Claim>();

  /** Waits for the turn; disposing gives it back (twice is harmless). Rejects with the signal's reason, and then holds nothing. */
  async acquire(request: TurnRequest, signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    const {promise: done, resolve: finish} = Promise.withResolvers<void>();
    const claim: Claim = {mount: request.mount, keys: request.keys ?? [], trees: request.trees ?? [], done};
    const before = this.#conflicts(claim);
    for (const key of claim.keys) this.#tails.set(tailKey(claim.mount, key), claim);
    if (claim.trees.length > 0) this.#trees.add(claim);
    const release = (): void => {
      finish();
      this.#trees.delete(claim);
      for (const key of claim.keys) {
        const name = tailKey(claim.mount, key);
        if (this.#tails.get(name) === claim) this.#tails.delete(name);
      }
    };
    if (before.size > 0) {
      const granted = Promise.all([...before].map(other => other.done));
      // Given up while waiting: those behind still have to wait for those before.
      if (!(await endsBefore(granted, signal))) {
        void granted.then(release);
        signal!.throwIfAborted();
      }
    }
    return {[Symbol.dispose]: release};
  }

  /** Whether nobody has the turn of a single key, or waits for it: then it can be taken for what is done in this very turn of the event loop without being claimed. */
  isFree(mount: MountId, key: ByteString): boolean {
    if (this.#tails.has(tailKey(mount, key))) return false;
    for (const other of this.#trees) if (other.mount === mount && other.trees.some(tree => key.startsWith(tree))) return false;
    return true;
  }

  /** The turn of single keys, where nobody else has it or waits for it. */
  take(mount: MountId, keys: readonly ByteString[]): Disposable | undefined {
    const {promise: done, resolve: finish} = Promise.withResolvers<void>();
    const claim: Claim = {mount, keys, trees: [], done};
    if (this.#conflicts(claim).size > 0) return undefined;
    for (const key of keys) this.#tails.set(tailKey(mount, key), claim);
    return {[Symbol.dispose]: () => {
      finish();
      for (const key of keys) if (this.#tails.get(tailKey(mount, key)) === claim) this.#tails.delete(tailKey(mount, key));
    }};
  }

  /** Claims held or waited for; 0 when all is quiet. */
  get count(): number {
    return new Set([...this.#tails.values(), ...this.#trees]).size;
  }

  #conflicts(claim: Claim): Set<Claim> {
    const before = new Set<Claim>();
    for (const key of claim.keys) {
      const tail = this.#tails.get(tailKey(claim.mount, key));
      if (tail) before.add(tail);
    }
    for (const other of this.#trees) {
      if (other.mount === claim.mount && other.trees.some(tree => claim.keys.some(key => key.startsWith(tree)) || claim.trees.some(mine => mine.startsWith(tree) || tree.startsWith(mine)))) before.add(other);
    }
    if (claim.trees.length > 0) {
      for (const other of this.#tails.values()) {
        if (other.mount === claim.mount && other.keys.some(key => claim.trees.some(tree => key.startsWith(tree)))) before.add(other);
      }
    }
    return before;
  }
}

function tailKey(mount: MountId, key: ByteString): string {
  return `${mount}:${key}`;
}

/** True when the promise resolves; false when the signal fires first. */
async function endsBefore(promise: Promise<unknown>, signal: AbortSignal | undefined): Promise<boolean> {
  if (!signal) {
    await promise;
    return true;
  }
  const {promise: aborted, resolve} = Promise.withResolvers<boolean>();
  const onAbort = (): void => resolve(false);
  signal.addEventListener('abort', onAbort, {once: true});
  try {
    return await Promise.race([promise.then(() => true), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
