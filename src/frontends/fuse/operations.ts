/** Which operation carries out which request. Data, so that it can be read; what is missing is answered ENOSYS. */
import {assert} from '#base/assert.ts';
import type {FuseBody, FuseHead} from '#codec/fuse/request.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {removexattr, setattr, setattrNow, setxattr} from '#frontends/fuse/change-attributes.ts';
import {create, createNow, link, mkdir, mknod, openedNew, rename, rmdir, symlink, unlink} from '#frontends/fuse/change-names.ts';
import {fsyncdir, opendir, readdir, readdirplus, releasedir} from '#frontends/fuse/directories.ts';
import {getxattr, getxattrNow, listxattr} from '#frontends/fuse/extended-attributes.ts';
import {statfs} from '#frontends/fuse/file-system-status.ts';
import {flush, flushNow, fsync, fsyncNow, open, openNow, read, readNow, release, write, writeNow} from '#frontends/fuse/files.ts';
import {getattr, getattrNow, lookup, lookupNow, madeBody, readlink} from '#frontends/fuse/names.ts';
import {getlk, setlk, setlkw} from '#frontends/fuse/locks.ts';
import {copy, fallocate, lseek} from '#frontends/fuse/ranges.ts';
import {tmpfile} from '#frontends/fuse/unnamed.ts';
import type {Answer, MountServices, Operation, OperationName, OperationNow, RequestContext} from '#frontends/fuse/request.ts';

type Operations = {readonly [Name in OperationName]?: Operation<Name>};

const operations: Operations = {
  lookup, getattr, readlink, opendir, readdir, readdirplus, releasedir, fsyncdir, open, read, write, flush, fsync, release, getxattr, listxattr, statfs,
  create, mknod, mkdir, symlink, link, unlink, rmdir, rename, setattr, setxattr, removexattr, fallocate, lseek, copy, tmpfile, getlk, setlk, setlkw,
};

/** Refused with EROFS on a read-only mount. The kernel refuses most by itself. */
export const changes: ReadonlySet<OperationName> = new Set(['setattr', 'symlink', 'link', 'mknod', 'mkdir', 'unlink', 'rmdir', 'rename', 'create', 'write', 'setxattr', 'removexattr', 'fallocate', 'copy', 'tmpfile']);

/** Changes of the names in the directory that they are asked of (`rename` of two). */
export const namesChange: ReadonlySet<OperationName> = new Set(['create', 'mknod', 'mkdir', 'symlink', 'link', 'unlink', 'rmdir', 'rename']);

/** What is tried on the spot first: undefined when that takes waiting. */
export const answersNow: {readonly [Name in OperationName]?: OperationNow<Name>} = {
  create: createNow, lookup: lookupNow, getattr: getattrNow, setattr: setattrNow, getxattr: getxattrNow, open: openNow, read: readNow, write: writeNow, flush: flushNow, fsync: fsyncNow,
};

/** Changes that must not be made twice: when the kernel asks again because nobody answered, the first answer is given again. All others may be repeated. */
export const madeOnce: ReadonlySet<OperationName> = new Set(['create', 'mknod', 'mkdir', 'symlink', 'link', 'unlink', 'rmdir', 'rename', 'setxattr', 'removexattr']);

/** The answer to a change that was made before, from what it answered then. */
export async function answeredAgain(services: MountServices, head: FuseHead, body: FuseBody, made: FileInfo | undefined, context: RequestContext): Promise<Answer> {
  switch (body.op) {
    case 'create':
      return await openedNew(services, head, body, present(made), context);
    case 'mknod':
    case 'mkdir':
    case 'symlink':
    case 'link':
      return madeBody(services, present(made));
    default:
      return undefined;
  }
}

function present(made: FileInfo | undefined): FileInfo {
  assert(made !== undefined, 'what was made is told');
  return made;
}

export function operationOf(body: FuseBody): Operation<OperationName> | undefined {
  return operations[body.op] as Operation<OperationName> | undefined;
}
