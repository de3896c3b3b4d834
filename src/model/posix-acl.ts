/**
 * Access control lists as POSIX 1003.1e (draft 17) has them: beside owner, group and others, users and groups by their numbers, and a mask
 * that bounds all but owner and others. Where there is a list, the group's bits of the mode are the mask.
 *
 * Invariant: who is named is bounded by a mask, so a list with names has one.
 */

/** Permissions are three bits: read 4, write 2, search or run 1. */
export interface PosixAcl {
  readonly owner: number;
  readonly users: readonly AclName[];
  readonly group: number;
  readonly groups: readonly AclName[];
  readonly mask?: number;
  readonly other: number;
}

export interface AclName {
  readonly id: number;
  readonly permissions: number;
}

/** Extended attributes under which Linux keeps them; of a directory the second, which what is made in it begins with. */
export const accessAcl = 'system.posix_acl_access';
export const defaultAcl = 'system.posix_acl_default';
export const isAclName = (name: string): boolean => name === accessAcl || name === defaultAcl;

/** Nothing that a mode does not say. */
export function isMinimal({users, groups, mask}: PosixAcl): boolean {
  return users.length === 0 && groups.length === 0 && mask === undefined;
}

/** The nine bits that a list shows as. */
export function modeOfAcl({owner, group, mask, other}: PosixAcl): number {
  return (owner << 6) | ((mask ?? group) << 3) | other;
}

/** After chmod(2). */
export function withMode(acl: PosixAcl, mode: number): PosixAcl {
  const group = (mode >> 3) & 7;
  return {...acl, owner: (mode >> 6) & 7, other: mode & 7, ...(acl.mask === undefined ? {group} : {mask: group})};
}

/** What is made in a directory with this default list, by who asked for these nine bits: its list is both. */
export function inherited(acl: PosixAcl, mode: number): PosixAcl {
  const [owner, group, other] = [(mode >> 6) & 7, (mode >> 3) & 7, mode & 7];
  return {...acl, owner: acl.owner & owner, other: acl.other & other, ...(acl.mask === undefined ? {group: acl.group & group} : {mask: acl.mask & group})};
}

/** Whether the list allows all of `wanted`; of several groups that somebody is in, one has to. */
export function allows(acl: PosixAcl, file: {readonly uid: number; readonly gid: number}, who: {readonly uid: number; readonly gids: readonly number[]}, wanted: number): boolean {
  const has = (permissions: number, mask = 7): boolean => (permissions & mask & wanted) === wanted;
  if (who.uid === file.uid) return has(acl.owner);
  const user = acl.users.find(({id}) => id === who.uid);
  if (user) return has(user.permissions, acl.mask);
  const mine = [...(who.gids.includes(file.gid) ? [acl.group] : []), ...acl.groups.filter(({id}) => who.gids.includes(id)).map(({permissions}) => permissions)];
  return mine.length > 0 ? mine.some(permissions => has(permissions, acl.mask)) : has(acl.other);
}
