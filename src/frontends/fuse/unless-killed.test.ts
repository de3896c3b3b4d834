import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import {systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {endDraft} from '#frontends/fuse/drafting.ts';
import type {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import type {MountServices} from '#frontends/fuse/request.ts';
import {unlessKilled} from '#frontends/fuse/unless-killed.ts';

const waiting = () => ({end: Promise.withResolvers<string>(), abort: new AbortController()});

test('ends as what is waited for', async () => {
  const {end, abort} = waiting();
  const done = unlessKilled(end.promise, abort);
  end.resolve('done');
  assert.equal(await done, 'done');
  await assert.rejects(unlessKilled(Promise.reject(new Error('failed')), abort), /failed/);
});

test('is given up when the request is, before or meanwhile, and what is waited for may still fail', async () => {
  const {end, abort} = waiting();
  const meanwhile = unlessKilled(end.promise, abort);
  abort.abort(new Error('killed'));
  await assert.rejects(meanwhile, /killed/);
  await assert.rejects(unlessKilled(end.promise, abort), /killed/);
  end.reject(new Error('nobody waits for that'));
  await new Promise(resolve => setImmediate(resolve));
});

test('a draft whose maker was killed is put away when it is there', async () => {
  const made = Promise.withResolvers<InodeDraft>();
  let closed = false;
  const draft = {publish: () => Promise.resolve(undefined), close: async () => void (closed = true)} as unknown as InodeDraft;
  const info = {inode: {id: 7 as InodeId}} as FileInfo;
  const ending = endDraft({} as MountServices, {handles: 0, info, backing: undefined, drafting: made.promise}, systemContext);
  made.resolve(draft);
  await ending;
  assert.equal(closed, true);
});
