/**
 * EDQUOT where it is expected: at the write that makes a file longer than its quotas allow. Asked in steps; what others use meanwhile is
 * noticed by the next step, and at the latest when the file is published.
 */
import type {InodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import type {MountServices} from '#frontends/fuse/request.ts';

const stepBytes = 4 * 1024 * 1024;

/** On the spot: that there is room for a file that is open is known. */
export function hasRoomNow({handles, files}: Pick<MountServices, 'handles' | 'files'>, node: InodeId, length: number): boolean {
  const open = handles.inode(node);
  if (!open || length <= Math.max(open.lengthMax ?? 0, open.draft?.length ?? 0)) return open !== undefined;
  if (files.hasQuotasNow()) return false;
  // Where there is none nobody asks again before the file is closed.
  open.lengthMax = Number.MAX_SAFE_INTEGER;
  return true;
}

/** The file is to become `length` bytes long. */
export async function checkRoom({handles, files}: Pick<MountServices, 'handles' | 'files'>, node: InodeId, length: number, context: CallContext): Promise<void> {
  const open = handles.inode(node);
  if (hasRoomNow({handles, files}, node, length)) return;
  const room = files.hasQuotasNow() ? await files.roomOf(node, context) : null;
  if (room && length > room.lengthMax) throw new Errno('EDQUOT');
  if (open) open.lengthMax = room ? Math.min(room.lengthMax, length + stepBytes) : Number.MAX_SAFE_INTEGER;
}
