import assert from 'node:assert/strict';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import {Identity} from '#master/identity/identity.ts';
import {openToken, sealToken} from '#master/identity/session-token.ts';
import {MemoryMedium, memoryEngine} from '#metastore/memory/memory-engine.ts';
import type {Metastore} from '#metastore/metastore.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import {createNodeRuntime} from '#runtime/node/node-runtime.ts';

const runtime = createNodeRuntime({log: {level: 'silent'}});
const rootKey = {accessKeyId: 'ROOT', secretAccessKey: 'root secret'};
const policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}';
const as = systemContext;
let directory: string;
let metastore: Metastore;
let identity: Identity;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-identity-'));
  metastore = await openMetastore({runtime, directory, engine: memoryEngine(runtime, new MemoryMedium())});
  identity = await Identity.open({metastore, runtime, rootKey});
});
after(async () => {
  await metastore.close();
  await rm(directory, {recursive: true});
});
const again = () => Identity.open({metastore, runtime, rootKey});
const refused = (call: Promise<unknown>, kind: Parameters<typeof isKind>[1]) => assert.rejects(call, (error) => isKind(error, kind!));

describe('users and keys', () => {
  it('are found by their keys at once, and after a restart', async () => {
    const user = await identity.addUser('alice', {}, as);
    assert.equal(user.account, 'own');
    assert.match(user.accountId, /^\d{12}$/);
    assert.match(user.ownerId, /^[0-9a-f]{64}$/);
    const key = await identity.addKey('alice', {description: 'laptop'}, as);
    const second = await identity.addKey('alice', {expiresAt: 5}, as);
    for (const {directory: current} of [identity, await again()]) {
      const found = current.find(key.accessKeyId)!;
      assert.equal(found.secret, key.secretAccessKey);
      assert.equal(found.caller.kind, 'account');
      assert.equal(found.caller.owner.id, user.ownerId);
      assert.equal(current.find(second.accessKeyId)!.expiresAt, 5);
      assert.equal(current.ownerOfUid(user.uid)?.displayName, 'alice');
      assert.equal(current.find('ROOT')!.caller.kind, 'root');
      assert.equal(current.find('nobody'), undefined);
    }
    assert.equal((await again()).directory.root.id, identity.directory.root.id);
    assert.ok(!JSON.stringify(await identity.listKeys(null, as)).includes(key.secretAccessKey));
  });

  it('that are off or gone are refused', async () => {
    await identity.addUser('bob', {}, as);
    const {accessKeyId} = await identity.addKey('bob', {}, as);
    const there = () => identity.directory.find(accessKeyId) !== undefined;
    await identity.updateKey(accessKeyId, {active: false}, as);
    assert.equal(there(), false);
    await identity.updateKey(accessKeyId, {active: true, expiresAt: null}, as);
    assert.equal(there(), true);
    await identity.updateUser('bob', {active: false}, as);
    assert.equal(there(), false);
    await identity.updateUser('bob', {active: true}, as);
    assert.equal(there(), true);
    await identity.removeUser('bob', as);
    assert.equal(there(), false);
    assert.deepEqual((await identity.listKeys(null, as)).filter(({user}) => user === 'bob'), []);
  });

  it('are checked before they are made', async () => {
    await refused(identity.addUser('alice', {}, as), 'AlreadyExists');
    await refused(identity.addUser('root', {}, as), 'AlreadyExists');
    await refused(identity.addUser('a b', {}, as), 'InvalidArgument');
    await refused(identity.addUser('carol', {uid: 0}, as), 'InvalidArgument');
    await refused(identity.addUser('carol', {groups: ['none']}, as), 'NotFound');
    await refused(identity.addKey('nobody', {}, as), 'NotFound');
    await refused(identity.addKey('alice', {accessKeyId: 'ROOT', secretAccessKey: 'long enough'}, as), 'AlreadyExists');
    await refused(identity.addKey('alice', {accessKeyId: 'ONLYID'}, as), 'InvalidArgument');
    const other: CallContext = {...as, principal: {name: 'mallory', uid: 5, gids: []}};
    await refused(identity.listUsers(other), 'PermissionDenied');
    await refused(identity.addKey('alice', {}, other), 'PermissionDenied');
  });
});

describe('policies', () => {
  it('reach users directly and through groups, and are the same object until they change', async () => {
    await identity.putPolicy('read', policy, as);
    await identity.addGroup('people', as);
    await identity.addUser('dora', {groups: ['people']}, as);
    const {accessKeyId} = await identity.addKey('dora', {}, as);
    const caller = () => identity.directory.find(accessKeyId)!.caller;
    assert.equal(caller().kind, 'member');
    assert.deepEqual(caller().policies, []);
    await identity.attachPolicy({group: 'people'}, 'read', true, as);
    const [stated] = caller().policies;
    assert.equal(stated?.text, policy);
    await identity.putInlinePolicy({user: 'dora'}, 'home', policy, as);
    assert.deepEqual(caller().policies.map(({name}) => name), ['user:dora/home', 'read']);
    assert.equal(caller().policies[1], stated);
    await refused(identity.removePolicy('read', as), 'Busy');
    await identity.setMember('people', 'dora', false, as);
    assert.deepEqual(caller().policies.map(({name}) => name), ['user:dora/home']);
    await identity.removeGroup('people', as);
    await identity.removePolicy('read', as);
  });

  it('that are no policies are refused', async () => {
    await refused(identity.putPolicy('bad', '{"Statement":[]}', as), 'InvalidArgument');
    await refused(identity.putPolicy('bad', policy.replace('"Action"', '"Principal":"*","Action"'), as), 'InvalidArgument');
  });
});

describe('temporary credentials', () => {
  it('act as who took them, with their own policy, until they end', async () => {
    const {accessKeyId} = await identity.addKey('alice', {}, as);
    const {caller} = identity.directory.find(accessKeyId)!;
    const issued = identity.directory.issue(caller, {expiresAt: 99, sessionName: 'job', policy});
    const found = identity.directory.find(issued.accessKeyId, issued.sessionToken)!;
    assert.equal(found.secret, issued.secretAccessKey);
    assert.equal(found.expiresAt, 99);
    assert.equal(found.caller.arn, caller.arn);
    assert.equal(found.caller.session?.policy?.text, policy);
    assert.ok((await again()).directory.find(issued.accessKeyId, issued.sessionToken), 'also after a restart');
    assert.equal(identity.directory.find(issued.accessKeyId), undefined);
    assert.equal(identity.directory.find(issued.accessKeyId, `${issued.sessionToken}x`), undefined);
    const other = identity.directory.issue(caller, {expiresAt: 99, sessionName: 'job'});
    assert.equal(identity.directory.find(other.accessKeyId, issued.sessionToken), undefined, 'a token is of one key');
    await identity.removeUser('alice', as);
    assert.equal(identity.directory.find(issued.accessKeyId, issued.sessionToken), undefined);
    await identity.addUser('alice', {}, as);
    assert.equal(identity.directory.find(issued.accessKeyId, issued.sessionToken), undefined, 'another of the same name is somebody else');
  });

  it('cannot be made up or changed', () => {
    const seal = new Uint8Array(32);
    const token = sealToken(seal, {accessKeyId: 'k', userSince: 0, sessionName: 's', expiresAt: 1});
    assert.deepEqual(openToken(seal, token), {accessKeyId: 'k', userSince: 0, sessionName: 's', expiresAt: 1});
    const elsewhere = sealToken(new Uint8Array(32).fill(1), {accessKeyId: 'k', userSince: 0, sessionName: 's', expiresAt: 1});
    for (const forged of ['', '.', token.slice(1), `${token.split('.')[0]}.`, Buffer.from('{}').toString('base64url'), elsewhere]) {
      assert.equal(openToken(seal, forged), undefined);
    }
  });
});
