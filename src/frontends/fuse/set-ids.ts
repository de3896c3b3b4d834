/**
 * Set-user-id and set-group-id go when somebody changes a file's bytes who may not keep them, and when the file is given away (FUSE_HANDLE_KILLPRIV_V2:
 * the kernel says when). Left to the kernel it would ask for a capability before every write, and for the attributes before every chown.
 * Capabilities (`security.capability`) stay the kernel's matter: it takes them away by itself, and knows when there are none.
 */
import type {InodeId} from '#base/ids.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import type {CallContext} from '#contracts/context.ts';
import {patched} from '#frontends/fuse/by-inode.ts';
import {infoOfNode} from '#frontends/fuse/names.ts';
import type {MountServices} from '#frontends/fuse/request.ts';

const setUserId = 0o4000;
const setGroupId = 0o2000;
const groupExecutes = 0o010;

/** As a disk does it: without execution by the group, set-group-id means something else, and stays. */
export const withoutSetId = (mode: number): number => mode & ~setUserId & ~(mode & groupExecutes ? setGroupId : 0);

/** On the spot: undefined where that is not known. */
export function hasSetIdNow({files}: Pick<MountServices, 'files'>, node: InodeId): boolean | undefined {
  const mode = files.statInodeNow(node)?.info.inode.mode;
  return mode === undefined ? undefined : withoutSetId(mode) !== mode;
}

/** A file without a name keeps what it has: its attributes are its holder's own. */
export async function dropSetId(services: MountServices, node: InodeId, context: CallContext): Promise<void> {
  if (hasSetIdNow(services, node) === false) return;
  const info = await infoOfNode(services, node, context).catch(() => undefined);
  const mode = info && withoutSetId(info.inode.mode);
  if (mode !== undefined && mode !== info!.inode.mode) await patched(services, node, {mode}, context);
}

/** The same where the kernel does not say who may keep them: not an ordinary user. */
export async function dropSetIdOf(services: MountServices, {uid}: Pick<FuseHead, 'uid'>, node: InodeId, context: CallContext): Promise<void> {
  if (uid !== 0) await dropSetId(services, node, context);
}
