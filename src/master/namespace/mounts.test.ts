import assert from 'node:assert/strict';
import test from 'node:test';
import {type ErrorKind, isKind} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {IdAllocator} from '#master/namespace/ids.ts';
import {bytes, Fixture, homeMount, path} from '#master/namespace/fixture.test.ts';
import {addMount, getMount, initialiseNamespace, listMounts, removeMount, updateMount} from '#master/namespace/mounts.ts';
import {rootMountId} from '#master/namespace/place.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {resolve, storeKeyOfPath} from '#master/namespace/resolve.ts';
import {stat} from '#master/namespace/stat.ts';
import {forgetTombstone, reapTombstone} from '#master/namespace/tombstones.ts';
import {usageOfAll, usageOfMount} from '#master/namespace/usage.ts';
import type {Mount} from '#model/mount.ts';

const refusedAs = (...kinds: ErrorKind[]) => (error: unknown) => isKind(error, ...kinds);
const mount = (id: number, at: string): Mount => ({...homeMount, id: id as MountId, path: bytes(at), uri: `s3://${id}`});

test('mounts nest, and keys are those of the innermost', () => {
  const space = new Fixture();
  assert.equal(space.run((tx, op) => initialiseNamespace(tx, op, homeMount)), false, 'only once');
  space.run((tx, op) => addMount(tx, op, mount(5, '/s3/')));
  space.run((tx, op) => addMount(tx, op, mount(6, '/s3/deep/in/')));
  space.run((tx, op) => putFile(tx, op, path('/s3/deep/in/x/y'), {content: {...space.content('x/y'), mount: 6 as MountId}}));
  const found = stat(space.store, path('/s3/deep/in/x/y'));
  assert.deepEqual([found.mount, found.inode.content!.storeKey], [6, 'x/y']);
  const unknown = resolve(space.store, path('/s3/deep/in/p/q/r'));
  assert.deepEqual([unknown.place, unknown.parent.mount, unknown.depth, storeKeyOfPath(unknown)], [undefined, 6, 3, 'p/q/r']);
  assert.equal(storeKeyOfPath(resolve(space.store, path('/s3/deep/other'))), 'deep/other');
  assert.equal(storeKeyOfPath(resolve(space.store, path('/s3/deep/other/', 'directory'))), 'deep/other/');
  assert.equal(storeKeyOfPath(resolve(space.store, path('/s3/deep/in/', 'directory'))), '');
  assert.deepEqual(listMounts(space.store).map(({id}) => id), [1, 5, 6]);
  space.run((tx) => updateMount(tx, {...mount(5, '/s3/'), readOnly: true}));
  assert.equal(getMount(space.store, 5 as MountId)!.readOnly, true);
  assert.deepEqual(usageOfMount(space.store, 6 as MountId), {files: 1, directories: 2, bytes: 10});
  assert.throws(() => space.run((tx, op) => putFile(tx, op, path('/s3/.weir/x'), {content: space.content('x')})), refusedAs('PermissionDenied'));
});

test('a mount takes no place that is used', () => {
  const space = new Fixture();
  space.run((tx, op) => putFile(tx, op, path('/d/f'), {content: space.content('d/f')}));
  for (const at of ['/d/', '/d/f/', '/d/f/x/', '/']) assert.throws(() => space.run((tx, op) => addMount(tx, op, mount(5, at))), refusedAs('AlreadyExists', 'NotADirectory'));
});

test('unmounting forgets all below and nothing else', () => {
  const space = new Fixture();
  const before = space.store.keys.length;
  space.run((tx, op) => addMount(tx, op, mount(5, '/m/')));
  space.run((tx, op) => addMount(tx, op, mount(6, '/m/n/')));
  for (const file of ['/m/a/b', '/m/c']) space.run((tx, op) => putFile(tx, op, path(file), {content: space.content(file.slice(3))}));
  assert.throws(() => space.run((tx, op) => removeMount(tx, op, 5 as MountId)), refusedAs('Busy'));
  assert.equal(listMounts(space.store).length, 3, 'and is still there');
  assert.throws(() => space.run((tx, op) => removeMount(tx, op, rootMountId)), refusedAs('Busy'));
  assert.throws(() => space.run((tx, op) => removeMount(tx, op, 99 as MountId)), refusedAs('NotFound'));
  for (const id of [6, 5]) {
    const tombstone = space.run((tx, op) => removeMount(tx, op, id as MountId));
    while (!space.run((tx) => reapTombstone(tx, tombstone, 1)));
    space.run((tx) => forgetTombstone(tx, tombstone));
  }
  assert.throws(() => stat(space.store, path('/m/')), refusedAs('NotFound'));
  assert.deepEqual(usageOfAll(space.store), {files: 0, directories: 1, bytes: 0});
  assert.equal(space.store.keys.filter((key) => !'gn'.includes(key[0]!)).length, before - 1, 'only garbage and counters are left');
});

test('ids never repeat, whatever is rolled back and however often it restarts', () => {
  const {store} = new Fixture();
  const seen = new Set<number>();
  for (let life = 0; life < 5; life++) {
    const ids = new IdAllocator();
    for (let i = 0; i < 3; i++) {
      ids.ensure(store, 100_000);
      assert.ok(ids.available >= 100_000);
      assert.throws(() => store.transact(() => {
        for (let taken = 0; taken < 40_000; taken++) seen.add(ids.next<InodeId>());
        throw new Error('rolled back');
      }));
    }
  }
  assert.equal(seen.size, 5 * 3 * 40_000);
  assert.throws(() => new IdAllocator().next(), /ensure/);
});
