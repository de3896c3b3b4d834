/** Who may do what, as clients see it: users with policies, users with accounts of their own, everybody. */
import assert from 'node:assert/strict';
import {after, before, describe, it, test} from 'node:test';
import {
  CopyObjectCommand, CreateBucketCommand, DeleteBucketPolicyCommand, DeleteObjectCommand, DeleteObjectsCommand, GetBucketAclCommand, GetObjectAclCommand, GetObjectCommand, ListBucketsCommand, ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketAclCommand, PutBucketOwnershipControlsCommand, PutBucketPolicyCommand, PutBucketRequestPaymentCommand, PutObjectAclCommand, PutObjectCommand, PutPublicAccessBlockCommand, type S3Client,
} from '@aws-sdk/client-s3';
import {knownActions} from '#codec/s3/policy/actions.ts';
import {systemContext} from '#contracts/context.ts';
import {bucketNeeds, objectNeeds} from '#frontends/s3/access/operations.ts';
import {codeOf, Gateway} from '#frontends/s3/fixture.test.ts';
import {operations} from '#frontends/s3/routes.ts';

let gateway: Gateway;
let alice: S3Client;
let bob: S3Client;
const as = systemContext;
const policyOf = (...statements: object[]) => JSON.stringify({Version: '2012-10-17', Statement: statements});

async function clientOf(user: string): Promise<S3Client> {
  const key = await gateway.identity.addKey(user, {}, as);
  return gateway.client(key);
}

before(async () => {
  gateway = await Gateway.start();
  await gateway.sdk.send(new CreateBucketCommand({Bucket: 'data'}));
  for (const Key of ['public/a', 'private/b']) await gateway.sdk.send(new PutObjectCommand({Bucket: 'data', Key, Body: Buffer.from(Key)}));
  await gateway.identity.putPolicy('reader', policyOf({Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::data/public/*'}), as);
  await gateway.identity.addUser('bob', {policies: ['reader']}, as);
  await gateway.identity.addUser('alice', {}, as);
  [alice, bob] = [await clientOf('alice'), await clientOf('bob')];
});
after(() => gateway[Symbol.asyncDispose]());

const get = (client: S3Client, Bucket: string, Key: string) => codeOf(client.send(new GetObjectCommand({Bucket, Key})));
const anonymous = async (method: string, target: string): Promise<number> => (await gateway.send({method, target, headers: ['host', 's3.test', 'content-length', '0']})).status;

test('every operation that there is says what it needs, in actions that policies may name', () => {
  for (const [needs, table] of [[bucketNeeds, operations.bucket], [objectNeeds, operations.object]] as const) {
    for (const [name, methods] of Object.entries(table)) {
      for (const method of Object.keys(methods)) {
        // Lists of deletions are asked about key by key; a part without its upload is no operation.
        if (name === 'delete' || (name === 'partNumber' && method === 'PUT')) continue;
        assert.ok(needs[name]?.[method], `${method} ?${name}`);
      }
    }
    for (const need of Object.values(needs).flatMap((methods) => Object.values(methods))) {
      for (const action of [need.action, need.versioned]) assert.ok(action === undefined || knownActions.get(action) === need.on, action);
    }
  }
});

describe('a user with a policy', () => {
  it('may do just what it says, and learns nothing else', async () => {
    assert.equal(await get(bob, 'data', 'public/a'), 'none');
    assert.equal(await get(bob, 'data', 'private/b'), 'AccessDenied');
    assert.equal(await get(bob, 'data', 'private/none'), 'AccessDenied');
    assert.equal(await get(bob, 'data', 'public/none'), 'AccessDenied');
    for (const command of [
      new PutObjectCommand({Bucket: 'data', Key: 'public/c', Body: Buffer.from('x')}), new DeleteObjectCommand({Bucket: 'data', Key: 'public/a'}),
      new ListObjectsV2Command({Bucket: 'data'}), new CreateBucketCommand({Bucket: 'bobs'}),
      new CopyObjectCommand({Bucket: 'data', Key: 'public/c', CopySource: 'data/public/a'}), new PutBucketPolicyCommand({Bucket: 'data', Policy: '{}'}), new GetObjectAclCommand({Bucket: 'data', Key: 'public/a'}),
    ]) assert.equal(await codeOf(bob.send(command as GetObjectCommand)), 'AccessDenied', command.constructor.name);
    const deleted = await bob.send(new DeleteObjectsCommand({Bucket: 'data', Delete: {Objects: [{Key: 'public/a'}]}}));
    assert.equal(deleted.Errors?.[0]?.Code, 'AccessDenied');
    assert.deepEqual((await bob.send(new ListBucketsCommand({}))).Buckets ?? [], []);
  });

  it('follows its policy as it changes, and an explicit denial wins', async () => {
    await gateway.identity.putInlinePolicy({user: 'bob'}, 'more', policyOf({Effect: 'Allow', Action: 's3:*', Resource: '*'}), as);
    assert.equal(await get(bob, 'data', 'private/b'), 'none');
    await gateway.identity.putInlinePolicy({user: 'bob'}, 'less', policyOf({Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::data/private/*'}), as);
    assert.equal(await get(bob, 'data', 'private/b'), 'AccessDenied');
    for (const name of ['more', 'less']) await gateway.identity.putInlinePolicy({user: 'bob'}, name, null, as);
  });
});

describe('a user with an account of its own', () => {
  it('owns what it makes, and nothing else', async () => {
    await alice.send(new CreateBucketCommand({Bucket: 'alices'}));
    await alice.send(new PutObjectCommand({Bucket: 'alices', Key: 'k', Body: Buffer.from('x')}));
    assert.deepEqual((await alice.send(new ListBucketsCommand({}))).Buckets?.map(({Name}) => Name), ['alices']);
    assert.equal(await get(alice, 'data', 'public/a'), 'AccessDenied');
    assert.equal(await codeOf(alice.send(new CreateBucketCommand({Bucket: 'data'}))), 'BucketAlreadyExists');
    assert.equal(await get(bob, 'alices', 'k'), 'AccessDenied');
    const acl = await alice.send(new GetBucketAclCommand({Bucket: 'alices'}));
    assert.equal(acl.Owner?.DisplayName, 'alice');
  });

  it('keeps what it writes into the bucket of another until that one switches lists off', async () => {
    await gateway.sdk.send(new PutBucketPolicyCommand({Bucket: 'data', Policy: policyOf({Effect: 'Allow', Principal: {AWS: 'arn:aws:iam:::user/alice'}, Action: 's3:PutObject', Resource: 'arn:aws:s3:::data/drop/*'})}));
    await alice.send(new PutObjectCommand({Bucket: 'data', Key: 'drop/k', Body: Buffer.from('x')}));
    assert.equal(await get(alice, 'data', 'drop/k'), 'none');
    assert.equal(await get(gateway.sdk, 'data', 'drop/k'), 'AccessDenied');
    const [keys, versions] = [await gateway.sdk.send(new ListObjectsV2Command({Bucket: 'data', FetchOwner: true})), await gateway.sdk.send(new ListObjectVersionsCommand({Bucket: 'data'}))];
    for (const list of [keys.Contents!, versions.Versions!]) assert.deepEqual(list.map(({Key, Owner}) => [Key, Owner?.DisplayName === 'alice']).filter(([, hers]) => hers), [['drop/k', true]]);
    await gateway.sdk.send(new PutBucketOwnershipControlsCommand({Bucket: 'data', OwnershipControls: {Rules: [{ObjectOwnership: 'BucketOwnerEnforced'}]}}));
    assert.equal(await get(gateway.sdk, 'data', 'drop/k'), 'none');
    assert.equal(await get(alice, 'data', 'drop/k'), 'AccessDenied');
    assert.equal(await codeOf(gateway.sdk.send(new PutBucketAclCommand({Bucket: 'data', ACL: 'public-read'}))), 'AccessControlListNotSupported');
    await gateway.sdk.send(new DeleteBucketPolicyCommand({Bucket: 'data'}));
  });
});

test('where requesters pay, others than the owner say that they do, and who they are', async () => {
  const Bucket = 'paid';
  await alice.send(new CreateBucketCommand({Bucket}));
  for (const Key of ['k', 'l']) await alice.send(new PutObjectCommand({Bucket, Key, Body: Buffer.from('x')}));
  await alice.send(new PutBucketPolicyCommand({Bucket, Policy: policyOf({Effect: 'Allow', Principal: '*', Action: 's3:*', Resource: ['arn:aws:s3:::paid', 'arn:aws:s3:::paid/*']})}));
  assert.equal(await get(bob, Bucket, 'k'), 'none');
  await alice.send(new PutBucketRequestPaymentCommand({Bucket, RequestPaymentConfiguration: {Payer: 'Requester'}}));
  for (const [RequestPayer, code] of [[undefined, 'AccessDenied'], ['requester', 'none']] as const) {
    const paid = {Bucket, ...(RequestPayer ? {RequestPayer} : {})};
    assert.equal(await codeOf(bob.send(new GetObjectCommand({...paid, Key: 'k'}))), code);
    assert.equal(await codeOf(bob.send(new ListObjectsV2Command(paid))), code);
    assert.equal(await codeOf(bob.send(new PutObjectCommand({...paid, Key: 'of bob', Body: Buffer.from('x')}))), code);
    assert.equal(await codeOf(gateway.sdk.send(new CopyObjectCommand({Bucket: 'data', Key: 'copy', CopySource: `${Bucket}/k`}))), 'none');
    const {Errors = []} = await bob.send(new DeleteObjectsCommand({...paid, Delete: {Objects: [{Key: 'l'}]}}));
    assert.deepEqual(Errors.map(({Code}) => Code), RequestPayer ? [] : [code]);
  }
  assert.equal((await gateway.send({method: 'GET', target: '/paid/k', headers: ['host', 's3.test', 'x-amz-request-payer', 'requester']})).status, 403);
  for (const client of [alice, gateway.sdk]) assert.equal(await get(client, Bucket, 'k'), 'none');
  await alice.send(new PutBucketRequestPaymentCommand({Bucket, RequestPaymentConfiguration: {Payer: 'BucketOwner'}}));
  assert.equal(await get(bob, Bucket, 'k'), 'none');
});

describe('everybody', () => {
  it('gets in only where a policy or a list says so, and not where that is blocked', async () => {
    assert.equal(await anonymous('GET', '/'), 403);
    assert.equal(await anonymous('GET', '/alices/k'), 403);
    await alice.send(new PutObjectAclCommand({Bucket: 'alices', Key: 'k', ACL: 'public-read'}));
    assert.equal(await anonymous('GET', '/alices/k'), 200);
    assert.equal(await anonymous('PUT', '/alices/k'), 403);
    assert.equal(await anonymous('GET', '/alices/none'), 403);
    await alice.send(new PutBucketAclCommand({Bucket: 'alices', ACL: 'public-read'}));
    assert.equal(await anonymous('GET', '/alices/none'), 404);
    await alice.send(new PutPublicAccessBlockCommand({Bucket: 'alices', PublicAccessBlockConfiguration: {IgnorePublicAcls: true, BlockPublicPolicy: true, BlockPublicAcls: true}}));
    assert.equal(await anonymous('GET', '/alices/k'), 403);
    const open = policyOf({Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: 'arn:aws:s3:::alices/*'});
    assert.equal(await codeOf(alice.send(new PutBucketPolicyCommand({Bucket: 'alices', Policy: open}))), 'AccessDenied');
    assert.equal(await codeOf(alice.send(new PutObjectCommand({Bucket: 'alices', Key: 'k2', ACL: 'public-read', Body: Buffer.from('x')}))), 'AccessDenied');
  });

  it('is told in S3\'s words what nobody may do unsigned, even where a policy allows everything', async () => {
    await gateway.sdk.send(new CreateBucketCommand({Bucket: 'open'}));
    await gateway.sdk.send(new PutBucketPolicyCommand({Bucket: 'open', Policy: policyOf({Effect: 'Allow', Principal: ['*'], Action: 's3:*', Resource: ['arn:aws:s3:::open', 'arn:aws:s3:::open/*']})}));
    const said = async (method: string, target: string, headers: readonly string[] = [], body?: Buffer): Promise<string> => {
      const answer = await gateway.send({method, target, headers: ['host', 's3.test', 'content-length', String(body?.length ?? 0), ...headers], ...(body ? {body} : {})});
      return `${answer.status} ${/<Message>(.*)<\/Message>/.exec(answer.body.toString())?.[1] ?? ''}`;
    };
    for (const [method, target, message, ...headers] of [
      ['PUT', '/another', 'Anonymous users cannot invoke this API. Please authenticate.'],
      ['PUT', '/open?acl', 'Anonymous users cannot invoke this API. Please authenticate.', 'x-amz-acl', 'public-read'],
      ['PUT', '/open/k?acl', 'Anonymous users cannot invoke this API. Please authenticate.', 'x-amz-acl', 'public-read'],
      ['POST', '/open/k?uploads', 'Anonymous users cannot initiate multipart uploads. Please authenticate.'],
      ['PUT', '/open/k', 'Anonymous users cannot copy objects. Please authenticate.', 'x-amz-copy-source', 'data/public/a'],
      ['GET', '/open?ownershipControls', 's3:GetBucketOwnershipControls does not support Anonymous requests!'],
      ['DELETE', '/open?ownershipControls', 's3:PutBucketOwnershipControls does not support Anonymous requests!'],
    ] as const) assert.equal(await said(method, target, headers), `403 ${message}`, `${method} ${target}`);
    assert.equal(await said('GET', '/open?policy'), '405 The specified method is not allowed against this resource.');
    assert.equal(await said('PUT', '/open/k'), '200 ');
    assert.match(await said('PUT', '/open/k', ['x-amz-content-sha256', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD']), /^400 Anonymous requests don't support/);
    assert.match(await said('PUT', '/open/k', ['x-amz-content-sha256', 'no_hash']), /^400 The provided 'x-amz-content-sha256'/);
    // A list of deletions of which nothing is allowed is refused as a whole.
    const list = Buffer.from('<Delete><Object><Key>k</Key></Object></Delete>');
    assert.equal(await said('POST', '/open?delete', [], list), '200 ');
    assert.equal(await said('POST', '/data?delete', [], list), '403 Access Denied.');
    // What is wrong with a document, and what Weir does not carry out, is said only to those who may ask.
    assert.equal(await said('POST', '/data/k?restore'), '403 Access Denied.');
    assert.equal((await said('POST', '/open/k?restore')).slice(0, 3), '400');
  });

  it('is written down when it is denied', () => {
    const denied = gateway.audit.filter(({result, user}) => result === 'denied' && user === 'anonymous');
    assert.ok(denied.some(({method, bucket, key, from}) => method === 'PUT' && bucket === 'alices' && key === 'k' && from === '127.0.0.1'));
    assert.ok(gateway.audit.some(({user, method, result}) => user === 'alice' && method === 'PUT' && result === 'done'));
    assert.ok(!JSON.stringify(gateway.audit).includes('ecret'));
  });
});

it('an owner whose policy denies everything can mend it', async () => {
  await alice.send(new CreateBucketCommand({Bucket: 'locked'}));
  await alice.send(new PutBucketPolicyCommand({Bucket: 'locked', Policy: policyOf({Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: ['arn:aws:s3:::locked', 'arn:aws:s3:::locked/*']})}));
  assert.equal(await codeOf(alice.send(new ListObjectsV2Command({Bucket: 'locked'}))), 'AccessDenied');
  await alice.send(new DeleteBucketPolicyCommand({Bucket: 'locked'}));
  assert.equal(await codeOf(alice.send(new ListObjectsV2Command({Bucket: 'locked'}))), 'none');
});
