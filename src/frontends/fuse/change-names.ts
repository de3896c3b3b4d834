/** CREATE, MKNOD, MKDIR, SYMLINK, LINK, UNLINK, RMDIR, RENAME: what changes names. Modes were checked by the kernel; new things belong to who asked. */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {exclusiveFlag, openFlag} from '#codec/fuse/abi.ts';
import {errno} from '#codec/fuse/errno.ts';
import {entryBody, openBody} from '#codec/fuse/reply.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {SpecialFile} from '#model/special-file.ts';
import {attributesOf} from '#frontends/fuse/attributes.ts';
import {atInode} from '#frontends/fuse/by-inode.ts';
import {Errno, errnoOf} from '#frontends/fuse/failure.ts';
import {openedHandle} from '#frontends/fuse/files.ts';
import {fileNameBytesMax, meantName} from '#frontends/fuse/file-names.ts';
import {madeBody} from '#frontends/fuse/names.ts';
import {giveName} from '#frontends/fuse/unnamed.ts';
import {type AnswerNow, type BodyOf, firstUnique, isResent, type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';

const typeMask = 0o170000;
const specialTypes = new Map<number, SpecialFile['type']>([[0o010000, 'fifo'], [0o020000, 'character'], [0o060000, 'block'], [0o140000, 'socket']]);
const noReplace = 1;
const exchanging = 2;

/** A name that may be made: what is shown under another name cannot be made under that one. */
function plainName(name: ByteString): ByteString {
  if (name.length > fileNameBytesMax) throw new Errno('ENAMETOOLONG');
  const meant = meantName(name);
  if (!meant || 'id' in meant || meant.name !== name) throw new Errno('EINVAL');
  return name;
}

/** `step` gets the path of what is shown under a name. */
async function atShown<T>(services: MountServices, parent: InodeId, name: ByteString, context: CallContext, step: (path: ByteString, context: CallContext) => Promise<T>): Promise<T> {
  const meant = meantName(name);
  if (!meant) throw new Errno('ENOENT');
  if ('id' in meant) return await atInode(services, meant.id, context, step);
  return await atInode(services, parent, context, (directory, at) => step(`${directory}${meant.name === '' ? '/' : meant.name}` as ByteString, at));
}

interface New {
  readonly name: ByteString;
  readonly umask: number;
}

/** Makes something of a new name, which belongs to the caller. */
function making<T>(services: MountServices, {node, uid, gid}: FuseHead, {name, umask}: New, context: CallContext, step: (path: ByteString, context: CallContext) => Promise<T>): Promise<T> {
  const plain = plainName(name);
  return atInode(services, node as InodeId, {...context, owner: {uid, gid, umask}}, (directory, at) => step((directory + plain) as ByteString, at));
}

/** An empty file that was not there: an ordinary object from the beginning, as on any disk. */
function newFile(services: MountServices, head: FuseHead, made: New & {readonly mode: number}, context: CallContext): Promise<FileInfo> {
  const {mode} = made;
  return making(services, head, made, context, async (path, at) => {
    try {
      return await services.files.makeFile(path, {mode: mode & 0o7777, ...services.writing}, at);
    } catch (error) {
      throw isKind(error, 'PreconditionFailed') ? new Errno('EEXIST') : error;
    }
  });
}

/** Takes away what the store has, empty, from the first time that a request was carried out. */
async function withdraw(services: MountServices, {inode: {id, kind}}: FileInfo, {request: _, ...context}: CallContext): Promise<void> {
  await atInode(services, id, context, (path, at) => services.files.remove(path, {kind: kind === 'directory' ? 'directory' : 'file'}, at));
}

/**
 * An empty file that was not there. The store may have one from a daemon that died before it could note it: nobody else on this mount can have
 * made it, for the kernel lets nothing be made in a directory while it waits for this answer. It is made anew, as it was asked for.
 */
async function makeFile(services: MountServices, head: FuseHead, made: New & {readonly mode: number}, context: CallContext): Promise<FileInfo> {
  try {
    return await newFile(services, head, made, context);
  } catch (error) {
    if (!isResent(head) || !(error instanceof Errno || isKind(error, 'PreconditionFailed', 'AlreadyExists'))) throw error;
    const {info} = await services.files.lookup(nodeOf(head), plainName(made.name), 'file', context);
    if (info?.inode.kind !== 'file' || info.length > 0) throw error;
    await withdraw(services, info, context);
    return await newFile(services, head, made, context);
  }
}

export const create: Operation<'create'> = async (services, head, made, context) => {
  const info = await makeFile(services, head, made, context).catch((error: unknown) => {
    // Somebody on another mount was quicker: the kernel looks again, and opens what is there, if the program may.
    if ((made.flags & exclusiveFlag) !== 0 || errnoOf(error) !== errno.EEXIST) throw error;
    services.heldNames.refused(head.pid);
    throw new Errno('ESTALE');
  });
  return await openedNew(services, head, made, info, context);
};

/** On the spot, also that it is open. Read by who has made it it is opened when he reads. */
export function createNow(services: MountServices, head: FuseHead, {name, mode, umask, flags}: BodyOf<'create'>, context: CallContext): AnswerNow {
  const {files, handles, origin, writing, remembered} = services;
  const {uid, gid} = head;
  const made = files.makeFileNow(nodeOf(head), plainName(name), {mode: mode & 0o7777, holder: origin, ...writing}, {...context, owner: {uid, gid, umask}});
  if (!made) return undefined;
  const {info, validUntil, safe} = made;
  const {id} = info.inode;
  let handle;
  try {
    handle = handles.addFile({node: id, flags, unique: head.unique}, info, undefined);
  } catch (error) {
    files.releaseNow(id, origin);
    throw error;
  }
  const answer = Buffer.concat([entryBody(attributesOf(info, services), remembered.node(id, validUntil)), openBody(handle, openFlag.keepCache)]);
  return safe ? safe.then(() => answer) : answer;
}

/** The answer about a file that was just made, open. */
export async function openedNew(services: MountServices, head: FuseHead, {flags}: {readonly flags: number}, info: FileInfo, context: CallContext): Promise<Buffer> {
  const unique = firstUnique(head);
  const handle = services.handles.openedBy(unique) ?? (await openedHandle(services, info, {flags, unique}, context));
  return Buffer.concat([madeBody(services, info), openBody(handle, openFlag.keepCache)]);
}

export const mknod: Operation<'mknod'> = async (services, head, body, context) => {
  const {mode, device} = body;
  const type = specialTypes.get(mode & typeMask);
  const made = await (type
    ? making(services, head, body, context, (path, at) => services.files.makeSpecial(path, {type, device: type === 'character' || type === 'block' ? device : 0}, {mode: mode & 0o7777}, at))
    : makeFile(services, head, body, context));
  return madeBody(services, made);
};

/** As of a file that the store has from the first time (makeFile): of a directory the removal says whether it is empty. */
export const mkdir: Operation<'mkdir'> = async (services, head, body, context) => {
  const make = (): Promise<FileInfo> => making(services, head, body, context, (path, at) => services.files.makeDirectory(path, {mode: body.mode & 0o7777, existing: 'fail'}, at));
  try {
    return madeBody(services, await make());
  } catch (error) {
    if (!isResent(head) || !isKind(error, 'AlreadyExists')) throw error;
    const {info} = await services.files.lookup(nodeOf(head), plainName(body.name), 'directory', context);
    if (info?.inode.kind !== 'directory') throw error;
    await withdraw(services, info, context).catch((failure: unknown) => {
      throw isKind(failure, 'DirectoryNotEmpty') ? error : failure;
    });
    return madeBody(services, await make());
  }
};

export const symlink: Operation<'symlink'> = async (services, head, {name, target}, context) => {
  const made = await making(services, head, {name, umask: 0}, context, (path, at) => services.files.makeSymlink(path, target, at));
  return madeBody(services, made);
};

export const link: Operation<'link'> = async (services, head, {source, name}, context) => {
  const plain = plainName(name);
  const open = services.handles.inode(source as InodeId);
  if (open?.unnamed) {
    const named = await atInode(services, nodeOf(head), context, (directory, at) => giveName(open, (directory + plain) as ByteString, at));
    return madeBody(services, named);
  }
  const made = await atInode(services, source as InodeId, context, (from, found) =>
    atInode(services, nodeOf(head), found, (directory, at) => services.files.link(from, (directory + plain) as ByteString, at)));
  return madeBody(services, made);
};

/** The kernel has seen what it asks to remove: where it asks again, and there is nothing, the store has lost it by the first request. */
async function orGone(head: FuseHead, removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isResent(head) || !isKind(error, 'NotFound')) throw error;
  }
}

export const unlink: Operation<'unlink'> = async (services, head, {name}, context) => {
  await orGone(head, atShown(services, nodeOf(head), name, context, (path, at) => services.files.remove(path, {kind: 'file'}, at)));
  return undefined;
};

export const rmdir: Operation<'rmdir'> = async (services, head, {name}, context) => {
  await orGone(head, atShown(services, nodeOf(head), name, context, (path, at) => services.files.remove(path, {kind: 'directory'}, at)));
  return undefined;
};

export const rename: Operation<'rename'> = async (services, head, {name, newParent, newName, flags}, context) => {
  // A whiteout is made where a union of file systems keeps its upper layer, which is not what this is.
  if (flags & ~(noReplace | exchanging)) throw new Errno('EINVAL');
  const [source, target] = [{directory: nodeOf(head), name}, {directory: newParent as InodeId, name: newName}];
  services.renames.note(source, target);
  if (flags & exchanging) services.renames.note(target, source);
  if (flags & exchanging) {
    await atShown(services, nodeOf(head), name, context, (from, found) =>
      atShown(services, newParent as InodeId, newName, found, (to, at) => services.files.rename(from, to, {replace: false, exchange: true, kind: 'either'}, at)));
    return undefined;
  }
  const plain = plainName(newName);
  await atShown(services, nodeOf(head), name, context, (from, found) =>
    atInode(services, newParent as InodeId, found, (directory, at) => services.files.rename(from, (directory + plain) as ByteString, {replace: (flags & noReplace) === 0, kind: 'either'}, at)));
  return undefined;
};
