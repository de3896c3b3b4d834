/**
 * The Condition element: every operator and key in it must hold. Source: "IAM JSON policy elements: Condition operators" and "Creating
 * a condition with multiple keys or values".
 *
 * A key with several values holds when one of them fits; a negated operator when none does. A key that the request does not have: a
 * positive operator fails, a negated one holds, `…IfExists` holds.
 */
import {isConditionKey} from '#codec/s3/policy/condition-keys.ts';
import {inRange, parseIpRange} from '#codec/s3/policy/ip-range.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {wildcardTest} from '#codec/s3/policy/wildcard.ts';

/** What a request says, by the key's name in small letters; undefined: nothing. Several values where a key is a list. */
export interface RequestFacts {
  values(key: string): readonly string[] | undefined;
}

/**
 * Replaces the policy variables in a text; undefined when one of them has no value, so that nothing can equal it. In a pattern, their
 * values mean just themselves.
 */
export type Expand = (text: string, pattern: boolean) => string | undefined;

export interface ConditionTest {
  readonly operator: string;
  /** In small letters. */
  readonly key: string;
  /** As written. */
  readonly values: readonly string[];
  holds(facts: RequestFacts, expand: Expand): boolean;
}

const malformed = (message: string): S3Error => new S3Error('MalformedPolicy', message);

/** A value of the policy made into a test of a value of the request; throws MalformedPolicy for values that the operator cannot take. */
type Comparison = (value: string) => (given: string) => boolean;

const text: Comparison = (value) => (given) => given === value;
const ignoringCase: Comparison = (value) => {
  const lower = value.toLowerCase();
  return (given) => given.toLowerCase() === lower;
};
const like: Comparison = (value) => wildcardTest(value);

/** ARNs are compared part by part: a star does not reach over a colon (but in the last of the six parts). */
const arn: Comparison = (value) => {
  const tests = splitArn(value).map(wildcardTest);
  return (given) => {
    const parts = splitArn(given);
    return parts.length === tests.length && parts.every((part, i) => tests[i]!(part));
  };
};

function splitArn(value: string): string[] {
  const parts = value.split(':');
  return parts.length <= 6 ? parts : [...parts.slice(0, 5), parts.slice(5).join(':')];
}

const ordered = (parse: (value: string) => number, what: string) => (holds: (given: number, value: number) => boolean): Comparison => (value) => {
  const bound = parse(value);
  if (Number.isNaN(bound)) throw malformed(`Invalid ${what} in Conditions: ${value.slice(0, 100)}`);
  return (given) => holds(parse(given), bound);
};
const number = ordered((value) => (/^[+-]?(\d+\.?\d*|\.\d+)$/.test(value.trim()) ? Number(value) : Number.NaN), 'number');
/** ISO 8601, or seconds since 1970; as milliseconds. */
const date = ordered((value) => (/^\d{9,12}(\.\d+)?$/.test(value) ? Number(value) * 1000 : /^\d{4}-\d\d(-\d\d)?/.test(value) ? Date.parse(value) : Number.NaN), 'date');

const bool: Comparison = (value) => {
  const wanted = value.toLowerCase();
  if (wanted !== 'true' && wanted !== 'false') throw malformed(`Invalid boolean in Conditions: ${value.slice(0, 100)}`);
  return (given) => given.toLowerCase() === wanted;
};
const address: Comparison = (value) => {
  const range = parseIpRange(value);
  if (!range) throw malformed('Invalid IP address in Conditions');
  return (given) => inRange(given, range);
};

interface Operator {
  readonly compare: Comparison;
  readonly negated: boolean;
  /** Its values are patterns. */
  readonly pattern: boolean;
}

const comparisons: readonly (readonly [name: string, negatedName: string | undefined, compare: Comparison])[] = [
  ['StringEquals', 'StringNotEquals', text],
  ['StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase', ignoringCase],
  ['StringLike', 'StringNotLike', like],
  ['NumericEquals', 'NumericNotEquals', number((given, value) => given === value)],
  ['NumericLessThan', undefined, number((given, value) => given < value)],
  ['NumericLessThanEquals', undefined, number((given, value) => given <= value)],
  ['NumericGreaterThan', undefined, number((given, value) => given > value)],
  ['NumericGreaterThanEquals', undefined, number((given, value) => given >= value)],
  ['DateEquals', 'DateNotEquals', date((given, value) => given === value)],
  ['DateLessThan', undefined, date((given, value) => given < value)],
  ['DateLessThanEquals', undefined, date((given, value) => given <= value)],
  ['DateGreaterThan', undefined, date((given, value) => given > value)],
  ['DateGreaterThanEquals', undefined, date((given, value) => given >= value)],
  ['Bool', undefined, bool],
  ['BinaryEquals', undefined, text],
  ['IpAddress', 'NotIpAddress', address],
  ['ArnEquals', 'ArnNotEquals', arn],
  ['ArnLike', 'ArnNotLike', arn],
];

const operators: ReadonlyMap<string, Operator> = new Map(
  comparisons.flatMap(([name, negatedName, compare]): [string, Operator][] => {
    const pattern = compare === like || compare === arn;
    return [[name, {compare, negated: false, pattern}], ...(negatedName ? [[negatedName, {compare, negated: true, pattern}] as [string, Operator]] : [])];
  }),
);

function keyOf(name: string, kept: boolean): string {
  const key = name.toLowerCase();
  if (!isConditionKey(key, kept)) throw malformed('Policy has an invalid condition key');
  const slash = key.indexOf('/');
  // The name of a tag is compared as it is written.
  return slash < 0 ? key : `${key.slice(0, slash + 1)}${name.slice(slash + 1)}`;
}

function textsOf(value: unknown): string[] {
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((item) => {
    if (typeof item !== 'string' && typeof item !== 'number' && typeof item !== 'boolean') throw malformed('This policy contains invalid Json');
    return String(item);
  });
}

/** `kept`: of a policy that was accepted once. MalformedPolicy. */
export function parseConditions(block: Readonly<Record<string, unknown>>, kept: boolean): ConditionTest[] {
  return Object.entries(block).flatMap(([operator, keys]) => {
    if (typeof keys !== 'object' || keys === null || Array.isArray(keys)) throw malformed('This policy contains invalid Json');
    return Object.entries(keys).map(([name, value]) => conditionOf(operator, keyOf(name, kept), textsOf(value)));
  });
}

function conditionOf(operator: string, key: string, values: readonly string[]): ConditionTest {
  const [, quantifier, name = '', ifExists] = /^(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?$/.exec(operator) ?? [];
  if (name === 'Null' && ifExists === undefined && quantifier === undefined) return nullTest(operator, key, values);
  const known = operators.get(name);
  if (!known) throw malformed(`Invalid Condition type : ${operator.slice(0, 100)}`);
  const {compare, negated, pattern} = known;
  // Constants are made into tests once; what has variables in it is made when their values are known.
  const tests = values.map((value) => (value.includes('${') ? undefined : compare(value)));
  const fits = (given: string, expand: Expand): boolean => {
    for (let i = 0; i < tests.length; i++) {
      const test = tests[i] ?? late(compare, expand(values[i]!, pattern));
      if (test(given)) return true;
    }
    return false;
  };
  const holds = (facts: RequestFacts, expand: Expand): boolean => {
    const given = facts.values(key);
    if (given === undefined) return quantifier === 'ForAllValues' || ifExists !== undefined || (negated && quantifier === undefined);
    if (quantifier === 'ForAllValues') return given.every((value) => fits(value, expand) !== negated);
    if (quantifier === 'ForAnyValue') return given.some((value) => fits(value, expand) !== negated);
    return given.some((value) => fits(value, expand)) !== negated;
  };
  return {operator, key, values, holds};
}

/** A variable whose value the operator cannot take fits nothing. */
function late(compare: Comparison, value: string | undefined): (given: string) => boolean {
  if (value === undefined) return () => false;
  try {
    return compare(value);
  } catch (error) {
    if (error instanceof S3Error) return () => false;
    throw error;
  }
}

function nullTest(operator: string, key: string, values: readonly string[]): ConditionTest {
  const wanted = values.map((value) => value.toLowerCase());
  if (wanted.length !== 1 || (wanted[0] !== 'true' && wanted[0] !== 'false')) throw malformed('Null takes true or false');
  const absent = wanted[0] === 'true';
  return {operator, key, values, holds: (facts) => (facts.values(key) === undefined) === absent};
}
