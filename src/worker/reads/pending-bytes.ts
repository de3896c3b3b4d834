/** Bytes of a content that its store has not got: there is nobody to ask but the cache. */
import {WeirError} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';

const readBytes = 1 * MiB;

/** In pieces of up to 1 MiB. ContentChanged when the cache does not have them: then another content has taken its place, or the store has got it. */
export async function* pendingBytes(blocks: BlockStore, content: ReadableContent, {offset, length}: ByteRange, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = offset; at < offset + length; ) {
    signal.throwIfAborted();
    const count = Math.min(readBytes - (at % readBytes), offset + length - at);
    let bytes = blocks.readResident(content, at, count) ?? (await blocks.read(content, at, count));
    if (!bytes && !blocks.warm) {
      await blocks.loaded();
      bytes = await blocks.read(content, at, count);
    }
    if (!bytes) throw new WeirError('ContentChanged', `content ${content.id} is not in the cache, and its store has not got it`);
    yield bytes;
    at += count;
  }
}
