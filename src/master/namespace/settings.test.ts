import assert from 'node:assert/strict';
import test from 'node:test';
import {isKind} from '#base/errors.ts';
import type {Principal} from '#contracts/context.ts';
import {bytes, Fixture, path} from '#master/namespace/fixture.test.ts';
import {makeDirectory} from '#master/namespace/make-directory.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {remove, removeMarker} from '#master/namespace/remove.ts';
import {rename} from '#master/namespace/rename.ts';
import {readSettings, setSetting, settingBytesMax} from '#master/namespace/settings.ts';
import {stat} from '#master/namespace/stat.ts';
import {forgetTombstone, listTombstones, reapTombstone} from '#master/namespace/tombstones.ts';

const bob: Principal = {name: 'bob', uid: 1001, gids: [101]};
const bucket = path('/b/', 'directory');
const read = (space: Fixture, at = bucket) => readSettings(space.store, at, undefined);
const leftOver = (space: Fixture) => space.store.keys.filter(key => key.startsWith('s'));

test('settings are set, replaced and removed, each under a new revision', () => {
  const space = new Fixture();
  space.run((tx, op) => makeDirectory(tx, op, bucket, {}));
  assert.deepEqual(read(space), {revision: 0, settings: {}});
  const first = space.run((tx, op) => setSetting(tx, op, bucket, 'cors', '<ü/>'));
  assert.equal(first.inode.settings, 1);
  space.run((tx, op) => setSetting(tx, op, bucket, 'policy', '{}'));
  assert.deepEqual(read(space), {revision: 2, settings: {cors: '<ü/>', policy: '{}'}});
  space.run((tx, op) => setSetting(tx, op, bucket, 'cors', null));
  assert.deepEqual(read(space), {revision: 3, settings: {policy: '{}'}});
});

test('who does not own the directory changes nothing; nor does a name or a size out of bounds', () => {
  const space = new Fixture();
  space.run((tx, op) => makeDirectory(tx, op, bucket, {mode: 0o777}));
  assert.throws(() => space.run((tx, op) => setSetting(tx, op, bucket, 'policy', '{}'), bob), error => isKind(error, 'PermissionDenied'));
  for (const name of ['', 'Policy', '../x', 'a\0b', 'x'.repeat(65)]) assert.throws(() => space.run((tx, op) => setSetting(tx, op, bucket, name, '{}')), error => isKind(error, 'InvalidArgument'));
  assert.throws(() => space.run((tx, op) => setSetting(tx, op, bucket, 'policy', 'ü'.repeat(settingBytesMax / 2 + 1))), error => isKind(error, 'TooLarge'));
  assert.throws(() => space.run((tx, op) => setSetting(tx, op, path('/none/', 'directory'), 'policy', '{}')), error => isKind(error, 'NotFound'));
  assert.deepEqual(read(space), {revision: 0, settings: {}});
});

test('settings follow a renamed directory and go with a removed one', () => {
  const space = new Fixture();
  const moved = path('/c/', 'directory');
  const inner = path('/c/in/', 'directory');
  space.run((tx, op) => makeDirectory(tx, op, bucket, {}));
  space.run((tx, op) => setSetting(tx, op, bucket, 'policy', '{}'));
  space.run((tx, op) => rename(tx, op, bucket, moved, {replace: false, trees: 'follow'}));
  assert.deepEqual(read(space, moved).settings, {policy: '{}'});
  space.run((tx, op) => makeDirectory(tx, op, inner, {}));
  space.run((tx, op) => setSetting(tx, op, inner, 'cors', 'x'));
  const removed = space.run((tx, op) => remove(tx, op, moved, {recursive: true}));
  assert.ok(removed.tombstone !== undefined);
  for (const {id} of listTombstones(space.store)) {
    while (!space.run(tx => reapTombstone(tx, id, 1)));
    space.run(tx => forgetTombstone(tx, id));
  }
  assert.deepEqual(leftOver(space), []);
});

test('an implied directory that gets settings stays when its last key goes', () => {
  const space = new Fixture();
  const marker = path('/b/d/', 'directory');
  space.run((tx, op) => makeDirectory(tx, op, bucket, {}));
  space.run((tx, op) => putFile(tx, op, path('/b/d/k'), {content: space.content('b/d/k'), parents: 'implied'}));
  space.run((tx, op) => putFile(tx, op, marker, {content: space.content('b/d/', 'marker', 0), parents: 'implied'}));
  space.run((tx, op) => setSetting(tx, op, marker, 'policy', '{}'));
  space.run((tx, op) => removeMarker(tx, op, marker, {}));
  space.run((tx, op) => remove(tx, op, path('/b/d/k'), {}));
  assert.deepEqual(read(space, marker).settings, {policy: '{}'});
  assert.equal(stat(space.store, marker, undefined).path, bytes('/b/d/'));
  space.run((tx, op) => remove(tx, op, marker, {}));
  assert.deepEqual(leftOver(space), []);
});
