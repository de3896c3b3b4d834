/** What a bucket's documents say about access, and about the end of its objects, made from its settings once for each of their revisions. */
import {LRUCache} from 'lru-cache';
import {type Acl, decodeAcl, isPublicGrant} from '#codec/s3/acl.ts';
import {type ObjectOwnership, objectOwnershipOf, type PublicAccessBlock} from '#codec/s3/access-documents.ts';
import {parseKeptBucketPolicy} from '#codec/s3/policy/document.ts';
import {CompiledPolicy} from '#codec/s3/policy/evaluate.ts';
import {isPublicPolicy} from '#codec/s3/policy/public.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {BucketFacts, FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {IdentityDirectory, Owner} from '#contracts/identity-api.ts';
import type {Settings} from '#model/inode.ts';
import {type LifecycleRule, lifecycleSetting, parseRules} from '#model/lifecycle.ts';
import {objectLockSetting, parseDefaultRetention} from '#model/object-lock.ts';

/** Names of the settings. */
export const accessSettings = {policy: 'policy', acl: 'acl', publicAccessBlock: 'public-access-block', ownership: 'ownership-controls'} as const;

export const requestPaymentSetting = 'request-payment';

/** Buckets whose rules are kept; a policy compiled is about ten times its text. */
const bucketsKeptMax = 1000;

export interface BucketRules {
  readonly name: ByteString;
  readonly owner: Owner;
  readonly policy?: CompiledPolicy;
  readonly policyIsPublic: boolean;
  /** Undefined: the owner's alone. */
  readonly acl?: Acl;
  readonly block?: PublicAccessBlock;
  readonly ownership?: ObjectOwnership;
  /** ACLs count for nothing, every object is the bucket owner's. */
  readonly aclsOff: boolean;
  /** Absent: no object ends by itself. */
  readonly lifecycle?: readonly LifecycleRule[];
  /** Object lock retains what is written. */
  readonly retains?: true;
  /** Who is not of its account pays for what it asks. */
  readonly requesterPays?: true;
}

interface Kept {
  readonly revision: number;
  readonly rules: Omit<BucketRules, 'owner'>;
}

export class BucketRulesCache {
  readonly #directory: IdentityDirectory;
  readonly #kept = new LRUCache<number, Kept>({max: bucketsKeptMax});

  constructor(directory: IdentityDirectory) {
    this.#directory = directory;
  }

  /** The same where nothing has to be read. */
  rulesNow(name: ByteString, {id, uid, settings: revision}: BucketFacts): BucketRules | undefined {
    const owner = this.#directory.ownerOfUid(uid) ?? this.#directory.root;
    if (revision === undefined) return {name, owner, policyIsPublic: false, aclsOff: false};
    const kept = this.#kept.get(id);
    return kept?.revision === revision && kept.rules.name === name ? {...kept.rules, owner} : undefined;
  }

  /** Of a bucket as it is now. Only what has settings is read and kept. */
  async rulesOf(name: ByteString, info: FileInfo, files: FileSystem, context: CallContext): Promise<BucketRules> {
    const known = this.rulesNow(name, info.inode);
    if (known) return known;
    const read = await files.getSettings(info.path, context);
    const rules = compile(name, read.settings);
    this.#kept.set(info.inode.id, {revision: read.revision, rules});
    return {...rules, owner: this.#directory.ownerOfUid(info.inode.uid) ?? this.#directory.root};
  }
}

function compile(name: ByteString, settings: Settings): Kept['rules'] {
  const {policy: policyText, acl: aclText} = settings;
  const document = policyText === undefined ? undefined : parseKeptBucketPolicy(policyText);
  const blockText = settings[accessSettings.publicAccessBlock];
  const lifecycle = settings[lifecycleSetting];
  const lock = settings[objectLockSetting];
  const ownership = objectOwnershipOf(settings[accessSettings.ownership] ?? '');
  return {
    name,
    policyIsPublic: document !== undefined && isPublicPolicy(document),
    aclsOff: ownership === 'BucketOwnerEnforced',
    ...(document ? {policy: new CompiledPolicy(document)} : {}),
    ...(aclText === undefined ? {} : {acl: decodeAcl(aclText)}),
    ...(blockText === undefined ? {} : {block: JSON.parse(blockText) as PublicAccessBlock}),
    ...(ownership ? {ownership} : {}),
    ...(lifecycle === undefined ? {} : {lifecycle: parseRules(lifecycle)}),
    ...(lock !== undefined && parseDefaultRetention(lock) ? {retains: true} : {}),
    ...(settings[requestPaymentSetting] === 'Requester' ? {requesterPays: true} : {}),
  };
}

/** Whether a list lets everybody in. */
export function isPublicAcl(acl: Acl | undefined): boolean {
  return acl?.grants.some(isPublicGrant) === true;
}
