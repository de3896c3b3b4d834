/** SETATTR, SETXATTR, REMOVEXATTR. A new size goes to the file's draft; all else to its inode. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {protectionAfter} from '#codec/namespace/acl-attributes.ts';
import {attributesBody} from '#codec/fuse/reply.ts';
import type {FuseHead, SetattrBody} from '#codec/fuse/request.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {attributesOf} from '#frontends/fuse/attributes.ts';
import {patched} from '#frontends/fuse/by-inode.ts';
import {draftOf, forget, openDraft} from '#frontends/fuse/drafting.ts';
import {checkMayChange} from '#frontends/fuse/extended-attributes.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {infoOfNode, orphanOf} from '#frontends/fuse/names.ts';
import {checkRoom} from '#frontends/fuse/quota.ts';
import {type Answer, type BodyOf, type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';
import {withoutSetId} from '#frontends/fuse/set-ids.ts';
import type {AttributePatch, Inode} from '#model/inode.ts';
import {accessAcl} from '#model/posix-acl.ts';

const createOnly = 1;
const setGroupId = 0o2000;
const replaceOnly = 2;

export const setattr: Operation<'setattr'> = async (services, head, body, context) => {
  const node = nodeOf(head);
  if (body.size !== undefined) await services.handles.ended(node);
  let info = await infoOfNode(services, node, context).catch(error => orphanOf(services, node, error));
  if (body.size !== undefined) {
    if (info.inode.kind === 'directory') throw new Errno('EISDIR');
    await resize(services, info, body.size, context);
    if (info.inode.content && info.path !== '') info = await infoOfNode(services, node, context);
  }
  const patch = patchOf(body, info.inode, services.clock.nowNs());
  if (isSomething(patch)) {
    info = info.path === '' ? patchedOrphan(services, node, patch) : await patched(services, node, patch, context);
    if (patch.mtime !== undefined) services.handles.inode(node)?.draft?.touched(patch.mtime);
  }
  return attributesBody(attributesOf(info, services, false), 0);
};

/** On the spot: all but the size, of what has a name. What stays as it is of a file that is being written changes with its bytes: its ctime alone. */
export function setattrNow(services: MountServices, head: FuseHead, body: BodyOf<'setattr'>, context: CallContext): Answer {
  const node = nodeOf(head);
  const {files, handles, clock} = services;
  if (body.size !== undefined) return undefined;
  const open = handles.inode(node);
  let patch: AttributePatch = {};
  let same: Inode | undefined;
  const changed = files.setInodeAttributesNow(node, inode => {
    patch = patchOf(body, inode, clock.nowNs());
    if (!isSomething(patch)) return undefined;
    if (open?.draft?.isDirty && isAsItIs(inode, patch)) same = inode;
    return same ? undefined : patch;
  }, context);
  const info = changed ?? (same && open && {...open.info, inode: same});
  if (!info) return undefined;
  if (changed && open) open.info = changed;
  if (same) open?.draft?.markChanged();
  if (patch.mtime !== undefined) open?.draft?.touched(patch.mtime);
  return attributesBody(attributesOf(info, services, false), 0);
}

/** Of a file without a name only those know who have it open: nothing of it is kept. */
function patchedOrphan({handles, clock}: MountServices, node: InodeId, {mode, uid, gid, atime, mtime}: AttributePatch): FileInfo {
  const open = handles.inode(node);
  if (!open) throw new Errno('ESTALE');
  const {inode} = open.info;
  open.info = {
    ...open.info, path: '' as ByteString,
    inode: {...inode, ...protectionAfter(inode, mode, inode.xattrs, false), uid: uid ?? inode.uid, gid: gid ?? inode.gid, atime: atime ?? inode.atime, mtime: mtime ?? inode.mtime, ctime: clock.nowNs()},
  };
  return open.info;
}

/** As patchedOrphan. */
function setOfOrphan({handles}: MountServices, node: InodeId, name: ByteString, value: Uint8Array | undefined): undefined {
  const open = handles.inode(node);
  if (!open) throw new Errno('ESTALE');
  const {[name]: _, ...others} = open.info.inode.xattrs ?? {};
  const xattrs = value ? {...others, [name]: value} : others;
  open.info = {...open.info, path: '' as ByteString, inode: {...open.info.inode, ...protectionAfter(open.info.inode, undefined, xattrs, value !== undefined && name === accessAcl)}};
}

function patchOf({mode: asked, uid, gid, atime, mtime, killSetId}: SetattrBody, {kind, mode: was}: Pick<Inode, 'kind' | 'mode'>, now: bigint): AttributePatch {
  const mode = asked ?? (killSetId && kind !== 'directory' && withoutSetId(was) !== was ? withoutSetId(was) : undefined);
  return {
    ...(mode === undefined ? {} : {mode: mode & 0o7777}), ...(uid === undefined ? {} : {uid}), ...(gid === undefined ? {} : {gid}),
    ...(atime === undefined ? {} : {atime: atime === 'now' ? now : atime}), ...(mtime === undefined ? {} : {mtime: mtime === 'now' ? now : mtime}),
  };
}

/** Of times nobody knows by the value that they were set. */
const isAsItIs = (was: Inode, {mode = was.mode, uid = was.uid, gid = was.gid, atime, mtime}: AttributePatch): boolean =>
  mode === was.mode && uid === was.uid && gid === was.gid && atime === undefined && mtime === undefined;

const isSomething = (patch: AttributePatch): boolean => Object.keys(patch).length > 0;

/** A file that nobody has open is changed and published at once. */
async function resize(services: MountServices, info: FileInfo, size: number, context: CallContext): Promise<void> {
  if (size > info.length) await checkRoom(services, info.inode.id, size, context);
  if (services.handles.inode(info.inode.id)) return await (await draftOf(services, info.inode.id, {empty: size === 0}, context)).truncate(size, context);
  if (info.length === size) return;
  const draft = await openDraft(services, info, size === 0, context);
  try {
    await draft.truncate(size, context);
    draft.modified = services.clock.nowNs();
    const published = await draft.publish(context);
    if (published) await forget(services, info.inode.id, published);
  } finally {
    await draft.close({keep: false}, context);
  }
}

export const setxattr: Operation<'setxattr'> = async (services, head, {name, value, flags, killSetGroupId}, context) => {
  checkMayChange(name);
  const info = await infoOfNode(services, nodeOf(head), context).catch(error => orphanOf(services, nodeOf(head), error));
  const there = info.inode.xattrs !== undefined && Object.hasOwn(info.inode.xattrs, name);
  if (flags & createOnly && there) throw new Errno('EEXIST');
  if (flags & replaceOnly && !there) throw new Errno('ENODATA');
  if (info.path === '') return setOfOrphan(services, nodeOf(head), name, value);
  // Who is in no group of the file's may not leave it with that group's bit by setting its list.
  await patched(services, nodeOf(head), {xattrs: {[name]: value}, ...(killSetGroupId ? {mode: info.inode.mode & ~setGroupId} : {})}, context);
  return undefined;
};

export const removexattr: Operation<'removexattr'> = async (services, head, {name}, context) => {
  checkMayChange(name);
  const info = await infoOfNode(services, nodeOf(head), context).catch(error => orphanOf(services, nodeOf(head), error));
  if (!info.inode.xattrs || !Object.hasOwn(info.inode.xattrs, name)) throw new Errno('ENODATA');
  if (info.path === '') return setOfOrphan(services, nodeOf(head), name, undefined);
  await patched(services, nodeOf(head), {xattrs: {[name]: null}}, context);
  return undefined;
};
