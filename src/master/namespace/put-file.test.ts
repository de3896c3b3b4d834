import assert from 'node:assert/strict';
import test from 'node:test';
import {isKind} from '#base/errors.ts';
import {bytes, Fixture, path} from '#master/namespace/fixture.test.ts';
import {listGarbage} from '#master/namespace/garbage.ts';
import {list} from '#master/namespace/list.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {stat} from '#master/namespace/stat.ts';
import {usageOfAll} from '#master/namespace/usage.ts';

test('a file is made with implied directories, and read back as it was put', () => {
  const space = new Fixture();
  const content = {...space.content('b/d/f', 'e1', 5), metadata: {'content-type': 'text/plain', 'x-amz-meta-ü': 'é'}, checksums: {crc32: 'AAAA', sha256: 'x-2'}};
  const put = space.run((tx, op) => putFile(tx, op, path('/b/d/f'), {content}));
  const found = stat(space.store, path('/b/d/f'));
  assert.deepEqual(found, put);
  assert.deepEqual(found.inode.content, content);
  assert.equal(found.length, 5);
  assert.equal(stat(space.store, path('/b/d/')).inode.implied, true);
  assert.deepEqual(usageOfAll(space.store), {files: 1, directories: 3, bytes: 5});
});

test('replacing gives a new inode and leaves the old content to the garbage', () => {
  const space = new Fixture();
  const one = space.run((tx, op) => putFile(tx, op, path('/b/f'), {content: space.content('b/f', 'e1', 5)}));
  const two = space.run((tx, op) => putFile(tx, op, path('/b/f'), {content: space.content('b/f', 'e2', 7)}));
  assert.notEqual(one.inode.id, two.inode.id);
  assert.deepEqual(listGarbage(space.store, 10), [{content: one.inode.content!.id, inode: one.inode.id, pinned: false}]);
  assert.deepEqual(usageOfAll(space.store), {files: 1, directories: 2, bytes: 7});
});

test('preconditions are those of S3', () => {
  const space = new Fixture();
  const put = (precondition: {ifMatch?: string; ifNoneMatch?: string}, mark: string) =>
    space.run((tx, op) => putFile(tx, op, path('/b/f'), {content: space.content('b/f', mark), precondition}));
  assert.throws(() => put({ifMatch: '*'}, 'e0'), (error) => isKind(error, 'NotFound'));
  put({ifNoneMatch: '*'}, 'e1');
  assert.throws(() => put({ifNoneMatch: '*'}, 'e2'), (error) => isKind(error, 'PreconditionFailed'));
  assert.throws(() => put({ifMatch: 'e0'}, 'e2'), (error) => isKind(error, 'PreconditionFailed'));
  assert.throws(() => put({ifNoneMatch: 'e1'}, 'e2'), (error) => isKind(error, 'PreconditionFailed'));
  put({ifMatch: 'e1'}, 'e2');
  put({ifNoneMatch: 'e1'}, 'e3');
  assert.equal(stat(space.store, path('/b/f')).inode.content!.etag, 'e3');
});

test('a file stands beside a directory of its name for S3, and is refused for a file system', () => {
  const space = new Fixture();
  const put = (to: string, parents: 'implied' | 'explicit' | 'none') => space.run((tx, op) => putFile(tx, op, path(to), {content: space.content(to.slice(1)), parents}));
  put('/b/a/x', 'implied');
  assert.throws(() => put('/b/a', 'explicit'), (error) => isKind(error, 'IsADirectory'));
  assert.throws(() => put('/b/missing/x', 'none'), (error) => isKind(error, 'NotFound'));
  put('/b/a', 'implied');
  put('/b/f', 'none');
  assert.throws(() => put('/b/f/x', 'explicit'), (error) => isKind(error, 'NotADirectory'));
  assert.throws(() => put('/b/f/x', 'none'), (error) => isKind(error, 'NotADirectory'));
  assert.equal(stat(space.store, path('/b/a', 'either')).path, '/b/a/');
  assert.equal(stat(space.store, path('/b/a')).path, '/b/a');
  assert.deepEqual(list(space.store, {directory: bytes('/b'), limit: 10, view: 'tree'}).entries.map(({key}) => key), ['a', 'a/', 'a/x', 'f']);
});

test('only directories are listed, and mount points have no marker', () => {
  const space = new Fixture();
  space.run((tx, op) => putFile(tx, op, path('/b/f'), {content: space.content('b/f')}));
  const children = (directory: string) => list(space.store, {directory: bytes(directory), limit: 1, view: 'children'});
  assert.throws(() => children('/b/f'), (error) => isKind(error, 'NotADirectory'));
  assert.throws(() => children('/b/g'), (error) => isKind(error, 'NotFound'));
  assert.throws(() => children('/b/f/g'), (error) => isKind(error, 'NotADirectory'));
  assert.throws(() => list(space.store, {directory: bytes('/b'), limit: 0, view: 'keys'}), (error) => isKind(error, 'InvalidArgument'));
  assert.throws(() => space.run((tx, op) => putFile(tx, op, path('/'), {content: space.content('')})), (error) => isKind(error, 'IsADirectory'));
});

test('an object k/ is the marker of directory k', () => {
  const space = new Fixture();
  const content = space.content('b/k/', 'm');
  const put = space.run((tx, op) => putFile(tx, op, path('/b/k/'), {content}));
  assert.equal(put.path, '/b/k/');
  assert.deepEqual(stat(space.store, path('/b/k/')).inode.content, content);
  assert.deepEqual(list(space.store, {directory: bytes('/b'), limit: 10, view: 'keys'}).entries.map(({key}) => key), ['k/']);
});

test('Weir\'s own folder is refused', () => {
  const space = new Fixture();
  for (const name of ['/.weir', '/.weir/x', '/.weir/']) {
    assert.throws(() => space.run((tx, op) => putFile(tx, op, path(name), {content: space.content('x')})), (error) => isKind(error, 'PermissionDenied'));
  }
  space.run((tx, op) => putFile(tx, op, path('/b/.weir'), {content: space.content('b/.weir')}));
});
