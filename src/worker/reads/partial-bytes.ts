/**
 * Bytes of a pending content of which the cache has only what was changed (Content.over): its own pages from the cache, all others from the
 * version that it was made of, where that is: in the cache too, or in the store. A page of its own that is missing is an error, never the other's.
 */
import {isKind, WeirError} from '#base/errors.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {Body, ByteRange} from '#contracts/worker-api.ts';
import {baseOf, type ContentBase, type ReadableContent} from '#model/content.ts';
import {decodeRuns, type Piece, piecesOf} from '#model/own-pages.ts';
import {pendingBytes} from '#worker/reads/pending-bytes.ts';

/** Up to this a range of several pieces is put together before it is answered. */
const togetherBytesMax = 1024 * 1024;

export interface PartialSources {
  readonly blocks: BlockStore;
  /** Of a content that the store has. */
  readonly read: (content: ReadableContent, range: ByteRange, signal: AbortSignal) => Promise<Body>;
}

export type PartialContent = ReadableContent & {readonly over: ContentBase};

export const isPartial = (content: ReadableContent): content is PartialContent => content.over !== undefined;

/** Undefined: the range is wholly the content's own. */
export async function readPartial(sources: PartialSources, content: PartialContent, range: ByteRange, signal: AbortSignal): Promise<Body | undefined> {
  const pieces = [...piecesOf(decodeRuns(content.over.own), range.offset, range.length)];
  if (pieces.length === 1) return pieces[0]!.own ? undefined : await readBase(sources, content, range, signal);
  const stream = piecewise(sources, content, pieces, signal);
  const {length} = range;
  if (length > togetherBytesMax) return {kind: 'stream', length, stream};
  const bytes = Buffer.allocUnsafe(length);
  let at = 0;
  for await (const chunk of stream) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return {kind: 'bytes', length, bytes};
}

export function partialBytes(sources: PartialSources, content: PartialContent, range: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  return piecewise(sources, content, piecesOf(decodeRuns(content.over.own), range.offset, range.length), signal);
}

async function* piecewise(sources: PartialSources, content: PartialContent, pieces: Iterable<Piece>, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  for (const piece of pieces) {
    if (piece.own) yield* pendingBytes(sources.blocks, content, piece, signal);
    else yield* bodyChunks(await readBase(sources, content, piece, signal));
  }
}

async function readBase({read}: PartialSources, content: PartialContent, {offset, length}: ByteRange, signal: AbortSignal): Promise<Body> {
  const base = baseOf(content, content.over);
  if (offset + length > base.length) throw new WeirError('Corrupt', `content ${content.id} needs more of content ${base.id} than that has`);
  try {
    return await read(base, {offset, length}, signal);
  } catch (error) {
    if (!isKind(error, 'NotFound', 'ContentChanged')) throw error;
    throw new WeirError('ContentChanged', 'what was not changed of the file is gone from its store, which has another version of it by now', {cause: error, details: {content: content.id}});
  }
}
