import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import {notification} from '#codec/fuse/abi.ts';
import {systemContext} from '#contracts/context.ts';
import type {Changes} from '#contracts/master-api.ts';
import {followChanges} from '#frontends/fuse/follow-changes.ts';
import {nodeNumbers} from '#frontends/fuse/node-numbers.ts';
import {OwnRenames} from '#frontends/fuse/own-renames.ts';
import {Remembered} from '#frontends/fuse/remembered.ts';

test('who could not hear for a while takes everything back, and says again what is open', async () => {
  const stop = new AbortController();
  const said: unknown[] = [];
  let life = 0;
  async function* watch(): AsyncGenerator<Changes> {
    yield {inodes: [], names: []};
    if (++life === 1) throw new Error('the connection was lost');
    yield {inodes: [7 as InodeId], names: []};
    stop.abort();
  }
  const remembered = new Remembered(() => 0, {root: 5 as InodeId});
  remembered.node(7 as InodeId, 0);
  const services = {
    files: {watch, isWrittenNow: () => false, hold: (...args: unknown[]) => Promise.resolve(void said.push(['hold', ...args.slice(0, 2)]))},
    device: {notify: (code: number, body: Uint8Array) => Promise.resolve(void said.push([code, body.length > 0 ? Number(Buffer.from(body).readBigUInt64LE(0)) : 'all']))},
    handles: {openInodes: [7], inode: () => undefined}, remembered, renames: new OwnRenames(() => 0), numbered: nodeNumbers(5 as InodeId), origin: 'mount',
    log: {warn: () => undefined}, clock: {sleep: () => Promise.resolve()},
  } as unknown as Parameters<typeof followChanges>[0];
  await followChanges(services, {...systemContext, signal: stop.signal});
  const all = [[notification.nextEpoch, 'all'], [notification.invalidateInode, 7], [notification.invalidateInode, 1]];
  assert.deepEqual(said, [...all, ['hold', 'mount', [7]], [notification.invalidateInode, 7], ...all]);
  assert.equal(remembered.following, false);
});
