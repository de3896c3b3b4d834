import assert from 'node:assert/strict';
import test from 'node:test';
import {type ErrorKind, isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {decodePosixAcl, encodePosixAcl} from '#codec/namespace/posix-acl.ts';
import type {Principal} from '#contracts/context.ts';
import {mayAccess, mayRemoveFrom} from '#master/namespace/access.ts';
import {bytes, Fixture, path} from '#master/namespace/fixture.test.ts';
import {list} from '#master/namespace/list.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {makeSymlink} from '#master/namespace/make-symlink.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {remove, removeMarker} from '#master/namespace/remove.ts';
import {rename} from '#master/namespace/rename.ts';
import {setAttributes, xattrBytesMax} from '#master/namespace/set-attributes.ts';
import {setContent} from '#master/namespace/set-content.ts';
import {stat} from '#master/namespace/stat.ts';
import {accessAcl, defaultAcl, type PosixAcl} from '#model/posix-acl.ts';

const refusedAs = (...kinds: ErrorKind[]) => (error: unknown) => isKind(error, ...kinds);
const ann: Principal = {name: 'ann', uid: 1000, gids: [100, 7]};
const bob: Principal = {name: 'bob', uid: 1001, gids: [101]};

test('owner, group and others are judged by their own bits', () => {
  const inode = {mode: 0o640, uid: 1000, gid: 7};
  assert.equal(mayAccess(inode, ann, 'write'), true);
  assert.equal(mayAccess({...inode, uid: 5}, ann, 'read'), true);
  assert.equal(mayAccess({...inode, uid: 5}, ann, 'write'), false);
  assert.equal(mayAccess(inode, bob, 'read'), false);
  assert.equal(mayAccess({...inode, mode: 0o066}, ann, 'read'), false, 'the owner is not one of the others');
  assert.equal(mayAccess({...inode, mode: 0}, {name: 'root', uid: 0, gids: []}, 'write'), true);
  assert.equal(mayAccess({...inode, mode: 0}, undefined, 'write'), true);
  const sticky = {mode: 0o1777, uid: 0, gid: 0};
  assert.equal(mayRemoveFrom(sticky, {mode: 0, uid: 1000, gid: 0}, ann), true);
  assert.equal(mayRemoveFrom(sticky, {mode: 0, uid: 1000, gid: 0}, bob), false);
});

test('attributes are set, pins and extended attributes too, and only by those who may', () => {
  const space = new Fixture();
  space.run((tx, op) => makeDirectory(tx, op, path('/home/'), {mode: 0o777}));
  const made = space.run((tx, op) => putFile(tx, op, path('/home/f'), {content: space.content('home/f')}), ann);
  assert.deepEqual([made.inode.uid, made.inode.gid], [1000, 100]);
  const set = (patch: Parameters<typeof setAttributes>[3], who?: Principal) => space.run((tx, op) => setAttributes(tx, op, path('/home/f'), patch), who).inode;
  assert.throws(() => set({mode: 0o666}, bob), refusedAs('PermissionDenied'));
  assert.throws(() => set({uid: 1001}, ann), refusedAs('PermissionDenied'));
  assert.throws(() => set({gid: 101}, ann), refusedAs('PermissionDenied'));
  assert.throws(() => set({xattrs: {a: new Uint8Array(1)}}, bob), refusedAs('PermissionDenied'));
  assert.throws(() => set({mode: 0o10000}), refusedAs('InvalidArgument'));
  assert.throws(() => set({xattrs: {a: new Uint8Array(xattrBytesMax)}}), refusedAs('TooLarge'));
  set({mode: 0o600, gid: 7, mtime: 5n, pinned: true, xattrs: {a: new Uint8Array([1]), __proto__x: new Uint8Array([2])}}, ann);
  const inode = set({atime: 6n, xattrs: {a: null}});
  assert.deepEqual([inode.mode, inode.uid, inode.gid, inode.mtime, inode.atime, inode.pinned], [0o600, 1000, 7, 5n, 6n, true]);
  assert.deepEqual(inode.xattrs, {__proto__x: new Uint8Array([2])});
  assert.ok(inode.ctime > made.inode.ctime);
  assert.deepEqual(stat(space.store, path('/home/f')).inode, inode);
  const bare = set({pinned: false, xattrs: {__proto__x: null}});
  assert.equal('pinned' in bare || 'xattrs' in bare, false);
});

test('access control lists are obeyed, follow the mode, and are inherited', () => {
  const space = new Fixture();
  const list = (acl: Partial<PosixAcl>): Uint8Array => encodePosixAcl({owner: 7, users: [], group: 5, groups: [], mask: 7, other: 0, ...acl});
  space.run((tx, op) => makeDirectory(tx, op, path('/team/'), {mode: 0o700}));
  const set = (name: string, patch: Parameters<typeof setAttributes>[3], who?: Principal) => space.run((tx, op) => setAttributes(tx, op, path(name, 'either'), patch), who).inode;
  assert.throws(() => space.run((tx, op) => putFile(tx, op, path('/team/f'), {}), bob), refusedAs('PermissionDenied'));
  const users = [{id: bob.uid, permissions: 7}];
  assert.equal(set('/team/', {xattrs: {[accessAcl]: list({users}), [defaultAcl]: list({users, mask: 6})}}).mode, 0o770);
  const made = space.run((tx, op) => putFile(tx, op, path('/team/deep/f'), {content: space.content('team/deep/f')}), bob).inode;
  assert.deepEqual([made.mode, made.uid, decodePosixAcl(made.xattrs![accessAcl]!).mask], [0o660, bob.uid, 6]);
  const between = stat(space.store, path('/team/deep/')).inode;
  assert.deepEqual([between.mode, Object.keys(between.xattrs!)], [0o760, [accessAcl, defaultAcl]]);
  assert.throws(() => stat(space.store, path('/team/deep/f'), ann), refusedAs('PermissionDenied'));
  assert.equal(decodePosixAcl(set('/team/', {mode: 0o700}).xattrs![accessAcl]!).mask, 0);
  assert.throws(() => stat(space.store, path('/team/deep/f'), bob), refusedAs('PermissionDenied'));
  assert.throws(() => set('/team/', {xattrs: {[accessAcl]: list({})}}, bob), refusedAs('PermissionDenied'));
  assert.throws(() => set('/team/', {xattrs: {[accessAcl]: new Uint8Array(9)}}), refusedAs('InvalidArgument'));
  assert.throws(() => set('/team/deep/f', {xattrs: {[defaultAcl]: list({})}}), refusedAs('PermissionDenied'));
  const {mask: _, ...minimal} = decodePosixAcl(list({owner: 6, group: 4, other: 1}));
  const plain = set('/team/', {xattrs: {[accessAcl]: encodePosixAcl(minimal), [defaultAcl]: null}});
  assert.deepEqual([plain.mode, plain.xattrs], [0o641, undefined]);
});

test('directories guard their names', () => {
  const space = new Fixture();
  space.run((tx, op) => makeDirectory(tx, op, path('/shut/'), {mode: 0o700}));
  space.run((tx, op) => putFile(tx, op, path('/shut/f'), {content: space.content('shut/f')}));
  space.run((tx, op) => makeDirectory(tx, op, path('/open/'), {mode: 0o1777}));
  space.run((tx, op) => putFile(tx, op, path('/open/ann'), {content: space.content('open/ann')}), ann);
  const denied = refusedAs('PermissionDenied');
  assert.throws(() => stat(space.store, path('/shut/f'), ann), denied);
  assert.throws(() => list(space.store, {directory: bytes('/shut'), limit: 1, view: 'keys'}, ann), denied);
  assert.throws(() => space.run((tx, op) => putFile(tx, op, path('/new'), {content: space.content('new')}), ann), denied);
  assert.throws(() => space.run((tx, op) => putFile(tx, op, path('/new/deep'), {content: space.content('new/deep')}), ann), denied);
  assert.throws(() => space.run((tx, op) => makeDirectory(tx, op, path('/new/'), {}), ann), denied);
  assert.throws(() => space.run((tx, op) => makeSymlink(tx, op, path('/new'), bytes('x')), ann), denied);
  assert.throws(() => space.run((tx, op) => remove(tx, op, path('/open/ann'), {}), bob), denied);
  assert.throws(() => space.run((tx, op) => putFile(tx, op, path('/open/ann'), {content: space.content('x')}), bob), denied);
  assert.throws(() => space.run((tx, op) => rename(tx, op, path('/open/ann'), path('/open/bob'), {replace: true, trees: 'follow'}), bob), denied);
  assert.throws(() => space.run((tx, op) => rename(tx, op, path('/open/ann'), path('/out'), {replace: true, trees: 'follow'}), ann), denied);
  space.run((tx, op) => rename(tx, op, path('/open/ann'), path('/open/moved'), {replace: true, trees: 'follow'}), ann);
  space.run((tx, op) => remove(tx, op, path('/open/moved'), {}), ann);
});

test('making what is implied explicit keeps it when its last child goes', () => {
  const space = new Fixture();
  for (const file of ['/a/f', '/b/f']) space.run((tx, op) => putFile(tx, op, path(file), {content: space.content(file.slice(1))}));
  assert.throws(() => space.run((tx, op) => makeDirectory(tx, op, path('/a/'), {})), refusedAs('AlreadyExists'));
  assert.equal(space.run((tx, op) => makeDirectory(tx, op, path('/a/'), {existing: 'keep'})).created, false);
  for (const file of ['/a/f', '/b/f']) space.run((tx, op) => remove(tx, op, path(file), {}));
  assert.equal(stat(space.store, path('/a/')).inode.implied, undefined);
  assert.throws(() => stat(space.store, path('/b/')), refusedAs('NotFound'));
});

test('deleting k/ takes the marker, and the directory when nothing else holds it', () => {
  const space = new Fixture();
  for (const file of ['/k/', '/k/f', '/l/']) space.run((tx, op) => putFile(tx, op, path(file), {content: space.content(file.slice(1))}));
  const unmark = (at: string) => space.run((tx, op) => removeMarker(tx, op, path(at), {}));
  assert.deepEqual([unmark('/k/'), unmark('/k/'), unmark('/l/'), unmark('/none/')], [true, false, true, false]);
  assert.equal(stat(space.store, path('/k/')).inode.implied, true);
  assert.throws(() => stat(space.store, path('/l/')), refusedAs('NotFound'));
});

test('a file being written gets its content and keeps its inode', () => {
  const space = new Fixture();
  const made = space.run((tx, op) => putFile(tx, op, path('/f'), {existing: 'fail'}));
  assert.equal(list(space.store, {directory: bytes('/'), limit: 9, view: 'keys'}).entries.length, 0, 'not an object yet');
  assert.throws(() => space.run((tx, op) => putFile(tx, op, path('/f'), {existing: 'fail'})), refusedAs('AlreadyExists'));
  const done = space.run((tx, op) => setContent(tx, op, made.inode.id, space.content('f', 'e', 42)));
  assert.deepEqual([done.path, done.length, done.inode.id], ['/f', 42, made.inode.id]);
  space.run((tx, op) => remove(tx, op, path('/f'), {}));
  assert.throws(() => space.run((tx, op) => setContent(tx, op, made.inode.id, space.content('f'))), refusedAs('NotFound'));
  assert.throws(() => space.run((tx, op) => setContent(tx, op, 1 as InodeId, space.content('f'))), refusedAs('IsADirectory'));
});

test('a link holds its target and is not followed', () => {
  const space = new Fixture();
  const made = space.run((tx, op) => makeSymlink(tx, op, path('/link'), bytes('../\xff')));
  assert.deepEqual([made.inode.kind, made.inode.target, made.path], ['symlink', '../\xff', '/link']);
  assert.throws(() => stat(space.store, path('/link/x', 'either')), refusedAs('NotADirectory'));
  assert.throws(() => stat(space.store, path('/link/x')), refusedAs('NotFound'), 'as an S3 key it is just absent');
  assert.throws(() => space.run((tx, op) => makeSymlink(tx, op, path('/other'), bytes(''))), refusedAs('InvalidArgument'));
});
