/**
 * Lifecycle rules of a bucket ("Lifecycle configuration elements", S3 User Guide): which objects end, and when. A number of days is
 * counted from the object's time and rounded up to the next midnight UTC.
 */
import {WeirError} from '#base/errors.ts';

export interface LifecycleFilter {
  readonly prefix?: string;
  readonly tags?: readonly (readonly [key: string, value: string])[];
  /** Bytes; exclusive. */
  readonly sizeOver?: number;
  readonly sizeUnder?: number;
}

export type Expiration = {readonly days: number} | {readonly dateMs: number} | {readonly expiredDeleteMarker: true};

export interface LifecycleRule {
  readonly id: string;
  readonly enabled: boolean;
  /** The form that was sent, to be given back: a prefix of the rule itself, or a filter with or without `And`. */
  readonly form: 'prefix' | 'filter' | 'and';
  readonly filter: LifecycleFilter;
  readonly expiration?: Expiration;
  /** Days after another version took its place; the newest `keep` of them stay. */
  readonly noncurrent?: {readonly days: number; readonly keep?: number};
  readonly abortUploadsAfterDays?: number;
}

/** The name of the setting that holds a bucket's rules, as JSON. */
export const lifecycleSetting = 'lifecycle';
const dayMs = 86_400_000;

/** As written by the front end that checked them. Corrupt. */
export function parseRules(text: string): readonly LifecycleRule[] {
  try {
    const rules: unknown = JSON.parse(text);
    if (Array.isArray(rules)) return rules as LifecycleRule[];
  } catch {
    // Told below.
  }
  throw new WeirError('Corrupt', 'the lifecycle rules of a bucket cannot be read');
}

export interface LifecycleSubject {
  /** Text of the key. */
  readonly key: string;
  readonly bytes: number;
  readonly tags: () => ReadonlyMap<string, string>;
}

export function applies({enabled, filter}: LifecycleRule, {key, bytes, tags}: LifecycleSubject): boolean {
  if (!enabled || !key.startsWith(filter.prefix ?? '')) return false;
  if (filter.sizeOver !== undefined && bytes <= filter.sizeOver) return false;
  if (filter.sizeUnder !== undefined && bytes >= filter.sizeUnder) return false;
  return filter.tags === undefined || filter.tags.every(([name, value]) => tags().get(name) === value);
}

/** The midnight that is so many days or more after a moment. Wall ms. */
export function midnightAfter(ms: number, days: number): number {
  return Math.ceil((ms + days * dayMs) / dayMs) * dayMs;
}

/** When a current object of that time ends by a rule. Wall ms; undefined when the rule is not about that. */
export function endOf(expiration: Expiration | undefined, modifiedMs: number): number | undefined {
  if (!expiration || 'expiredDeleteMarker' in expiration) return undefined;
  return 'days' in expiration ? midnightAfter(modifiedMs, expiration.days) : expiration.dateMs;
}

/** The first of the ends that the rules set for a current object. */
export function firstEnd(rules: readonly LifecycleRule[], subject: LifecycleSubject, modifiedMs: number): {readonly endMs: number; readonly rule: LifecycleRule} | undefined {
  let first: {readonly endMs: number; readonly rule: LifecycleRule} | undefined;
  for (const rule of rules) {
    const endMs = applies(rule, subject) ? endOf(rule.expiration, modifiedMs) : undefined;
    if (endMs !== undefined && (!first || endMs < first.endMs)) first = {endMs, rule};
  }
  return first;
}
