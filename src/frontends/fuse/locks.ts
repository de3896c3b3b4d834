/**
 * GETLK, SETLK, SETLKW, of mounts that share their locks with others: the master has them (flock and fcntl), and this side remembers what it
 * was granted (mount-locks.ts), to let go of it when a descriptor is closed. On other mounts the kernel keeps locks by itself, and does not ask.
 */
import type {InodeId} from '#base/ids.ts';
import {notification} from '#codec/fuse/abi.ts';
import {lockBody} from '#codec/fuse/reply.ts';
import type {FuseHead} from '#codec/fuse/request.ts';
import type {CallContext} from '#contracts/context.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import {type BodyOf, type MountServices, nodeOf, type Operation} from '#frontends/fuse/request.ts';
import {endOfFile} from '#model/file-locks.ts';

const types = ['read', 'write', 'none'] as const;

function requestOf({origin}: MountServices, head: FuseHead, {owner, type, pid, start, end, flock}: BodyOf<'setlk'>): LockRequest {
  const kind = types[type];
  if (kind === undefined) throw new Errno('EINVAL');
  const offset = (at: bigint): number => Number(at > BigInt(endOfFile) ? BigInt(endOfFile) : at);
  return {inode: nodeOf(head), whole: flock, holder: origin, owner: String(owner), pid, type: kind, start: offset(start), end: offset(end)};
}

async function set(services: MountServices, head: FuseHead, body: BodyOf<'setlk'>, wait: boolean, context: CallContext): Promise<undefined> {
  if (!services.locks) throw new Errno('ENOSYS');
  const request = requestOf(services, head, body);
  if (await services.files.lock(request, {wait}, context)) throw new Errno('EAGAIN');
  services.locks.note(request);
  // Names are asked for anew by who has the lock: what others did while they had it may be on its way here.
  if (request.type !== 'none') await services.device.notify(notification.nextEpoch, new Uint8Array(0));
}

export const setlk: Operation<'setlk'> = (services, head, body, context) => set(services, head, body, false, context);
export const setlkw: Operation<'setlkw'> = (services, head, body, context) => set(services, head, body, true, context);

export const getlk: Operation<'getlk'> = async (services, head, body, context) => {
  const found = await services.files.testLock(requestOf(services, head, body), context);
  return lockBody(found ? {...found, type: types.indexOf(found.type)} : {start: 0, end: 0, type: types.indexOf('none'), pid: 0});
};

/** A descriptor is closed: with any of a file's go all locks of ranges that its process has there, with the last of its kind one of the whole file. */
export async function letGo(services: MountServices, node: InodeId, lockOwner: bigint, whole: boolean, context: CallContext): Promise<void> {
  const owner = String(lockOwner);
  if (!services.locks?.has(node, whole, owner)) return;
  const request: LockRequest = {inode: node, whole, holder: services.origin, owner, pid: 0, type: 'none', start: 0, end: endOfFile};
  services.locks.note(request);
  await services.files.lock(request, {wait: false}, context);
}
