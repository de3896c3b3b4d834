/**
 * Drafts of a process that died are published by the next one: what was written is not lost, whether or not the file had been closed. One
 * whose file was replaced meanwhile stays on disk and is reported: nothing is overwritten silently. One whose store is down is tried again until that takes it.
 */
import {createHash} from 'node:crypto';
import {isKind, WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {MiB} from '#base/units.ts';
import {DraftFile, type DraftServices} from '#client/draft-file.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {DraftInfo, WorkerDrafts} from '#contracts/worker-api.ts';
import type {SealOptions} from '#contracts/writing.ts';
import type {Content} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Log} from '#runtime/log.ts';

const chunkBytes = MiB;
export const retryMsMin = 2_000;
export const retryMsMax = 60_000;

/** Drafts that a process left behind. Never fails: what cannot be looked at is logged and kept. */
export async function leftDrafts(worker: Pick<WorkerDrafts, 'leftDrafts'>, log: Log, context: CallContext): Promise<readonly DraftInfo[]> {
  try {
    return await worker.leftDrafts(context);
  } catch (error) {
    log.error('drafts: what was being written when the last process ended cannot be looked at; it is kept', {error});
    return [];
  }
}

/** Its store is down, and may take it later. */
export const isForLater = (error: unknown): boolean => error instanceof WeirError && error.retry === 'later' && error.kind !== 'Conflict';

/** One that met a store which is down: it is open, busy for others, and is tried again. */
export interface WaitingDraft {
  readonly left: DraftInfo;
  /** Absent: what its file has is not known yet. */
  readonly draft?: DraftFile;
}

/** Never fails: what cannot be recovered is logged and kept. Answers those that are to be tried again (`retryDrafts`). */
export async function recoverDrafts(services: DraftServices, drafts: readonly DraftInfo[], log: Log, context: CallContext): Promise<readonly WaitingDraft[]> {
  return await tryAll(services, drafts.map((left) => ({left})), log, context);
}

/** Tries them until their stores have them, later and later. Ends with `context.signal`: what is left then is found by the next start. */
export async function retryDrafts(services: DraftServices, drafts: readonly WaitingDraft[], clock: Pick<Clock, 'sleep'>, log: Log, context: CallContext): Promise<void> {
  let waiting = drafts;
  for (let ms = retryMsMin; waiting.length > 0 && !context.signal.aborted; ms = Math.min(2 * ms, retryMsMax)) {
    await clock.sleep(ms, {signal: context.signal, unref: true}).catch(() => undefined);
    waiting = await tryAll(services, waiting, log, context);
  }
}

async function tryAll(services: DraftServices, drafts: readonly WaitingDraft[], log: Log, context: CallContext): Promise<readonly WaitingDraft[]> {
  const again: WaitingDraft[] = [];
  for (const waiting of drafts) {
    if (context.signal.aborted) break;
    const {left: {inode}} = waiting;
    let {draft} = waiting;
    try {
      draft ??= await recover(services, waiting.left, log, context);
      await draft?.publish(context);
      await draft?.close({keep: false}, context);
    } catch (error) {
      if (draft && isKind(error, 'ContentChanged', 'PreconditionFailed') && (await isReplaced(services, inode, context))) {
        log.warn('drafts: a file was replaced in its store while it was being written, perhaps by the very change', {inode});
        await draft.close({keep: false}, context);
        continue;
      }
      if (isForLater(error)) {
        again.push(draft ? {left: waiting.left, draft} : waiting);
        log.warn('drafts: what was written before the last end could not be published, and is tried again', {error, inode});
        continue;
      }
      log.error('drafts: what was written before the last end could not be published; it is kept for the next start', {error, inode});
      await draft?.close({keep: true}, context).catch(() => undefined);
    }
  }
  return again;
}

/** The store has another version: the one that was being made when the process died, or somebody else's. It is a file of its own, as one that is renamed over another. */
async function isReplaced(services: DraftServices, inode: InodeId, context: CallContext): Promise<boolean> {
  try {
    await services.master.refresh(await services.master.pathOf(inode, context), context);
    return (await infoOf(services, inode, context)) === undefined;
  } catch {
    return false;
  }
}

/** Answers one that is to be published. */
async function recover(services: DraftServices, left: DraftInfo, log: Log, context: CallContext): Promise<DraftFile | undefined> {
  const {inode} = left;
  const info = await infoOf(services, inode, context);
  const content = info?.inode.content;
  if (!info || (content && (content.id === left.seal || left.laterSeals?.includes(content.id)))) {
    await closePublished(services, left, info !== undefined, context);
    return undefined;
  }
  const draft = await reopened(services, left, content, {}, context);
  if (content?.id === left.base) return draft;
  const published = await isPublished(draft, info, context);
  if (!published) log.warn('drafts: a file was replaced while it was being written; what was written is kept in the home', {inode});
  await draft.close({keep: !published}, context);
  return undefined;
}

/** A draft that is gone on with: what it was sealed as it has not become, and will not. */
export async function reopened(services: DraftServices, left: DraftInfo, content: Content | undefined, options: SealOptions, context: CallContext): Promise<DraftFile> {
  const {master, worker} = services;
  if (left.seal !== undefined) await master.abandonSeal(left.inode, left.seal, context);
  const {seal: _seal, laterSeals: _later, ...begun} = await worker.reopenDraft(left.draft, content, context);
  return new DraftFile(services, begun, content?.metadata ?? {}, options, true);
}

/** The process died between the commit and its note on the draft. What was synced stays until what it became lasts, or (`named`) has no name any more. */
export async function closePublished({master, worker}: DraftServices, {draft, inode}: DraftInfo, named: boolean, context: CallContext): Promise<void> {
  const lasts = !named || (await master.sync(inode, context).then(() => true, () => false));
  await worker.closeDraft(draft, {keep: !lasts}, context);
}

/** The process died between the publication and its note on the draft: the file has these very bytes. Of one over another version nobody knows all: it says by its seal what it became. */
async function isPublished(draft: DraftFile, {length, inode}: FileInfo, context: CallContext): Promise<boolean> {
  if (draft.length !== length) return false;
  const md5 = createHash('md5');
  for (let at = 0; at < length; ) {
    const bytes = await draft.read({offset: at, length: Math.min(chunkBytes, length - at)}, context).catch((error: unknown) => {
      if (!isKind(error, 'ContentChanged')) throw error;
      return undefined;
    });
    if (!bytes || bytes.length === 0) return false;
    md5.update(bytes);
    at += bytes.length;
  }
  return md5.digest('hex') === inode.content?.etag;
}

/** Undefined when the inode has no name any more. */
async function infoOf({master}: DraftServices, inode: InodeId, context: CallContext): Promise<FileInfo | undefined> {
  try {
    const info = await master.stat(await master.pathOf(inode, context), {kind: 'file'}, context);
    return info.inode.id === inode ? info : undefined;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}
