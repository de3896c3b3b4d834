/** Policies: whatever is taken for a policy can be asked, in bounded time, and says the same however often it is asked. Lists come back as they were written. */
import {aclXml, parseAccessControlPolicy, parseOwnershipControls, parsePublicAccessBlock} from '#codec/s3/access-documents.ts';
import {aclOfHeaders, decodeAcl, encodeAcl} from '#codec/s3/acl.ts';
import {parseBucketPolicy, parseIdentityPolicy} from '#codec/s3/policy/document.ts';
import {CompiledPolicy} from '#codec/s3/policy/evaluate.ts';
import {isPublicPolicy} from '#codec/s3/policy/public.ts';
import {mustEqual, outcome} from './fuzz.ts';
import type {Grammar} from './mutate.ts';

export const json: Grammar = {
  tokens: [
    '{', '}', '[', ']', ',', ':', '"', '""', 'null', 'true', '1', '"*"', '"Effect":"Deny"', '"NotPrincipal":', '"NotAction":', '"NotResource":', '"Condition":{', '"Null":', 'IfExists', 'ForAllValues:', 'ForAnyValue:',
    'StringNotLike',
    'IpAddress', 'NumericLessThan', 'DateEquals', 'Bool', 'ArnLike', 'aws:SourceIp', 's3:prefix', 's3:ExistingObjectTag/x', '${aws:username}', '${*}',
    "${a, 'b'}", '*', '?', 'arn:aws:s3:::b/*', '__proto__', 'constructor', '::/0',
  ],
  separators: [',', ':', '"', '{', '}', '[', ']', '/', '*'],
};

export const policySeeds: readonly string[] = [
  '{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["*","123456789012"]},"Action":["s3:Get*","s3:PutObject"],"Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]}]}',
  '{"Statement":{"Effect":"Deny","NotPrincipal":{"CanonicalUser":"c"},"NotAction":"s3:*","NotResource":"arn:aws:s3:::b/x?","Condition":{"StringLikeIfExists":{"s3:prefix":["a*",1]},"Null":{"aws:Referer":"true"}}}}',
  '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},' +
    '"DateLessThan":{"aws:CurrentTime":"2030-01-01"},"ForAnyValue:StringNotLike":{"s3:RequestObjectTagKeys":"${aws:username}"}}}]}',
];

const facts = new Map([['s3:prefix', ['a*b']], ['aws:username', ['al*']], ['aws:sourceip', ['10.1.2.3']], ['aws:currenttime', ['2026-01-01T00:00:00Z']], ['s3:requestobjecttagkeys', ['a', 'b']]]);
const asker = {arn: 'arn:aws:iam::123456789012:user/al', userName: 'al', accountId: '123456789012', canonicalId: 'c'};

export function policies(input: Buffer): void {
  const text = input.toString('utf8');
  for (const parse of [(policy: string) => parseBucketPolicy(policy, 'b'), parseIdentityPolicy]) {
    const document = outcome(() => parse(text));
    if (document === 'refused') continue;
    isPublicPolicy(document.value);
    const policy = new CompiledPolicy(document.value);
    for (const [action, resource] of [['s3:getobject', 'b/x*y'], ['s3:listbucket', 'b'], ['s3:listallmybuckets', '']] as const) {
      const question = {action, resource, asker, facts: {values: (key: string) => facts.get(key)}};
      mustEqual(policy.evaluate(question), policy.evaluate(question), 'a policy changes its mind');
    }
  }
}

const group = '<Grant><Grantee xmlns:xsi="x" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>';
const user = '<Grant><Grantee xsi:type="CanonicalUser"><ID>a</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>';
export const accessSeeds: readonly string[] = [
  `<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList>${group}${user}</AccessControlList></AccessControlPolicy>`,
  '<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>', '<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>',
  'id="a", uri="http://acs.amazonaws.com/groups/global/AllUsers"',
];

export function accessDocuments(input: Buffer): void {
  outcome(() => parsePublicAccessBlock(input));
  outcome(() => parseOwnershipControls(input));
  outcome(() => aclOfHeaders((name) => (name === 'x-amz-grant-read' ? input.toString('latin1') : undefined)));
  const acl = outcome(() => parseAccessControlPolicy(input));
  if (acl === 'refused') return;
  mustEqual(decodeAcl(encodeAcl(acl.value)), acl.value, 'a kept list comes back changed');
  const written = parseAccessControlPolicy(Buffer.from(aclXml({id: acl.value.owner, displayName: 'x'}, acl.value.grants, () => undefined)));
  mustEqual(new Set(written.grants.map((grant) => JSON.stringify(grant))), new Set(acl.value.grants.map((grant) => JSON.stringify(grant))), 'a shown list comes back changed');
}
