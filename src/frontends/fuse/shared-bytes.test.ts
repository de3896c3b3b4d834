import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import type {FileDraft} from '#client/file-system.ts';
import {notification} from '#codec/fuse/abi.ts';
import {systemContext} from '#contracts/context.ts';
import {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import {nodeNumbers} from '#frontends/fuse/node-numbers.ts';
import {takeBackBytes} from '#frontends/fuse/shared-bytes.ts';

const inode = 7 as InodeId;

/** What the kernel is told when a draft of 16 bytes was changed elsewhere, and `told` of them are known to it: which notification, from where. */
async function told(known: number | undefined): Promise<readonly (readonly [number, number])[]> {
  const said: (readonly [number, number])[] = [];
  const draft = {inode, length: 16, modified: 0n, refresh: () => Promise.resolve(), read: () => Promise.resolve(Buffer.from('9'))} as unknown as FileDraft;
  const device = {notify: (code: number, body: Uint8Array) => Promise.resolve(void said.push([code, Number(Buffer.from(body).readBigInt64LE(8))]))};
  const services = {device, numbered: nodeNumbers(1 as InodeId)} as unknown as Parameters<typeof takeBackBytes>[0];
  await takeBackBytes(services, inode, new InodeDraft(draft, {nowNs: () => 1n}, {dirty: true, touched: 0n}, () => undefined, known), {from: 0, to: 16}, systemContext);
  return said;
}

test('a kernel that does not know how long a file has become is told by its last byte', async () => {
  assert.deepEqual(await told(undefined), [[notification.invalidateInode, 0], [notification.store, 15]]);
});

test('one that has written the file itself is not: what it has there may be newer', async () => {
  assert.deepEqual(await told(16), [[notification.invalidateInode, 0]]);
});
