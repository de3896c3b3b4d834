import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fromText} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {OwnRenames, type ShownName} from '#frontends/fuse/own-renames.ts';

const named = (path: string): ShownName => ({directory: Number(path.slice(0, 1)) as InodeId, name: fromText(path.slice(2))});
const shown = (names: readonly ShownName[]): readonly string[] => names.map(({directory, name}) => `${directory}/${name}`);

test('what had a name may be wherever that was renamed to since, each once, round in circles too', () => {
  const renames = new OwnRenames(() => 0);
  for (const [from, to] of [['1/a', '1/c'], ['1/c', '2/d'], ['1/a', '1/b'], ['2/d', '1/a'], ['1/a', '1/c']] as const) renames.note(named(from), named(to));
  assert.deepEqual(shown(renames.from(named('1/a'))), ['1/b', '1/c', '2/d']);
  assert.deepEqual(shown(renames.from(named('2/d'))), ['1/a', '1/b', '1/c']);
  assert.deepEqual(renames.from(named('2/a')), []);
});

test('for a minute, and of so many names', () => {
  let now = 0;
  const renames = new OwnRenames(() => now);
  renames.note(named('1/a'), named('1/b'));
  now = 59_000;
  renames.note(named('1/x'), named('1/y'));
  assert.deepEqual(shown(renames.from(named('1/a'))), ['1/b']);
  now = 60_000;
  renames.note(named('1/z'), named('1/y'));
  assert.deepEqual(renames.from(named('1/a')), []);
  for (let i = 0; i < 10_000; i++) renames.note(named(`1/${i}`), named('1/y'));
  assert.deepEqual(renames.from(named('1/x')), []);
  assert.deepEqual(shown(renames.from(named('1/0'))), ['1/y']);
});
