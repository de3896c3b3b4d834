import assert from 'node:assert/strict';
import test from 'node:test';
import {WeirError} from '#base/errors.ts';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import type {FileDraft} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {type DraftingServices, openDraft} from '#frontends/fuse/drafting.ts';
import {Handles} from '#frontends/fuse/handles.ts';
import {KeptState} from '#frontends/fuse/kept-state.ts';
import {context} from '#master/fixture.test.ts';

const [before, after] = [7 as InodeId, 8 as InodeId];
const info = {inode: {id: after}} as FileInfo;
const made = {} as FileDraft;
const unasked = {statInodeNow: () => undefined, statInode: () => Promise.reject(new Error('nobody asks'))};

test('a file that was published as another inode is opened when its draft is put away, and is busy while it is open', async () => {
  const handles = new Handles({releaseBacking: () => undefined}, KeptState.begin({read: () => undefined, write: () => undefined}, 'mount-1', rootInodeId));
  let isOpen = true;
  const files: DraftingServices['files'] = {...unasked, openDraft: async () => (isOpen ? Promise.reject(new WeirError('AlreadyExists', 'it is being written')) : made)};
  const open = (): Promise<FileDraft> => openDraft({files, writing: {}, handles}, info, false, context);
  await assert.rejects(open(), /EBUSY/);
  const released = Promise.withResolvers<void>();
  const draft = {inode: before};
  const ended = handles.ending(before, released.promise, draft);
  await assert.rejects(open(), /EBUSY/, 'it is not published yet');
  draft.inode = after;
  const opened = open();
  isOpen = false;
  released.resolve();
  assert.equal(await opened, made);
  await ended;
  assert.equal(handles.endingAs(after), undefined);
});

test('a file whose content is put elsewhere while it is opened is opened as it is then', async () => {
  const handles = new Handles({releaseBacking: () => undefined}, KeptState.begin({read: () => undefined, write: () => undefined}, 'mount-1', rootInodeId));
  const named = (length: number): FileInfo => ({inode: {id: after}, path: '/f', length}) as unknown as FileInfo;
  const tried: number[] = [];
  let patience = 3;
  const files: DraftingServices['files'] = {
    ...unasked, statInode: async () => ({info: named(tried.length), validUntil: 0}),
    openDraft: async ({length}) => {
      tried.push(length);
      return --patience < 0 ? made : await Promise.reject(new WeirError('ContentChanged', 'the cache has let it go'));
    },
  };
  assert.equal(await openDraft({files, writing: {}, handles}, named(0), false, context), made);
  assert.deepEqual(tried, [0, 1, 2, 3]);
  patience = 100;
  await assert.rejects(openDraft({files, writing: {}, handles}, named(0), false, context), /let it go/);
});
