/** LOOKUP, GETATTR, READLINK: from names to nodes, and what they are. Node ids are inode ids, one per inode and never per name. */
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {attributesBody, entryBody} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/master-api.ts';
import {attributesOf} from '#frontends/fuse/attributes.ts';
import {atInode} from '#frontends/fuse/by-inode.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {fileNameBytesMax, meantName} from '#frontends/fuse/file-names.ts';
import {type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';
import type {ByteString} from '#base/byte-string.ts';

/**
 * How long the kernel may believe names and attributes. Nothing: what other front ends and the store's owners change is seen at once, as
 * the mount's contract of freshness says, and not later.
 */
const validMs = 0;

export function infoOfNode({files}: Pick<MountServices, 'files'>, node: InodeId, context: CallContext): Promise<FileInfo> {
  return files.statInode(node, context);
}

export const lookup: Operation<'lookup'> = async ({files, handles}, head, {name}, context) => {
  if (name.length > fileNameBytesMax) throw new Errno('ENAMETOOLONG');
  const meant = meantName(name);
  if (!meant) throw new Errno('ENOENT');
  const parent = nodeOf(head);
  if ('id' in meant) {
    const info = await infoOfNode({files}, meant.id, context);
    if (info.inode.parent !== parent) throw new Errno('ENOENT');
    return entryBody(attributesOf(info, handles), validMs);
  }
  const info = await atInode({files}, parent, context, async directory => {
    // Only a directory can have no name; without its slash the path would be its parent's.
    const found = await files.stat(`${directory}${meant.name === '' ? '/' : meant.name}` as ByteString, {kind: meant.kind}, context);
    // What is found below a path that leads elsewhere by now is somebody else's.
    if (found.inode.parent !== parent && (await files.pathOf(parent, context)) !== directory) throw new Errno('ESTALE');
    return found;
  });
  return entryBody(attributesOf(info, handles), validMs);
};

export const getattr: Operation<'getattr'> = async (services, head, _body, context) => {
  try {
    const info = await infoOfNode(services, nodeOf(head), context);
    return attributesBody(attributesOf(info, services.handles), validMs);
  } catch (error) {
    const open = services.handles.inode(nodeOf(head));
    if (!open || !(isKind(error, 'NotFound') || error instanceof Errno)) throw error;
    // Open and without a name: it is what it was when it was opened.
    return attributesBody({...attributesOf(open.info, services.handles), links: 0}, validMs);
  }
};

export const readlink: Operation<'readlink'> = async (services, head, _body, context) => {
  const {inode} = await infoOfNode(services, nodeOf(head), context);
  if (inode.target === undefined) throw new Errno('EINVAL');
  return Buffer.from(inode.target, 'latin1');
};
