import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {InodeId} from '#base/ids.ts';
import type {FileDraft} from '#client/file-system.ts';
import {notification} from '#codec/fuse/abi.ts';
import {systemContext} from '#contracts/context.ts';
import {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import {nodeNumbers} from '#frontends/fuse/node-numbers.ts';
import {takeBackBytes, takeBackOwn} from '#frontends/fuse/shared-bytes.ts';

const inode = 7 as InodeId;

type Said = readonly [notification: number, from: number];

/** A draft of 16 bytes, of which `known` are known to the kernel, and what that is told. */
function fixture(known: number | undefined): {readonly said: Said[]; readonly draft: InodeDraft; readonly services: Parameters<typeof takeBackBytes>[0]} {
  const said: Said[] = [];
  const draft = {inode, length: 16, modified: 0n, refresh: () => Promise.resolve(), read: () => Promise.resolve(Buffer.from('9'))} as unknown as FileDraft;
  const device = {notify: (code: number, body: Uint8Array) => Promise.resolve(void said.push([code, Number(Buffer.from(body).readBigInt64LE(8))]))};
  const services = {device, numbered: nodeNumbers(1 as InodeId)} as unknown as Parameters<typeof takeBackBytes>[0];
  return {said, services, draft: new InodeDraft(draft, {nowNs: () => 1n}, {dirty: true, touched: 0n}, () => undefined, known === undefined ? {} : {told: known})};
}

/** What the kernel is told when all of it was changed elsewhere. */
async function told(known: number | undefined): Promise<readonly Said[]> {
  const {said, draft, services} = fixture(known);
  await takeBackBytes(services, inode, draft, {from: 0, to: 16}, systemContext);
  return said;
}

test('a kernel that does not know how long a file has become is told by its last byte', async () => {
  assert.deepEqual(await told(undefined), [[notification.invalidateInode, 0], [notification.store, 15]]);
});

test('one that has written the file itself is not: what it has there may be newer', async () => {
  assert.deepEqual(await told(16), [[notification.invalidateInode, 0]]);
});

test('what its own programs have written meanwhile is taken back after what it was told of others', async () => {
  const {said, draft, services} = fixture(undefined);
  await Promise.all([takeBackBytes(services, inode, draft, {from: 0, to: 16}, systemContext), takeBackOwn(services, inode, draft, {from: 12, to: 16})]);
  assert.deepEqual(said, [[notification.invalidateInode, 0], [notification.store, 15], [notification.invalidateInode, 12]]);
});
