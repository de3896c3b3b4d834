/** Which operation carries out which request. Data, so that it can be read; what is missing is answered ENOSYS, what would change something EROFS. */
import type {FuseBody} from '#codec/fuse/request.ts';
import {opendir, readdir, readdirplus, releasedir} from '#frontends/fuse/directories.ts';
import {getxattr, listxattr} from '#frontends/fuse/extended-attributes.ts';
import {statfs} from '#frontends/fuse/file-system-status.ts';
import {flush, open, read, release} from '#frontends/fuse/files.ts';
import {getattr, lookup, readlink} from '#frontends/fuse/names.ts';
import type {Operation, OperationName} from '#frontends/fuse/request.ts';

type Operations = {readonly [Name in OperationName]?: Operation<Name>};

const operations: Operations = {lookup, getattr, readlink, opendir, readdir, readdirplus, releasedir, open, read, flush, release, getxattr, listxattr, statfs};

/** Writing comes with drafts (random writes are more than an upload); until then a mount is read-only and says so. */
export const changes: ReadonlySet<OperationName> = new Set([
  'setattr', 'symlink', 'mknod', 'mkdir', 'unlink', 'rmdir', 'rename', 'link', 'create', 'tmpfile', 'write', 'setxattr', 'removexattr', 'fallocate', 'copy',
]);

export function operationOf(body: FuseBody): Operation<OperationName> | undefined {
  return operations[body.op] as Operation<OperationName> | undefined;
}
