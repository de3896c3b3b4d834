/** Versioned keys beside a plain model, under random operations: the same lists, the same versions by id, the same counts, nothing left over. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {isKind} from '#base/errors.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {VersionEntry} from '#contracts/listings.ts';
import {deleteKey} from '#master/namespace/delete-key.ts';
import {bytes, Fixture, path} from '#master/namespace/fixture.test.ts';
import {listVersions} from '#master/namespace/list-versions.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {putFile, versionToKeep} from '#master/namespace/put-file.ts';
import {removeVersion} from '#master/namespace/remove-version.ts';
import {rename} from '#master/namespace/rename.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {setSetting} from '#master/namespace/settings.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {keepingOf} from '#master/namespace/versioning.ts';
import {noncurrentOf, versionUsageOf} from '#master/namespace/versions.ts';
import type {Content} from '#model/content.ts';
import {versionIdOf} from '#model/version.ts';

interface Version {
  /** Absent: a delete marker. */
  readonly mark?: string;
  id: string;
}

/** Of each key its versions, the newest first; `current` is the first of them unless that is a marker. */
class Model {
  readonly keys = new Map<string, {current: Version | undefined; rows: Version[]}>();
  status: 'enabled' | 'suspended' = 'enabled';

  key(name: string): {current: Version | undefined; rows: Version[]} {
    let key = this.keys.get(name);
    if (!key) this.keys.set(name, (key = {current: undefined, rows: []}));
    return key;
  }

  archive(name: string): void {
    const key = this.key(name);
    if (this.status === 'suspended') key.rows = key.rows.filter(row => row.id !== 'null');
    if (key.current && !(this.status === 'suspended' && key.current.id === 'null')) key.rows.unshift(key.current);
    key.current = undefined;
  }

  remove(name: string, id: string): boolean {
    const key = this.key(name);
    const shown = key.current?.id === id || (!key.current && key.rows[0]?.id === id && key.rows[0].mark === undefined);
    if (key.current?.id === id) key.current = undefined;
    else if (key.rows.some(row => row.id === id)) key.rows = key.rows.filter(row => row.id !== id);
    else return false;
    if (shown && key.rows[0]?.mark !== undefined) key.current = key.rows.shift();
    return true;
  }

  all(): {key: string; id: string; mark: string | undefined; latest: boolean}[] {
    return [...this.keys].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([key, {current, rows}]) => [
      ...(current ? [{key, id: current.id, mark: current.mark, latest: true}] : []),
      ...rows.map((row, i) => ({key, id: row.id, mark: row.mark, latest: !current && i === 0 && row.mark === undefined})),
    ]);
  }
}

const names = ['a', 'a!', 'a/b', 'a/b/c', 'b', 'b\x01', 'c/d', 'c/e'];
const name = fc.constantFrom(...names);
const step = fc.oneof(
  {weight: 4, arbitrary: fc.record({do: fc.constant('put' as const), name})},
  {weight: 2, arbitrary: fc.record({do: fc.constant('delete' as const), name})},
  {weight: 3, arbitrary: fc.record({do: fc.constant('remove' as const), name, which: fc.nat(4)})},
  fc.record({do: fc.constant('rename' as const), name, to: name}),
  fc.record({do: fc.constant('status' as const), enabled: fc.boolean()}),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const bucket = path('/v/', 'directory');
const fileOf = (key: string) => path(`/v/${key}`);
let marks = 0;

class Bucket {
  readonly space = new Fixture();
  readonly model = new Model();

  constructor() {
    this.space.run((tx, op) => makeDirectory(tx, op, bucket, {}));
    this.space.run((tx, op) => setSetting(tx, op, bucket, 'versioning', 'Enabled'));
  }

  keeping(key: string) {
    const at = fileOf(key);
    return keepingOf(this.space.store, at, resolve(this.space.store, {names: [...at.names, bytes('x')], kind: 'file'}).top ?? resolve(this.space.store, at).top)!;
  }

  /** What the store's mover would have done. */
  archived(key: string): Content | undefined {
    const {place} = resolve(this.space.store, fileOf(key));
    const content = versionToKeep(this.keeping(key), place && inodeAt(this.space.store, place));
    return content && {...content, storeKey: bytes(`.weir/versions/${content.id}`), fingerprint: `moved ${content.fingerprint}`};
  }

  apply(what: Step): void {
    const {space, model} = this;
    switch (what.do) {
      case 'status': {
        model.status = what.enabled ? 'enabled' : 'suspended';
        space.run((tx, op) => setSetting(tx, op, bucket, 'versioning', what.enabled ? 'Enabled' : 'Suspended'));
        return;
      }
      case 'put': {
        const mark = `m${marks++}`;
        const archived = this.archived(what.name);
        const info = space.run((tx, op) => putFile(tx, op, fileOf(what.name), {content: space.content(`v/${what.name}`, mark), archived}));
        model.archive(what.name);
        model.key(what.name).current = {mark, id: versionIdOf(info.inode)};
        assert.equal(versionIdOf(info.inode) === 'null', model.status === 'suspended');
        return;
      }
      case 'delete': {
        const archived = this.archived(what.name);
        const {marker} = space.run((tx, op) => deleteKey(tx, op, fileOf(what.name), this.keeping(what.name), {archived}));
        model.archive(what.name);
        model.key(what.name).rows.unshift({id: versionIdOf(marker.inode)});
        return;
      }
      case 'remove': {
        const {current, rows} = model.key(what.name);
        const id = [...(current ? [current] : []), ...rows][what.which]?.id ?? 'w00000000009';
        const run = () => space.run((tx, op) => removeVersion(tx, op, fileOf(what.name), this.keeping(what.name), {version: id}));
        if (model.remove(what.name, id)) run();
        else assert.throws(run, error => isKind(error, 'NotFound'));
        return;
      }
      case 'rename': {
        const {current} = model.key(what.name);
        let archived: Content | undefined;
        const run = () => space.run((tx, op) => rename(tx, op, fileOf(what.name), fileOf(what.to), {replace: true, trees: 'follow', parents: 'implied', archived}));
        if (!current) return assert.throws(run, error => isKind(error, 'NotFound'));
        if (what.name !== what.to && this.archived(what.to)) {
          assert.throws(run, error => isKind(error, 'Conflict'));
          archived = this.archived(what.to);
        }
        const {info} = run();
        if (what.name === what.to) return;
        const hidden = model.key(what.name).rows.length > 0 ? this.newestId(what.name) : undefined;
        model.archive(what.to);
        model.key(what.name).current = undefined;
        if (hidden !== undefined) {
          const key = model.key(what.name);
          if (model.status === 'suspended') key.rows = key.rows.filter(row => row.id !== 'null');
          key.rows.unshift({id: hidden});
        }
        model.key(what.to).current = {mark: current.mark!, id: versionIdOf(info.inode)};
      }
    }
  }

  newestId(key: string): string {
    const [first] = listVersions(this.space.store, {directory: bytes('/v/'), prefix: bytes(key), limit: 1}).entries;
    return versionIdOf((first as {info: FileInfo}).info.inode);
  }

  list(limit: number, delimiter?: string, prefix = ''): VersionEntry[] {
    const found: VersionEntry[] = [];
    for (let after: {key: ReturnType<typeof bytes>; version?: string} | undefined; ; ) {
      const page = listVersions(this.space.store, {directory: bytes('/v/'), limit, prefix: bytes(prefix), ...(delimiter ? {delimiter: bytes(delimiter)} : {}), ...(after ? {after} : {})});
      found.push(...page.entries);
      if (!page.next) return found;
      assert.equal(page.entries.length, limit);
      after = page.next;
    }
  }

  check(limit: number): void {
    const {space, model} = this;
    const all = model.all();
    const shown = this.list(limit).map(entry => 'info' in entry && {key: entry.key, id: versionIdOf(entry.info.inode), mark: entry.info.inode.content?.etag, latest: entry.latest});
    assert.deepEqual(shown, all);
    const folded = this.list(limit, '/').map(entry => entry.key);
    const expected = all.map(({key}) => (key.includes('/') ? key.slice(0, key.indexOf('/') + 1) : key));
    assert.deepEqual(folded, expected.filter((key, i) => !key.endsWith('/') || key !== expected[i - 1]));
    const rows = [...model.keys].flatMap(([key, each]) => each.rows.map(row => ({key, row})));
    for (const {key, row} of rows) {
      const found = noncurrentOf(space.store, this.keeping(key), row.id);
      assert.equal(found?.inode.content?.etag, row.mark, `${key} ${row.id}`);
      if (row.mark !== undefined) assert.equal(found?.inode.content?.storeKey, `.weir/versions/${found?.inode.content?.id}`);
    }
    const versions = rows.filter(({row}) => row.mark !== undefined).length;
    assert.deepEqual(versionUsageOf(space.store, this.keeping('a').bucket), {files: versions, directories: rows.length - versions, bytes: versions * 10});
    const current = [...model.keys.values()].filter(each => each.current).length;
    assert.equal(space.store.keys.filter(key => key.startsWith('h')).length, rows.length);
    assert.equal(space.store.keys.filter(key => key.startsWith('z')).length, rows.filter(({row}) => row.id === 'null').length);
    const directories = space.store.keys.filter(key => key.startsWith('e') && key.endsWith('/')).length;
    assert.equal(space.store.keys.filter(key => key.startsWith('i')).length, 1 + directories + current, 'no inode is left over');
  }
}

test('random operations on versioned keys give what a plain model gives, however it is listed', () => {
  fc.assert(
    fc.property(fc.array(step, {maxLength: 40, size: 'max'}), fc.integer({min: 1, max: 5}), (steps, limit) => {
      const bucket = new Bucket();
      for (const what of steps) bucket.apply(what);
      bucket.check(limit);
    }),
    {numRuns: 300},
  );
});
