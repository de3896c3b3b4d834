/** What an operation reads and writes must not grow with the tree. Counted, not timed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import {bytes, Fixture, path} from '#master/namespace/fixture.test.ts';
import {list} from '#master/namespace/list.ts';
import {locate} from '#master/namespace/locate.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {remove} from '#master/namespace/remove.ts';
import {rename} from '#master/namespace/rename.ts';
import {stat} from '#master/namespace/stat.ts';
import {listTombstones, reapTombstone} from '#master/namespace/tombstones.ts';
import {usageOfAll} from '#master/namespace/usage.ts';
import {pathBytesMax} from '#model/path.ts';

function tree(files: number): Fixture {
  const space = new Fixture();
  for (let i = 0; i < files; i++) {
    const at = `t/d${i % 10}/e${i % 100}/f${String(i).padStart(7, '0')}`;
    space.runFast((tx, op) => putFile(tx, op, path(`/${at}`), {content: space.content(at)}));
  }
  space.runFast((tx, op) => makeDirectory(tx, op, path('/other/'), {}));
  return space;
}

function cost(space: Fixture, what: () => unknown): {reads: number; writes: number} {
  space.store.reads = space.store.writes = 0;
  what();
  return {reads: space.store.reads, writes: space.store.writes};
}

type Operations = Record<string, (space: Fixture) => unknown>;

const readers: Operations = {
  'stat': ({store}) => stat(store, path('/t/d1/e1/f0000001')),
  'missing stat': ({store}) => stat(store, path('/t/d1/')) && list(store, {directory: bytes('/t'), prefix: bytes('nothing'), view: 'keys', limit: 1}),
  'folded page at the top': ({store}) => list(store, {directory: bytes('/'), view: 'keys', delimiter: bytes('/'), limit: 5}),
  'folded page, resumed': ({store}) => list(store, {directory: bytes('/t'), view: 'keys', delimiter: bytes('/'), after: bytes('d3/'), limit: 3}),
  'folded page, resumed within': ({store}) => list(store, {directory: bytes('/t'), view: 'keys', delimiter: bytes('/'), after: bytes('d3/e'), limit: 3}),
  'folded below a prefix': ({store}) => list(store, {directory: bytes('/'), view: 'keys', prefix: bytes('t/d4/e'), delimiter: bytes('/'), limit: 3}),
  'folded by another delimiter': ({store}) => list(store, {directory: bytes('/t'), view: 'keys', delimiter: bytes('d'), limit: 3}),
  'page of keys in the middle': ({store}) => list(store, {directory: bytes('/'), view: 'keys', after: bytes('t/d5/e55/'), limit: 7}),
  'page of children': ({store}) => list(store, {directory: bytes('/t/d1/e1'), view: 'children', limit: 7}),
  'page of the tree': ({store}) => list(store, {directory: bytes('/'), view: 'tree', after: bytes('t/d5/e55/f00'), limit: 7}),
};

const writers: Operations = {
  'put': (space) => space.runFast((tx, op) => putFile(tx, op, path('/t/d1/e1/new'), {content: space.content('t/d1/e1/new')})),
  'rename of a file': (space) => space.runFast((tx, op) => rename(tx, op, path('/t/d1/e1/f0000001'), path('/other/f'), {replace: false, trees: 'follow'})),
  'rename of the tree': (space) => space.runFast((tx, op) => rename(tx, op, path('/t/'), path('/other/t/'), {replace: false, trees: 'follow'})),
  'rename of the tree on a store that cannot': (space) => space.runFast((tx, op) => rename(tx, op, path('/other/t/'), path('/t/'), {replace: false, trees: 'prefix'})),
  'remove of a file': (space) => space.runFast((tx, op) => remove(tx, op, path('/t/d2/e2/f0000002'), {})),
  'remove of the tree': (space) => space.runFast((tx, op) => remove(tx, op, path('/t/'), {recursive: true})),
  'reap': (space) => space.runFast((tx) => reapTombstone(tx, listTombstones(tx)[0]!.id, 20)),
};

test('no operation costs more in a tree of 20 000 files than in one of 1 000', () => {
  const small = tree(1_000);
  const large = tree(20_000);
  for (const [name, run] of [...Object.entries(readers), ...Object.entries(writers)]) {
    const few = cost(small, () => run(small));
    const many = cost(large, () => run(large));
    assert.ok(many.reads <= few.reads + 40 && many.writes <= few.writes + 10, `${name}: ${JSON.stringify(few)} against ${JSON.stringify(many)}`);
    assert.ok(many.reads < 160, `${name} reads ${many.reads}`);
  }
});

test('paths as deep as they can be need no recursion', () => {
  const space = new Fixture();
  const deep = `/${'d/'.repeat((pathBytesMax - 2) / 2)}f`;
  assert.equal(deep.length, pathBytesMax);
  const made = space.runFast((tx, op) => putFile(tx, op, path(deep), {content: space.content(deep.slice(1))}));
  assert.equal(locate(space.store, made.inode.id)!.path, deep);
  assert.deepEqual(list(space.store, {directory: bytes('/'), view: 'keys', limit: 2}).entries.map(({key}) => key), [deep.slice(1)]);
  assert.equal(list(space.store, {directory: bytes('/'), view: 'tree', limit: 10_000}).entries.length, (pathBytesMax - 2) / 2 + 1);
  const {tombstone} = space.runFast((tx, op) => remove(tx, op, path('/d/'), {recursive: true}));
  while (!space.runFast((tx) => reapTombstone(tx, tombstone!, 1000)));
  assert.deepEqual(usageOfAll(space.store), {files: 0, directories: 1, bytes: 0});
  space.runFast((tx, op) => putFile(tx, op, path(deep), {content: space.content(deep.slice(1))}));
  space.runFast((tx, op) => remove(tx, op, path(deep), {}));
  assert.deepEqual(usageOfAll(space.store), {files: 0, directories: 1, bytes: 0}, 'implied directories vanish all the way up');
});
