/**
 * Writes of which nobody knows whether the store has made them: the answer was lost, or what was sent again met what the first had made. A look tells:
 * an object of that length, which the store calls by the digest of the bytes that were sent, is the one that was written, whoever wrote it.
 */
import type {ByteString} from '#base/byte-string.ts';
import {type ErrorKind, isKind} from '#base/errors.ts';
import type {SentObject, StoreObject, StoreWrite, UnderStore} from '#understore/under-store.ts';

/** After all other failures the store has not made it. */
const doubtful: readonly ErrorKind[] = ['Unavailable', 'Timeout', 'Io', 'PreconditionFailed', 'Conflict', 'NotFound'];
const digestPattern = /^[0-9a-f]{32}(-\d{1,5})?$/;

/** Answers the object after a failure all the same; throws that where the store does not have it, or does not say. */
export async function madeAfterAll(store: UnderStore, key: ByteString, {length, etag}: SentObject, error: unknown, signal: AbortSignal): Promise<StoreObject> {
  if (etag === undefined || !digestPattern.test(etag) || signal.aborted || !isKind(error, ...doubtful)) throw error;
  const there = await store.stat(key, {signal, lasting: true}).catch(() => undefined);
  if (there?.kind !== 'file' || there.length !== length || there.etag !== etag) throw error;
  return there;
}

/** A write whose end is recognised by what was sent. */
export function recognising(write: StoreWrite, store: UnderStore, key: ByteString, signal: AbortSignal): StoreWrite {
  const {copies, writeFile} = write;
  let aborted: Promise<void> | undefined;
  const abort = (): Promise<void> => (aborted ??= write.abort());
  return {
    ...(copies ? {copies} : {}),
    ...(writeFile ? {writeFile: (file, offset, length) => writeFile.call(write, file, offset, length)} : {}),
    write: (chunk) => write.write(chunk),
    finish: (sent) => write.finish().catch(async (error: unknown) => {
      await abort().catch(() => undefined);
      if (!sent) throw error;
      return await madeAfterAll(store, key, {length: sent.length, etag: write.etag ?? sent.etag}, error, signal);
    }),
    abort,
  };
}
