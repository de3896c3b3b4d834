/**
 * Whether a bucket policy makes its bucket public. Source: "The meaning of public" in "Blocking public access to your Amazon S3 storage":
 * a policy is public unless everything that it allows is allowed to fixed principals, or under conditions that only fixed values meet.
 */
import type {ConditionTest} from '#codec/s3/policy/condition-block.ts';
import type {PolicyDocument, Statement} from '#codec/s3/policy/document.ts';
import {parseIpRange} from '#codec/s3/policy/ip-range.ts';

const fixing: ReadonlySet<string> = new Set([
  'aws:sourcearn', 'aws:sourcevpc', 'aws:sourcevpce', 'aws:sourceaccount', 'aws:sourceowner', 'aws:userid', 'aws:principalarn', 'aws:principalaccount', 'aws:principalorgid', 's3:dataaccesspointarn',
  's3:dataaccesspointaccount', 's3:x-amz-server-side-encryption-aws-kms-key-id',
]);
/** Ranges wider than these are as good as everywhere. */
const prefixBitsMin = {4: 8, 6: 32} as const;

export function isPublicPolicy({statements}: PolicyDocument): boolean {
  return statements.some(isPublicStatement);
}

function isPublicStatement({effect, principals, conditions}: Statement): boolean {
  if (effect !== 'Allow' || !principals?.everybody) return false;
  return !conditions.some(fixes);
}

function fixes({operator, key, values}: ConditionTest): boolean {
  // A condition that also holds where the key is absent fixes nothing.
  const name = /^(?:ForAnyValue:)?(\w+)$/.exec(operator)?.[1] ?? '';
  if (key === 'aws:sourceip') {
    if (name !== 'IpAddress') return false;
    return values.every((value) => {
      const range = parseIpRange(value);
      return range !== undefined && range.prefixBits >= prefixBitsMin[range.family];
    });
  }
  if (!fixing.has(key) || !/^(StringEquals|StringEqualsIgnoreCase|StringLike|ArnEquals|ArnLike)$/.test(name)) return false;
  return values.every((value) => !/[*?]|\$\{/.test(value));
}
