import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {bytes, Fixture, homeMount, path} from '#master/namespace/fixture.test.ts';
import {list} from '#master/namespace/list.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {type ListingMerge, mergeListing, type ObservedEntry} from '#master/namespace/merge-listing.ts';
import {addMount} from '#master/namespace/mounts.ts';
import {rootPlace} from '#master/namespace/place.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {remove} from '#master/namespace/remove.ts';
import {rename} from '#master/namespace/rename.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {stat} from '#master/namespace/stat.ts';
import {usageOfAll} from '#master/namespace/usage.ts';
import type {StoreObject} from '#understore/under-store.ts';

const object = (key: string, mark: string): StoreObject =>
  ({key: bytes(key), kind: key.endsWith('/') ? 'directory' : 'file', length: 10, fingerprint: mark, etag: mark, modified: 5n, checksums: {}});

const observed = (store: Readonly<Record<string, string>>): ObservedEntry[] =>
  Object.keys(store).sort((a, b) => (a < b ? -1 : 1)).map((key) => ({key: bytes(key), object: object(key, store[key]!)}));

/** As a store with `delimiter` shows the children of a prefix. */
function folded(store: Readonly<Record<string, string>>, prefix: string): ObservedEntry[] {
  const seen = new Map<string, ObservedEntry>();
  for (const {key, object: found} of observed(store)) {
    if (!key.startsWith(prefix) || key === prefix) continue;
    const rest = key.slice(prefix.length);
    const slash = rest.indexOf('/');
    const name = slash < 0 ? rest : rest.slice(0, slash + 1);
    if (!seen.has(name)) seen.set(name, name === rest ? {key: bytes(name), object: found!} : {key: bytes(name)});
  }
  return [...seen.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Merges a listing, in pages that end after the entries of the given numbers. */
function merge(space: Fixture, entries: readonly ObservedEntry[], more: Partial<ListingMerge> & {cuts?: readonly number[]} = {}): void {
  const {cuts = [], ...options} = more;
  const startedAt = options.startedAt ?? space.nowMs + 500;
  const ends = [...new Set(cuts)].filter((cut) => cut < entries.length).sort((a, b) => a - b);
  let begin = 0;
  for (const end of [...ends.map((cut) => cut + 1), undefined]) {
    let from = begin === 0 ? bytes('') : entries[begin - 1]!.key;
    const to = end === undefined ? {} : {to: entries[end - 1]!.key};
    for (let next: ByteString | undefined = from; next !== undefined; from = next ?? from) {
      const page: ListingMerge = {directory: rootPlace, recursive: true, directories: false, ...options, startedAt, from, ...to, observed: entries.slice(begin, end)};
      next = space.run((tx, op) => mergeListing(tx, op, page)).next;
    }
    begin = end ?? begin;
  }
}

const keysOf = (space: Fixture, directory = '/'): Record<string, string> =>
  Object.fromEntries(list(space.store, {directory: bytes(directory), view: 'keys', limit: 10_000}).entries.map((entry) => [entry.key, 'info' in entry ? entry.info.inode.content!.etag : '?']));

const idsOf = (space: Fixture): Map<string, InodeId> =>
  new Map(list(space.store, {directory: bytes('/'), view: 'tree', limit: 10_000}).entries.map((entry) => [entry.key, 'info' in entry ? entry.info.inode.id : (0 as InodeId)]));

const name = fc.constantFrom('a', 'a+1', 'foo', 'foo+1', '', '.', '\xff', 'b');
const key = fc.array(name, {minLength: 1, maxLength: 4}).chain((parts) => fc.constantFrom(...(parts.at(-1) === '' ? [] : [parts.join('/')]), `${parts.join('/')}/`));
const store = fc.dictionary(key, fc.constantFrom('v1', 'v2'), {maxKeys: 12, noNullPrototype: true});
const cuts = fc.array(fc.nat(12), {maxLength: 4});

test('after a whole recursive listing the namespace has exactly what the store has', () => {
  fc.assert(
    fc.property(store, store, cuts, cuts, (before, after, cutsBefore, cutsAfter) => {
      const space = new Fixture();
      merge(space, observed(before), {cuts: cutsBefore});
      assert.deepEqual(keysOf(space), before);
      const ids = idsOf(space);
      merge(space, observed(after), {cuts: cutsAfter});
      assert.deepEqual(keysOf(space), after);
      for (const [at, id] of idsOf(space)) {
        if (at.endsWith('/')) assert.equal(id, ids.get(at) ?? id, 'a directory that stays keeps its inode');
        else if (before[at]) assert.equal(id === ids.get(at), before[at] === after[at], 'a file keeps its inode unless it has changed');
      }
      const tree = idsOf(space);
      assert.equal(space.store.keys.filter((stored) => stored.startsWith('i')).length, tree.size + 1);
      const directories = [...tree.keys()].filter((at) => at.endsWith('/')).length;
      assert.deepEqual(usageOfAll(space.store), {files: tree.size - directories, directories: directories + 1, bytes: Object.keys(after).length * 10});
    }),
    {numRuns: 300},
  );
});

test('after a listing of the children they are the store\'s, and what is below a directory that stays is left alone', () => {
  fc.assert(
    fc.property(store, store, cuts, (before, after, cutsAfter) => {
      const space = new Fixture();
      merge(space, observed(before));
      merge(space, folded(after, ''), {recursive: false, cuts: cutsAfter});
      const children = list(space.store, {directory: bytes('/'), view: 'children', limit: 100}).entries.map((entry) => entry.key);
      assert.deepEqual(children, folded(after, '').map((entry) => entry.key));
      for (const below of Object.keys(keysOf(space))) {
        if (below.includes('/') && !after[below]) assert.ok(before[below], `${below} was there before`);
      }
      for (const child of children.filter((entry) => entry.endsWith('/'))) {
        const {place} = resolve(space.store, path(`/${child}`));
        merge(space, folded(after, child), {recursive: false, directory: place!});
        const below = list(space.store, {directory: bytes(`/${child}`), view: 'children', limit: 100}).entries.map((entry) => entry.key);
        assert.deepEqual(below, folded(after, child).map((entry) => entry.key));
      }
    }),
    {numRuns: 300},
  );
});

test('a listing that ends with a directory that the store has lost takes it all', () => {
  const space = new Fixture();
  merge(space, observed({'a/deep/er/x': 'v1', 'a/y': 'v1', b: 'v1'}));
  const page = {directory: rootPlace, from: bytes('A'), to: bytes('a/'), recursive: false, directories: false, observed: [], startedAt: space.nowMs + 500};
  space.run((tx, op) => mergeListing(tx, op, page));
  assert.deepEqual([...idsOf(space).keys()], ['b']);
});

test('many removals are done in several transactions', () => {
  const space = new Fixture();
  const many = Object.fromEntries(Array.from({length: 12_000}, (_, i) => [`d${i % 7}/f${i}`, 'v']));
  space.ids.ensure(space.store, 100_000);
  mergeListing(space.store, {now: 1n, ids: space.ids}, {directory: rootPlace, from: bytes(''), recursive: true, directories: false, observed: observed(many), startedAt: 1});
  const first = mergeListing(space.store, {now: 1n, ids: space.ids}, {directory: rootPlace, from: bytes(''), recursive: true, directories: false, observed: observed({'d3/f3': 'v'}), startedAt: 2});
  assert.equal(first.removed, 10_000);
  assert.ok(first.next);
  const second = mergeListing(space.store, {now: 1n, ids: space.ids}, {directory: rootPlace, from: first.next, recursive: true, directories: false, observed: observed({'d3/f3': 'v'}), startedAt: 2});
  assert.equal(second.next, undefined);
  assert.deepEqual(keysOf(space), {'d3/f3': 'v'});
  assert.deepEqual(usageOfAll(space.store), {files: 1, directories: 2, bytes: 10});
});

test('what was changed here since the store was asked stays', () => {
  const space = new Fixture();
  merge(space, observed({'d/old': 'v1', 'd/same': 'v1', 'e/x': 'v1'}));
  const startedAt = space.nowMs + 1;
  space.run((tx, op) => putFile(tx, op, path('/d/new'), {content: space.content('d/new', 'mine')}));
  space.run((tx, op) => putFile(tx, op, path('/d/old'), {content: space.content('d/old', 'mine')}));
  space.run((tx, op) => rename(tx, op, path('/e/'), path('/renamed/'), {replace: false, trees: 'follow'}));
  space.run((tx, op) => remove(tx, op, path('/d/same'), {}));
  merge(space, observed({'d/old': 'v1', 'd/same': 'v1', 'e/x': 'v1'}), {startedAt, changedSince: (at) => at === 'd/same' || /^(e|renamed)[/]/.test(at)});
  assert.deepEqual(keysOf(space), {'d/new': 'mine', 'd/old': 'mine', 'renamed/x': 'v1'});
});

test('what only Weir has stays: mount points, directories made here, files being written', () => {
  const space = new Fixture();
  space.run((tx, op) => addMount(tx, op, {...homeMount, id: 77 as MountId, path: bytes('/m/')}));
  space.run((tx, op) => putFile(tx, op, path('/m/x'), {content: space.content('x', 'inside')}));
  space.run((tx, op) => makeDirectory(tx, op, path('/made/'), {}));
  space.run((tx, op) => putFile(tx, op, path('/open'), {}));
  merge(space, observed({'m/x': 'shadowed', 'm/y': 'shadowed', '.weir/staged': 'v', f: 'v1'}));
  assert.equal(stat(space.store, path('/m/x')).inode.content!.etag, 'inside');
  assert.deepEqual([...idsOf(space).keys()], ['f', 'm/', 'm/x', 'made/', 'open']);
});

test('a tree renamed on a store that cannot rename is left alone until the store has followed', () => {
  const space = new Fixture();
  merge(space, observed({'a/x': 'v1', 'a/y': 'v1'}));
  space.run((tx, op) => rename(tx, op, path('/a/'), path('/b/'), {replace: false, trees: 'prefix'}));
  merge(space, observed({'a/x': 'v1', 'a/y': 'v1', 'b/x': 'half'}));
  assert.deepEqual(keysOf(space), {'b/x': 'v1', 'b/y': 'v1'});
  assert.equal(stat(space.store, path('/b/x')).inode.content!.storeKey, 'a/x');
});

test('on a store that has directories they are real, and go when the store has lost them', () => {
  const space = new Fixture();
  merge(space, [{key: bytes('d/'), object: object('d/', 'v')}], {recursive: false, directories: true});
  assert.equal(stat(space.store, path('/d/')).inode.implied, undefined);
  merge(space, [], {recursive: false, directories: true});
  assert.deepEqual([...idsOf(space).keys()], []);
});

test('confirming writes nothing where the caller keeps confirmations', () => {
  const space = new Fixture();
  merge(space, observed({'a/x': 'v1', y: 'v1'}));
  const confirmed: InodeId[] = [];
  space.store.writes = 0;
  const page = {directory: rootPlace, from: bytes(''), to: bytes('y'), recursive: true, directories: false, observed: observed({'a/x': 'v1', y: 'v1'}), startedAt: space.nowMs + 1};
  space.run((tx, op) => mergeListing(tx, op, {...page, confirm: (id) => confirmed.push(id)}));
  assert.equal(confirmed.length, 2);
  assert.equal(space.store.writes, 0);
});
