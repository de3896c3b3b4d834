import assert from 'node:assert/strict';
import test from 'node:test';
import type {ByteString} from '#base/byte-string.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {nodeNumbers, rootOf} from '#frontends/fuse/node-numbers.ts';
import {context} from '#master/fixture.test.ts';

test('the root is 1 for the kernel, and every other number somebody else', () => {
  const numbered = nodeNumbers(7 as InodeId);
  assert.deepEqual([1, 2, 7, 8].map(numbered), [7, 2, 1, 8]);
  assert.deepEqual([1, 2, 7].map(nodeNumbers(rootInodeId)), [1, 2, 7]);
});

test('the root is the directory of that path, however it is written', async () => {
  const asked: ByteString[] = [];
  const files = {
    stat: async (path: ByteString) => {
      asked.push(path);
      return {inode: {id: 7}} as FileInfo;
    },
  };
  for (const written of ['/bucket/team', 'bucket/team/', '/']) assert.equal(await rootOf(files, written, context), 7);
  assert.deepEqual(asked, ['/bucket/team/', '/bucket/team/', '/']);
  assert.equal(await rootOf(files, undefined, context), rootInodeId);
});
