/**
 * Deciding by policies. A document is compiled once and then asked for every request. Source: "Policy evaluation logic" of the IAM
 * User Guide: an explicit deny wins, then an explicit allow, otherwise nothing is said.
 */
import {matchesWildcard, wildcardTest} from '#codec/s3/policy/wildcard.ts';
import type {ConditionTest, Expand, RequestFacts} from '#codec/s3/policy/condition-block.ts';
import type {Patterns, PolicyDocument, Principals, Statement} from '#codec/s3/policy/document.ts';
import {expander} from '#codec/s3/policy/variables.ts';

export type Verdict = 'allow' | 'deny' | 'none';

/** Who asks, as principals of policies name them. */
export interface Asker {
  /** `arn:aws:iam::ACCOUNT:user/NAME`; undefined: nobody in particular. */
  readonly arn?: string;
  readonly userName?: string;
  readonly accountId?: string;
  readonly canonicalId?: string;
  /** The account's own root user: what is said of the account as a whole is said of it. */
  readonly accountRoot?: boolean;
}

export interface PolicyQuestion {
  /** In small letters: `s3:getobject`. */
  readonly action: string;
  /** `bucket`, `bucket/key`, or nothing for the service. */
  readonly resource: string;
  readonly asker: Asker;
  readonly facts: RequestFacts;
}

type Test = (text: string, expand: Expand) => boolean;

interface CompiledStatement {
  readonly allow: boolean;
  readonly principals: Principals | undefined;
  readonly action: (text: string) => boolean;
  readonly resource: Test;
  readonly conditions: readonly ConditionTest[];
}

export class CompiledPolicy {
  readonly #statements: readonly CompiledStatement[];

  constructor({statements, variables}: PolicyDocument) {
    // Denials first: the first that fits ends the search.
    const ordered = [...statements].sort((a, b) => Number(a.effect === 'Allow') - Number(b.effect === 'Allow'));
    this.#statements = ordered.map((statement) => compile(statement, variables));
  }

  evaluate(question: PolicyQuestion): Verdict {
    const {action, resource, asker, facts} = question;
    let expand: Expand | undefined;
    for (const statement of this.#statements) {
      if (!statement.action(action)) continue;
      expand ??= expander(facts);
      if (!statement.resource(resource, expand)) continue;
      if (statement.principals && !isMeant(statement.principals, asker, statement.allow)) continue;
      if (!holdAll(statement.conditions, facts, expand)) continue;
      return statement.allow ? 'allow' : 'deny';
    }
    return 'none';
  }
}

/** The verdicts of several policies together. */
export function together(verdicts: Iterable<Verdict>): Verdict {
  let result: Verdict = 'none';
  for (const verdict of verdicts) {
    if (verdict === 'deny') return 'deny';
    if (verdict === 'allow') result = 'allow';
  }
  return result;
}

function holdAll(conditions: readonly ConditionTest[], facts: RequestFacts, expand: Expand): boolean {
  for (const condition of conditions) if (!condition.holds(facts, expand)) return false;
  return true;
}

function compile({effect, principals, actions, resources, conditions}: Statement, variables: boolean): CompiledStatement {
  const action = anyOf(actions, false);
  return {allow: effect === 'Allow', principals, action: (text) => action(text, nothing), resource: anyOf(resources, variables), conditions};
}

const nothing: Expand = () => undefined;

function anyOf({not, patterns}: Patterns, variables: boolean): Test {
  const constants = patterns.filter((pattern) => !variables || !pattern.includes('${')).map(wildcardTest);
  const variable = patterns.filter((pattern) => variables && pattern.includes('${'));
  return (text, expand) => {
    for (const test of constants) if (test(text)) return !not;
    for (const pattern of variable) {
      const expanded = expand(pattern, true);
      if (expanded !== undefined && matchesWildcard(expanded, text)) return !not;
    }
    return not;
  };
}

/**
 * Whether a statement is about the asker. An account (`arn:aws:iam::ACCOUNT:root`, or its number) stands for its root user when it
 * is allowed something, who may pass it on, and for everybody in it when it is denied something.
 */
function isMeant({not, everybody, aws, canonical}: Principals, asker: Asker, allow: boolean): boolean {
  return (everybody || aws.some((name) => isNamed(name, asker, allow)) || (asker.canonicalId !== undefined && canonical.includes(asker.canonicalId))) !== not;
}

function isNamed(name: string, {arn, userName, accountId, accountRoot}: Asker, allow: boolean): boolean {
  if (arn === undefined) return false;
  if (name === arn) return true;
  const account = /^\d{12}$/.test(name) ? name : /^arn:aws:iam::([\w-]+):root$/.exec(name)?.[1];
  if (account !== undefined) return account === accountId && (accountRoot === true || !allow);
  // Without an account: a user of this instance, by name.
  return userName !== undefined && name === `arn:aws:iam:::user/${userName}`;
}
