/** STATFS, as `df` shows it: a namespace over stores has no size of its own. What is in it is counted; what is free is a figure that no program finds too small. */
import {statfsBody} from '#codec/fuse/reply.ts';
import {rootPath, formatPath} from '#model/path.ts';
import {fileNameBytesMax} from '#frontends/fuse/file-names.ts';
import type {Operation} from '#frontends/fuse/request.ts';

const freeBytes = 2 ** 50;

export const statfs: Operation<'statfs'> = async ({files}, _head, _body, context) => {
  const {files: count, directories, bytes} = await files.usage(formatPath(rootPath), context);
  return statfsBody({total: bytes + freeBytes, free: freeBytes, files: count + directories, nameBytesMax: fileNameBytesMax});
};
