/** A pending content that its client made of parts, sent in the same parts: so a store that names objects as S3 does gives it the ETag that the client knows. */
import type {ByteRange} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';
import type {StoreObject, StorePart, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';

const partsAtOnce = 4;
const partsMax = 10_000;

export interface UploadParts {
  readonly store: UnderStore;
  readonly request: StoreWriteRequest;
  readonly content: ReadableContent;
  /** Bytes of each part. */
  readonly parts: readonly number[];
  readonly bytes: (content: ReadableContent, signal: AbortSignal, range: ByteRange) => AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Called before the store could make the object visible; may throw. */
  readonly finishing: () => void;
  readonly sent: (bytes: number) => void;
}

/** Whether the store takes parts like these. */
export function takesParts({capabilities: {multipart, localFile, partBytesMin, partBytesMax}}: UnderStore, content: ReadableContent, parts: readonly number[]): boolean {
  if (!multipart || localFile || parts.length === 0 || parts.length > partsMax) return false;
  if (parts.reduce((sum, length) => sum + length, 0) !== content.length) return false;
  return parts.every((length, i) => length <= partBytesMax && (length >= partBytesMin || (i === parts.length - 1 && length > 0)));
}

export async function uploadParts({store, request, content, parts, bytes, signal, finishing, sent}: UploadParts): Promise<StoreObject> {
  const {key, condition} = request;
  const uploadId = await store.createUpload(request, {signal});
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  try {
    const stored: StorePart[] = [];
    let offset = 0;
    const ranges = parts.map((length) => ({offset: (offset += length) - length, length})).entries();
    let total = 0;
    const count = async function* (range: ByteRange): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes(content, either, range)) {
        yield chunk;
        sent((total += chunk.length));
      }
    };
    const sender = async (): Promise<void> => {
      for (const [i, range] of ranges) stored[i] = await store.uploadPart(key, uploadId, i + 1, count(range), range.length, {signal: either});
    };
    const senders = Array.from({length: Math.min(partsAtOnce, parts.length)}, () =>
      sender().catch((error: unknown) => {
        failed.abort(error);
        throw error;
      }),
    );
    const ends = await Promise.allSettled(senders);
    if (failed.signal.aborted) throw failed.signal.reason;
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    finishing();
    return await store.completeUpload(key, uploadId, stored, condition, {signal});
  } catch (error) {
    // What cannot be aborted now is noted, and aborted by the next sweep.
    await store.abortUpload(key, uploadId, {signal: new AbortController().signal}).catch(() => undefined);
    throw error;
  }
}
