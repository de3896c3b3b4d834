/** Versions as the master's callers see them, on stores that rename and stores that copy. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind} from '#base/errors.ts';
import {bytes, context, keys, mountBucket, put, World} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import {retentionAttribute} from '#model/object-lock.ts';
import type {Capabilities} from '#understore/under-store.ts';

const stores: Readonly<Record<string, Partial<Capabilities>>> = {copies: {}, renames: {directories: true, recursiveList: false, rename: 'tree', metadata: false}};

async function versioned(capabilities: Partial<Capabilities>, fn: (world: World, master: Master) => Promise<void>): Promise<void> {
  const world = new World(5);
  world.store('mem://bucket/', capabilities);
  await world.life(async master => {
    await mountBucket(master);
    await master.setSetting(bytes('/b/'), 'versioning', 'Enabled', context);
    await fn(world, master);
  });
}

/** `key:body` of a version, `key:-` of a delete marker, `*` behind what is latest. */
async function versions(world: World, master: Master): Promise<string[]> {
  const {entries} = await master.listVersions({directory: bytes('/b/'), limit: 1000}, context);
  return entries.flatMap(entry => {
    if (!('info' in entry) || entry.info.inode.kind !== 'file') return [];
    const {content} = entry.info.inode;
    const body = content ? Buffer.from(world.store('mem://bucket/').outside.bytes(content.storeKey)!).toString() : '-';
    return [`${entry.key}:${body}${entry.latest ? '*' : ''}`];
  });
}

for (const [kind, capabilities] of Object.entries(stores)) {
  test(`a tree is removed key by key, and all its versions stay (a store that ${kind})`, async () => {
    await versioned(capabilities, async (world, master) => {
      for (const key of ['t/a', 't/a', 't/d/b', 'x']) await put(master, `/b/${key}`, `${key}${await versions(world, master).then(all => all.length)}`);
      await master.remove(bytes('/b/t/'), {recursive: true}, context);
      assert.deepEqual(await versions(world, master), ['t/a:-*', 't/a:t/a1', 't/a:t/a0', 't/d/b:-*', 't/d/b:t/d/b2', 'x:x3*']);
      assert.deepEqual(await keys(master, '/b/', {view: 'tree'}), ['x']);
      await assert.rejects(master.unmount(bytes('/b/'), context), error => isKind(error, 'Busy'));
    });
  });

  test(`a renamed file is a version of its new key; what it replaces stays one (a store that ${kind})`, async () => {
    await versioned(capabilities, async (world, master) => {
      for (const [key, body] of [['a', 'A1'], ['a', 'A2'], ['z', 'Z1']] as const) await put(master, `/b/${key}`, body);
      let renamed = false;
      const renaming = master.rename(bytes('/b/a'), bytes('/b/z'), {replace: true, kind: 'file'}, context).then(() => (renamed = true));
      for (; !renamed; await new Promise(setImmediate)) assert.ok((await master.stat(bytes('/b/z'), {kind: 'file'}, context)).length > 0, 'one or the other is there at any moment');
      await renaming;
      assert.deepEqual(await versions(world, master), ['a:-*', 'a:A1', 'z:A2*', 'z:Z1']);
    });
  });

  test(`a file that is changed in place is a new version with what was set of it (a store that ${kind})`, async () => {
    await versioned(capabilities, async (world, master) => {
      await put(master, '/b/a', 'A1');
      const {inode} = await master.setAttributes(bytes('/b/a'), {mode: 0o600, uid: 7, gid: 8, xattrs: {'user.mark': Buffer.from('m'), 'weir.s3.tag': Buffer.from('t')}}, {kind: 'file'}, context);
      const {inode: {mode, uid, gid, xattrs}} = await put(master, '/b/a', 'A2', {inode: inode.id, parents: 'none'});
      assert.deepEqual([mode, uid, gid, Object.keys(xattrs ?? {})], [0o600, 7, 8, ['user.mark']]);
      assert.deepEqual(await versions(world, master), ['a:A2*', 'a:A1']);
    });
  });

  test(`a renamed tree leaves its history under the old keys (a store that ${kind})`, async () => {
    await versioned(capabilities, async (world, master) => {
      for (const body of ['A1', 'A2']) await put(master, '/b/t/a', body);
      await master.rename(bytes('/b/t/'), bytes('/b/u/'), {replace: false}, context);
      assert.deepEqual(await versions(world, master), ['t/a:A1', 'u/a:A2*']);
      await assert.rejects(master.stat(bytes('/b/t/a'), {kind: 'file'}, context), error => isKind(error, 'NotFound'));
    });
  });

  test(`suspended versioning writes the null version, and what is counted apart is right (a store that ${kind})`, async () => {
    await versioned(capabilities, async (world, master) => {
      await put(master, '/b/a', 'A1');
      await master.setSetting(bytes('/b/'), 'versioning', 'Suspended', context);
      await put(master, '/b/a', 'N1');
      await put(master, '/b/a', 'N2');
      assert.deepEqual(await versions(world, master), ['a:N2*', 'a:A1']);
      assert.deepEqual((await master.usage(bytes('/'), context)).noncurrent, {versions: 1, deleteMarkers: 0, bytes: 2});
      await master.remove(bytes('/b/a'), {kind: 'file', deleteMarker: true}, context);
      assert.deepEqual(await versions(world, master), ['a:-*', 'a:A1']);
      const removed = await master.remove(bytes('/b/a'), {kind: 'file', version: 'null'}, context);
      assert.deepEqual(removed, {versionId: 'null', deleteMarker: true});
      assert.deepEqual(await versions(world, master), ['a:A1*']);
      assert.equal((await master.usage(bytes('/'), context)).noncurrent, undefined);
    });
  });

  test(`a locked version is not removed, by no way and by nobody who may not override (a store that ${kind})`, async () => {
    await versioned(capabilities, async (world, master) => {
      const {inode} = await put(master, '/b/a', 'A1');
      const version = (await master.listVersions({directory: bytes('/b/'), limit: 1}, context)).entries.map(entry => 'info' in entry && entry.info.inode.version)[0];
      assert.equal(version, inode.version);
      await master.setSetting(bytes('/b/'), 'object-lock', '{}', context);
      const sneaking = {xattrs: {[retentionAttribute]: null}};
      await assert.rejects(master.setAttributes(bytes('/b/a'), sneaking, {kind: 'file'}, context), error => isKind(error, 'InvalidArgument'));
      const until = (untilMs: number) => master.setLock(bytes('/b/a'), {retention: {mode: 'GOVERNANCE', untilMs}}, {kind: 'file'}, context);
      await until(4e12);
      await assert.rejects(until(3e12), error => isKind(error, 'PermissionDenied'));
      await assert.rejects(master.setSetting(bytes('/b/'), 'versioning', 'Suspended', context), error => isKind(error, 'Conflict'));
      await assert.rejects(master.rename(bytes('/b/a'), bytes('/b/c'), {replace: true, kind: 'file'}, context), error => isKind(error, 'PermissionDenied'));
      const {versionId} = await master.remove(bytes('/b/a'), {kind: 'file'}, context);
      assert.ok(versionId);
      const {entries} = await master.listVersions({directory: bytes('/b/'), limit: 9}, context);
      assert.equal(entries.length, 2);
      const id = `w${inode.version!.toString(36).padStart(11, '0')}`;
      await assert.rejects(master.remove(bytes('/b/a'), {kind: 'file', version: id}, context), error => isKind(error, 'PermissionDenied'));
      await master.remove(bytes('/b/a'), {kind: 'file', version: id, bypassGovernance: true}, context);
      assert.deepEqual(await versions(world, master), ['a:-*']);
    });
  });
}
