/** The block store as the keeper of what stores are still to get. */
import type {BlockStore} from '#blockstore/block-store.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import {toText} from '#base/byte-string.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import type {Master} from '#master/master.ts';
import type {PendingCache} from '#master/persist/pending-cache.ts';
import type {ReadableContent} from '#model/content.ts';
import {decodeRuns, type Piece, piecesOf} from '#model/own-pages.ts';
import type {Log} from '#runtime/log.ts';
import {pendingBytes} from '#worker/reads/pending-bytes.ts';
import type {Worker} from '#worker/worker.ts';

/** `worker`: once it is there. `isInPlace`: whether files of the mount are read where their store has them, and never cached. */
export function pendingCache(blocks: BlockStore, worker: () => Pick<Worker, 'pendingBytes'> | undefined, isInPlace: (mount: MountId) => boolean, uploadEnded: PendingCache['uploadEnded']): PendingCache {
  const drop = async (contents: readonly ContentId[]): Promise<void> => {
    for (const id of contents) await blocks.drop(id);
  };
  return {
    bytes: (content, signal, range = {offset: 0, length: content.length}) => {
      if (!content.over) return pendingBytes(blocks, content, range, signal);
      const running = worker();
      if (!running) throw new WeirError('Unavailable', 'who reads what was not changed of a file is not there yet');
      return running.pendingBytes(content, range, signal);
    },
    bytesNow: (content) => (content.over ? undefined : blocks.readResident(content, 0, content.length)),
    file: (content) => (content.over ? Promise.resolve(undefined) : blocks.lease(content, 0, content.length)),
    persisted: (content, mount) => void (isInPlace(mount) ? blocks.drop(content) : blocks.clean(content)),
    drop,
    uploadEnded,
    lasting: {
      makeDurable: (contents) => makeDurable(blocks, contents), isSound: (content) => isSound(blocks, content),
      keep: async (id, bytes) => {
        // What the power has torn is found by then, and does not take the place of what is sound.
        await blocks.loaded();
        return await blocks.keep({id, length: bytes.length}, [bytes]);
      },
    },
  };
}

/** What is not dirty any more was dropped, or its store has it: it need not last here, and may be where nothing does. */
async function makeDurable(blocks: BlockStore, contents: readonly ContentId[]): Promise<readonly boolean[]> {
  const dirty = contents.filter((id) => blocks.presence(id)?.dirty);
  const answers = await blocks.makeDurable(dirty);
  const lost = new Set(dirty.filter((_, i) => !answers[i]));
  return contents.map((id) => !lost.has(id));
}

/** Reading verifies: all that is the content's own. */
async function isSound(blocks: BlockStore, content: ReadableContent): Promise<boolean> {
  const {signal} = new AbortController();
  const whole: Piece = {own: true, offset: 0, length: content.length};
  try {
    for (const piece of content.over ? piecesOf(decodeRuns(content.over.own), 0, content.length) : [whole]) {
      if (piece.own) for await (const _ of pendingBytes(blocks, content, piece, signal)) continue;
    }
    return true;
  } catch (error) {
    if (isKind(error, 'ContentChanged')) return false;
    throw error;
  }
}

/** What an earlier life has kept and not committed, or let go of and not noted, may be evicted from now on. */
export async function forgetLeftovers(blocks: BlockStore, master: Master, log: Log): Promise<void> {
  try {
    const left = await blocks.leftDirty();
    if (left.length === 0) return;
    const needed = master.pendingContents();
    for (const id of left) if (!needed.has(id)) await blocks.clean(id);
  } catch (error) {
    log.warn('what an earlier life has left in the cache could not be looked at', {error: String(error)});
  }
}

/** Uploads whose parts an earlier life has kept go on. */
export async function restoreUploads(worker: Worker, master: Master, log: Log): Promise<void> {
  const lost = ({path, uploadId}: UploadRecord, error: unknown) => log.warn('the parts of an upload are lost: the cache does not have them any more', {path: toText(path), uploadId, error: String(error)});
  await worker.restoreUploads(master.keptUploads(), lost).catch((error: unknown) => log.warn('uploads of an earlier life could not be looked at', {error: String(error)}));
}
