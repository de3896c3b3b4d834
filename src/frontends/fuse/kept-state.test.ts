import assert from 'node:assert/strict';
import test from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {Handles} from '#frontends/fuse/handles.ts';
import {MountLocks} from '#frontends/fuse/mount-locks.ts';
import {KeptState} from '#frontends/fuse/kept-state.ts';
import type {KeptMemory} from '#runtime/fuse.ts';

/** Sparse, as a file in memory is. */
function memory(): KeptMemory {
  const bytes = new Map<number, number>();
  return {
    read: (into, position) => into.forEach((_, i) => (into[i] = bytes.get(position + i) ?? 0)),
    write: (from, position) => from.forEach((byte, i) => bytes.set(position + i, byte)),
  };
}

const device = {releaseBacking: () => assert.fail('nothing is registered')};
const info = {} as FileInfo;
const inode = 7 as InodeId;

test('the next daemon finds what is open, and nothing that was closed', async () => {
  const kept = memory();
  const first = KeptState.begin(kept, 'mount-1', 12 as InodeId);
  assert.equal(KeptState.left(kept), undefined, 'nothing was agreed on yet');
  first.agreed([3, 4], 45);
  const handles = new Handles(device, first);
  const numbers = [1n, 2n, 3n].map(unique => handles.addFile({node: inode, flags: Number(unique), unique}, info, undefined));
  const directory = handles.addDirectory(inode, 9n, undefined);
  handles.directoryRead(directory, 'a' as ByteString, 12n, 'c' as ByteString);
  handles.closeFile(numbers[1]!);

  const second = KeptState.left(kept)!;
  assert.deepEqual([second.origin, second.root, second.flags, second.minor], ['mount-1', 12, [3, 4], 45]);
  const found = second.found().map(({what}) => what).toSorted((a, b) => Number('unique' in a && 'unique' in b ? a.unique - b.unique : 0));
  assert.deepEqual(found, [
    {kind: 'file', handle: numbers[0], node: inode, flags: 1, unique: 1n, backing: 0},
    {kind: 'file', handle: numbers[2], node: inode, flags: 3, unique: 3n, backing: 0},
    {kind: 'directory', handle: directory, node: inode, unique: 9n},
  ]);

  const again = new Handles(device, second);
  for (const {slot, what} of second.found()) if (what.kind === 'directory') again.restoreDirectory(what.handle, slot, inode, what.unique);
  assert.deepEqual([again.openedBy(9n), again.directory(directory)?.passed.get(12n), again.directory(directory)?.atLeast], [directory, 'c', 'a']);
  const next = again.addFile({node: inode, flags: 0, unique: 10n}, info, undefined);
  assert.ok(next > directory, 'handles never repeat, whoever gives them out');
  again.closeDirectory(directory);
  assert.deepEqual(KeptState.left(kept)!.found().map(({what}) => what.kind), ['file', 'file', 'file']);
});

test('locks that are shared with other mounts are kept as they are joined and split', () => {
  const kept = memory();
  const first = KeptState.begin(kept, 'mount-1', 12 as InodeId);
  first.agreed([3, 4], 45);
  const locks = new MountLocks(first);
  const request = {inode, whole: false, holder: 'mount-1', owner: '5', pid: 9};
  locks.note({...request, type: 'write', start: 0, end: 99});
  locks.note({...request, type: 'none', start: 40, end: 49});
  const left = KeptState.left(kept)!;
  const ranges = (state: KeptState) => state.found().map(({what}) => (what.kind === 'lock' ? [what.start, what.end, what.type] : [])).toSorted(([a], [b]) => Number(a) - Number(b));
  assert.deepEqual(ranges(left), [[0, 39, 'write'], [50, 99, 'write']]);
  const again = new MountLocks(left);
  for (const {slot, what} of left.found()) if (what.kind === 'lock') again.restore(slot, what, 'mount-1');
  assert.deepEqual([again.has(inode, false, '5'), again.has(inode, false, '6')], [true, false]);
  assert.deepEqual(ranges(KeptState.left(kept)!), [[0, 39, 'write'], [50, 99, 'write']]);
  again.note({...request, type: 'none', start: 0, end: 99});
  assert.deepEqual(ranges(KeptState.left(kept)!), []);
});

test('where nobody keeps the mount nothing is kept', async () => {
  const handles = new Handles(device, KeptState.begin(undefined, 'mount-1', rootInodeId));
  const number = handles.addFile({node: inode, flags: 0, unique: 1n}, info, undefined);
  assert.deepEqual([handles.file(number)?.node, handles.count], [inode, 1]);
  handles.closeFile(number);
  assert.equal(handles.count, 0);
});
