/** LOOKUP, GETATTR, READLINK: from names to nodes, and what they are. Node ids are inode ids, one per inode and never per name. */
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {attributesBody, entryBody} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {LookupResult, NodeInfo} from '#contracts/master-api.ts';
import {attributesOf} from '#frontends/fuse/attributes.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {fileNameBytesMax, type Meant, meantName} from '#frontends/fuse/file-names.ts';
import {type Answer, type BodyOf, type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';
import type {ByteString} from '#base/byte-string.ts';

export async function infoOfNode({files}: {readonly files: Pick<MountServices['files'], 'statInodeNow' | 'statInode'>}, node: InodeId, context: CallContext): Promise<FileInfo> {
  return (files.statInodeNow(node) ?? (await files.statInode(node, context))).info;
}

export const lookup: Operation<'lookup'> = async (services, head, {name}, context) => {
  const meant = wanted(name);
  const parent = nodeOf(head);
  if ('id' in meant) {
    const {info, validUntil} = await services.files.statInode(meant.id, context);
    if (info.inode.parent !== parent) throw new Errno('ENOENT');
    return named(services, parent, name, {info, validUntil}, context.turn);
  }
  const look = (): Promise<LookupResult> => services.files.lookup(parent, meant.name, meant.kind, context);
  if (services.heldNames.isLooking(head.pid)) return named(services, parent, name, await services.heldNames.found(head.pid, look, context), context.turn);
  const found = await look();
  // Asking the store has changed something, mostly this very file: as it is now it may be believed, and need not be asked for again.
  const again = context.turn === services.remembered.turn ? undefined : lookupNow(services, head, {op: 'lookup', name});
  return again ?? named(services, parent, name, found, context.turn);
};

/** On the spot, or undefined. */
export function lookupNow(services: MountServices, head: FuseHead, {name}: BodyOf<'lookup'>): Answer {
  const meant = wanted(name);
  if ('id' in meant || services.heldNames.isLooking(head.pid)) return undefined;
  const found = services.files.lookupNow(nodeOf(head), meant.name, meant.kind);
  return found && named(services, nodeOf(head), name, found);
}

function wanted(name: ByteString): Meant {
  if (name.length > fileNameBytesMax) throw new Errno('ENAMETOOLONG');
  const meant = meantName(name);
  if (!meant) throw new Errno('ENOENT');
  return meant;
}

function named(services: MountServices, directory: InodeId, name: ByteString, {info, validUntil}: LookupResult, turn?: number): Answer {
  const {remembered} = services;
  if (info) return entryBody(attributesOf(info, services), remembered.node(info.inode.id, validUntil, turn));
  const validMs = remembered.absence(directory, name, validUntil, turn);
  if (validMs === 0) throw new Errno('ENOENT');
  return entryBody(undefined, validMs);
}

/** The answer about something that was just made. */
export function madeBody(services: MountServices, info: FileInfo): Buffer {
  const {files, remembered} = services;
  return entryBody(attributesOf(info, services), remembered.node(info.inode.id, files.statInodeNow(info.inode.id)?.validUntil ?? 0));
}

export const getattr: Operation<'getattr'> = async (services, head, _body, context) => {
  const node = nodeOf(head);
  try {
    const found = await services.files.statInode(node, context);
    const again = context.turn === services.remembered.turn ? undefined : getattrNow(services, head);
    return again ?? attributesAnswer(services, found, context.turn);
  } catch (error) {
    return attributesBody({...attributesOf(orphanOf(services, node, error), services), links: 0}, 0);
  }
};

/** Of a node that has gone. Another may have taken its name since that was looked up: at this the kernel looks again, where it has come by a path. */
export function gone(error: unknown): unknown {
  return isKind(error, 'NotFound') ? new Errno('ESTALE') : error;
}

/** What an inode is that is open and has no name any more, which is what `error` said of it; throws it otherwise. */
export function orphanOf({handles}: Pick<MountServices, 'handles'>, node: InodeId, error: unknown): FileInfo {
  const open = handles.inode(node);
  if (!open || !(isKind(error, 'NotFound') || error instanceof Errno)) throw gone(error);
  return {...open.info, path: '' as ByteString};
}

export function getattrNow(services: MountServices, head: FuseHead): Answer {
  const found = services.files.statInodeNow(nodeOf(head));
  return found && attributesAnswer(services, found);
}

function attributesAnswer(services: MountServices, {info, validUntil}: NodeInfo, turn?: number): Buffer {
  return attributesBody(attributesOf(info, services), services.remembered.attributes(info.inode.id, validUntil, turn));
}

export const readlink: Operation<'readlink'> = async (services, head, _body, context) => {
  const {inode} = await infoOfNode(services, nodeOf(head), context);
  if (inode.kind !== 'symlink') throw new Errno('EINVAL');
  return Buffer.from(inode.target!, 'latin1');
};
