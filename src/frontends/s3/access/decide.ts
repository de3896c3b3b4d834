/**
 * May this caller do this? The one place where identity policies, the session's, the bucket's policy, ACLs, public access block and
 * object ownership come together. Source: "How Amazon S3 authorizes a request" and "Policy evaluation logic".
 *
 * 1. An explicit deny in any policy ends it; only the owner of a bucket can always mend the bucket's own policy.
 * 2. A session must have it allowed by its own policy, whatever else allows it.
 * 3. Then one of these suffices: the caller owns the bucket (the instance's root counts as owner of every bucket), one of its identity
 *    policies, the bucket's policy, an ACL. An object that somebody else owns is its owner's: there only its ACL counts.
 */
import {type Acl, grantsTo, type GranteeGroup} from '#codec/s3/acl.ts';
import {parseIdentityPolicy} from '#codec/s3/policy/document.ts';
import {type Asker, CompiledPolicy, type PolicyQuestion, together, type Verdict} from '#codec/s3/policy/evaluate.ts';
import type {RequestFacts} from '#codec/s3/policy/condition-block.ts';
import type {Caller, IdentityDirectory, StatedPolicy} from '#contracts/identity-api.ts';
import type {BucketRules} from '#frontends/s3/access/bucket-rules.ts';
import type {Need} from '#frontends/s3/access/operations.ts';

export interface AccessQuestion {
  readonly caller: Caller | undefined;
  readonly need: Need;
  /** With the version's action where one version is meant. */
  readonly action: string;
  /** `bucket`, `bucket/key` or nothing, as text. */
  readonly resource: string;
  /** Undefined: the service, or a bucket that is not there yet. */
  readonly bucket: BucketRules | undefined;
  /** The list of the object that is there; undefined: nobody looked, or there is none. */
  readonly objectAcl: Acl | undefined;
  readonly facts: RequestFacts;
}

const compiled = new WeakMap<StatedPolicy, CompiledPolicy>();

function compiledOf(policy: StatedPolicy): CompiledPolicy {
  let known = compiled.get(policy);
  if (!known) compiled.set(policy, (known = new CompiledPolicy(parseIdentityPolicy(policy.text))));
  return known;
}

/** What the owner of a bucket may whatever its policy says: otherwise nobody could mend it. */
const mending: ReadonlySet<string> = new Set(['s3:getbucketpolicy', 's3:putbucketpolicy', 's3:deletebucketpolicy']);

export function isBucketOwner(caller: Caller | undefined, bucket: BucketRules): boolean {
  return caller !== undefined && (caller.kind === 'root' || (caller.kind === 'account' && caller.owner.id === bucket.owner.id));
}

/** The common case without any question: no policy speaks of an owner in its own bucket, so nothing can deny it anything but other owners' objects. */
export function isUndisputed(caller: Caller | undefined, bucket: BucketRules): boolean {
  return caller !== undefined && bucket.policy === undefined && caller.policies.length === 0 && caller.session === undefined && isBucketOwner(caller, bucket);
}

export function isAllowed({caller, need, action, resource, bucket, objectAcl, facts}: AccessQuestion, directory: IdentityDirectory): boolean {
  const question: PolicyQuestion = {action, resource, asker: askerOf(caller), facts};
  const owns = bucket !== undefined && isBucketOwner(caller, bucket);
  const identity: Verdict = caller && caller.policies.length > 0 ? together(caller.policies.map((policy) => compiledOf(policy).evaluate(question))) : 'none';
  if (identity === 'deny') return false;
  const resourceVerdict = bucket?.policy && !(owns && mending.has(action)) ? bucket.policy.evaluate(question) : 'none';
  if (resourceVerdict === 'deny') return false;
  const session = caller?.session?.policy;
  if (session && compiledOf(session).evaluate(question) !== 'allow') return false;
  if (!bucket) return identity === 'allow' || (caller !== undefined && (caller.kind === 'root' || (caller.kind === 'account' && caller.policies.length === 0)));
  const byAcl = need.grant !== undefined && !bucket.aclsOff && aclGives(need.grant.of === 'bucket' ? (bucket.acl ?? {grants: []}) : (objectAcl ?? {grants: []}), need.grant.permission, caller, bucket, identity);
  if (byAcl) return true;
  if (isForeign(need, bucket, objectAcl)) {
    const mine = caller !== undefined && caller.kind !== 'member' && objectAcl!.owner === caller.owner.id;
    // The owner of an object may always look at and change its list.
    return mine && (need.action === 's3:getobjectacl' || need.action === 's3:putobjectacl');
  }
  return owns || identity === 'allow' || (resourceVerdict === 'allow' && !isRestricted(bucket, caller, directory));
}

/** An object of somebody who is not the bucket's owner. */
function isForeign(need: Need, bucket: BucketRules, acl: Acl | undefined): boolean {
  return need.existing === true && !bucket.aclsOff && acl?.owner !== undefined && acl.owner !== bucket.owner.id;
}

/** RestrictPublicBuckets: a public policy lets in nobody but the owner's own account. */
function isRestricted(bucket: BucketRules, caller: Caller | undefined, directory: IdentityDirectory): boolean {
  if (!bucket.policyIsPublic || bucket.block?.RestrictPublicBuckets !== true) return false;
  return !isOfItsAccount(bucket, caller, directory);
}

/** The instance's root, as the owner of every bucket, or whoever is of the account that owns it. */
export function isOfItsAccount(bucket: BucketRules, caller: Caller | undefined, directory: IdentityDirectory): boolean {
  if (caller === undefined) return false;
  return caller.kind === 'root' || (caller.kind === 'member' ? directory.root.id : caller.owner.id) === bucket.owner.id;
}

const nobody: readonly GranteeGroup[] = ['AllUsers'];
const somebody: readonly GranteeGroup[] = ['AllUsers', 'AuthenticatedUsers'];

function aclGives(acl: Acl, permission: NonNullable<Need['grant']>['permission'], caller: Caller | undefined, bucket: BucketRules, identity: Verdict): boolean {
  const groups = bucket.block?.IgnorePublicAcls ? [] : caller ? somebody : nobody;
  // What is given to an account is its root's; users of the account need a policy of theirs too.
  const id = caller && (caller.kind !== 'member' || identity === 'allow') ? caller.owner.id : undefined;
  return grantsTo(acl.grants, permission, {id, groups});
}

const anonymous: Asker = {};
const askers = new WeakMap<Caller, Asker>();

function askerOf(caller: Caller | undefined): Asker {
  if (!caller) return anonymous;
  let asker = askers.get(caller);
  if (!asker) {
    asker = {arn: caller.arn, userName: caller.principal.name, accountId: caller.accountId, ...(caller.kind === 'member' ? {} : {accountRoot: true, canonicalId: caller.owner.id})};
    askers.set(caller, asker);
  }
  return asker;
}
