/**
 * TMPFILE: a file that has no name, and may get one by linkat(2). Until then it is an id and a draft of this mount, of which the namespace
 * knows nothing; it goes with the last who has it open. Its name, bytes and attributes come in one commit.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {protectionOfNew} from '#codec/namespace/acl-attributes.ts';
import {openFlag} from '#codec/fuse/abi.ts';
import {entryBody, openBody} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {attributesOf} from '#frontends/fuse/attributes.ts';
import {keepDraft, openDraft} from '#frontends/fuse/drafting.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import type {OpenInode} from '#frontends/fuse/handles.ts';
import {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import {infoOfNode} from '#frontends/fuse/names.ts';
import {firstUnique, nodeOf, type Operation} from '#frontends/fuse/request.ts';
import {defaultAcl} from '#model/posix-acl.ts';

const setGroupId = 0o2000;

export const tmpfile: Operation<'tmpfile'> = async (services, head, {mode, umask, flags}, context) => {
  const {files, handles, clock, remembered} = services;
  const directory = await infoOfNode(services, nodeOf(head), context);
  if (directory.inode.kind !== 'directory') throw new Errno('ENOTDIR');
  const id = await files.reserveInode(context);
  const now = clock.nowNs();
  const gid = directory.inode.mode & setGroupId ? directory.inode.gid : head.gid;
  const info: FileInfo = {
    path: '' as ByteString, length: 0, mount: directory.mount,
    inode: {
      id, kind: 'file', parent: directory.inode.id, name: '' as ByteString, ...protectionOfNew(directory.inode.xattrs?.[defaultAcl], 'file', mode & 0o7777, umask),
      uid: head.uid, gid, atime: now, mtime: now, ctime: now, checkedAt: 0,
    },
  };
  const draft = await openDraft(services, info, true, context);
  const handle = handles.addFile({node: id, flags, unique: firstUnique(head)}, info, undefined);
  const open = handles.inode(id)!;
  open.draft = new InodeDraft(draft, clock, {dirty: false, touched: 0n}, keepDraft(services.kept, id));
  open.unnamed = true;
  return Buffer.concat([entryBody({...attributesOf(info, services), links: 0}, remembered.node(id, 0)), openBody(handle, openFlag.keepCache)]);
};

/** It is an ordinary file from then on. */
export async function giveName(open: OpenInode, path: ByteString, context: CallContext): Promise<FileInfo> {
  const {id, mode, uid, gid, xattrs} = open.info.inode;
  try {
    const info = await open.draft!.publishAs(path, {id, mode, uid, gid, ...(xattrs ? {xattrs} : {})}, context);
    delete open.unnamed;
    open.info = info;
    return info;
  } catch (error) {
    throw isKind(error, 'PreconditionFailed', 'IsADirectory') ? new Errno('EEXIST') : error;
  }
}
