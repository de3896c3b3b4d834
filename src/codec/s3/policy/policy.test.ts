import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {parseBucketPolicy, parseIdentityPolicy, parseKeptBucketPolicy, policyBytesMax} from '#codec/s3/policy/document.ts';
import {type Asker, CompiledPolicy, type Verdict} from '#codec/s3/policy/evaluate.ts';
import {inRange, parseIpRange} from '#codec/s3/policy/ip-range.ts';
import {withPrincipalForm} from '#codec/s3/policy/principal-form.ts';
import {isPublicPolicy} from '#codec/s3/policy/public.ts';
import {matchesWildcard, wildcardTest} from '#codec/s3/policy/wildcard.ts';
import {S3Error} from '#codec/s3/s3-error.ts';

const alice: Asker = {arn: 'arn:aws:iam::111111111111:user/alice', userName: 'alice', accountId: '111111111111', canonicalId: 'c1'};
const statement = (more: object) => ({Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/*', ...more});
const textOf = (...statements: object[]) => JSON.stringify({Version: '2012-10-17', Statement: statements});

function ask(text: string, action: string, resource: string, facts: Record<string, string | string[]> = {}, asker: Asker = alice): Verdict {
  const values = (key: string) => (facts[key] === undefined ? undefined : [facts[key]].flat());
  return new CompiledPolicy(parseBucketPolicy(text, 'b')).evaluate({action: action.toLowerCase(), resource, asker, facts: {values}});
}
const identity = (text: string, action: string, resource: string, facts: Record<string, string> = {}): Verdict =>
  new CompiledPolicy(parseIdentityPolicy(text)).evaluate({action, resource, asker: alice, facts: {values: (key) => (facts[key] === undefined ? undefined : [facts[key]])}});

function refusal(text: string): string {
  try {
    parseBucketPolicy(text, 'b');
  } catch (error) {
    assert.ok(error instanceof S3Error && error.code === 'MalformedPolicy', String(error));
    return error.message;
  }
  return 'accepted';
}

describe('documents', () => {
  it('are refused in the words of S3', () => {
    const cases: [string, string | object][] = [
      ["Policies must be valid JSON and the first byte must be '{'", ' {}'],
      ['This policy contains invalid Json', '{'],
      ['Missing required field Statement', {}],
      ['Could not parse the policy: Statement is empty!', {Statement: []}],
      ['The policy must contain a valid version string', {Version: '2020-01-01', Statement: [statement({})]}],
      ['Unknown field Nonsense', {Nonsense: 1, Statement: [statement({})]}],
      ['Invalid effect: allow', {Statement: [statement({Effect: 'allow'})]}],
      ['Missing required field Action', {Statement: [statement({Action: undefined})]}],
      ['Policy has invalid action', {Statement: [statement({Action: 's3:Nonsense'})]}],
      ['Policy has invalid action', {Statement: [statement({Action: 'ec2:RunInstances'})]}],
      ['Policy has invalid resource', {Statement: [statement({Resource: 'arn:aws:s3:::other/*'})]}],
      ['Policy has invalid resource', {Statement: [statement({Resource: 'b/*'})]}],
      ['Action does not apply to any resource(s) in statement', {Statement: [statement({Resource: 'arn:aws:s3:::b'})]}],
      ['Invalid principal in policy', {Statement: [statement({Principal: {AWS: 'alice'}})]}],
      ['Invalid principal in policy', {Statement: [statement({Principal: 'alice'})]}],
      ['Allow with NotPrincipal is not allowed.', {Statement: [statement({Principal: undefined, NotPrincipal: {AWS: alice.arn}})]}],
      ['Invalid Condition type : StringSortOf', {Statement: [statement({Condition: {StringSortOf: {'aws:SourceIp': 'x'}}})]}],
      ['Policy has an invalid condition key', {Statement: [statement({Condition: {StringLike: {'s3:nonsense': 'x'}}})]}],
      ['Invalid IP address in Conditions', {Statement: [statement({Condition: {IpAddress: {'aws:SourceIp': '10.0.0.256'}}})]}],
      ['Invalid IP address in Conditions', {Statement: [statement({Condition: {Null: {'aws:SourceIp': 'true'}}})]}],
      ['Policy has an invalid condition key', {Statement: [statement({Condition: {StringEquals: {'aws:Nonsense': 'x'}}})]}],
      ['Policy has an invalid condition key', {Statement: [statement({Condition: {StringEquals: {'aws:NonsenseTag/x': 'x'}}})]}],
      ['Conditions do not apply to combination of actions and resources in statement', {Statement: [statement({Condition: {StringEquals: {'s3:prefix': 'x'}}})]}],
      ['Conditions do not apply to combination of actions and resources in statement', {Statement: [statement({Action: ['s3:PutObject', 's3:GetObject'], Condition: {StringEquals: {'s3:x-amz-acl': 'x'}}})]}],
      ['accepted', {Statement: [statement({Action: 's3:PutObject*', Condition: {StringEquals: {'s3:x-amz-acl': 'x', 'AWS:PrincipalTag/a': 'b', 's3:ExistingObjectTag/a': 'b'}}})]}],
      ['Invalid principal in policy', {Statement: [statement({Principal: {AWS: []}})]}],
      ['Policy has invalid resource', {Statement: [statement({Resource: []})]}],
      ['Policy has invalid action', {Statement: [statement({Action: []})]}],
    ];
    for (const [message, document] of cases) assert.equal(refusal(typeof document === 'string' ? document : JSON.stringify(document)), message);
    assert.match(refusal(textOf(statement({Sid: 'x'.repeat(policyBytesMax)}))), /exceeds the maximum allowed size/);
    assert.equal(refusal(textOf(statement({Resource: ['arn:aws:s3:::*', 'arn:aws:s3:::*/*'], Action: 's3:ListBucket'}))), 'accepted');
    assert.throws(() => parseIdentityPolicy(textOf(statement({}))), /should not specify a principal/);
  });

  it('that were accepted once stay in force when more is checked', () => {
    const text = JSON.stringify({Statement: [statement({Condition: {StringEquals: {'aws:Nonsense': 'x', 's3:prefix': 'x'}}})]});
    assert.equal(parseKeptBucketPolicy(text).statements.length, 1);
    assert.notEqual(refusal(text), 'accepted');
  });

  it('name principals in one form, users by their keys too', () => {
    const formed = (Principal: unknown): unknown => {
      const text = withPrincipalForm(textOf(statement({Principal})), (id) => (id === 'KEYOFALICE0123456' || id === 'made.else-where_1' ? alice.arn : undefined));
      return (JSON.parse(text) as {Statement: {Principal: unknown}[]}).Statement[0]!.Principal;
    };
    assert.equal(formed('*'), '*');
    assert.deepEqual(formed(['*']), {AWS: ['*']});
    assert.deepEqual(formed('KEYOFALICE0123456'), {AWS: alice.arn});
    assert.deepEqual(formed('made.else-where_1'), {AWS: alice.arn}, 'keys of other places have other letters');
    assert.deepEqual(formed({AWS: ['KEYOFALICE0123456', 'KEYOFNOBODY0123456'], CanonicalUser: 'c'}), {AWS: [alice.arn, 'KEYOFNOBODY0123456'], CanonicalUser: 'c'});
    for (const text of ['', '{', '[]', 'null', '{"Statement":1}', '{"Statement":[1,null,[]]}', `{"Statement":{"Principal":"*"} }`]) assert.equal(withPrincipalForm(text, () => assert.fail()), text);
  });

  it('of hundreds of statements are decided by', () => {
    const text = JSON.stringify({Version: '2012-10-17', Statement: Array.from({length: 180}, (_, i) => statement({Resource: `arn:aws:s3:::b/${i}*`}))});
    assert.ok(text.length < policyBytesMax);
    assert.equal(ask(text, 's3:GetObject', 'b/179x'), 'allow');
    assert.equal(ask(text, 's3:GetObject', 'b/x'), 'none');
  });
});

it('of a thousand statements each is asked once, however long the key', () => {
  const costly = (i: number): object => statement({Resource: `arn:aws:s3:::b/${'*a'.repeat(6)}*${i}*`, Condition: {StringLike: {'aws:Referer': '*x'}}});
  const hundred = () => parseBucketPolicy(JSON.stringify({Statement: Array.from({length: 100}, (_, i) => costly(i))}), 'b').statements;
  const policy = new CompiledPolicy({variables: true, statements: Array.from({length: 10}, hundred).flat()});
  let asked = 0;
  const values = () => {
    asked++;
    return ['y'.repeat(1000)];
  };
  const resource = `b/${'a'.repeat(1000)}${Array.from({length: 100}, (_, i) => i).join('')}`;
  assert.equal(policy.evaluate({action: 's3:getobject', resource, asker: alice, facts: {values}}), 'none');
  assert.ok(asked > 500 && asked <= 1000, String(asked));
});

describe('decisions', () => {
  it('let an explicit deny win, wherever it stands', () => {
    const deny = statement({Effect: 'Deny', Resource: 'arn:aws:s3:::b/secret/*'});
    for (const text of [textOf(statement({}), deny), textOf(deny, statement({}))]) {
      assert.equal(ask(text, 's3:GetObject', 'b/k'), 'allow');
      assert.equal(ask(text, 's3:GetObject', 'b/secret/k'), 'deny');
      assert.equal(ask(text, 's3:PutObject', 'b/k'), 'none');
      assert.equal(ask(text, 's3:ListBucket', 'b'), 'none');
    }
  });

  it('know principals by ARN, account, canonical id, and by name within the instance', () => {
    const to = (Principal: unknown, more: object = {}) => ask(textOf(statement({Principal, ...more})), 's3:GetObject', 'b/k');
    assert.equal(to({AWS: alice.arn}), 'allow');
    assert.equal(to({AWS: 'arn:aws:iam:::user/alice'}), 'allow');
    assert.equal(to({CanonicalUser: 'c1'}), 'allow');
    assert.equal(to({AWS: 'arn:aws:iam::111111111111:user/bob'}), 'none');
    assert.equal(to({AWS: '111111111111'}), 'none', 'what the account may, its users may not unless they are told');
    assert.equal(to({AWS: '111111111111'}, {Effect: 'Deny'}), 'deny');
    assert.equal(to({Service: 'x.amazonaws.com'}), 'none');
    assert.equal(ask(textOf(statement({Principal: {AWS: 'arn:aws:iam::111111111111:root'}})), 's3:GetObject', 'b/k', {}, {...alice, accountRoot: true}), 'allow');
    assert.equal(ask(textOf(statement({Principal: undefined, NotPrincipal: {AWS: alice.arn}, Effect: 'Deny'})), 's3:GetObject', 'b/k', {}, {}), 'deny');
    assert.equal(ask(textOf(statement({Principal: undefined, NotPrincipal: {AWS: alice.arn}, Effect: 'Deny'})), 's3:GetObject', 'b/k'), 'none');
  });

  it('take NotAction and NotResource for everything else', () => {
    const text = textOf(statement({Action: undefined, NotAction: 's3:Delete*', Resource: undefined, NotResource: 'arn:aws:s3:::b/x*'}));
    assert.equal(ask(text, 's3:GetObject', 'b/y'), 'allow');
    assert.equal(ask(text, 's3:DeleteObject', 'b/y'), 'none');
    assert.equal(ask(text, 's3:GetObject', 'b/xy'), 'none');
  });

  const condition = (Condition: object, facts: Record<string, string | string[]>) => ask(textOf(statement({Action: 's3:*', Condition})), 's3:GetObject', 'b/k', facts) === 'allow';
  it('compare as the operators say', () => {
    const cases: [object, Record<string, string | string[]>, boolean][] = [
      [{StringEquals: {'aws:Referer': ['a', 'b']}}, {'aws:referer': 'b'}, true],
      [{StringEquals: {'aws:Referer': 'a'}}, {}, false],
      [{StringNotEquals: {'aws:Referer': ['a', 'b']}}, {'aws:referer': 'b'}, false],
      [{StringNotEquals: {'aws:Referer': ['a', 'b']}}, {}, true],
      [{StringEqualsIgnoreCase: {'aws:Referer': 'ABC'}}, {'aws:referer': 'abc'}, true],
      [{StringLike: {'s3:prefix': 'public/*'}}, {'s3:prefix': 'public/x'}, true],
      [{StringNotLike: {'s3:prefix': 'public/*'}}, {'s3:prefix': 'public/x'}, false],
      [{StringLikeIfExists: {'s3:prefix': 'public/*'}}, {}, true],
      [{StringLikeIfExists: {'s3:prefix': 'public/*'}}, {'s3:prefix': 'x'}, false],
      [{NumericLessThanEquals: {'s3:max-keys': '10'}}, {'s3:max-keys': '10'}, true],
      [{NumericLessThan: {'s3:max-keys': 10}}, {'s3:max-keys': '10'}, false],
      [{NumericGreaterThan: {'s3:max-keys': 10}}, {'s3:max-keys': 'many'}, false],
      [{DateLessThan: {'aws:CurrentTime': '2030-01-01T00:00:00Z'}}, {'aws:currenttime': '2029-12-31T23:59:59Z'}, true],
      [{DateGreaterThan: {'aws:EpochTime': '1700000000'}}, {'aws:epochtime': '1600000000'}, false],
      [{Bool: {'aws:SecureTransport': false}}, {'aws:securetransport': 'false'}, true],
      [{Bool: {'aws:SecureTransport': 'true'}}, {'aws:securetransport': 'false'}, false],
      [{IpAddress: {'aws:SourceIp': ['10.0.0.0/8', '2001:db8::/32']}}, {'aws:sourceip': '2001:db8::1'}, true],
      [{NotIpAddress: {'aws:SourceIp': '10.0.0.0/8'}}, {'aws:sourceip': '10.1.2.3'}, false],
      [{ArnLike: {'aws:PrincipalArn': 'arn:aws:iam::*:user/al*'}}, {'aws:principalarn': alice.arn!}, true],
      [{ArnEquals: {'aws:PrincipalArn': 'arn:aws:iam:*:user/alice'}}, {'aws:principalarn': alice.arn!}, false],
      [{Null: {'aws:Referer': 'true'}}, {}, true],
      [{Null: {'aws:Referer': 'false'}}, {}, false],
      [{'ForAllValues:StringEquals': {'s3:RequestObjectTagKeys': ['a', 'b']}}, {'s3:requestobjecttagkeys': ['a', 'b']}, true],
      [{'ForAllValues:StringEquals': {'s3:RequestObjectTagKeys': ['a', 'b']}}, {'s3:requestobjecttagkeys': ['a', 'c']}, false],
      [{'ForAllValues:StringEquals': {'s3:RequestObjectTagKeys': ['a']}}, {}, true],
      [{'ForAnyValue:StringEquals': {'s3:RequestObjectTagKeys': ['a']}}, {'s3:requestobjecttagkeys': ['x', 'a']}, true],
      [{'ForAnyValue:StringEquals': {'s3:RequestObjectTagKeys': ['a']}}, {}, false],
      [{StringEquals: {'s3:ExistingObjectTag/Kind': 'x'}}, {'s3:existingobjecttag/Kind': 'x'}, true],
      [{StringEquals: {'aws:Referer': 'a'}, StringLike: {'s3:prefix': 'x*'}}, {'aws:referer': 'a'}, false],
    ];
    for (const [block, facts, expected] of cases) assert.equal(condition(block, facts), expected, JSON.stringify([block, facts]));
  });

  it('put variables in for what they are, never as patterns', () => {
    const home = textOf({Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/home/${aws:username}/*'});
    assert.equal(identity(home, 's3:getobject', 'b/home/alice/k', {'aws:username': 'alice'}), 'allow');
    assert.equal(identity(home, 's3:getobject', 'b/home/bob/k', {'aws:username': '*'}), 'none');
    assert.equal(identity(home, 's3:getobject', 'b/home/*/k', {'aws:username': '*'}), 'allow');
    assert.equal(identity(home, 's3:getobject', 'b/home//k'), 'none');
    const literal = textOf({Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::b/${*}x'});
    assert.equal(identity(literal, 's3:getobject', 'b/*x'), 'allow');
    assert.equal(identity(literal, 's3:getobject', 'b/yx'), 'none');
    const fallback = textOf({Effect: 'Allow', Action: '*', Resource: '*', Condition: {StringEquals: {'s3:prefix': "${aws:username, 'nobody'}"}}});
    assert.equal(identity(fallback, 's3:listbucket', 'b', {'s3:prefix': 'nobody'}), 'allow');
  });

  it('of other services never reach S3', () => {
    assert.equal(identity(textOf({Effect: 'Allow', Action: 'ec2:*', Resource: '*'}), 's3:getobject', 'b/k'), 'none');
    assert.equal(identity(textOf({Effect: 'Allow', Action: '*', Resource: 'arn:aws:sqs:eu-west-1:1:q'}), 's3:getobject', 'b/k'), 'none');
  });
});

it('public is what everybody may under no fixed condition', () => {
  const isPublic = (...statements: object[]) => isPublicPolicy(parseBucketPolicy(textOf(...statements), 'b'));
  assert.equal(isPublic(statement({})), true);
  assert.equal(isPublic(statement({Effect: 'Deny'})), false);
  assert.equal(isPublic(statement({Principal: {AWS: alice.arn}})), false);
  assert.equal(isPublic(statement({Condition: {IpAddress: {'aws:SourceIp': '10.0.0.0/32'}}})), false);
  assert.equal(isPublic(statement({Condition: {IpAddress: {'aws:SourceIp': '0.0.0.0/1'}}})), true);
  assert.equal(isPublic(statement({Condition: {StringLike: {'aws:PrincipalArn': '*'}}})), true);
  assert.equal(isPublic(statement({Condition: {StringEquals: {'aws:Referer': 'x'}}})), true);
});

it('wildcards match as a regular expression would', () => {
  const word = fc.string({unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 12});
  fc.assert(fc.property(word, fc.string({unit: fc.constantFrom('a', 'b', '*'), maxLength: 12}), (pattern, text) => {
    const expected = new RegExp(`^${pattern.replaceAll('*', '\0').replaceAll('?', '.').replaceAll('\0', '.*')}$`, 's').test(text);
    assert.equal(matchesWildcard(pattern, text), expected);
    assert.equal(wildcardTest(pattern)(text), expected);
  }), {numRuns: 3000});
});

it('a pattern made against matching takes no longer than its length times the text', () => {
  assert.equal(matchesWildcard(`${'a*'.repeat(2000)}b`, 'a'.repeat(1000)), false);
});

it('addresses lie in the ranges that their bits say', () => {
  fc.assert(fc.property(fc.ipV4(), fc.integer({min: 0, max: 32}), fc.ipV4(), (base, bits, given) => {
    const toNumber = (ip: string) => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - bits);
    assert.equal(inRange(given, parseIpRange(`${base}/${bits}`)!), Math.floor(toNumber(base) / size) === Math.floor(toNumber(given) / size));
    assert.equal(inRange(`::ffff:${given}`, parseIpRange(`${given}/32`)!), true);
  }));
  fc.assert(fc.property(fc.ipV6(), (ip) => assert.equal(inRange(ip, parseIpRange(`${ip}/128`)!), true)));
  for (const bad of ['', '1.2.3', '1.2.3.4/33', '01.2.3.4', '::/129', '1::2::3', ':::', '1:2:3:4:5:6:7:8:9', 'g::']) assert.equal(parseIpRange(bad), undefined, bad);
});
