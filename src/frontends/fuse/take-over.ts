/**
 * Goes on with a mount whose daemon died, or made room: what programs have open is open again, under the same handles, before the kernel is
 * asked for what was not answered. Nothing is read ahead of need: a file is opened again when somebody reads it.
 */
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {KeptDraft, KeptFile} from '#codec/fuse/kept-state.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {DraftInfo} from '#contracts/worker-api.ts';
import type {FileDraft} from '#client/file-system.ts';
import {endDraft, keepDraft} from '#frontends/fuse/drafting.ts';
import {restoredBacking} from '#frontends/fuse/files.ts';
import {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import {type FoundSlot, KeptState} from '#frontends/fuse/kept-state.ts';
import type {MountServices} from '#frontends/fuse/request.ts';
import type {FuseDevice} from '#runtime/fuse.ts';

export interface LeftMount {
  readonly kept: KeptState;
  readonly slots: readonly FoundSlot[];
}

/** What an earlier daemon has left on the device; undefined where it had not begun. Corrupt, Unsupported. */
export function leftMount({kept: memory}: Pick<FuseDevice, 'kept'>): LeftMount | undefined {
  const kept = memory && KeptState.left(memory);
  return kept && {kept, slots: kept.found()};
}

/** Who was open, for those who must keep it from going before the mount is served again. */
export function openInodes({slots}: LeftMount): ReadonlySet<InodeId> {
  return new Set(slots.flatMap(({what}) => (what.kind === 'file' ? [what.node as InodeId] : [])));
}

/** Which drafts of an earlier process the mount goes on with; the others are anybody's. */
export function isOfMount(left: LeftMount): (draft: Pick<DraftInfo, 'inode'>) => boolean {
  const inodes = new Set([...openInodes(left), ...left.slots.flatMap(({what}) => (what.kind === 'draft' ? [what.inode as InodeId] : []))]);
  return ({inode}) => inodes.has(inode);
}

/** Makes everything as it was. `drafts`: what the mount was writing, or others write of what it has open. What was being put away goes on being put away behind. */
export async function takeOver(services: MountServices, {kept, slots}: LeftMount, drafts: readonly FileDraft[], context: CallContext): Promise<void> {
  const {handles} = services;
  for (const {slot, what} of slots) {
    if (what.kind === 'directory') handles.restoreDirectory(what.handle, slot, what.node as InodeId, what.unique);
    else if (what.kind === 'file') await restoreFile(services, slot, what, context);
    else if (what.kind === 'lock') services.locks?.restore(slot, what, services.origin);
  }
  await services.locks?.sayAgain(services, context);
  const left = new Map(drafts.map(draft => [draft.inode, draft]));
  for (const {slot, what} of slots) {
    if (what.kind !== 'draft') continue;
    const found = left.get(what.inode as InodeId);
    left.delete(what.inode as InodeId);
    if (found) await restoreDraft(services, slot, what, found, context);
    // It was published when the daemon ended: the file is what was written.
    else kept.remove(slot);
  }
  // Others write it; or it was being made, and nobody was told that anything had been written to it.
  for (const unused of left.values()) {
    const open = handles.inode(unused.inode);
    if (open) open.draft = new InodeDraft(unused, services.clock, {dirty: false, touched: 0n}, keepDraft(kept, unused.inode));
    else await unused.close({keep: false}, context);
  }
}

async function restoreFile(services: MountServices, slot: number, {handle, node, flags, unique, backing}: KeptFile, context: CallContext): Promise<void> {
  const inode = node as InodeId;
  const {handles, files, origin, log, kept} = services;
  try {
    const known = handles.inode(inode);
    const info = known?.info ?? (await files.retain(inode, origin, context));
    handles.restoreFile(handle, slot, {node: inode, flags, unique}, info, known ? known.backing : await restoredBacking(services, info, backing, context));
  } catch (error) {
    // Whom we ask has gone, not the file.
    if (isKind(error, 'Unavailable')) throw error;
    log.error('fuse: a file that was open when the last daemon ended is lost to those who have it open', {inode, error});
    kept.remove(slot);
  }
}

async function restoreDraft(services: MountServices, slot: number, {node, dirty, touched}: KeptDraft, found: FileDraft, context: CallContext): Promise<void> {
  const {handles, clock, kept} = services;
  const inode = node as InodeId;
  const open = handles.inode(inode);
  const info = open?.info ?? (await named(services, inode, context));
  // Its kernel, which may be writing it again already, knows how long it has made it.
  const draft = new InodeDraft(found, clock, {dirty: dirty && info !== undefined, touched}, keepDraft(kept, inode, slot), {told: found.length});
  if (open) open.draft = draft;
  else void handles.ending(inode, info ? endDraft(services, {handles: 0, info, backing: undefined, draft}, context) : draft.close(context));
}

async function named({files}: MountServices, inode: InodeId, context: CallContext): Promise<FileInfo | undefined> {
  try {
    return (await files.statInode(inode, context)).info;
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}
