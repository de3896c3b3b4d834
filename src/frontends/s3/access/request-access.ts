/** The access of one request: admitted before its operation runs, and asked again for what the operation does beside. */
import {type ByteString, fromBytes, toText} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {type Acl, decodeAcl} from '#codec/s3/acl.ts';
import {accessDenied, S3Error} from '#codec/s3/s3-error.ts';
import {decodeTags, taggingXattr} from '#codec/s3/tagging.ts';
import type {BucketFacts, FileSystem} from '#client/file-system.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Caller, IdentityDirectory, Owner} from '#contracts/identity-api.ts';
import type {BucketRules, BucketRulesCache} from '#frontends/s3/access/bucket-rules.ts';
import {isAllowed, isOfItsAccount, isUndisputed} from '#frontends/s3/access/decide.ts';
import type {Access, ExtraFacts, Target} from '#frontends/s3/access/access.ts';
import {FactsOfRequest, needsDocument, needsObject} from '#frontends/s3/access/facts.ts';
import {bucketNeeds, type Need, needs, objectNeeds} from '#frontends/s3/access/operations.ts';
import {bucketPath, headerOf, noSuchBucket, objectPath, type S3Request} from '#frontends/s3/request.ts';

/** The attribute of an object that has grants, or an owner who is not the bucket's. */
export const aclAttribute = 'weir.s3.acl';

export interface AccessServices {
  readonly directory: IdentityDirectory;
  readonly buckets: BucketRulesCache;
  readonly files: FileSystem;
  readonly nowMs: () => number;
}

type Asking = Pick<S3Request, 'exchange' | 'target' | 'identity'>;

export class RequestAccess implements Access {
  readonly directory: IdentityDirectory;
  readonly exchange: S3Request['exchange'];
  readonly target: S3Request['target'];
  readonly identity: S3Request['identity'];
  readonly #services: AccessServices;
  #bucket: {readonly rules: BucketRules} | undefined;

  constructor(services: AccessServices, {exchange, target, identity}: Asking) {
    this.#services = services;
    this.directory = services.directory;
    this.exchange = exchange;
    this.target = target;
    this.identity = identity;
  }

  query(name: string): string | undefined {
    return this.target.query.find(([candidate]) => candidate === name)?.[1];
  }

  header(name: string): string | undefined {
    return headerOf(this, name);
  }

  get caller(): Caller | undefined {
    return this.identity.caller;
  }

  get rules(): BucketRules {
    if (!this.#bucket) throw noSuchBucket(this.target.bucket ?? ('' as ByteString));
    return this.#bucket.rules;
  }

  get writer(): Owner {
    const {owner, aclsOff} = this.rules;
    return this.caller?.kind !== 'account' || aclsOff ? owner : this.caller.owner;
  }

  ownerOf(acl: Acl | undefined): Owner {
    const {owner, aclsOff} = this.rules;
    return (aclsOff || acl?.owner === undefined ? undefined : this.directory.ownerById(acl.owner)) ?? owner;
  }

  admitNow(name: string, known?: BucketFacts): boolean {
    const {bucket, key} = this.target;
    if (bucket === undefined) return false;
    const {files, buckets} = this.#services;
    const facts = known ?? files.statNow(bucketPath(bucket), {kind: 'directory'}, systemContext)?.inode;
    const rules = facts && buckets.rulesNow(bucket, facts);
    const need = key === undefined ? undefined : objectNeeds[name]?.[this.exchange.method];
    if (!rules || !need) return false;
    this.#bucket = {rules};
    const plain = this.header('x-amz-expected-bucket-owner') === undefined && ((need !== needs.putObject && need !== needs.deleteObject) || !this.#hasExtras());
    return plain && this.#pays(rules) && !this.#mayBeForeign(need, rules) && (isUndisputed(this.caller, rules) || this.#evaluate(need, this.#own(), rules, undefined, {}) === true);
  }

  async admit(name: string): Promise<void> {
    const {method} = this.exchange;
    if (method === 'OPTIONS') return;
    const {bucket, key} = this.target;
    if (bucket === undefined) {
      // Its answer holds only what the caller may see.
      if (!this.caller || (method !== 'POST' && this.#isDenied(needs.listAllMyBuckets))) throw accessDenied();
      return;
    }
    const creates = key === undefined && name === '' && method === 'PUT';
    this.#bucket = await this.#lookAt(bucket);
    if (!this.#bucket && !creates) throw noSuchBucket(bucket);
    this.#checkExpectedOwner();
    // A browser's form brings its signature in its fields, a list of deletions its keys in its document: they are asked about when they are read.
    if (key === undefined && method === 'POST') return;
    const need = (key === undefined ? bucketNeeds : objectNeeds)[name]?.[method] ?? ownersAlone;
    if (creates) {
      // Whether a bucket of that name is there, and whose, is said afterwards.
      if (this.#evaluate(need, {bucket}, undefined, undefined, {}) !== true) throw accessDenied();
      return;
    }
    const unread = key !== undefined && method === 'PUT' && stating.has(name);
    try {
      await this.demand(need, undefined, unread ? {unread} : {});
    } catch (error) {
      if (error !== needsDocument) throw error;
    }
    if (key !== undefined) await this.#demandExtras(need);
  }

  async demand(need: Need, at: Target = this.#own(), extra: Partial<ExtraFacts> = {}): Promise<void> {
    const verdict = await this.#decide(need, at, extra);
    if (verdict === 'allowed') return;
    if (verdict === 'missing' && at.key !== undefined && at.bucket === this.target.bucket && this.mayKnowOf(at.key)) {
      throw new S3Error('NoSuchKey', 'The specified key does not exist.', {Key: toText(at.key)});
    }
    throw accessDenied();
  }

  async may(need: Need, at: Target = this.#own(), extra: Partial<ExtraFacts> = {}): Promise<boolean> {
    return (await this.#decide(need, at, extra)) === 'allowed';
  }

  /** `missing`: denied, as far as it can be told without the object, which is not there. */
  async #decide(need: Need, at: Target, extra: Partial<ExtraFacts>): Promise<'allowed' | 'denied' | 'missing'> {
    const there = at.bucket === this.target.bucket ? this.#bucket : await this.#lookAt(at.bucket);
    const rules = there?.rules;
    if (rules && !this.#pays(rules)) return 'denied';
    const base = this.#evaluate(need, at, rules, undefined, extra);
    const settled = base !== 'object' && (base ? !this.#mayBeForeign(need, rules) : need.existing !== true);
    if (settled || !rules || at.key === undefined) return base === true ? 'allowed' : 'denied';
    // The object itself has a say.
    const info = await this.#object(at.bucket, at.key, at.versionId);
    if (this.#evaluate(need, at, rules, info && aclOf(info), {...extra, existingTags: tagsOf(info)}) === true) return 'allowed';
    return info ? 'denied' : 'missing';
  }

  check(need: Need, info: FileInfo): void {
    if (info.inode.xattrs?.[aclAttribute] === undefined || this.rules.aclsOff) return;
    if (this.#evaluate(need, this.#own(), this.rules, aclOf(info), {existingTags: tagsOf(info)}) !== true) throw accessDenied();
  }

  mayKnowOf(key: ByteString): boolean {
    const {bucket} = this.target;
    return bucket !== undefined && this.#evaluate(needs.listBucket, {bucket}, this.#bucket?.rules, undefined, {prefix: toText(key)}) === true;
  }

  shows(bucket: ByteString, info: FileInfo): boolean {
    const {caller} = this;
    if (!caller) return false;
    const owner = this.directory.ownerOfUid(info.inode.uid) ?? this.directory.root;
    const rules: BucketRules = {name: bucket, owner, policyIsPublic: false, aclsOff: true};
    const all = caller.owner.id === owner.id && this.#evaluate(needs.listAllMyBuckets, {bucket}, undefined, undefined, {}) === true;
    return all || this.#evaluate(needs.listBucket, {bucket}, rules, undefined, {}) === true;
  }

  /** Whether it is about an object that may be somebody else's than the bucket is. */
  #mayBeForeign(need: Need, rules: BucketRules | undefined): boolean {
    return need.existing === true && this.directory.hasAccounts && rules?.aclsOff !== true;
  }

  /** Where requesters pay, others than the owner must say that they will, and be known ("Using Requester Pays general purpose buckets"). */
  #pays(rules: BucketRules): boolean {
    if (!rules.requesterPays || isOfItsAccount(rules, this.caller, this.directory)) return true;
    return this.caller !== undefined && this.header('x-amz-request-payer')?.trim().toLowerCase() === 'requester';
  }

  get #context(): CallContext {
    return {...systemContext, signal: this.exchange.signal};
  }

  #hasExtras(): boolean {
    return extraHeaders.some((name) => this.header(name) !== undefined) || aclHeaders.some((name) => this.header(name) !== undefined);
  }

  /** What headers ask for beside the operation itself. */
  async #demandExtras(need: Need): Promise<void> {
    // Whether it fails tells what is there ("How to prevent object overwrites with conditional writes", "How to perform conditional deletes").
    const match = this.header('if-match');
    if (match !== undefined && (need === needs.putObject || (need === needs.deleteObject && match.trim() !== '*'))) await this.demand(needs.getObject);
    if (need !== needs.putObject) return;
    const given = (name: string) => this.header(name) !== undefined;
    const fresh = ({action}: Need): Need => ({action, on: 'object'});
    // Who may write by the bucket's list may tag what it writes.
    if (given('x-amz-tagging')) await this.demand({...fresh(needs.putObjectTagging), grant: {of: 'bucket', permission: 'WRITE'}});
    if (given('x-amz-object-lock-mode')) await this.demand(fresh(needs.putObjectRetention));
    if (given('x-amz-object-lock-legal-hold')) await this.demand(fresh(needs.putObjectLegalHold));
    // Who owns what it writes may grant on it, too.
    if (this.caller?.kind === 'member' && (given('x-amz-acl') || aclHeaders.some(given))) await this.demand(fresh(needs.putObjectAcl));
  }

  #checkExpectedOwner(): void {
    const expected = this.header('x-amz-expected-bucket-owner');
    if (expected === undefined || !this.#bucket) return;
    checkOwner(this.#bucket.rules, expected);
  }

  async expectOwner(bucket: ByteString, expected: string): Promise<void> {
    const there = bucket === this.target.bucket ? this.#bucket : await this.#lookAt(bucket);
    if (there) checkOwner(there.rules, expected);
  }

  #own(): Target {
    const {bucket, key} = this.target;
    const versionId = this.query('versionId');
    return {bucket: bucket!, ...(key === undefined ? {} : {key}), ...(versionId === undefined || versionId === '' ? {} : {versionId})};
  }

  /** `object`: it depends on the object that is there. */
  #evaluate(need: Need, at: Target, bucket: BucketRules | undefined, objectAcl: Acl | undefined, extra: Partial<ExtraFacts>): boolean | 'object' {
    const action = at.versionId !== undefined && need.versioned !== undefined ? need.versioned : need.action;
    const resource = need.on === 'service' ? '' : need.on === 'bucket' || at.key === undefined ? toText(at.bucket) : toText(`${at.bucket}/${at.key}` as ByteString);
    const facts = new FactsOfRequest(this, this.#services.nowMs(), {resourceAccount: (bucket?.owner ?? this.directory.root).accountId, ...extra});
    try {
      return isAllowed({caller: this.caller, need, action, resource, bucket, objectAcl, facts}, this.directory);
    } catch (error) {
      if (error === needsObject) return 'object';
      throw error;
    }
  }

  /** Where nothing allows, listing one's own buckets is allowed all the same: only a denial counts. */
  #isDenied(need: Need): boolean {
    const {caller} = this;
    if (!caller || (caller.policies.length === 0 && !caller.session?.policy)) return false;
    const open: Caller = {...caller, kind: 'root'};
    const facts = new FactsOfRequest(this, this.#services.nowMs(), {resourceAccount: this.directory.root.accountId});
    return !isAllowed({caller: open, need, action: need.action, resource: '', bucket: undefined, objectAcl: undefined, facts}, this.directory);
  }

  async #lookAt(bucket: ByteString): Promise<{readonly rules: BucketRules} | undefined> {
    const {files, buckets} = this.#services;
    try {
      const info = await files.stat(bucketPath(bucket), {kind: 'directory'}, this.#context);
      return info.inode.kind === 'directory' ? {rules: await buckets.rulesOf(bucket, info, files, this.#context)} : undefined;
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
      throw error;
    }
  }

  async #object(bucket: ByteString, key: ByteString, version: string | undefined): Promise<FileInfo | undefined> {
    try {
      return await this.#services.files.stat(objectPath(bucket, key), {kind: 'file', ...(version === undefined ? {} : {version})}, this.#context);
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory', 'InvalidArgument')) return undefined;
      throw error;
    }
  }
}

/** By account id, or by canonical id. AccessDenied. */
function checkOwner({owner: {accountId, id}}: BucketRules, expected: string): void {
  if (expected !== accountId && expected !== id) throw accessDenied();
}

/** Parts of an object that are put as documents of which policies may speak: their operations ask again when they have read them. */
const stating: ReadonlySet<string> = new Set(['tagging', 'retention', 'legal-hold']);
const extraHeaders = ['x-amz-tagging', 'x-amz-object-lock-mode', 'x-amz-object-lock-legal-hold', 'x-amz-acl', 'if-match'];
const ownersAlone: Need = {action: 's3:*', on: 'bucket'};
const aclHeaders = ['x-amz-grant-full-control', 'x-amz-grant-read', 'x-amz-grant-read-acp', 'x-amz-grant-write-acp'];

/** Undefined: the bucket owner's alone. */
export function aclOf({inode}: FileInfo): Acl | undefined {
  const kept = inode.xattrs?.[aclAttribute];
  return kept && decodeAcl(fromBytes(kept));
}

function tagsOf(info: FileInfo | undefined): Readonly<Record<string, string>> {
  const kept = info?.inode.xattrs?.[taggingXattr];
  return kept ? Object.fromEntries(decodeTags(Buffer.from(kept).toString('latin1')).map(({key, value}) => [key, value])) : {};
}
