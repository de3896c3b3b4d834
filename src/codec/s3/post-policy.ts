/** The policy of a browser upload. Source: "Creating a POST policy", S3 API reference. */
import {S3Error} from '#codec/s3/s3-error.ts';

type Condition =
  | {readonly kind: 'eq' | 'starts-with'; readonly field: string; readonly value: string; readonly shown: string}
  | {readonly kind: 'content-length-range'; readonly min: number; readonly max: number};

export interface PostPolicy {
  /** Wall milliseconds. */
  readonly expiresAt: number;
  readonly conditions: readonly Condition[];
}

const conditionsMax = 1000;
const unconditioned = new Set(['key', 'x-amz-signature', 'file', 'policy', 'signature', 'awsaccesskeyid']);
/** Checksums are of the file, and checked. */
const unconditionedForm = /^x-(ignore|amz-checksum)-/;

const invalid = (what: string) => new S3Error('InvalidPolicyDocument', `Invalid Policy: ${what}`);
const denied = (what: string) => new S3Error('AccessDenied', `Invalid according to Policy: ${what}`);

/** Base64 of a JSON document. InvalidPolicyDocument. */
export function parsePostPolicy(base64: string): PostPolicy {
  const text = base64.replace(/\s/g, '');
  if (text === '') throw invalid("Expecting '{' but found End-of-Input");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw invalid('invalid Base64 encoding.');
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(text, 'base64').toString('utf8'));
  } catch {
    throw invalid('Invalid JSON.');
  }
  if (!isRecord(document)) throw invalid('Invalid JSON.');
  const {expiration, conditions, ...others} = document;
  if (expiration === undefined) throw invalid('Policy missing expiration.');
  if (conditions === undefined) throw invalid('Policy missing conditions.');
  const [other] = Object.keys(others);
  if (other !== undefined) throw invalid(`Unexpected: "${other}"`);
  if (typeof expiration !== 'string') throw invalid('Invalid JSON.');
  const expiresAt = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(expiration) ? Date.parse(expiration) : Number.NaN;
  if (Number.isNaN(expiresAt)) throw invalid(`Invalid 'expiration' value: '${expiration}'`);
  if (!Array.isArray(conditions) || conditions.length > conditionsMax) throw invalid("Invalid 'conditions' value: must be a List.");
  return {expiresAt, conditions: conditions.map(conditionOf)};
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function conditionOf(raw: unknown): Condition {
  if (isRecord(raw)) {
    const entries = Object.entries(raw);
    if (entries.length !== 1) throw invalid('Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.');
    const [field, value] = entries[0]!;
    if (typeof value !== 'string') throw invalid('Invalid Simple-Condition: value must be a string.');
    return {kind: 'eq', field: field.toLowerCase(), value, shown: `["eq", "$${field}", "${value}"]`};
  }
  if (!Array.isArray(raw)) throw invalid('Invalid condition test: must be a List or Object.');
  const [operation, first, second] = raw as unknown[];
  if (typeof operation !== 'string') throw invalid('Invalid Condition: missing operation identifier.');
  const kind = operation.toLowerCase();
  if (kind !== 'content-length-range' && kind !== 'eq' && kind !== 'starts-with') throw invalid(`Invalid Condition: unknown operation '${operation}'.`);
  if (raw.length !== 3) throw invalid(`Invalid ${kind}: wrong number of arguments.`);
  if (kind === 'content-length-range') {
    const [min, max] = [first, second].map((bound) => (/^\d{1,15}$/.test(String(bound)) ? Number(bound) : Number.NaN)) as [number, number];
    if (Number.isNaN(min) || Number.isNaN(max)) throw invalid('Invalid JSON.');
    return {kind, min, max};
  }
  const shown = JSON.stringify(raw);
  if (typeof first !== 'string' || typeof second !== 'string') throw invalid('Invalid JSON.');
  if (!first.startsWith('$') || first.length === 1) throw denied(`Policy Condition failed: ${shown}`);
  return {kind, field: first.slice(1).toLowerCase(), value: second, shown};
}

/**
 * `fields`: the form's, by lower-case names, with `bucket` and `key` as they are meant; each must be covered by a condition.
 * AccessDenied.
 */
export function checkPostPolicy({expiresAt, conditions}: PostPolicy, fields: ReadonlyMap<string, string>, nowMs: number): void {
  if (expiresAt < nowMs) throw denied('Policy expired.');
  const covered = new Set(conditions.flatMap((condition) => ('field' in condition ? [condition.field] : [])));
  for (const field of fields.keys()) {
    if (!covered.has(field) && !unconditioned.has(field) && !unconditionedForm.test(field)) throw denied(`Extra input fields: ${field}`);
  }
  for (const condition of conditions) {
    if (condition.kind === 'content-length-range') continue;
    // A field that was not sent is empty.
    const value = fields.get(condition.field) ?? '';
    const holds = condition.kind === 'eq' ? value === condition.value : startsWith(condition.field, value, condition.value);
    if (!holds) throw denied(`Policy Condition failed: ${condition.shown}`);
  }
  if (!covered.has('key')) throw denied('Extra input fields: key');
}

/** A content type may be a list, of which each must fit. */
function startsWith(field: string, value: string, prefix: string): boolean {
  return field === 'content-type' ? value.split(',').every((part) => part.trim().startsWith(prefix)) : value.startsWith(prefix);
}

/** The bytes that the file may have, at least and at most. */
export function lengthRangeOf({conditions}: PostPolicy): {readonly min: number; readonly max: number} {
  let range = {min: 0, max: Number.MAX_SAFE_INTEGER};
  for (const condition of conditions) if (condition.kind === 'content-length-range') range = {min: Math.max(range.min, condition.min), max: Math.min(range.max, condition.max)};
  return range;
}
