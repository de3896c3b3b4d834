/** When a draft is made, published and put away. */
import type {InodeId} from '#base/ids.ts';
import {isKind} from '#base/errors.ts';
import type {FileDraft} from '#client/file-system.ts';
import {notification} from '#codec/fuse/abi.ts';
import {invalidateEntryBody, invalidateInodeBody, notificationHead} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import {systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {Errno} from '#frontends/fuse/failure.ts';
import type {OpenInode} from '#frontends/fuse/handles.ts';
import {shownName} from '#frontends/fuse/file-names.ts';
import {InodeDraft, type KeepDraft} from '#frontends/fuse/inode-draft.ts';
import type {KeptState} from '#frontends/fuse/kept-state.ts';
import {infoOfNode} from '#frontends/fuse/names.ts';
import type {MountServices} from '#frontends/fuse/request.ts';
import {takeBackOwn} from '#frontends/fuse/shared-bytes.ts';
import {unlessKilled} from '#frontends/fuse/unless-killed.ts';

/** What a file has may be put elsewhere so often between finding it and opening it. */
const changesMax = 8;

type JoiningServices = Pick<MountServices, 'files' | 'handles' | 'clock' | 'kept' | 'origin' | 'log'>;

export interface DraftingServices extends Pick<MountServices, 'writing'> {
  readonly files: Pick<MountServices['files'], 'openDraft' | 'statInodeNow' | 'statInode'>;
  readonly handles: Pick<MountServices['handles'], 'endingAs'>;
}

/** The draft of an inode that is open; made when it is first changed, on whatever mount. */
export async function draftOf(services: MountServices, node: InodeId, options: {readonly empty: boolean}, context: CallContext): Promise<InodeDraft> {
  const open = services.handles.inode(node);
  if (!open) throw new Errno('EBADF');
  if (open.backing) throw new Errno('ETXTBSY');
  for (;;) {
    const draft = open.draft ?? (await unlessKilled(open.drafting ??= make(services, open, node, options, context).finally(() => delete open.drafting), context));
    if (draft) return draft;
  }
}

/** The draft of a file that is open here and that others write: from now on it is read. Never rejects. */
export async function joinDraft({files, handles, clock, kept, origin, log}: JoiningServices, node: InodeId): Promise<InodeDraft | undefined> {
  const open = handles.inode(node);
  // What was handed to the kernel stays what it was.
  if (!open || open.draft || open.backing || open.unnamed) return open?.draft;
  const join = async (): Promise<InodeDraft | undefined> => {
    const draft = await files.joinDraft(node, {...systemContext, origin, moment: 'safe'});
    return draft && (open.draft = new InodeDraft(draft, clock, {dirty: false, touched: 0n}, keepDraft(kept, node), {isShared: true}));
  };
  try {
    return await (open.drafting ??= join().finally(() => delete open.drafting));
  } catch (error) {
    log.warn('fuse: what others write of a file that is open cannot be read', {error, inode: node});
    return undefined;
  }
}

async function make(services: MountServices, open: OpenInode, node: InodeId, {empty}: {readonly empty: boolean}, {principal, origin}: CallContext): Promise<InodeDraft> {
  // Others may wait for it too: who asked first does not take it along when he goes.
  const context: CallContext = {...systemContext, principal, moment: 'safe', ...(origin === undefined ? {} : {origin})};
  await services.handles.ended(node);
  const info = await infoOfNode(services, node, context).catch(error => (isKind(error, 'NotFound') ? services.files.retain(node, services.origin, context) : Promise.reject(error as Error)));
  const draft = await openDraft(services, info, empty, context);
  open.draft = new InodeDraft(draft, services.clock, {dirty: empty && info.length > 0, touched: 0n}, keepDraft(services.kept, node));
  return open.draft;
}

/** The draft of a file that is open, on the spot where it has none and no bytes yet: most files are new when they are written first. */
export function draftNow(services: MountServices, node: InodeId): InodeDraft | undefined {
  const {files, handles, writing, clock, kept, origin} = services;
  const open = handles.inode(node);
  if (!open || open.draft) return open?.draft;
  if (open.backing || open.drafting || handles.isEnding(node)) return undefined;
  const info = files.statInodeNow(node)?.info;
  const draft = info?.length === 0 ? files.openDraftNow(info, writing, {origin}) : undefined;
  return draft && (open.draft = new InodeDraft(draft, clock, {dirty: false, touched: 0n}, keepDraft(kept, node)));
}

/** Keeps the state of the draft of `node`: in a slot of its own, from the first time on. */
export function keepDraft(kept: KeptState, node: InodeId, slot?: number): KeepDraft {
  let own = slot;
  return (state) => {
    if (!state) {
      if (own !== undefined) kept.remove(own);
      own = undefined;
    } else if (own === undefined) own = kept.add({kind: 'draft', node, ...state});
    else kept.set(own, {kind: 'draft', node, ...state});
  };
}

/** EBUSY while it is being recovered. Where versions are kept, whoever has just closed the file has left another inode, whose draft may not be put away yet. */
export async function openDraft({files, writing, handles}: DraftingServices, known: FileInfo, empty: boolean, context: CallContext): Promise<FileDraft> {
  let info = known;
  for (let changes = 0; ; ) {
    const before = handles.endingAs(info.inode.id);
    try {
      return await files.openDraft(info, {empty, ...writing}, context);
    } catch (error) {
      // Its store has got what the cache had meanwhile, and the cache has let it go.
      if (isKind(error, 'ContentChanged') && info.path !== '' && changes++ < changesMax) {
        info = await infoOfNode({files}, info.inode.id, context);
        continue;
      }
      if (!isKind(error, 'AlreadyExists')) throw error;
      // It may have ended since.
      const ending = handles.endingAs(info.inode.id) ?? before;
      if (!ending) throw new Errno('EBUSY');
      await ending;
    }
  }
}

export async function publish(services: MountServices, node: InodeId, context: CallContext): Promise<void> {
  const published = await services.handles.inode(node)?.draft?.publish(context);
  if (published) await forget(services, node, published);
}

/**
 * What the kernel remembers of a file is not what was published. Attributes alone are forgotten without waiting for anybody. Where versions are
 * kept, what was published is another inode: then the name is forgotten too, before whoever closes the file is answered. Nobody who closes
 * one holds its directory, which that may wait for.
 */
export async function forget({device, numbered}: Pick<MountServices, 'device' | 'numbered'>, node: InodeId, {inode}: FileInfo): Promise<void> {
  forgetAttributes({device, numbered}, node);
  if (inode.id !== node) await device.notify(notification.invalidateEntry, invalidateEntryBody(numbered(inode.parent), shownName(inode.name, inode.id, false)));
}

export function forgetAttributes({device, numbered}: Pick<MountServices, 'device' | 'numbered'>, node: InodeId): void {
  const body = invalidateInodeBody(numbered(node), -1n, 0n);
  device.send(notificationHead(notification.invalidateInode, body.length), body);
}

/** Nobody has the file open any more. What could not be published is kept, and said: there is nobody left to tell. */
export async function endDraft({log, ...services}: Pick<MountServices, 'log' | 'device' | 'numbered'>, open: OpenInode, context: CallContext): Promise<void> {
  // Who wanted it may have been killed meanwhile.
  const draft = open.draft ?? (await open.drafting?.catch(() => undefined));
  const {info} = open;
  if (!draft) return;
  try {
    const published = await draft.publish(context);
    if (published) await forget(services, info.inode.id, published);
  } catch (error) {
    log.error('fuse: what was written could not be published; it is kept for the next start', {error, inode: info.inode.id});
  }
  await draft.close(context);
  // Also what was mapped, and written back since the last FLUSH.
  if (draft.isShared) await takeBackOwn(services, info.inode.id, draft, {from: 0, to: Infinity});
}
