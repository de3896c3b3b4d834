/**
 * What the kernel has of a file that is written on other mounts too. Its pages are taken back, and it is told how long the file is when that has become
 * longer, which it would not ask before it appends: by the last byte, as nothing else says so.
 */
import type {InodeId} from '#base/ids.ts';
import {notification} from '#codec/fuse/abi.ts';
import {invalidateInodeBody, storeBody} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import type {ChangedRange} from '#contracts/master-api.ts';
import type {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import type {MountServices} from '#frontends/fuse/request.ts';

type Services = Pick<MountServices, 'device' | 'numbered'>;

export function takeBackBytes(services: Services, node: InodeId, draft: InodeDraft, range: ChangedRange, context: CallContext): Promise<void> {
  return draft.takingBack(() => takeBack(services, node, draft, range, context));
}

async function takeBack({device, numbered}: Services, node: InodeId, draft: InodeDraft, {from, to}: ChangedRange, context: CallContext): Promise<void> {
  const longer = await draft.changedElsewhere(context);
  await device.notify(notification.invalidateInode, invalidateInodeBody(numbered(node), BigInt(from), lengthOf({from, to})));
  if (longer === undefined) return;
  const last = await draft.read(longer - 1, 1, context);
  // Not forgotten again: what its own programs have under way would be read as it was before.
  if (last.length === 1) await device.notify(notification.store, storeBody(numbered(node), longer - 1, last));
}

/**
 * What a mount's own programs have written of it: a page that was taken back while its WRITE was under way may have been read again before the
 * draft had that. Not waited for by that WRITE: the kernel may hold the page until it is answered.
 */
export async function takeBackOwn({device, numbered}: Services, node: InodeId, draft: InodeDraft, range: ChangedRange): Promise<void> {
  await draft.takingBack(() => device.notify(notification.invalidateInode, invalidateInodeBody(numbered(node), BigInt(range.from), lengthOf(range))));
}

/** 0: to the end. */
const lengthOf = ({from, to}: ChangedRange): bigint => (to === Infinity ? 0n : BigInt(to - from));
