import assert from 'node:assert/strict';
import {test} from 'node:test';
import {type InodeId, rootInodeId} from '#base/ids.ts';
import type {FileDraft} from '#client/file-system.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {readHandle, write} from '#frontends/fuse/files.ts';
import {Handles} from '#frontends/fuse/handles.ts';
import {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import {KeptState} from '#frontends/fuse/kept-state.ts';
import type {MountServices} from '#frontends/fuse/request.ts';
import {Rooms} from '#frontends/fuse/rooms.ts';
import {context} from '#master/fixture.test.ts';

const node = 7 as InodeId;
const readWrite = 2;

test('a READ that comes after a WRITE shows what that has written, however long it takes', async () => {
  const handles = new Handles({releaseBacking: () => undefined}, KeptState.begin({read: () => undefined, write: () => undefined}, 'mount-1', rootInodeId));
  const handle = handles.addFile({node, flags: readWrite, unique: 1n}, {inode: {id: node}, length: 0} as unknown as FileInfo, undefined);
  const disk = Promise.withResolvers<void>();
  let bytes = Buffer.from('before');
  const draft = {
    inode: node, modified: 0n,
    get length() {
      return bytes.length;
    },
    read: () => Promise.resolve(Buffer.from(bytes)),
    write: async (offset: number, added: Uint8Array) => {
      await disk.promise;
      bytes = Buffer.concat([bytes, added]);
      return offset;
    },
  } as unknown as FileDraft;
  handles.inode(node)!.draft = new InodeDraft(draft, {nowNs: () => 1n}, {dirty: true, touched: 0n}, () => undefined);
  const services = {handles, rooms: new Rooms(1024), files: {hasQuotasNow: () => false}} as unknown as MountServices;
  const read = (): Promise<string> => readHandle(services, handles.file(handle)!, 0, 100, context).then(String);
  assert.equal(await read(), 'before');
  const body = {op: 'write', handle, offset: 6, data: Buffer.from(' and after'), flags: 0, openFlags: readWrite} as const;
  const written = write(services, {unique: 2n} as FuseHead, body, {...context, turn: 0});
  const seen = read();
  disk.resolve();
  await written;
  assert.equal(await seen, 'before and after');
  assert.equal(handles.inode(node)!.changing, undefined);
});
