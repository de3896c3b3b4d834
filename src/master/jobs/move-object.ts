/** Single objects of a store: to another key by the cheapest way that it has, and away. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Content} from '#model/content.ts';
import type {StoreObject, UnderStore} from '#understore/under-store.ts';

/** By a store that renames: answers the object as it is at `to`. ContentChanged when it has gone from there. */
export async function renameInStore(store: UnderStore, from: ByteString, to: ByteString, signal: AbortSignal): Promise<StoreObject> {
  await store.rename(from, to, {signal});
  const moved = await store.stat(to, {signal});
  if (!moved) throw new WeirError('ContentChanged', 'a renamed object has gone from its new key');
  return moved;
}

/**
 * By a store that does not, or through this process. ContentChanged when the source is another version. Markers of directories are read
 * and written: an S3 over a file system (versitygw 1.8) takes its directory's size for theirs, and refuses to copy them.
 */
export async function copyObject(store: UnderStore, {storeKey, fingerprint}: Pick<Content, 'storeKey' | 'fingerprint'>, to: ByteString, signal: AbortSignal): Promise<StoreObject> {
  if (store.capabilities.copy && !storeKey.endsWith('/')) return await store.copy(storeKey, to, {ifFingerprint: fingerprint}, {signal});
  const read = await store.read(storeKey, {ifFingerprint: fingerprint}, {signal});
  const write = await store.write({key: to, metadata: read.object.metadata ?? {}, length: read.length, ...(read.object.mode === undefined ? {} : {mode: read.object.mode})}, {signal});
  try {
    for await (const chunk of read.body) await write.write(chunk);
    return await write.finish();
  } catch (error) {
    await write.abort();
    throw error;
  }
}

/** Absent is fine. */
export async function removeObject(store: UnderStore, key: ByteString, signal: AbortSignal): Promise<void> {
  const [failed] = await store.remove([key], {signal});
  if (failed) throw failed.error;
}
