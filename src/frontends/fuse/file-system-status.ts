/**
 * STATFS, as `df` shows it: a namespace over stores has no size of its own. What is in it is counted; what is free is a figure that no program
 * finds too small. Below a quota, its limit is the size.
 */
import {statfsBody} from '#codec/fuse/reply.ts';
import {rootPath, formatPath} from '#model/path.ts';
import {fileNameBytesMax} from '#frontends/fuse/file-names.ts';
import {nodeOf, type Operation} from '#frontends/fuse/request.ts';

const freeBytes = 2 ** 50;

export const statfs: Operation<'statfs'> = async ({files}, head, _body, context) => {
  const {files: count, directories, bytes} = await files.usage(formatPath(rootPath), context);
  const room = files.hasQuotasNow() ? await files.roomOf(nodeOf(head), context) : null;
  const sizes = room ? {total: room.limit, free: Math.max(0, room.limit - room.used)} : {total: bytes + freeBytes, free: freeBytes};
  return statfsBody({...sizes, files: count + directories, nameBytesMax: fileNameBytesMax});
};
