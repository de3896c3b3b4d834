/**
 * Takes back from the kernel what others have changed. The next changes are asked for when the kernel has forgotten these; until then whoever
 * made them is not answered (MasterApi.watch). Our own are not told here: the kernel knows what it has asked for.
 */
import type {InodeId} from '#base/ids.ts';
import {notification} from '#codec/fuse/abi.ts';
import {invalidateEntryBody, invalidateInodeBody} from '#codec/fuse/reply.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {ChangedRange, Changes} from '#contracts/master-api.ts';
import {joinDraft} from '#frontends/fuse/drafting.ts';
import {shownName} from '#frontends/fuse/file-names.ts';
import type {ShownName} from '#frontends/fuse/own-renames.ts';
import type {MountServices} from '#frontends/fuse/request.ts';
import {takeBackBytes} from '#frontends/fuse/shared-bytes.ts';
import type {Clock} from '#runtime/clock.ts';

const retryMs = 1_000;
/** A name that led nowhere is shown as it is. */
const nobody = 0 as InodeId;
const attributesOnly = -1n;

type Services = Pick<MountServices, 'files' | 'device' | 'handles' | 'remembered' | 'renames' | 'log' | 'origin' | 'locks' | 'numbered' | 'kept'> & {readonly clock: Pick<Clock, 'sleep' | 'nowNs'>};

/** Until the signal aborts. While nothing can be heard, nothing is valid. */
export async function followChanges(services: Services, context: CallContext): Promise<void> {
  const {files, handles, remembered, clock, log, origin, locks} = services;
  for (let heard = false; !context.signal.aborted; ) {
    try {
      for await (const changes of files.watch(origin, context)) {
        // Who listens no more was taken for ended, and what it had open was let go.
        if (heard && !remembered.following) {
          await files.hold(origin, handles.openInodes, context);
          await locks?.sayAgain(services, context);
        }
        if (remembered.following) remembered.turn++;
        else {
          remembered.following = true;
          await joinAll(services);
        }
        await takeBack(services, heard || changes.lost === undefined ? changes : {...changes, lost: true});
        heard = true;
      }
    } catch (error) {
      if (!context.signal.aborted) log.warn('fuse: changes of others cannot be heard for now; nothing is remembered meanwhile', {error});
    }
    remembered.following = false;
    await takeBackAll(services);
    await clock.sleep(retryMs, {signal: context.signal}).catch(() => undefined);
  }
}

async function takeBack(services: Services, {inodes, names, written = [], lost}: Changes): Promise<void> {
  if (lost) {
    await joinAll(services);
    return await takeBackAll(services);
  }
  const {device, handles, remembered, renames, numbered} = services;
  // Found out in this turn: what is answered from now on is as it is after the changes.
  const [whole, attributes] = [new Set<InodeId>(), new Set<InodeId>()];
  const gone: ShownName[] = [];
  for (const {directory, name, was} of names) {
    // What it held is remembered with the directory.
    (remembered.nameChanged(directory, name) ? whole : attributes).add(directory);
    const absent = remembered.takeAbsence(directory, name);
    if (absent || (was !== undefined && remembered.hasNode(was))) gone.push({directory, name: shownName(name, was ?? nobody, false)});
  }
  // Of what is written the draft is read, which others tell of as they change it.
  for (const node of inodes) (remembered.hasListing(node) || handles.inode(node)?.draft ? attributes : whole).add(node);
  const nodes = [...[...whole].map(node => [node, 0n] as const), ...[...attributes].filter(node => !whole.has(node)).map(node => [node, attributesOnly] as const)];
  const known = nodes.filter(([node]) => remembered.hasNode(node));
  for (const entry of gone) {
    await forgetName(services, entry);
    // Renames that the kernel was making are over.
    for (const renamed of renames.from(entry)) await forgetName(services, renamed);
  }
  for (const [node, offset] of known) await device.notify(notification.invalidateInode, invalidateInodeBody(numbered(node), offset, 0n));
  for (const {inode, ...range} of written) await writtenElsewhere(services, inode, range);
}

async function forgetName({device, numbered}: Services, {directory, name}: ShownName): Promise<void> {
  await device.notify(notification.invalidateEntry, invalidateEntryBody(numbered(directory), name));
}

async function writtenElsewhere(services: Services, node: InodeId, range: ChangedRange): Promise<void> {
  const known = services.handles.inode(node)?.draft;
  const draft = known ?? (await joinDraft(services, node));
  if (!draft) return;
  const changed = known ? range : {from: 0, to: Infinity};
  await takeBackBytes(services, node, draft, changed, {...systemContext, origin: services.origin}).catch((error: unknown) => {
    // Unless it was closed meanwhile.
    if (services.handles.inode(node)?.draft === draft) services.log.warn('fuse: what others have written cannot be taken in', {error, inode: node});
  });
}

/** What others write of all that is open here, after that could not be heard. */
async function joinAll(services: Services): Promise<void> {
  const {files, handles} = services;
  for (const node of handles.openInodes) if (files.isWrittenNow(node)) await writtenElsewhere(services, node, {from: 0, to: Infinity});
}

/** Attributes and pages of all that it knows. Names it goes on believing for as long as they are valid, unless the kernel can forget all at once (7.44). */
async function takeBackAll(services: Services): Promise<void> {
  const {device, remembered, numbered} = services;
  remembered.dropListings();
  if (remembered.count === 0) return;
  await device.notify(notification.nextEpoch, new Uint8Array(0));
  for (const node of remembered.nodes()) await device.notify(notification.invalidateInode, invalidateInodeBody(numbered(node), 0n, 0n));
}
