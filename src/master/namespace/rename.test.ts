import assert from 'node:assert/strict';
import test from 'node:test';
import {type ErrorKind, isKind} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';
import {bytes, Fixture, homeMount, path} from '#master/namespace/fixture.test.ts';
import {listGarbage} from '#master/namespace/garbage.ts';
import {locate, storeKeyOf} from '#master/namespace/locate.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {addMount} from '#master/namespace/mounts.ts';
import {claimOf, finishMove, listMoves, relocate} from '#master/namespace/moves.ts';
import {rootMountId} from '#master/namespace/place.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {remove} from '#master/namespace/remove.ts';
import {rename, type RenameOptions} from '#master/namespace/rename.ts';
import {stat} from '#master/namespace/stat.ts';
import {listTombstones, reapTombstone} from '#master/namespace/tombstones.ts';

const refusedAs = (...kinds: ErrorKind[]) => (error: unknown) => isKind(error, ...kinds);

function filled(...files: string[]): Fixture {
  const space = new Fixture();
  for (const file of files) space.run((tx, op) => putFile(tx, op, path(file), {content: space.content(file.slice(1), file)}));
  return space;
}

const move = (space: Fixture, from: string, to: string, options: Partial<RenameOptions> = {}) =>
  space.run((tx, op) => rename(tx, op, path(from, 'either'), path(to, 'either'), {replace: true, trees: 'follow', ...options}));

test('a file keeps its inode and says where the store still has it', () => {
  const space = filled('/a/f', '/b/g');
  const before = stat(space.store, path('/a/f'));
  const {info, fromKey, toKey} = move(space, '/a/f', '/b/f');
  assert.equal(info.inode.id, before.inode.id);
  assert.deepEqual([info.path, fromKey, toKey, info.inode.content!.storeKey], ['/b/f', 'a/f', 'b/f', 'a/f']);
  assert.throws(() => stat(space.store, path('/a/', 'directory')), refusedAs('NotFound'), 'the implied directory has gone');
  const followed = move(space, '/b/f', '/b/h', {relocate: (content, storeKey) => ({...content, storeKey, fingerprint: 'new'})});
  assert.deepEqual(followed.info.inode.content!.storeKey, 'b/h');
  assert.deepEqual(stat(space.store, path('/b/h')), followed.info);
});

test('POSIX decides what may replace what', () => {
  const space = filled('/d/x', '/f', '/g');
  space.run((tx, op) => makeDirectory(tx, op, path('/empty/'), {}));
  assert.throws(() => move(space, '/missing', '/x'), refusedAs('NotFound'));
  assert.throws(() => move(space, '/f', '/missing/x'), refusedAs('NotFound'));
  assert.throws(() => move(space, '/f', '/g/x'), refusedAs('NotADirectory'));
  assert.throws(() => move(space, '/f', '/d'), refusedAs('IsADirectory'));
  assert.throws(() => move(space, '/d', '/f'), refusedAs('NotADirectory'));
  assert.throws(() => move(space, '/empty', '/d'), refusedAs('DirectoryNotEmpty'));
  assert.throws(() => move(space, '/f', '/g', {replace: false}), refusedAs('AlreadyExists'));
  assert.throws(() => move(space, '/d', '/d/inside'), refusedAs('InvalidArgument'));
  assert.throws(() => move(space, '/d', '/'), refusedAs('AlreadyExists'));
  move(space, '/d', '/empty');
  assert.equal(stat(space.store, path('/empty/x')).inode.content!.etag, '/d/x');
  const {replaced} = move(space, '/f', '/g');
  assert.equal(replaced!.inode.content!.etag, '/g');
  assert.deepEqual(listGarbage(space.store, 10).map(({content}) => content), [replaced!.inode.content!.id]);
});

test('mounts are not left, and not moved', () => {
  const space = filled('/f', '/up/f');
  space.run((tx, op) => addMount(tx, op, {...homeMount, id: 9 as MountId, path: bytes('/up/m/')}));
  space.run((tx, op) => putFile(tx, op, path('/up/m/x'), {content: space.content('x')}));
  assert.equal(stat(space.store, path('/up/m/x')).mount, 9);
  assert.throws(() => move(space, '/f', '/up/m/f'), refusedAs('CrossMount'));
  assert.throws(() => move(space, '/up/m', '/elsewhere'), refusedAs('Busy'));
  assert.throws(() => move(space, '/up', '/elsewhere'), refusedAs('Busy'));
  assert.throws(() => space.run((tx, op) => remove(tx, op, path('/up/'), {recursive: true})), refusedAs('Busy'));
  assert.throws(() => space.run((tx, op) => remove(tx, op, path('/up/m/'), {recursive: true})), refusedAs('Busy'));
});

test('a tree whose store follows has all its keys by its new name', () => {
  const space = filled('/a/b/f', '/a/b/c/g');
  move(space, '/a/b', '/z');
  assert.equal(stat(space.store, path('/z/c/g')).inode.content!.storeKey, 'z/c/g');
  assert.deepEqual(listMoves(space.store), []);
});

test('a tree whose store cannot follow keeps its keys, through further renames, until the move is done', () => {
  const space = filled('/a/b/f', '/a/b/c/g');
  const {id} = move(space, '/a/b', '/z', {trees: 'prefix'}).info.inode;
  move(space, '/z/c', '/c', {trees: 'prefix'});
  move(space, '/z', '/y', {trees: 'prefix'});
  assert.equal(stat(space.store, path('/y/f')).inode.content!.storeKey, 'a/b/f');
  const inner = stat(space.store, path('/c/g'));
  assert.equal(inner.inode.content!.storeKey, 'a/b/c/g');
  assert.deepEqual(storeKeyOf(space.store, inner.inode), {storeKey: 'a/b/c/g'});
  assert.equal(locate(space.store, inner.inode.id)!.path, '/c/g');
  assert.deepEqual(listMoves(space.store).map(({from}) => from), ['a/b/', 'a/b/c/']);
  assert.equal(claimOf(space.store, rootMountId, bytes('a/b/new'))!.id, id);
  assert.equal(claimOf(space.store, rootMountId, bytes('a/x')), undefined);

  const file = stat(space.store, path('/y/f')).inode;
  const copied = {...file.content!, storeKey: bytes('y/f'), fingerprint: 'copied'};
  assert.equal(space.run((tx) => relocate(tx, file.id, copied)), true);
  assert.equal(space.run((tx) => relocate(tx, file.id, {...copied, id: 0 as typeof copied.id})), false, 'another version has come');
  space.run((tx) => finishMove(tx, id));
  assert.deepEqual(stat(space.store, path('/y/f')).inode.content, copied);
  assert.equal(stat(space.store, path('/y/', 'directory')).inode.storePrefix, undefined);
  assert.deepEqual(listMoves(space.store).map(({from}) => from), ['a/b/c/']);
});

test('a marker goes with its directory', () => {
  const space = filled('/a/', '/b/');
  const key = (at: string) => stat(space.store, path(at, 'directory')).inode.content!.storeKey;
  move(space, '/a', '/c');
  assert.equal(key('/c/'), 'c/');
  const {id} = move(space, '/b', '/d', {trees: 'prefix'}).info.inode;
  assert.equal(key('/d/'), 'b/');
  space.run((tx) => finishMove(tx, id));
  assert.equal(key('/d/'), 'd/');
});

test('what the store has elsewhere is found when the tree around it is removed', () => {
  const space = filled('/a/f', '/old/deep/g', '/stray');
  move(space, '/old/deep', '/a/deep', {trees: 'prefix'});
  move(space, '/stray', '/a/stray');
  const stray = stat(space.store, path('/a/stray')).inode.content!.id;
  const {tombstone} = space.run((tx, op) => remove(tx, op, path('/a/'), {recursive: true}));
  while (!space.run((tx) => reapTombstone(tx, tombstone!, 1)));
  const left = listTombstones(space.store);
  assert.deepEqual(new Set(left.map(({storePrefix}) => storePrefix)), new Set(['a/', 'old/deep/']));
  assert.ok(left.every(({cursor}) => cursor === undefined), 'all records are gone');
  const elsewhere = listGarbage(space.store, 10).filter(({stored}) => stored);
  assert.deepEqual(elsewhere.map(({content, stored}) => [content, stored]), [[stray, {mount: 1, storeKey: 'stray'}]]);
  assert.deepEqual(listMoves(space.store), []);
});
