import assert from 'node:assert/strict';
import {test} from 'node:test';
import {checkPostPolicy, lengthRangeOf, parsePostPolicy} from '#codec/s3/post-policy.ts';

const expiration = '2030-01-01T00:00:00Z';
const policy = (document: unknown) => parsePostPolicy(Buffer.from(typeof document === 'string' ? document : JSON.stringify(document)).toString('base64'));
const invalid = (document: unknown) => assert.throws(() => policy(document), {code: 'InvalidPolicyDocument'});
const check = (conditions: unknown[], fields: Record<string, string>, nowMs = 0) => checkPostPolicy(policy({expiration, conditions}), new Map(Object.entries(fields)), nowMs);
const denied = (...args: Parameters<typeof check>) => assert.throws(() => check(...args), {code: 'AccessDenied'});

test('documents that are no policies', () => {
  assert.throws(() => parsePostPolicy('*'), {code: 'InvalidPolicyDocument'});
  assert.throws(() => parsePostPolicy(' '), {code: 'InvalidPolicyDocument'});
  for (const wrong of ['{', '[]', {conditions: []}, {expiration}, {expiration: 'soon', conditions: []}, {expiration, conditions: {}}, {expiration, conditions: [], more: 1}]) invalid(wrong);
  const wrongArguments = [['eq', '$a'], ['content-length-range', 1], ['content-length-range', -1, 1], ['eq', false, 'a'], ['eq', '$a', true]];
  for (const condition of [1, {}, {a: 'b', c: 'd'}, {a: 1}, [], [1], ['like', '$a', 'b'], ...wrongArguments]) invalid({expiration, conditions: [condition]});
});

test('every field must be allowed, and be as it must', () => {
  const fields = {bucket: 'b', key: 'k/1', 'content-type': 'image/png,image/gif', 'x-amz-signature': 's', 'x-ignore-me': 'x', policy: 'p'};
  const conditions = [{BUCKET: 'b'}, ['Starts-With', '$key', 'k/'], ['starts-with', '$Content-Type', 'image/'], ['content-length-range', 1, '10']];
  check(conditions, fields);
  denied(conditions, fields, Date.parse(expiration) + 1);
  denied(conditions, {...fields, acl: 'private'});
  denied(conditions, {...fields, key: 'other'});
  denied(conditions, {...fields, 'content-type': 'image/png,text/plain'});
  denied(conditions.slice(1), fields);
  denied([...conditions, ['eq', '$x-amz-meta-a', 'b']], fields);
  assert.deepEqual(lengthRangeOf(policy({expiration, conditions: [...conditions, ['content-length-range', 0, 5]]})), {min: 1, max: 5});
});
