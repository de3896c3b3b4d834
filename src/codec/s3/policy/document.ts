/**
 * Policy documents: JSON as people write it, checked and brought into one form. Source: "IAM JSON policy element reference", and the
 * messages with which S3 refuses bucket policies.
 */
import {S3Error} from '#codec/s3/s3-error.ts';
import {knownActions, type ResourceKind} from '#codec/s3/policy/actions.ts';
import {type ConditionTest, parseConditions} from '#codec/s3/policy/condition-block.ts';
import {keyAppliesTo} from '#codec/s3/policy/condition-keys.ts';
import {parseIpRange} from '#codec/s3/policy/ip-range.ts';
import {matchesWildcard} from '#codec/s3/policy/wildcard.ts';

/** "A bucket policy is limited to 20 KB in size." Weir allows identity policies as much. */
export const policyBytesMax = 20 * 1024;
const resourcePrefix = 'arn:aws:s3:::';

/** Patterns, or all that fits none of them. */
export interface Patterns {
  readonly not: boolean;
  readonly patterns: readonly string[];
}

/** Whom a statement of a bucket policy is about. */
export interface Principals {
  readonly not: boolean;
  readonly everybody: boolean;
  /** ARNs and account ids as written. */
  readonly aws: readonly string[];
  readonly canonical: readonly string[];
}

export interface Statement {
  readonly sid?: string;
  readonly effect: 'Allow' | 'Deny';
  /** Absent in identity policies. */
  readonly principals?: Principals;
  /** In small letters. */
  readonly actions: Patterns;
  /** Without `arn:aws:s3:::`; `*` for every resource of any kind. */
  readonly resources: Patterns;
  readonly conditions: readonly ConditionTest[];
}

export interface PolicyDocument {
  /** Policy variables mean something since 2012-10-17. */
  readonly variables: boolean;
  readonly statements: readonly Statement[];
}

export const malformedPolicy = (message: string): S3Error => new S3Error('MalformedPolicy', message);

/** The policy of a bucket. MalformedPolicy. */
export function parseBucketPolicy(text: string, bucket: string): PolicyDocument {
  return parse(text, {bucket});
}

/** One that was a bucket's when it was put, whatever the bucket is called now. MalformedPolicy. */
export function parseKeptBucketPolicy(text: string): PolicyDocument {
  return parse(text, {});
}

/** A policy of a user or group: no principals, resources of any bucket. MalformedPolicy. */
export function parseIdentityPolicy(text: string): PolicyDocument {
  return parse(text, undefined);
}

type Json = Readonly<Record<string, unknown>>;

/** What a policy is of: a bucket, or, undefined, of a user or group. */
type Of = {readonly bucket?: string} | undefined;

function parse(text: string, of: Of): PolicyDocument {
  if (Buffer.byteLength(text, 'utf8') > policyBytesMax) throw malformedPolicy(`Normalized policy document exceeds the maximum allowed size of ${policyBytesMax} bytes.`);
  if (!text.startsWith('{')) throw malformedPolicy("Policies must be valid JSON and the first byte must be '{'");
  const root = jsonOf(text);
  onlyFields(root, ['Version', 'Id', 'Statement']);
  const version = root['Version'] ?? '2008-10-17';
  if (version !== '2012-10-17' && version !== '2008-10-17') throw malformedPolicy('The policy must contain a valid version string');
  const id = root['Id'];
  if (id !== undefined && typeof id !== 'string') throw malformedPolicy('Id must be a string');
  const list = root['Statement'];
  if (list === undefined) throw malformedPolicy('Missing required field Statement');
  const raw = Array.isArray(list) ? (list as unknown[]) : [list];
  if (raw.length === 0) throw malformedPolicy('Could not parse the policy: Statement is empty!');
  const statements = raw.map((statement) => parseStatement(statement, of));
  const sids = statements.flatMap(({sid}) => (sid === undefined ? [] : [sid]));
  if (new Set(sids).size < sids.length) throw malformedPolicy('Statement IDs (SID) in a single policy must be unique.');
  return {variables: version === '2012-10-17', statements};
}

function jsonOf(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformedPolicy('This policy contains invalid Json');
  }
  return objectOf(value);
}

function objectOf(value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformedPolicy('This policy contains invalid Json');
  return value as Json;
}

function onlyFields(object: Json, fields: readonly string[]): void {
  for (const name of Object.keys(object)) if (!fields.includes(name)) throw malformedPolicy(`Unknown field ${name.slice(0, 100)}`);
}

const statementFields = ['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'];

function parseStatement(value: unknown, of: Of): Statement {
  const statement = objectOf(value);
  onlyFields(statement, statementFields);
  const sid = statement['Sid'];
  if (sid !== undefined && typeof sid !== 'string') throw malformedPolicy('Sid must be a string');
  const effect = statement['Effect'];
  if (effect === undefined) throw malformedPolicy('Missing required field Effect');
  if (effect !== 'Allow' && effect !== 'Deny') throw malformedPolicy(`Invalid effect: ${typeof effect === 'string' ? effect.slice(0, 100) : typeof effect}`);
  const principals = principalsOf(statement, effect, of !== undefined);
  const actions = actionsOf(statement, of !== undefined);
  const resources = resourcesOf(statement, of);
  // Being put, and so checked in full; what was accepted once stays in force.
  const fresh = of?.bucket !== undefined;
  const conditions = statement['Condition'] === undefined ? [] : parseConditions(objectOf(statement['Condition']), !fresh);
  if (fresh) checkConditions(conditions, actions);
  if (of) checkFit(actions, resources);
  return {...(sid ? {sid} : {}), effect, ...(principals ? {principals} : {}), actions, resources, conditions};
}

/** `empty` is said of an empty list. */
function textsOf(value: unknown, empty: string): string[] {
  const list = Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.length === 0) throw malformedPolicy(empty);
  for (const item of list) if (typeof item !== 'string') throw malformedPolicy('This policy contains invalid Json');
  return list as string[];
}

/** One of `Name` and `NotName`. */
function oneOf(statement: Json, name: string): {readonly not: boolean; readonly value: unknown} {
  const [plain, negated] = [statement[name], statement[`Not${name}`]];
  if (plain === undefined && negated === undefined) throw malformedPolicy(`Missing required field ${name}`);
  if (plain !== undefined && negated !== undefined) throw malformedPolicy(`Statement cannot have both ${name} and Not${name}`);
  return {not: plain === undefined, value: plain ?? negated};
}

const invalidPrincipalMessage = 'Invalid principal in policy';
const invalidPrincipal = () => malformedPolicy(invalidPrincipalMessage);
/** `arn:aws:iam::123456789012:user/name`; an account without digits is another system's, an empty one this instance. */
const principalArn = /^arn:aws:(iam|sts)::[\w-]{0,64}:(root|(user|role|group|assumed-role|federated-user)\/[\x21-\x7e]{1,512})$/;

function principalsOf(statement: Json, effect: Statement['effect'], resource: boolean): Principals | undefined {
  if (!resource) {
    if (statement['Principal'] !== undefined || statement['NotPrincipal'] !== undefined) throw malformedPolicy('Policy document should not specify a principal.');
    return undefined;
  }
  const {not, value} = oneOf(statement, 'Principal');
  if (not && effect === 'Allow') throw malformedPolicy('Allow with NotPrincipal is not allowed.');
  if (value === '*') return {not, everybody: true, aws: [], canonical: []};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidPrincipal();
  const kinds = value as Json;
  if (Object.keys(kinds).length === 0) throw invalidPrincipal();
  const aws: string[] = [];
  const canonical: string[] = [];
  let everybody = false;
  for (const [kind, names] of Object.entries(kinds)) {
    // Services and web identities are nobody here: what they are allowed is allowed to no one, as it was written.
    const texts = textsOf(names, invalidPrincipalMessage);
    if (kind === 'AWS') {
      for (const name of texts) {
        if (name === '*') everybody = true;
        else if (/^\d{12}$/.test(name) || principalArn.test(name)) aws.push(name);
        else throw invalidPrincipal();
      }
    } else if (kind === 'CanonicalUser') canonical.push(...texts);
    else if (kind !== 'Service' && kind !== 'Federated') throw invalidPrincipal();
  }
  return {not, everybody, aws, canonical};
}

const invalidAction = 'Policy has invalid action';

function actionsOf(statement: Json, strict: boolean): Patterns {
  const {not, value} = oneOf(statement, 'Action');
  const patterns = textsOf(value, invalidAction).map((text) => text.toLowerCase());
  for (const pattern of patterns) {
    // Identity policies may speak of other services, too; a bucket's only of S3.
    const known = pattern === '*' || (strict ? kindsOf(pattern).size > 0 : /^[a-z0-9-]+:[a-z0-9*?]+$/.test(pattern));
    if (!known) throw malformedPolicy(invalidAction);
  }
  return {not, patterns};
}

function kindsOf(pattern: string): Set<ResourceKind> {
  const kinds = new Set<ResourceKind>();
  for (const [action, kind] of knownActions) if (matchesWildcard(pattern, action)) kinds.add(kind);
  return kinds;
}

const invalidResource = 'Policy has invalid resource';

function resourcesOf(statement: Json, of: Of): Patterns {
  const {not, value} = oneOf(statement, 'Resource');
  const invalid = () => malformedPolicy(invalidResource);
  const patterns = textsOf(value, invalidResource).map((text) => {
    if (!of) {
      if (text === '*') return '*';
      if (!text.startsWith(resourcePrefix) || text.length === resourcePrefix.length) {
        if (/^arn:aws[a-z-]*:[a-z0-9-]+:/.test(text) && !text.startsWith('arn:aws:s3:')) return '\0';
        throw invalid();
      }
      return text.slice(resourcePrefix.length);
    }
    if (!text.startsWith(resourcePrefix)) throw invalid();
    const name = text.slice(resourcePrefix.length);
    const slash = name.indexOf('/');
    const about = slash < 0 ? name : name.slice(0, slash);
    // It must speak of this bucket.
    const fits = of.bucket === undefined || matchesWildcard(about, of.bucket) || matchesWildcard(name, `${of.bucket}/`);
    if (about === '' || !fits) throw invalid();
    return name;
  });
  return {not, patterns};
}

/** Whether any of the actions can be done to any of the resources. */
function checkFit(actions: Patterns, resources: Patterns): void {
  if (actions.not || resources.not || actions.patterns.includes('*')) return;
  const kinds = new Set(actions.patterns.flatMap((pattern) => [...kindsOf(pattern)]));
  const objects = resources.patterns.some((pattern) => pattern.includes('/') || pattern.endsWith('*'));
  const buckets = resources.patterns.some((pattern) => !pattern.includes('/'));
  if ((objects && kinds.has('object')) || (buckets && (kinds.has('bucket') || kinds.has('service')))) return;
  throw malformedPolicy('Action does not apply to any resource(s) in statement');
}

/** Keys must mean something for the actions, and addresses be addresses, whatever the operator. */
function checkConditions(conditions: readonly ConditionTest[], actions: Patterns): void {
  for (const {key, values} of conditions) {
    if (!actions.not && !keyAppliesTo(key, actions.patterns)) throw malformedPolicy('Conditions do not apply to combination of actions and resources in statement');
    if (key === 'aws:sourceip' && values.some((value) => !value.includes('${') && !parseIpRange(value))) throw malformedPolicy('Invalid IP address in Conditions');
  }
}
