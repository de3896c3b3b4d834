/**
 * Which of the cached things goes next. Policies are pure: they are told what happens to nodes (rows of the node table) and name
 * victims; they do no I/O and know no time. A node is in at most one policy, so all of them share the link columns.
 */
/** Numbers by node. */
export interface Cells {
  get(node: number): number;
  set(node: number, value: number): void;
}

/** What a policy may see of the nodes, and the columns that are its own. */
export interface NodeSpace {
  readonly next: Cells;
  readonly previous: Cells;
  /** One byte a node, 0 when the node is in no policy. */
  readonly mark: Cells;
  bytesOf(node: number): number;
  /** The same for the same thing when it comes back under another node. */
  hashOf(node: number): number;
}

export interface EvictionPolicy {
  insert(node: number): void;
  use(node: number): void;
  /** The node's bytes changed by `delta`; `bytesOf` tells the new size already. */
  resized(node: number, delta: number): void;
  /** Takes a node out without judging it. Harmless when it is not in. */
  remove(node: number): void;
  /** Takes the next victim out: the first in the policy's order that `mayEvict`. 0 when there is none among the first candidates. */
  evict(mayEvict: (node: number) => boolean): number;
  /** Whether the last victim had shown its worth: used again since it came in. */
  readonly victimWasUsed: boolean;
  /** Whether what is not in now was in, or was asked for like this, lately; remembers that it was asked for. */
  seen(node: number): boolean;
  /** Memory beyond the shared columns. */
  readonly bytes: number;
}

/** How many candidates that must stay (leased) are passed over in one call. */
export const protectedSkipsMax = 256;

export type PolicyName = 's3-fifo' | 'lru' | 'lfu' | 'lrfu';
