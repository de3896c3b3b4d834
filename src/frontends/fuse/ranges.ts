/**
 * FALLOCATE, LSEEK, COPY_FILE_RANGE: ranges of a file without their bytes passing through the program. A draft is sparse: what is allocated
 * ahead is not set aside, what is punched out or zeroed takes no room until it is written.
 */
import {lseekBody, writtenBody} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import {draftOf} from '#frontends/fuse/drafting.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {handleOf, readHandle} from '#frontends/fuse/files.ts';
import {checkRoom} from '#frontends/fuse/quota.ts';
import {isWritable} from '#frontends/fuse/handles.ts';
import type {MountServices, Operation} from '#frontends/fuse/request.ts';
import {dropSetIdOf} from '#frontends/fuse/set-ids.ts';

const keepSize = 0x01;
const punchHole = 0x02;
const zeroRange = 0x10;
const seekData = 3;
const seekHole = 4;
/** What is copied in one request; the kernel asks again for the rest. */
const copyBytesMax = 16 * 1024 * 1024;
const copyChunkBytes = 1024 * 1024;

export const fallocate: Operation<'fallocate'> = async (services, head, {handle, offset, length, mode}, context) => {
  const {node, flags} = handleOf(services, handle);
  if (!isWritable(flags)) throw new Errno('EBADF');
  const what = mode & ~keepSize;
  if ((what !== 0 && what !== punchHole && what !== zeroRange) || mode === punchHole) throw new Errno('ENOTSUP');
  const draft = await draftOf(services, node, {empty: false}, context);
  const end = offset + length;
  if ((mode & keepSize) === 0) await checkRoom(services, node, end, context);
  await dropSetIdOf(services, head, node, context);
  if (what !== 0) await draft.punch(offset, length, context);
  if ((mode & keepSize) === 0 && end > draft.length) await draft.truncate(end, context);
  return undefined;
};

/** What a store holds has no holes that anybody could know of. */
export const lseek: Operation<'lseek'> = async (services, _head, {handle, offset, whence}, context) => {
  if (whence !== seekData && whence !== seekHole) throw new Errno('EINVAL');
  const {node, file} = handleOf(services, handle);
  const {draft, info} = services.handles.inode(node)!;
  const length = draft?.length ?? file?.info.length ?? info.length;
  if (offset >= length) throw new Errno('ENXIO');
  const found = draft ? await draft.seek(offset, whence === seekData ? 'data' : 'hole', context) : whence === seekData ? offset : length;
  if (found === undefined) throw new Errno('ENXIO');
  return lseekBody(found);
};

export const copy: Operation<'copy'> = async (services, head, {handle, offset, toHandle, toOffset, length}, context) => {
  const {node, flags} = handleOf(services, toHandle);
  if (!isWritable(flags)) throw new Errno('EBADF');
  const draft = await draftOf(services, node, {empty: false}, context);
  await dropSetIdOf(services, head, node, context);
  let copied = 0;
  for (const wanted = Math.min(length, copyBytesMax); copied < wanted; ) {
    const bytes = await readAt(services, handle, offset + copied, Math.min(copyChunkBytes, wanted - copied), context);
    if (bytes.length === 0) break;
    await checkRoom(services, node, toOffset + copied + bytes.length, context);
    await draft.write(toOffset + copied, bytes, context);
    copied += bytes.length;
  }
  return writtenBody(copied);
};

async function readAt(services: MountServices, handle: number, offset: number, size: number, context: CallContext): Promise<Uint8Array> {
  return (await readHandle(services, handleOf(services, handle), offset, size, context)) ?? new Uint8Array(0);
}
