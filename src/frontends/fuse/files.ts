/**
 * OPEN, READ, FLUSH, RELEASE of files. A file that the cache has whole is handed to the kernel, which then reads it without us; all else
 * is read through the client: one version of the file, as it was when it was opened.
 */
import {openFlag} from '#codec/fuse/abi.ts';
import {openBody} from '#codec/fuse/reply.ts';
import type {OpenFile} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import type {Backing} from '#frontends/fuse/handles.ts';
import {type Answer, type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';
import type {Body} from '#contracts/worker-api.ts';

const accessMode = 3;
const readOnly = 0;
/** Smaller files come with the first READ as quickly, and need no registration. */
const passthroughBytesMin = 256 * 1024;

export const open: Operation<'open'> = async (services, head, {flags}, context) => {
  if ((flags & accessMode) !== readOnly) throw new Errno('EROFS');
  const {files, handles} = services;
  const node = nodeOf(head);
  const path = await files.pathOf(node, context);
  if (path.endsWith('/')) throw new Errno('EISDIR');
  const file = await files.open(path, {kind: 'file'}, context);
  try {
    if (file.info.inode.id !== node) throw new Errno('ESTALE');
    const way = handles.openWay(node);
    const backing = way ? way.backing : await register(services, file, context);
    // Pages that the kernel holds are of this inode, and an inode's bytes change only by this mount.
    return openBody(handles.addFile({node, file}, backing), backing ? openFlag.passthrough : openFlag.keepCache, backing?.id);
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
};

/** The whole file as one file of the cache, known to the kernel; undefined where it is not all there or may not be handed over. */
async function register({device, passthrough}: MountServices, file: OpenFile, context: CallContext): Promise<Backing | undefined> {
  const {length} = file.info;
  if (!passthrough || length < passthroughBytesMin) return undefined;
  const body = await file.read({offset: 0, length}, context);
  if (body.kind === 'lease') {
    const {lease} = body;
    // What others may change under the kernel's reads is checked with every read instead.
    const id = lease.offset === 0 && lease.length === length && !lease.validate ? device.registerBacking(lease.file) : undefined;
    if (id !== undefined) return {id, lease};
    lease[Symbol.dispose]();
  } else if (body.kind === 'stream') await body.stream[Symbol.asyncIterator]().return?.();
  return undefined;
}

export const read: Operation<'read'> = async ({handles}, _head, {handle, offset, size}, context) => {
  const open = handles.file(handle);
  if (!open) throw new Errno('EBADF');
  const {file} = open;
  const from = Number(offset);
  const length = Math.min(size, file.info.length - from);
  if (length <= 0) return undefined;
  return await bytesOf(await file.read({offset: from, length}, context));
};

async function bytesOf(body: Body): Promise<Answer> {
  if (body.kind === 'bytes') return body.bytes;
  const bytes = Buffer.allocUnsafe(body.length);
  let at = 0;
  if (body.kind === 'stream') {
    for await (const chunk of body.stream) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
  } else {
    using lease = body.lease;
    while (at < bytes.length) {
      const count = await lease.read(bytes.subarray(at), lease.offset + at);
      if (count === 0) break;
      at += count;
    }
    await lease.validate?.();
  }
  if (at !== bytes.length) throw new Errno('EIO');
  return bytes;
}

export const flush: Operation<'flush'> = async () => undefined;

export const release: Operation<'release'> = async ({handles}, _head, {handle}) => {
  await handles.closeFile(handle);
  return undefined;
};
