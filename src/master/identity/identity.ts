/**
 * Users, keys, groups and policies (contracts/identity-api.ts). A change is decided on the state in memory, written in one transaction,
 * then applied to memory in the same turn: whoever asks next sees it, the answer waits until it is durable.
 */
import {WeirError} from '#base/errors.ts';
import {decodeRealm, encodeRealm, type GroupRecord, type KeyRecord, type RealmRecord, type UserRecord} from '#codec/namespace/identity-record.ts';
import {identityKey} from '#codec/namespace/keys.ts';
import {parseIdentityPolicy} from '#codec/s3/policy/document.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {CallContext} from '#contracts/context.ts';
import type {GroupInfo, Holder, IdentityApi, KeyInfo, KeyOptions, NewKey, NewUser, PolicyInfo, UserInfo} from '#contracts/identity-api.ts';
import {base32, Directory, type RootKey, temporaryPrefix} from '#master/identity/directory.ts';
import type {FollowedBeginning} from '#master/identity/followed-directory.ts';
import {type Change, IdentityState, writeChanges} from '#master/identity/identity-state.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import type {Metastore} from '#metastore/metastore.ts';
import type {Runtime} from '#runtime/runtime.ts';

const namePattern = /^[A-Za-z0-9+=,.@_-]{1,64}$/;
const keyPattern = /^[A-Za-z0-9._-]{3,128}$/;
const uidFirst = 20_000;
const uidMax = 0xffff_fffe;
const keysAUserMax = 100;
const attachedMax = 50;
const descriptionCharsMax = 256;

export interface IdentityServices {
  readonly metastore: Metastore;
  readonly runtime: Pick<Runtime, 'clock' | 'random'>;
  readonly rootKey: RootKey;
}

export class Identity implements IdentityApi {
  readonly directory: Directory;
  readonly #services: IdentityServices;
  readonly #state: IdentityState;
  readonly #realm: RealmRecord;
  readonly #followers = new Set<(changes: readonly Change[]) => void>();

  static async open(services: IdentityServices): Promise<Identity> {
    const {metastore, runtime} = services;
    const {result, durable} = metastore.transact((tx) => {
      const stored = tx.get(identityKey('realm', ''));
      const realm = stored ? decodeRealm(stored) : {accountId: accountId(runtime.random.bytes(12)), ownerId: Buffer.from(runtime.random.bytes(32)).toString('hex'), seal: runtime.random.bytes(32)};
      if (!stored) tx.put(identityKey('realm', ''), encodeRealm(realm));
      return {realm, state: IdentityState.read(tx)};
    });
    await durable;
    return new Identity(services, result.realm, result.state);
  }

  private constructor(services: IdentityServices, realm: RealmRecord, state: IdentityState) {
    this.#services = services;
    this.#realm = realm;
    this.#state = state;
    this.directory = new Directory({state, realm, random: services.runtime.random, rootKey: services.rootKey});
  }

  /** With what a directory elsewhere begins, and then, until disposed, every change in the turn in which it is made. */
  follow(onChange: (changes: readonly Change[]) => void): Disposable & {readonly beginning: FollowedBeginning} {
    const {rootKey} = this.#services;
    this.#followers.add(onChange);
    return {beginning: {realm: this.#realm, rootKey, state: this.#state.all()}, [Symbol.dispose]: () => void this.#followers.delete(onChange)};
  }

  async listUsers(context: CallContext): Promise<readonly UserInfo[]> {
    this.#admit(context);
    return byName(this.#state.user).map(([name, user]) => this.#userInfo(name, user));
  }

  async addUser(name: string, user: NewUser, context: CallContext): Promise<UserInfo> {
    this.#admit(context);
    checkName('user', name);
    if (this.#state.user.has(name) || name === 'root') throw new WeirError('AlreadyExists', `there is a user ${name} already`);
    const {groups = [], policies = []} = user;
    for (const group of groups) this.#group(group);
    for (const policy of policies) this.#policy(policy);
    const account = user.account ?? (groups.length + policies.length > 0 ? 'instance' : 'own');
    const {random} = this.#services.runtime;
    const record: UserRecord = {
      account, uid: this.#freeUid(user.uid), active: true, groups: limited(groups, 'groups'), policies: limited(policies, 'policies'), inline: {}, createdAt: this.#now(),
      accountId: account === 'own' ? accountId(random.bytes(12)) : this.#realm.accountId,
      ownerId: account === 'own' ? Buffer.from(random.bytes(32)).toString('hex') : this.#realm.ownerId,
    };
    await this.#commit([{table: 'user', name, value: record}]);
    return this.#userInfo(name, record);
  }

  async updateUser(name: string, change: {readonly active?: boolean}, context: CallContext): Promise<UserInfo> {
    this.#admit(context);
    const record = {...this.#user(name), ...(change.active === undefined ? {} : {active: change.active})};
    await this.#commit([{table: 'user', name, value: record}]);
    return this.#userInfo(name, record);
  }

  async removeUser(name: string, context: CallContext): Promise<void> {
    this.#admit(context);
    this.#user(name);
    const keys = [...this.#state.key].filter(([, key]) => key.user === name).map(([id]): Change => ({table: 'key', name: id, value: null}));
    await this.#commit([{table: 'user', name, value: null}, ...keys]);
  }

  async listKeys(user: string | null, context: CallContext): Promise<readonly KeyInfo[]> {
    this.#admit(context);
    if (user !== null) this.#user(user);
    return byName(this.#state.key).filter(([, key]) => user === null || key.user === user).map(([id, key]) => keyInfo(id, key));
  }

  async addKey(user: string, options: KeyOptions, context: CallContext): Promise<NewKey> {
    this.#admit(context);
    this.#user(user);
    const {random} = this.#services.runtime;
    if ((options.accessKeyId === undefined) !== (options.secretAccessKey === undefined)) throw new WeirError('InvalidArgument', 'an access key id and its secret are given together');
    const accessKeyId = options.accessKeyId ?? `WEIR${base32(random.bytes(16))}`;
    const secretAccessKey = options.secretAccessKey ?? Buffer.from(random.bytes(30)).toString('base64url');
    if (!keyPattern.test(accessKeyId) || accessKeyId.startsWith(temporaryPrefix)) {
      throw new WeirError('InvalidArgument', `an access key id has 3 to 128 letters, digits, dots, hyphens and underscores, and does not begin with ${temporaryPrefix}`);
    }
    if (secretAccessKey.length < 8 || secretAccessKey.length > 128) throw new WeirError('InvalidArgument', 'a secret access key has 8 to 128 characters');
    if (this.#state.key.has(accessKeyId) || this.#services.rootKey.accessKeyId === accessKeyId) throw new WeirError('AlreadyExists', `the access key ${accessKeyId} exists already`);
    const held = [...this.#state.key.values()].filter((key) => key.user === user).length;
    if (held >= keysAUserMax) throw new WeirError('InvalidArgument', `${user} has ${keysAUserMax} keys already; remove one`);
    const record: KeyRecord = {user, secret: secretAccessKey, active: true, description: described(options.description), createdAt: this.#now(), ...expiry(options.expiresAt)};
    await this.#commit([{table: 'key', name: accessKeyId, value: record}]);
    return {...keyInfo(accessKeyId, record), secretAccessKey};
  }

  async updateKey(accessKeyId: string, change: {readonly active?: boolean; readonly expiresAt?: number | null; readonly description?: string}, context: CallContext): Promise<KeyInfo> {
    this.#admit(context);
    const {expiresAt: before, ...kept} = this.#key(accessKeyId);
    const record: KeyRecord = {
      ...kept, ...(change.active === undefined ? {} : {active: change.active}), ...(change.description === undefined ? {} : {description: described(change.description)}),
      ...expiry(change.expiresAt === undefined ? before : (change.expiresAt ?? undefined)),
    };
    await this.#commit([{table: 'key', name: accessKeyId, value: record}]);
    return keyInfo(accessKeyId, record);
  }

  async removeKey(accessKeyId: string, context: CallContext): Promise<void> {
    this.#admit(context);
    this.#key(accessKeyId);
    await this.#commit([{table: 'key', name: accessKeyId, value: null}]);
  }

  async listGroups(context: CallContext): Promise<readonly GroupInfo[]> {
    this.#admit(context);
    return byName(this.#state.group).map(([name, group]) => this.#groupInfo(name, group));
  }

  async addGroup(name: string, context: CallContext): Promise<GroupInfo> {
    this.#admit(context);
    checkName('group', name);
    if (this.#state.group.has(name)) throw new WeirError('AlreadyExists', `there is a group ${name} already`);
    const record: GroupRecord = {policies: [], inline: {}};
    await this.#commit([{table: 'group', name, value: record}]);
    return this.#groupInfo(name, record);
  }

  async setMember(group: string, user: string, member: boolean, context: CallContext): Promise<GroupInfo> {
    this.#admit(context);
    const held = this.#group(group);
    const record = this.#user(user);
    const groups = with_(record.groups, group, member, 'groups');
    await this.#commit([{table: 'user', name: user, value: {...record, groups}}]);
    return this.#groupInfo(group, held);
  }

  async removeGroup(name: string, context: CallContext): Promise<void> {
    this.#admit(context);
    this.#group(name);
    const members = [...this.#state.user].filter(([, user]) => user.groups.includes(name));
    const left = members.map(([user, record]): Change => ({table: 'user', name: user, value: {...record, groups: record.groups.filter((group) => group !== name)}}));
    await this.#commit([{table: 'group', name, value: null}, ...left]);
  }

  async listPolicies(context: CallContext): Promise<readonly PolicyInfo[]> {
    this.#admit(context);
    return byName(this.#state.policy).map(([name, {text}]) => ({name, text, attachedTo: this.#attachedTo(name)}));
  }

  async putPolicy(name: string, text: string, context: CallContext): Promise<PolicyInfo> {
    this.#admit(context);
    checkName('policy', name);
    checkPolicy(text);
    await this.#commit([{table: 'policy', name, value: {text}}]);
    return {name, text, attachedTo: this.#attachedTo(name)};
  }

  async removePolicy(name: string, context: CallContext): Promise<void> {
    this.#admit(context);
    this.#policy(name);
    const [first] = this.#attachedTo(name);
    if (first !== undefined) throw new WeirError('Busy', `policy ${name} is attached to ${first}; detach it first`);
    await this.#commit([{table: 'policy', name, value: null}]);
  }

  async attachPolicy(holder: Holder, policy: string, attached: boolean, context: CallContext): Promise<void> {
    this.#admit(context);
    if (attached) this.#policy(policy);
    await this.#changeHolder(holder, (held) => ({...held, policies: with_(held.policies, policy, attached, 'policies')}));
  }

  async putInlinePolicy(holder: Holder, name: string, text: string | null, context: CallContext): Promise<void> {
    this.#admit(context);
    checkName('policy', name);
    if (text !== null) checkPolicy(text);
    await this.#changeHolder(holder, (held) => {
      const others = Object.entries(held.inline).filter(([other]) => other !== name);
      if (text === null && others.length === Object.keys(held.inline).length) throw new WeirError('NotFound', `there is no inline policy ${name}`);
      if (others.length >= attachedMax) throw new WeirError('InvalidArgument', `at most ${attachedMax} inline policies`);
      return {...held, inline: Object.fromEntries(text === null ? others : [...others, [name, text]])};
    });
  }

  async getInlinePolicy(holder: Holder, name: string, context: CallContext): Promise<string> {
    this.#admit(context);
    const {inline} = 'user' in holder ? this.#user(holder.user) : this.#group(holder.group);
    if (!Object.hasOwn(inline, name)) throw new WeirError('NotFound', `there is no inline policy ${name}`);
    return inline[name]!;
  }

  #admit({principal}: CallContext): void {
    if (!isUnchecked(principal)) throw new WeirError('PermissionDenied', `${principal.name} may not manage users, keys and policies`);
  }

  #now(): number {
    return this.#services.runtime.clock.nowMs();
  }

  async #commit(changes: readonly Change[]): Promise<void> {
    const {durable} = this.#services.metastore.transact((tx) => writeChanges(tx, changes));
    this.#state.apply(changes);
    for (const follower of this.#followers) follower(changes);
    await durable;
  }

  async #changeHolder(holder: Holder, change: <T extends Pick<UserRecord, 'policies' | 'inline'>>(held: T) => T): Promise<void> {
    if ('user' in holder) await this.#commit([{table: 'user', name: holder.user, value: change(this.#user(holder.user))}]);
    else await this.#commit([{table: 'group', name: holder.group, value: change(this.#group(holder.group))}]);
  }

  #user(name: string): UserRecord {
    return found(this.#state.user.get(name), `there is no user ${name.slice(0, 64)}`);
  }

  #group(name: string): GroupRecord {
    return found(this.#state.group.get(name), `there is no group ${name.slice(0, 64)}`);
  }

  #key(id: string): KeyRecord {
    return found(this.#state.key.get(id), `there is no access key ${id.slice(0, 128)}`);
  }

  #policy(name: string): void {
    found(this.#state.policy.get(name), `there is no policy ${name.slice(0, 64)}`);
  }

  #freeUid(wanted: number | undefined): number {
    const taken = new Set(Array.from(this.#state.user.values(), ({uid}) => uid));
    if (wanted === undefined) return Math.max(uidFirst - 1, ...[...taken].filter((uid) => uid >= uidFirst && uid < uidMax)) + 1;
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > uidMax) throw new WeirError('InvalidArgument', `a uid is 1 to ${uidMax}; 0 is the instance's own`);
    if (taken.has(wanted)) throw new WeirError('AlreadyExists', `uid ${wanted} is another user's`);
    return wanted;
  }

  #attachedTo(policy: string): string[] {
    const holders = (kind: string, held: ReadonlyMap<string, {readonly policies: readonly string[]}>) => byName(held).filter(([, {policies}]) => policies.includes(policy)).map(([name]) => `${kind}:${name}`);
    return [...holders('user', this.#state.user), ...holders('group', this.#state.group)];
  }

  #userInfo(name: string, user: UserRecord): UserInfo {
    const {account, accountId: id, ownerId, uid, active, groups, policies, inline, createdAt} = user;
    return {name, account, accountId: id, ownerId, arn: `arn:aws:iam::${id}:user/${name}`, uid, active, groups, policies, inlinePolicies: Object.keys(inline), createdAt};
  }

  #groupInfo(name: string, group: GroupRecord): GroupInfo {
    const members = byName(this.#state.user).filter(([, user]) => user.groups.includes(name)).map(([user]) => user);
    return {name, policies: group.policies, inlinePolicies: Object.keys(group.inline), members};
  }
}

function found<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new WeirError('NotFound', message);
  return value;
}

function byName<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function checkName(what: string, name: string): void {
  if (!namePattern.test(name)) throw new WeirError('InvalidArgument', `a ${what}'s name has 1 to 64 letters, digits and +=,.@_-`);
}

function checkPolicy(text: string): void {
  try {
    parseIdentityPolicy(text);
  } catch (error) {
    if (error instanceof S3Error) throw new WeirError('InvalidArgument', error.message, {details: {s3: error.code}});
    throw error;
  }
}

function described(text = ''): string {
  if (text.length > descriptionCharsMax) throw new WeirError('InvalidArgument', `a description has at most ${descriptionCharsMax} characters`);
  return text;
}

function expiry(expiresAt: number | undefined): {readonly expiresAt?: number} {
  if (expiresAt === undefined) return {};
  if (!Number.isSafeInteger(expiresAt) || expiresAt < 0) throw new WeirError('InvalidArgument', 'the time of expiry is not a time');
  return {expiresAt};
}

function limited(list: readonly string[], what: string): readonly string[] {
  if (list.length > attachedMax) throw new WeirError('InvalidArgument', `at most ${attachedMax} ${what}`);
  return [...new Set(list)];
}

/** The list with or without the item. */
function with_(list: readonly string[], item: string, wanted: boolean, what: string): readonly string[] {
  return wanted ? limited([...list, item], what) : list.filter((other) => other !== item);
}

function keyInfo(accessKeyId: string, {user, active, description, createdAt, expiresAt}: KeyRecord): KeyInfo {
  return {accessKeyId, user, active, description, createdAt, ...(expiresAt === undefined ? {} : {expiresAt})};
}

/** Twelve digits. */
function accountId(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte % 10).join('');
}
