/** What front ends ask: who holds a key, and what may they. Answers are made from the state and kept until it changes. */
import {LRUCache} from 'lru-cache';
import type {KeyRecord, RealmRecord, UserRecord} from '#codec/namespace/identity-record.ts';
import {rootPrincipal} from '#contracts/context.ts';
import type {Caller, Credential, IdentityDirectory, Owner, StatedPolicy, TemporaryCredential} from '#contracts/identity-api.ts';
import type {IdentityView} from '#master/identity/identity-state.ts';
import {openToken, sealToken, secretOf, type SessionToken} from '#master/identity/session-token.ts';
import type {Random} from '#runtime/random.ts';

/** Sessions whose tokens need not be checked again; a caller costs some hundred bytes beside its policy. */
const sessionsKeptMax = 4096;
export const temporaryPrefix = 'WEIT';

export interface RootKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export class Directory implements IdentityDirectory {
  readonly root: Owner;
  readonly #state: IdentityView;
  readonly #realm: RealmRecord;
  readonly #random: Random;
  readonly #rootKey: RootKey;
  readonly #rootCaller: Caller;
  #revision = -1;
  /** By access key id, made when first asked for. */
  readonly #credentials = new Map<string, Credential>();
  readonly #sessions = new LRUCache<string, Credential>({max: sessionsKeptMax});
  readonly #callers = new Map<string, Caller>();
  readonly #policies = new Map<string, StatedPolicy>();
  #ownersByUid = new Map<number, Owner>();
  #ownersById = new Map<string, Owner>();

  constructor(services: {readonly state: IdentityView; readonly realm: RealmRecord; readonly random: Random; readonly rootKey: RootKey}) {
    this.#state = services.state;
    this.#realm = services.realm;
    this.#random = services.random;
    this.#rootKey = services.rootKey;
    const {accountId, ownerId} = services.realm;
    this.root = {id: ownerId, displayName: rootPrincipal.name, uid: rootPrincipal.uid, accountId};
    this.#rootCaller = {principal: rootPrincipal, kind: 'root', accountId, arn: `arn:aws:iam::${accountId}:root`, owner: this.root, policies: []};
  }

  find(accessKeyId: string, sessionToken?: string): Credential | undefined {
    this.#refresh();
    // Only temporary keys have tokens.
    if (sessionToken !== undefined) return accessKeyId.startsWith(temporaryPrefix) ? this.#session(accessKeyId, sessionToken) : undefined;
    const known = this.#credentials.get(accessKeyId);
    if (known) return known;
    if (accessKeyId === this.#rootKey.accessKeyId) return this.#keep(accessKeyId, {secret: this.#rootKey.secretAccessKey, caller: this.#rootCaller});
    const key = this.#state.key.get(accessKeyId);
    return key ? this.#stored(accessKeyId, key) : undefined;
  }

  ownerOfUid(uid: number): Owner | undefined {
    this.#refresh();
    return this.#ownersByUid.get(uid);
  }

  ownerById(id: string): Owner | undefined {
    this.#refresh();
    return this.#ownersById.get(id);
  }

  ownerByName(name: string): Owner {
    this.#refresh();
    const user = this.#state.user.get(name);
    return (user?.account === 'own' ? this.#ownersByUid.get(user.uid) : undefined) ?? this.root;
  }

  get hasAccounts(): boolean {
    this.#refresh();
    return this.#ownersByUid.size > 0;
  }

  issue(caller: Caller, options: {readonly expiresAt: number; readonly sessionName: string; readonly policy?: string}): TemporaryCredential {
    const accessKeyId = `${temporaryPrefix}${base32(this.#random.bytes(16))}`;
    const user = caller.kind === 'root' ? undefined : caller.principal.name;
    const token: SessionToken = {accessKeyId, ...(user === undefined ? {} : {user}), userSince: user === undefined ? 0 : (this.#state.user.get(user)?.createdAt ?? 0), ...options};
    return {accessKeyId, secretAccessKey: secretOf(this.#realm.seal, accessKeyId), sessionToken: sealToken(this.#realm.seal, token), expiresAt: options.expiresAt};
  }

  /** Forgets what was made of an older state. */
  #refresh(): void {
    if (this.#revision === this.#state.revision) return;
    this.#revision = this.#state.revision;
    this.#credentials.clear();
    this.#sessions.clear();
    this.#callers.clear();
    this.#ownersByUid = new Map();
    this.#ownersById = new Map([[this.root.id, this.root]]);
    for (const [name, user] of this.#state.user) {
      if (user.account !== 'own') continue;
      const owner = {id: user.ownerId, displayName: name, accountId: user.accountId, uid: user.uid};
      this.#ownersByUid.set(user.uid, owner);
      this.#ownersById.set(user.ownerId, owner);
    }
  }

  #keep(accessKeyId: string, credential: Credential): Credential {
    this.#credentials.set(accessKeyId, credential);
    return credential;
  }

  #stored(accessKeyId: string, key: KeyRecord): Credential | undefined {
    const user = this.#state.user.get(key.user);
    if (!user?.active || !key.active) return undefined;
    return this.#keep(accessKeyId, {secret: key.secret, caller: this.#callerOf(key.user, user), ...(key.expiresAt === undefined ? {} : {expiresAt: key.expiresAt})});
  }

  #session(accessKeyId: string, text: string): Credential | undefined {
    const id = `${accessKeyId} ${text}`;
    const kept = this.#sessions.get(id);
    if (kept) return kept;
    const token = openToken(this.#realm.seal, text);
    if (token?.accessKeyId !== accessKeyId) return undefined;
    const user = token.user === undefined ? undefined : this.#state.user.get(token.user);
    if (token.user !== undefined && (!user?.active || user.createdAt !== token.userSince)) return undefined;
    const base = user ? this.#callerOf(token.user!, user) : this.#rootCaller;
    const session = {name: token.sessionName, ...(token.policy === undefined ? {} : {policy: {name: 'session', text: token.policy}})};
    const credential = {secret: secretOf(this.#realm.seal, accessKeyId), caller: {...base, session}, expiresAt: token.expiresAt};
    this.#sessions.set(id, credential);
    return credential;
  }

  #callerOf(name: string, user: UserRecord): Caller {
    const known = this.#callers.get(name);
    if (known) return known;
    const own = user.account === 'own';
    const policies = [...this.#policiesOf(`user:${name}`, user), ...user.groups.flatMap((group) => this.#policiesOf(`group:${group}`, this.#state.group.get(group)))];
    const caller: Caller = {
      principal: {name, uid: user.uid, gids: [user.uid]}, kind: own ? 'account' : 'member', accountId: user.accountId, arn: `arn:aws:iam::${user.accountId}:user/${name}`,
      owner: own ? {id: user.ownerId, displayName: name, accountId: user.accountId, uid: user.uid} : this.root, policies: [...new Set(policies)],
    };
    this.#callers.set(name, caller);
    return caller;
  }

  #policiesOf(holder: string, held: {readonly policies: readonly string[]; readonly inline: Readonly<Record<string, string>>} | undefined): StatedPolicy[] {
    if (!held) return [];
    const managed = held.policies.flatMap((name) => {
      const record = this.#state.policy.get(name);
      return record ? [this.#stated(name, record.text)] : [];
    });
    return [...managed, ...Object.entries(held.inline).map(([name, text]) => this.#stated(`${holder}/${name}`, text))];
  }

  /** The same object while the text is the same. */
  #stated(name: string, text: string): StatedPolicy {
    const known = this.#policies.get(name);
    if (known?.text === text) return known;
    const stated = {name, text};
    this.#policies.set(name, stated);
    return stated;
  }
}

/** One letter a byte: 5 of its bits, in the alphabet of access keys. */
export function base32(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[byte & 31]).join('');
}
