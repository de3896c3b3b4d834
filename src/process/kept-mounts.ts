/** Mounts that outlive who serves them: the one that a process goes on with, and those of other processes that an instance must know of. */
import type {InodeId} from '#base/ids.ts';
import {decodeHeader} from '#codec/fuse/kept-state.ts';
import {systemContext} from '#contracts/context.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import type {DraftInfo} from '#contracts/worker-api.ts';
import {sharesLocks} from '#frontends/fuse/mount.ts';
import {isOfMount, leftMount, type LeftMount} from '#frontends/fuse/take-over.ts';
import type {Master} from '#master/master.ts';
import type {Fuse, FuseDevice, FuseMountOptions} from '#runtime/fuse.ts';
import type {Log} from '#runtime/log.ts';

export interface KeptMount {
  readonly device: FuseDevice;
  readonly left: LeftMount;
}

/** The mount that a process before this one has left, now this one's; one that cannot be gone on with is ended. Busy. */
export async function keptMount(fuse: Fuse, options: FuseMountOptions & {readonly sharedLocks: boolean}, log: Log): Promise<KeptMount | undefined> {
  const device = await fuse.takeOver(options);
  if (!device) return undefined;
  try {
    const left = leftMount(device);
    if (left && sharesLocks(left.kept.flags) === options.sharedLocks) return {device, left};
  } catch (error) {
    log.error('fuse: what the last daemon has left of the mount cannot be read; it is mounted anew', {error});
  }
  await device[Symbol.asyncDispose]();
  return undefined;
}

/** What mounts have open that earlier processes have made, each whether it is served or not: they come back to an instance that starts. */
export function leftMounts(fuse: Fuse, place: string, log: Log): readonly LeftMount[] {
  const found: LeftMount[] = [];
  for (const memory of fuse.keptIn(place)) {
    using kept = memory;
    try {
      const left = leftMount({kept});
      if (left) found.push(left);
    } catch (error) {
      log.error('fuse: what a mount of another process has open cannot be read', {error});
    }
  }
  return found;
}

/** Whether somebody keeps the mount of this name (CallContext.origin). */
export async function isKeptIn(fuse: Fuse, place: string, origin: string): Promise<boolean> {
  const heads = await fuse.keptHeads(place);
  return heads.some(head => {
    try {
      return decodeHeader(Buffer.from(head))?.origin === origin;
    } catch {
      return false;
    }
  });
}

/** Which mount goes on with a draft: the one that has written it, else one that has the file open and was about to. */
export function ownerOf({inode}: DraftInfo, mounts: readonly LeftMount[]): LeftMount | undefined {
  const isWriter = ({slots}: LeftMount): boolean => slots.some(({what}) => what.kind === 'draft' && what.inode === inode);
  return mounts.find(isWriter) ?? mounts.find(left => isOfMount(left)({inode}));
}

/** Its locks are its own, from before anybody else can ask for them. */
export async function restoreLocks(master: Pick<Master, 'lock'>, {kept, slots}: LeftMount): Promise<void> {
  for (const {what} of slots) {
    if (what.kind !== 'lock') continue;
    const {node, owner, kind: _, ...range} = what;
    const request: LockRequest = {...range, inode: node as InodeId, holder: kept.origin, owner: String(owner)};
    await master.lock(request, {wait: false}, systemContext);
  }
}
