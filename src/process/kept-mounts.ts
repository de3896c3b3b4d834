/** Mounts that outlive who serves them: the one that a process goes on with, and those of other processes that an instance must know of. */
import type {InodeId} from '#base/ids.ts';
import {decodeHeader} from '#codec/fuse/kept-state.ts';
import {systemContext} from '#contracts/context.ts';
import type {OpenDrafts} from '#client/open-drafts.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import type {DraftInfo} from '#contracts/worker-api.ts';
import {asMounted, sharesLocks} from '#frontends/fuse/mount.ts';
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

/** The drafts that an earlier life has left go on with all mounts that were writing them, or have their files open. Answers those of nobody. */
export async function takeUpDrafts(drafts: OpenDrafts, left: readonly DraftInfo[], mounts: readonly LeftMount[], log: Log): Promise<readonly DraftInfo[]> {
  const lost: DraftInfo[] = [];
  for (const draft of left) {
    const {inode} = draft;
    const owners = mounts.filter(mount => isOfMount(mount)(draft));
    const isDirty = ({slots}: LeftMount): boolean => slots.some(({what}) => what.kind === 'draft' && what.inode === inode && what.dirty);
    if (owners.length === 0) lost.push(draft);
    else {
      await drafts.adopt(draft, owners.map(mount => ({holder: mount.kept.origin, dirty: isDirty(mount)})), asMounted, systemContext).catch((error: unknown) =>
        log.error('drafts: what a mount was writing cannot be gone on with; it is kept for the next start', {error, inode}));
    }
  }
  return lost;
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
