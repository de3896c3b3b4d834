/**
 * A directory in another thread, made of the same state: before each question it takes in what was changed, so that it answers as the one that it
 * follows would at that moment. A key that was revoked is unknown here from the turn on in which it was revoked there.
 */
import type {RealmRecord} from '#codec/namespace/identity-record.ts';
import {Directory, type RootKey} from '#master/identity/directory.ts';
import {type Change, IdentityState, type IdentityView} from '#master/identity/identity-state.ts';
import type {Random} from '#runtime/random.ts';

/** Plain data; with secrets, for this process alone. */
export interface FollowedBeginning {
  readonly realm: RealmRecord;
  readonly rootKey: RootKey;
  readonly state: readonly Change[];
}

/** `changes`: those made since it was asked last, without waiting. */
export function followedDirectory({realm, rootKey, state: beginning}: FollowedBeginning, changes: () => readonly (readonly Change[])[], random: Random): Directory {
  return new Directory({state: new FollowedState(beginning, changes), realm, random, rootKey});
}

class FollowedState implements IdentityView {
  readonly #state = new IdentityState();
  readonly #changes: () => readonly (readonly Change[])[];

  constructor(beginning: readonly Change[], changes: () => readonly (readonly Change[])[]) {
    this.#state.apply(beginning);
    this.#changes = changes;
  }

  get revision(): number {
    for (const changes of this.#changes()) this.#state.apply(changes);
    return this.#state.revision;
  }

  get user(): IdentityState['user'] {
    return this.#state.user;
  }

  get key(): IdentityState['key'] {
    return this.#state.key;
  }

  get group(): IdentityState['group'] {
    return this.#state.group;
  }

  get policy(): IdentityState['policy'] {
    return this.#state.policy;
  }
}
