/** CREATE, MKNOD, MKDIR, SYMLINK, LINK, UNLINK, RMDIR, RENAME: what changes names. Modes were checked by the kernel; new things belong to who asked. */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {openFlag} from '#codec/fuse/abi.ts';
import {entryBody, openBody} from '#codec/fuse/reply.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/master-api.ts';
import {attributesOf} from '#frontends/fuse/attributes.ts';
import {draftOf} from '#frontends/fuse/drafting.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {fileNameBytesMax, meantName} from '#frontends/fuse/file-names.ts';
import {infoOfNode} from '#frontends/fuse/names.ts';
import {type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';

const setGroupId = 0o2000;
const typeMask = 0o170000;
const regular = 0o100000;
const accessMode = 3;
const noReplace = 1;

/** A name that may be made: what is shown under another name cannot be made under that one. */
function plainName(name: ByteString): ByteString {
  if (name.length > fileNameBytesMax) throw new Errno('ENAMETOOLONG');
  const meant = meantName(name);
  if (!meant || 'id' in meant || meant.name !== name) throw new Errno('EINVAL');
  return name;
}

/** The path of what is shown under a name. */
async function pathOfShown({files}: MountServices, parent: InodeId, name: ByteString, context: CallContext): Promise<ByteString> {
  const meant = meantName(name);
  if (!meant) throw new Errno('ENOENT');
  if ('id' in meant) return await files.pathOf(meant.id, context);
  return `${await files.pathOf(parent, context)}${meant.name === '' ? '/' : meant.name}` as ByteString;
}

/** New things belong to the caller; in a set-group-id directory to its group, and directories hand the bit on. */
async function owned(services: MountServices, made: FileInfo, parent: FileInfo, {uid, gid}: FuseHead, context: CallContext): Promise<FileInfo> {
  const inherits = (parent.inode.mode & setGroupId) !== 0;
  const group = inherits ? parent.inode.gid : gid;
  const mode = made.inode.mode | (inherits && made.inode.kind === 'directory' ? setGroupId : 0);
  const {inode} = made;
  if (inode.uid === uid && inode.gid === group && inode.mode === mode) return made;
  return await services.files.setAttributes(made.path, {uid, gid: group, mode}, {kind: inode.kind === 'directory' ? 'directory' : 'file'}, context);
}

/** An empty file that was not there: an ordinary object from the beginning, as on any disk. */
async function makeFile(services: MountServices, head: FuseHead, name: ByteString, mode: number, context: CallContext): Promise<FileInfo> {
  const {files} = services;
  const parent = await infoOfNode(services, nodeOf(head), context);
  const path = `${parent.path}${plainName(name)}` as ByteString;
  const writer = await files.create(path, {kind: 'file', parents: 'none', mode: mode & 0o7777, length: 0, precondition: {ifNoneMatch: '*'}}, context);
  try {
    return await owned(services, await writer.commit({length: 0}), parent, head, context);
  } catch (error) {
    await writer.abort();
    throw isKind(error, 'PreconditionFailed') ? new Errno('EEXIST') : error;
  }
}

export const create: Operation<'create'> = async (services, head, {name, flags, mode}, context) => {
  const info = await makeFile(services, head, name, mode, context);
  const file = (flags & accessMode) === 1 ? undefined : await services.files.open(info.path, {kind: 'file'}, context);
  const handle = services.handles.addFile({node: info.inode.id, writable: (flags & accessMode) !== 0, ...(file ? {file} : {})}, info, undefined);
  return Buffer.concat([entryBody(attributesOf(info, services.handles), 0), openBody(handle, openFlag.keepCache)]);
};

export const mknod: Operation<'mknod'> = async (services, head, {name, mode}, context) => {
  if ((mode & typeMask) !== regular && (mode & typeMask) !== 0) throw new Errno('EPERM');
  return entryBody(attributesOf(await makeFile(services, head, name, mode, context), services.handles), 0);
};

export const mkdir: Operation<'mkdir'> = async (services, head, {name, mode}, context) => {
  const parent = await infoOfNode(services, nodeOf(head), context);
  const made = await services.files.makeDirectory(`${parent.path}${plainName(name)}` as ByteString, {mode: mode & 0o7777, existing: 'fail'}, context);
  return entryBody(attributesOf(await owned(services, made, parent, head, context), services.handles), 0);
};

export const symlink: Operation<'symlink'> = async (services, head, {name, target}, context) => {
  const parent = await infoOfNode(services, nodeOf(head), context);
  const made = await services.files.makeSymlink(`${parent.path}${plainName(name)}` as ByteString, target, context);
  return entryBody(attributesOf(await owned(services, made, parent, head, context), services.handles), 0);
};

export const link: Operation<'link'> = async (services, head, {source, name}, context) => {
  const from = await services.files.pathOf(source as InodeId, context);
  const to = `${await services.files.pathOf(nodeOf(head), context)}${plainName(name)}` as ByteString;
  return entryBody(attributesOf(await services.files.link(from, to, context), services.handles), 0);
};

export const unlink: Operation<'unlink'> = async (services, head, {name}, context) => {
  const path = await pathOfShown(services, nodeOf(head), name, context);
  await keepForReaders(services, path, context);
  await services.files.remove(path, {kind: 'file'}, context);
  return undefined;
};

/** Who has a file open goes on with it when its name goes: the store will not have it any more, so its draft does. */
async function keepForReaders(services: MountServices, path: ByteString, context: CallContext): Promise<void> {
  if (services.handles.count === 0) return;
  try {
    const {inode} = await services.files.stat(path, {kind: 'file'}, context);
    if (services.handles.inode(inode.id)) await draftOf(services, inode.id, {empty: false}, context);
  } catch (error) {
    if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
  }
}

export const rmdir: Operation<'rmdir'> = async (services, head, {name}, context) => {
  await services.files.remove(await pathOfShown(services, nodeOf(head), name, context), {kind: 'directory'}, context);
  return undefined;
};

export const rename: Operation<'rename'> = async (services, head, {name, newParent, newName, flags}, context) => {
  if (flags & ~noReplace) throw new Errno('EINVAL');
  const from = await pathOfShown(services, nodeOf(head), name, context);
  const to = `${await services.files.pathOf(newParent as InodeId, context)}${plainName(newName)}` as ByteString;
  await keepForReaders(services, to, context);
  await services.files.rename(from, to, {replace: (flags & noReplace) === 0, kind: 'either'}, context);
  return undefined;
};
