/**
 * Drafts of a process that died are published by the next one: what was written is not lost, whether or not the file had been closed. One
 * whose file was replaced meanwhile stays on disk and is reported: nothing is overwritten silently.
 */
import {createHash} from 'node:crypto';
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {MiB} from '#base/units.ts';
import {DraftFile, type DraftServices} from '#client/draft-file.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {DraftInfo, WorkerApi} from '#contracts/worker-api.ts';
import type {SealOptions} from '#contracts/writing.ts';
import type {Content} from '#model/content.ts';
import type {Log} from '#runtime/log.ts';

const chunkBytes = MiB;

/** Drafts that a process left behind. Never fails: what cannot be looked at is logged and kept. */
export async function leftDrafts(worker: WorkerApi, log: Log, context: CallContext): Promise<readonly DraftInfo[]> {
  try {
    return await worker.leftDrafts(context);
  } catch (error) {
    log.error('drafts: what was being written when the last process ended cannot be looked at; it is kept', {error});
    return [];
  }
}

/** Never fails: what cannot be recovered is logged and kept. */
export async function recoverDrafts(services: DraftServices, drafts: readonly DraftInfo[], log: Log, context: CallContext): Promise<void> {
  try {
    await recoverAll(services, drafts, log, context);
  } catch (error) {
    log.error('drafts: what was being written when the last process ended could not all be recovered; it is kept', {error});
  }
}

async function recoverAll(services: DraftServices, drafts: readonly DraftInfo[], log: Log, context: CallContext): Promise<void> {
  for (const left of drafts) {
    const info = await infoOf(services, left.inode, context);
    const {inode} = left;
    const content = info?.inode.content;
    if (!info || (content && (content.id === left.seal || left.laterSeals?.includes(content.id)))) {
      await closePublished(services, left, info !== undefined, context);
      continue;
    }
    const draft = await reopened(services, left, content, {}, context);
    if (content?.id !== left.base) {
      if (await isPublished(draft, info, context)) {
        await draft.close({keep: false}, context);
        continue;
      }
      log.warn('drafts: a file was replaced while it was being written; what was written is kept in the home', {inode});
      await draft.close({keep: true}, context);
      continue;
    }
    try {
      await draft.publish(context);
      await draft.close({keep: false}, context);
    } catch (error) {
      log.error('drafts: what was written before the last end could not be published; it is kept for the next start', {error, inode});
      await draft.close({keep: true}, context);
    }
  }
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

/** The process died between the publication and its note on the draft: the file has these very bytes. */
async function isPublished(draft: DraftFile, {length, inode}: FileInfo, context: CallContext): Promise<boolean> {
  if (draft.length !== length) return false;
  const md5 = createHash('md5');
  for (let at = 0; at < length; ) {
    const bytes = await draft.read({offset: at, length: Math.min(chunkBytes, length - at)}, context);
    if (bytes.length === 0) return false;
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
