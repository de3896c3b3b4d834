/** Who may do what: POSIX permission bits, or the access control list where there is one. Root (uid 0) passes; so do the instance itself, which has no principal, and
 * who was authorized by policies. */
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {decodePosixAcl} from '#codec/namespace/posix-acl.ts';
import type {Principal} from '#contracts/context.ts';
import type {Inode} from '#model/inode.ts';
import {accessAcl, allows} from '#model/posix-acl.ts';

/** `search`: look up names in a directory, or run a file. */
export type Want = 'read' | 'write' | 'search';

const bit: Record<Want, number> = {read: 4, write: 2, search: 1};
export const stickyBit = 0o1000;

type Owned = Pick<Inode, 'mode' | 'uid' | 'gid' | 'xattrs'>;

/** The owner is judged by the owner's bits alone, also when the group's or others' would allow more. */
export function mayAccess(inode: Owned, principal: Principal | undefined, want: Want): boolean {
  if (principal === undefined || isUnchecked(principal)) return true;
  const list = inode.xattrs?.[accessAcl];
  if (list) return allows(decodePosixAcl(list), inode, principal, bit[want]);
  const shift = principal.uid === inode.uid ? 6 : principal.gids.includes(inode.gid) ? 3 : 0;
  return ((inode.mode >> shift) & bit[want]) !== 0;
}

/** Owners may change modes and times; in a sticky directory only they, or the directory's owner, may remove. */
export function owns(inode: Owned, principal: Principal | undefined): boolean {
  return principal === undefined || isUnchecked(principal) || principal.uid === inode.uid;
}

export function mayRemoveFrom(directory: Owned, child: Owned, principal: Principal | undefined): boolean {
  if (!mayAccess(directory, principal, 'write') || !mayAccess(directory, principal, 'search')) return false;
  return (directory.mode & stickyBit) === 0 || owns(directory, principal) || owns(child, principal);
}

/** True when nothing needs to be read to know that `principal` may. */
export function isUnchecked(principal: Principal | undefined): boolean {
  return principal === undefined || principal.uid === 0 || principal.authorized === true;
}

export function denied(principal: Principal | undefined, action: string, inode: Pick<Inode, 'name'>): WeirError {
  return new WeirError('PermissionDenied', `${principal?.name ?? 'nobody'} may not ${action} ${JSON.stringify(toText(inode.name))}`);
}
