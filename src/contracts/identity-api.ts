/**
 * Who may use an instance: users, their keys, groups and policies. Two sides: `IdentityApi` is what administrators change, from anywhere;
 * `IdentityDirectory` is what front ends ask on every request, in memory and without waiting.
 *
 * Accounts. The instance has one account; its root user holds the key of the first start. A user made without policies or groups gets an
 * account of its own (`own`): it makes buckets and does as it likes with what it owns. A user made with policies or groups belongs to
 * the instance's account (`instance`): it may do what its policies say, and what it writes belongs to the instance.
 *
 * Names of users, groups and policies: 1 to 64 of letters, digits and `+=,.@_-`. Policies are IAM policy documents (JSON).
 */
import type {CallContext, Principal} from '#contracts/context.ts';

export interface UserInfo {
  readonly name: string;
  readonly account: 'own' | 'instance';
  /** Twelve digits. */
  readonly accountId: string;
  /** The canonical id under which S3 shows what the user owns. */
  readonly ownerId: string;
  readonly arn: string;
  /** Owner of the files that the user makes. */
  readonly uid: number;
  /** Keys of an inactive user are refused. */
  readonly active: boolean;
  readonly groups: readonly string[];
  /** Managed policies attached to the user itself. */
  readonly policies: readonly string[];
  /** Names of the policies that are the user's alone. */
  readonly inlinePolicies: readonly string[];
  /** Wall milliseconds. */
  readonly createdAt: number;
}

/** Never with the secret. */
export interface KeyInfo {
  readonly accessKeyId: string;
  readonly user: string;
  readonly active: boolean;
  readonly description: string;
  readonly createdAt: number;
  /** Wall milliseconds; absent: never. */
  readonly expiresAt?: number;
}

export interface NewKey extends KeyInfo {
  /** Shown this once. */
  readonly secretAccessKey: string;
}

export interface GroupInfo {
  readonly name: string;
  readonly policies: readonly string[];
  readonly inlinePolicies: readonly string[];
  readonly members: readonly string[];
}

export interface PolicyInfo {
  readonly name: string;
  readonly text: string;
  /** `user:NAME` and `group:NAME`. */
  readonly attachedTo: readonly string[];
}

/** A user or a group. */
export type Holder = {readonly user: string} | {readonly group: string};

export interface NewUser {
  readonly account?: 'own' | 'instance';
  /** Default: the next free one from 20 000. */
  readonly uid?: number;
  readonly groups?: readonly string[];
  readonly policies?: readonly string[];
}

export interface KeyOptions {
  /** Both or neither: a key that is known already (an import); otherwise they are made. */
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly description?: string;
  readonly expiresAt?: number;
}

/**
 * Only for administrators: PermissionDenied otherwise. NotFound and AlreadyExists name the thing; InvalidArgument (names, documents, limits).
 * Answers are durable.
 */
export interface IdentityApi {
  listUsers(context: CallContext): Promise<readonly UserInfo[]>;
  addUser(name: string, user: NewUser, context: CallContext): Promise<UserInfo>;
  updateUser(name: string, change: {readonly active?: boolean}, context: CallContext): Promise<UserInfo>;
  /** With its keys. What it owns falls to the instance. */
  removeUser(name: string, context: CallContext): Promise<void>;

  listKeys(user: string | null, context: CallContext): Promise<readonly KeyInfo[]>;
  addKey(user: string, options: KeyOptions, context: CallContext): Promise<NewKey>;
  /** `expiresAt` null: never. */
  updateKey(accessKeyId: string, change: {readonly active?: boolean; readonly expiresAt?: number | null; readonly description?: string}, context: CallContext): Promise<KeyInfo>;
  removeKey(accessKeyId: string, context: CallContext): Promise<void>;

  listGroups(context: CallContext): Promise<readonly GroupInfo[]>;
  addGroup(name: string, context: CallContext): Promise<GroupInfo>;
  setMember(group: string, user: string, member: boolean, context: CallContext): Promise<GroupInfo>;
  removeGroup(name: string, context: CallContext): Promise<void>;

  listPolicies(context: CallContext): Promise<readonly PolicyInfo[]>;
  /** Makes or replaces. */
  putPolicy(name: string, text: string, context: CallContext): Promise<PolicyInfo>;
  /** Busy while it is attached. */
  removePolicy(name: string, context: CallContext): Promise<void>;
  attachPolicy(holder: Holder, policy: string, attached: boolean, context: CallContext): Promise<void>;
  /** A policy of the holder alone; null removes it. */
  putInlinePolicy(holder: Holder, name: string, text: string | null, context: CallContext): Promise<void>;
  getInlinePolicy(holder: Holder, name: string, context: CallContext): Promise<string>;
}

/** Who S3 shows as owner. */
export interface Owner {
  readonly id: string;
  readonly displayName: string;
  readonly accountId: string;
  /** Owner of the files; what identifies an owner in the namespace. */
  readonly uid: number;
}

/** An identity policy as it is in force; the same object for as long as it has not changed, so that what is made of it can be kept with it. */
export interface StatedPolicy {
  readonly name: string;
  readonly text: string;
}

/** Somebody whose key was checked. */
export interface Caller {
  readonly principal: Principal;
  /** `root`: the instance's own key. `account`: the root user of an account of its own. `member`: a user of the instance's account. */
  readonly kind: 'root' | 'account' | 'member';
  readonly accountId: string;
  readonly arn: string;
  readonly owner: Owner;
  /** Of the user and its groups. */
  readonly policies: readonly StatedPolicy[];
  /** Temporary credentials: what their policy does not allow too, they may not. */
  readonly session?: {readonly name: string; readonly policy?: StatedPolicy};
}

export interface Credential {
  readonly secret: string;
  readonly caller: Caller;
  /** Wall milliseconds from which it is refused. */
  readonly expiresAt?: number;
}

export interface TemporaryCredential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresAt: number;
}

/** In memory, current with every change that was committed. */
export interface IdentityDirectory {
  /** Undefined for keys that are unknown or inactive, for temporary ones without their own token, and for others with one. */
  find(accessKeyId: string, sessionToken?: string): Credential | undefined;
  /** The owner of an account of its own whose files have this uid; undefined: they belong to whom the bucket belongs to. */
  ownerOfUid(uid: number): Owner | undefined;
  ownerById(id: string): Owner | undefined;
  /** Of the account in which a user of this name works; the instance's for names that are nobody's any more. */
  ownerByName(name: string): Owner;
  /** Whether anything can belong to anybody but the instance. */
  readonly hasAccounts: boolean;
  /** Of the instance's account. */
  readonly root: Owner;
  /** Temporary credentials that act as the caller. They end early when the user, or the policies that it has, do. */
  issue(caller: Caller, options: {readonly expiresAt: number; readonly sessionName: string; readonly policy?: string}): TemporaryCredential;
}
