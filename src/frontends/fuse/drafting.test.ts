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

test('a file that was published as another inode is opened when its draft is put away, and is busy while it is open', async () => {
  const handles = new Handles({releaseBacking: () => undefined}, KeptState.begin({read: () => undefined, write: () => undefined}, 'mount-1', rootInodeId));
  let isOpen = true;
  const files: DraftingServices['files'] = {openDraft: async () => (isOpen ? Promise.reject(new WeirError('AlreadyExists', 'it is being written')) : made)};
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
