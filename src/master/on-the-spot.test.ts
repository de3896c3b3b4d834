/** What a master answers on the spot is what it answers in time, or nothing. */
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {isKind} from '#base/errors.ts';
import type {Principal} from '#contracts/context.ts';
import {bytes, context, mountBucket, put, requestsOf, World} from '#master/fixture.test.ts';

const {principal} = context;

test('a file is answered on the spot while it is known and fresh, wherever it has moved to', async () => {
  const world = new World();
  const bucket = world.store('mem://bucket/');
  bucket.outside.put(bytes('dir/a'), Buffer.from('one'), {'content-type': 'text/plain'});
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    assert.equal(master.openNow(bytes('/b/dir/a'), principal), undefined, 'nobody knows it yet');
    const known = await master.stat(bytes('/b/dir/a'), {kind: 'file'}, context);
    const before = requestsOf(bucket);
    assert.deepEqual(master.openNow(bytes('/b/dir/a'), principal), known);
    assert.deepEqual(master.statNow(bytes('/b/dir/a'), {}, principal), known);
    for (const path of ['/b/dir', '/b/dir/', '/b', '/b/']) {
      const expected = await master.stat(bytes(path), {kind: 'directory'}, context);
      for (const kind of ['directory', 'either'] as const) assert.deepEqual(master.statNow(bytes(path), {kind}, principal), expected, path);
    }
    for (const path of ['/b/dir/none', '/b/none/a', '/', '/b/.weir', '/b/dir/a\0', `/b/dir/${'n'.repeat(2000)}`]) {
      assert.equal(master.statNow(bytes(path), {}, principal), undefined, JSON.stringify(path.slice(0, 20)));
    }
    await put(master, '/b/other/c', 'see');
    assert.equal(master.openNow(bytes('/b/other/c'), principal)?.length, 3);
    await master.rename(bytes('/b/other/'), bytes('/b/moved/'), {replace: false}, context);
    assert.equal(master.openNow(bytes('/b/other/c'), principal), undefined);
    assert.equal(master.statNow(bytes('/b/other/'), {}, principal), undefined);
    assert.deepEqual(master.openNow(bytes('/b/moved/c'), principal)?.path, '/b/moved/c');
    await put(master, '/b/dir/a', 'longer');
    assert.equal(master.openNow(bytes('/b/dir/a'), principal)?.length, 6);
    await runtime.clock.sleep(61_000);
    assert.equal(master.openNow(bytes('/b/dir/a'), principal), undefined, 'no longer fresh');
    assert.equal(master.statNow(bytes('/b/dir/'), {}, principal), undefined);
    assert.equal(master.statNow(bytes('/b/'), {}, principal)?.path, '/b/', 'a mount point is what it is');
    await master.stat(bytes('/b/dir/a'), {kind: 'file'}, context);
    assert.equal(master.openNow(bytes('/b/dir/a'), principal)?.length, 6);
    await master.refresh(bytes('/b/dir/a'), context);
    assert.equal(master.openNow(bytes('/b/dir/a'), principal), undefined, 'somebody wants it asked again');
    assert.ok(requestsOf(bucket) > before);
  });
});

test('nobody is shown on the spot what he may not see', async () => {
  const world = new World();
  world.store('mem://bucket/').outside.put(bytes('dir/a'), Buffer.from('one'));
  await world.life(async master => {
    await mountBucket(master);
    await master.stat(bytes('/b/dir/a'), {kind: 'file'}, context);
    const somebody: Principal = {name: 'somebody', uid: 1000, gids: [1000]};
    const denied = (error: unknown): boolean => isKind(error, 'PermissionDenied');
    await master.setAttributes(bytes('/b/dir/a'), {mode: 0o640}, {kind: 'file'}, context);
    assert.equal(master.statNow(bytes('/b/dir/a'), {kind: 'file'}, somebody)?.length, 3);
    assert.throws(() => master.openNow(bytes('/b/dir/a'), somebody), denied);
    await master.setAttributes(bytes('/b/dir/'), {mode: 0o700}, {}, context);
    assert.throws(() => master.statNow(bytes('/b/dir/a'), {kind: 'file'}, somebody), denied);
    assert.equal(master.statNow(bytes('/b/dir/'), {}, somebody)?.inode.mode, 0o700);
    assert.equal(master.openNow(bytes('/b/dir/a'), principal)?.length, 3);
  });
});

test('a file is made, and gets its content, on the spot for a mount', async () => {
  const world = new World();
  world.store('mem://bucket/');
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    await master.makeDirectory(bytes('/b/d'), {}, context);
    const mount = {...context, origin: 'mount-1', moment: 'safe'} as const;
    const how = {mode: 0o640, holder: 'mount-1', writeTypeDefault: 'ASYNC_THROUGH'} as const;
    const {inode: {id: directory}} = await master.stat(bytes('/b/d/'), {}, context);
    assert.equal(master.makeFileNow(directory, bytes('a'), how, context), undefined, 'others wait for what is durable');
    const request = {client: 'mount-1', counter: 7, acknowledged: 0};
    const made = master.makeFileNow(directory, bytes('a'), how, {...mount, request, owner: {uid: 5, gid: 6, umask: 0o22}});
    assert.ok(made);
    await made.safe;
    const {info} = made;
    assert.deepEqual([info.path, info.length, info.inode.mode, info.inode.uid], ['/b/d/a', 0, 0o640, 5]);
    assert.ok(made.validUntil > runtime.clock.nowMs());
    assert.deepEqual(await master.stat(bytes('/b/d/a'), {}, context), info);
    assert.deepEqual(await master.earlier({...mount, request}), {info});
    assert.equal(master.makeFileNow(directory, bytes('a'), how, mount), undefined, 'the ordinary way says why not');
    assert.equal(master.makeFileNow(info.inode.id, bytes('b'), how, mount), undefined);

    const content = master.beginSealNow(info, how);
    assert.ok(content);
    world.cache.set(content, Buffer.from('one'));
    const sealed = {content, length: 3, etag: 'e', metadata: {}, mtime: 5n, durable: false};
    assert.equal(master.commitSealNow(info.inode.id, sealed, context), undefined);
    const changed = master.commitSealNow(info.inode.id, sealed, mount);
    assert.ok(changed);
    await changed.safe;
    assert.deepEqual([changed.info.length, changed.info.inode.mtime], [3, 5n]);
    assert.deepEqual(await master.stat(bytes('/b/d/a'), {}, context), changed.info);
    await master.remove(bytes('/b/d/a'), {kind: 'file'}, context);
    assert.equal(master.commitSealNow(info.inode.id, sealed, mount), undefined, 'it has no name any more');
    assert.equal((await master.retain(info.inode.id, 'mount-1', context)).path, '', 'and is open');
    assert.ok(master.releaseNow(info.inode.id, 'mount-1') === false);
    await master.release(info.inode.id, 'mount-1', context);
  });
});

test('attributes are changed on the spot for a mount, of what is known', async () => {
  const world = new World();
  world.store('mem://bucket/').outside.put(bytes('dir/a'), Buffer.from('one'));
  await world.life(async (master, runtime) => {
    await mountBucket(master);
    const {inode} = await master.stat(bytes('/b/dir/a'), {kind: 'file'}, context);
    const mount = {...context, origin: 'mount-1', moment: 'safe'} as const;
    assert.equal(master.setInodeAttributesNow(inode.id, () => ({mode: 0o600}), context), undefined, 'others wait for what is durable');
    // Where the disk wants to be waited for it is asked for again, as it may be.
    const changed = master.setInodeAttributesNow(inode.id, () => ({mode: 0o640, mtime: 5n}), mount) ?? (await master.setAttributes(bytes('/b/dir/a'), {mode: 0o640, mtime: 5n}, {kind: 'file'}, mount));
    assert.deepEqual([changed.path, changed.inode.mode, changed.inode.mtime], ['/b/dir/a', 0o640, 5n]);
    assert.deepEqual(await master.stat(bytes('/b/dir/a'), {kind: 'file'}, context), changed);
    assert.throws(() => master.setInodeAttributesNow(inode.id, () => ({mode: 0o70000}), mount), error => isKind(error, 'InvalidArgument'));
    await master.remove(bytes('/b/dir/a'), {kind: 'file'}, context);
    assert.equal(master.setInodeAttributesNow(inode.id, () => ({mode: 0o600}), mount), undefined);
    await put(master, '/b/dir/b', 'two');
    const other = await master.stat(bytes('/b/dir/b'), {kind: 'file'}, context);
    await runtime.clock.sleep(61_000);
    assert.equal(master.setInodeAttributesNow(other.inode.id, () => ({mode: 0o600}), mount), undefined, 'its store is asked first');
  });
});
