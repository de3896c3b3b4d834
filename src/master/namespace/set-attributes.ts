/** Mode, owner, times, pin and extended attributes of what a path names. Its content stays. */
import {WeirError} from '#base/errors.ts';
import type {Principal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {protectionAfter} from '#codec/namespace/acl-attributes.ts';
import {setOwn} from '#codec/namespace/content.ts';
import {denied, isUnchecked, mayAccess, owns} from '#master/namespace/access.ts';
import type {Located} from '#master/namespace/locate.ts';
import {noteAttributes} from '#master/namespace/object-events.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {changeVersion} from '#master/namespace/change-version.ts';
import {writeInode} from '#master/namespace/place.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {AttributePatch, Inode} from '#model/inode.ts';
import {legalHoldAttribute, retentionAttribute} from '#model/object-lock.ts';
import {accessAcl, isAclName} from '#model/posix-acl.ts';
import {parsePath, type Path} from '#model/path.ts';

/** All names and values of one inode together, as Linux bounds a list. */
export const xattrBytesMax = 65_536;
const modeMax = 0o7777;
const ownerMax = 0xffff_ffff;

/** NotFound, NotADirectory, PermissionDenied, InvalidArgument (a mode or owner out of range), TooLarge (extended attributes). */
export function setAttributes(tx: Transaction, op: Operation, path: Path, patch: AttributePatch, version?: string): FileInfo {
  const info = changeVersion(tx, op, path, version, inode => changed(op, inode, patch));
  noteAttributes(tx, op, path, patch, info.inode);
  return info;
}

/** The same of what was found in this very turn. */
export function setAttributesAt(tx: Transaction, op: Operation, {place, path}: Located, info: FileInfo, patch: AttributePatch): FileInfo {
  const inode = changed(op, info.inode, patch);
  writeInode(tx, inode, place.storeKey);
  if (patch.xattrs) noteAttributes(tx, op, parsePath(path, 'file'), patch, inode);
  return {...info, inode};
}

function changed(op: Operation, old: Inode, patch: AttributePatch): Inode {
  checkRange('mode', patch.mode, modeMax);
  checkRange('uid', patch.uid, ownerMax);
  checkRange('gid', patch.gid, ownerMax);
  checkRights(old, patch, op.principal);
  const {pinned: wasPinned, xattrs: oldXattrs, ...kept} = old;
  const {mode, xattrs} = protectionAfter(old, patch.mode, patch.xattrs ? patched(oldXattrs, patch.xattrs) : oldXattrs, patch.xattrs?.[accessAcl] !== undefined);
  const isGiven = patch.uid !== undefined || patch.gid !== undefined || mode !== old.mode || patch.mode !== undefined;
  return {
    ...kept, ...(old.kind === 'directory' && isGiven ? {ownProtection: true} : {}), mode, uid: patch.uid ?? old.uid, gid: patch.gid ?? old.gid, atime: patch.atime ?? old.atime, mtime: patch.mtime ?? old.mtime,
    ctime: op.now, ...((patch.pinned ?? wasPinned) ? {pinned: true} : {}), ...(xattrs ? {xattrs} : {}),
  };
}

function checkRange(what: string, value: number | undefined, max: number): void {
  if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= max)) throw new WeirError('InvalidArgument', `${what} is 0 to ${max}, not ${value}`);
}

function checkRights(inode: Inode, patch: AttributePatch, principal: Principal | undefined): void {
  if (principal === undefined || isUnchecked(principal)) return;
  if (patch.uid !== undefined && patch.uid !== inode.uid) throw denied(principal, 'give away', inode);
  const givesGroup = patch.gid !== undefined && patch.gid !== inode.gid;
  const asOwner = patch.mode !== undefined || patch.uid !== undefined || patch.gid !== undefined || patch.atime !== undefined || patch.mtime !== undefined || patch.pinned !== undefined;
  if (asOwner && !owns(inode, principal)) throw denied(principal, 'change the attributes of', inode);
  if (givesGroup && !principal.gids.includes(patch.gid!)) throw denied(principal, 'give to a foreign group', inode);
  const lists = patch.xattrs ? Object.keys(patch.xattrs).filter(isAclName).length : 0;
  if (lists > 0 && !owns(inode, principal)) throw denied(principal, 'change the access control list of', inode);
  if (patch.xattrs && Object.keys(patch.xattrs).length > lists && !mayAccess(inode, principal, 'write')) throw denied(principal, 'write', inode);
}

function patched(old: Inode['xattrs'], patch: NonNullable<AttributePatch['xattrs']>): Inode['xattrs'] {
  const xattrs: Record<string, Uint8Array> = {...old};
  for (const name of Object.keys(patch)) {
    if (name === retentionAttribute || name === legalHoldAttribute) throw new WeirError('InvalidArgument', `${name} is not set as an attribute, but as a lock`);
    const value = patch[name]!;
    if (value === null) delete xattrs[name];
    else setOwn(xattrs, name, value);
  }
  let total = 0;
  for (const name of Object.keys(xattrs)) total += Buffer.byteLength(name, 'utf8') + xattrs[name]!.length;
  if (total > xattrBytesMax) throw new WeirError('TooLarge', `extended attributes of one file may have ${xattrBytesMax} bytes together, not ${total}`);
  return Object.keys(xattrs).length > 0 ? xattrs : undefined;
}
