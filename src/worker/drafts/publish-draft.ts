/**
 * A draft becomes its file's content by way of the store (CACHE_THROUGH, versions that are kept). Where it is a change of a version that the store has,
 * the store makes the new object of that version and of what was changed, in parts; what was changed stays in the cache as the content. Everything else is written whole.
 *
 * Every part that is copied, and the object itself at the end, are conditional on that version: where somebody has replaced it, nothing is overwritten. The draft is sealed
 * before the store gets anything: so whoever finds it after a crash knows by the content of the file whether it became that.
 */
import {isKind, WeirError} from '#base/errors.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {Ready} from '#contracts/worker-api.ts';
import type {WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {ReadableContent} from '#model/content.ts';
import {madeAfterAll} from '#understore/made-after-all.ts';
import {changedParts, type PlannedPart} from '#understore/parts/changed-parts.ts';
import {uploadParts} from '#understore/parts/upload-parts.ts';
import type {StoreObject, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';
import type {Drafts} from '#worker/drafts/drafts.ts';
import {copyBytes} from '#worker/drafts/pieces.ts';
import type {Writes} from '#worker/writes/writes.ts';

export interface PublishDraft {
  readonly drafts: Drafts;
  readonly draft: number;
  readonly store: UnderStore;
  readonly blocks: Pick<BlockStore, 'clean' | 'drop'>;
  readonly writes: Pick<Writes, 'write'>;
  readonly ticket: WriteTicket;
  readonly ready: Ready;
  readonly signal: AbortSignal;
}

/** Nobody changes the draft meanwhile. ContentChanged: what was not changed is not where it was; PreconditionFailed; what the store says. */
export async function publishDraft(work: PublishDraft): Promise<WrittenObject> {
  return (await publishChanges(work)) ?? (await publishWhole(work));
}

async function publishWhole({drafts, draft, writes, ticket, ready, signal}: PublishDraft): Promise<WrittenObject> {
  const length = drafts.length(draft);
  const stream = await writes.write(ticket, {length}, {signal});
  try {
    for await (const chunk of chunksOf(drafts, draft, 0, length)) await stream.write(chunk);
    return await stream.finish(ready, {length});
  } catch (error) {
    await stream.abort();
    throw error;
  }
}

/** Undefined: that is nothing for this store, or for this draft. */
async function publishChanges(work: PublishDraft): Promise<WrittenObject | undefined> {
  const {drafts, draft, store, blocks, ticket: {content, mount, writeType, inPlace}} = work;
  const {base, changed, length} = drafts.changes(draft) ?? {};
  const {capabilities} = store;
  // A store that renames moves a version that is kept away before it makes the object.
  const stays = inPlace === true || capabilities.rename === 'none';
  const can = capabilities.multipart && capabilities.copyParts && stays && writeType !== 'ASYNC_THROUGH';
  if (!can || !base || base.mount !== mount) return undefined;
  const parts = changedParts(length!, changed!, capabilities);
  if (!parts || !(await drafts.seal(draft, content))) return undefined;
  try {
    const {length: made, fingerprint, etag, checksums} = await upload(work, base, parts);
    if (made !== length) throw new WeirError('Io', `the store keeps ${made} of ${length} bytes that it was given in parts`);
    // The store has it: what is here may be evicted, or is not looked at.
    await (capabilities.localFile ? blocks.drop(content) : blocks.clean(content));
    return {length, fingerprint, etag, checksums};
  } catch (error) {
    await blocks.drop(content);
    // It says that it can, and cannot: then it gets all of it.
    if (isKind(error, 'Unsupported')) return undefined;
    throw error;
  }
}

async function upload({drafts, draft, store, ticket: {storeKey: key, metadata}, ready, signal}: PublishDraft, {storeKey, fingerprint}: ReadableContent, parts: readonly PlannedPart[]): Promise<StoreObject> {
  const length = drafts.length(draft);
  const condition: StoreWriteRequest['condition'] = storeKey === key ? {ifFingerprint: fingerprint} : undefined;
  const isConditional = condition !== undefined && store.capabilities.conditionalWrite;
  let etag: string | undefined;
  try {
    return await uploadParts({
      store, parts, signal, request: {key, metadata, length, ...(isConditional ? {condition} : {})}, source: {key: storeKey, fingerprint},
      bytes: (range) => chunksOf(drafts, draft, range.offset, range.length),
      finishing: async () => {
        await ready();
        if (condition && !isConditional) await mustHave(store, key, fingerprint, signal);
      },
      expected: async (name) => void (etag = name),
    });
  } catch (error) {
    return await madeAfterAll(store, key, {length, etag}, error, signal);
  }
}

async function mustHave(store: UnderStore, key: ReadableContent['storeKey'], fingerprint: string, signal: AbortSignal): Promise<void> {
  if ((await store.stat(key, {signal}))?.fingerprint !== fingerprint) throw new WeirError('PreconditionFailed', 'the store has another version of the file by now, which was not overwritten');
}

async function* chunksOf(drafts: Drafts, draft: number, offset: number, length: number): AsyncGenerator<Uint8Array> {
  for (let at = offset; at < offset + length; ) {
    const bytes = await drafts.read(draft, {offset: at, length: Math.min(copyBytes, offset + length - at)});
    if (bytes.length === 0) throw new WeirError('Io', 'what is being written is shorter than it was');
    yield bytes;
    at += bytes.length;
  }
}
