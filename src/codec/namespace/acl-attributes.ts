/** Access control lists as they are kept, in extended attributes, beside the mode of the same file: what one of them says, the other does. */
import {WeirError} from '#base/errors.ts';
import {decodePosixAcl, encodePosixAcl} from '#codec/namespace/posix-acl.ts';
import type {Inode} from '#model/inode.ts';
import {accessAcl, defaultAcl, inherited, isMinimal, modeOfAcl, withMode} from '#model/posix-acl.ts';

type Protection = Pick<Inode, 'mode' | 'xattrs'>;

const permissionBits = 0o777;

/** Where nobody says; under a default list that is asked instead which has every right. */
const modes = {file: {plain: 0o644, listed: 0o666}, special: {plain: 0o644, listed: 0o666}, directory: {plain: 0o755, listed: 0o777}} as const;
export type Protected = keyof typeof modes;

/** What something begins with in a directory whose default list, as it is kept, is `list`. */
export function protectionOfNew(list: Uint8Array | undefined, kind: Protected, asked: number | undefined, umask: number): Protection {
  if (!list) return {mode: asked === undefined ? modes[kind].plain : asked & ~umask};
  const wanted = asked ?? modes[kind].listed;
  const own = inherited(decodePosixAcl(list), wanted);
  const xattrs = {...(isMinimal(own) ? {} : {[accessAcl]: encodePosixAcl(own)}), ...(kind === 'directory' ? {[defaultAcl]: list} : {})};
  return {mode: (wanted & ~permissionBits) | modeOfAcl(own), ...nonEmpty(xattrs)};
}

/**
 * After the extended attributes have become `xattrs`, a list for access `given` among them or not, and chmod has asked for a mode or not. A
 * list that says no more than a mode is none. PermissionDenied, InvalidArgument: what is no list.
 */
export function protectionAfter({kind, mode: was}: Pick<Inode, 'kind' | 'mode'>, asked: number | undefined, xattrs: Inode['xattrs'], given: boolean): Protection {
  if (xattrs?.[defaultAcl]) {
    if (kind !== 'directory') throw new WeirError('PermissionDenied', 'only directories have a default access control list');
    decodePosixAcl(xattrs[defaultAcl]);
  }
  const mode = asked ?? was;
  const list = xattrs?.[accessAcl];
  if (!list || (!given && asked === undefined)) return {mode, ...(xattrs ? {xattrs} : {})};
  const acl = given ? decodePosixAcl(list) : withMode(decodePosixAcl(list), mode);
  const {[accessAcl]: _, ...others} = xattrs;
  return {mode: (mode & ~permissionBits) | modeOfAcl(acl), ...nonEmpty(isMinimal(acl) ? others : {...others, [accessAcl]: encodePosixAcl(acl)})};
}

function nonEmpty(xattrs: Readonly<Record<string, Uint8Array>>): Pick<Inode, 'xattrs'> {
  return Object.keys(xattrs).length > 0 ? {xattrs} : {};
}
