/** What travels with every call between services: who asks, until when, and which request it is. */

export interface Principal {
  readonly name: string;
  readonly uid: number;
  readonly gids: readonly number[];
  /** What it may was decided already, by policies: modes are not asked. */
  readonly authorized?: true;
}

/** The instance itself, or whoever holds the root key. */
export const rootPrincipal: Principal = {name: 'root', uid: 0, gids: [0]};

export interface CallContext {
  readonly principal: Principal;
  /** Aborted when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal;
  /**
   * Names a mutation, for callers that may send it again: the second time the first result is returned and nothing is
   * done. `client` chooses both; `acknowledged` says that results up to that counter may be forgotten.
   */
  readonly request?: {readonly client: string; readonly counter: number; readonly acknowledged: number};
  /** Names the request in logs and audit. */
  readonly trace?: string;
}

const never = new AbortController().signal;

/** A context for work that Weir does on its own account. */
export const systemContext: CallContext = {principal: rootPrincipal, signal: never};
