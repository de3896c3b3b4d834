/**
 * An object that is sent in parts: the same that its client made it of, so that a store that names objects as S3 does gives it the ETag that
 * the client knows; or those of a small change (changed-parts.ts), of which the store makes most from the version that it has.
 */
import {createHash} from 'node:crypto';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {StoreObject, StorePart, StoreRange, StoreWriteRequest, UnderStore} from '#understore/under-store.ts';

const partsAtOnce = 4;
const partsMax = 10_000;

export interface UploadParts {
  readonly store: UnderStore;
  readonly request: StoreWriteRequest;
  readonly parts: readonly PartToSend[];
  /** The version that the store copies parts from. */
  readonly source?: Pick<StoreRange, 'key' | 'fingerprint'>;
  readonly bytes: (range: ByteRange, signal: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Called before the store could make the object visible; may throw. */
  readonly finishing: () => void | Promise<void>;
  readonly sent?: (bytes: number) => void;
  /** Told before the store makes the object: what it calls it, if it names objects as S3 does. */
  readonly expected?: (etag: string) => Promise<void>;
}

export interface PartToSend {
  /** Bytes. */
  readonly length: number;
  /** Not sent: of what the store has, at the same place. */
  readonly copied?: boolean;
}

/** Whether the store takes parts like these. */
export function takesParts({capabilities: {multipart, localFile, partBytesMin, partBytesMax}}: UnderStore, content: {readonly length: number}, parts: readonly number[]): boolean {
  if (!multipart || localFile || parts.length === 0 || parts.length > partsMax) return false;
  if (parts.reduce((sum, length) => sum + length, 0) !== content.length) return false;
  return parts.every((length, i) => length <= partBytesMax && (length >= partBytesMin || (i === parts.length - 1 && length > 0)));
}

export async function uploadParts({store, request, parts, source, bytes, signal, finishing, sent, expected}: UploadParts): Promise<StoreObject> {
  const {key, condition} = request;
  const uploadId = await store.createUpload(request, {signal});
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  try {
    const stored: StorePart[] = [];
    let offset = 0;
    const ranges = parts.map(({length, copied}) => ({offset: (offset += length) - length, length, copied})).entries();
    let total = 0;
    const count = async function* (range: ByteRange): AsyncGenerator<Uint8Array> {
      for await (const chunk of bytes(range, either)) {
        yield chunk;
        sent?.((total += chunk.length));
      }
    };
    const sender = async (): Promise<void> => {
      for (const [i, {offset: start, length, copied}] of ranges) {
        const range = {offset: start, length};
        stored[i] = copied
          ? await store.copyPart(key, uploadId, i + 1, {...source!, ...range}, {signal: either})
          : await store.uploadPart(key, uploadId, i + 1, count(range), length, {signal: either});
        if (copied) sent?.((total += length));
      }
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
    const etag = etagOfParts(stored);
    if (etag !== undefined) await expected?.(etag);
    await finishing();
    return await store.completeUpload(key, uploadId, stored, condition, {signal});
  } catch (error) {
    // What cannot be aborted now is noted, and aborted by the next sweep.
    await store.abortUpload(key, uploadId, {signal: new AbortController().signal}).catch(() => undefined);
    throw error;
  }
}

const md5Pattern = /^[0-9a-f]{32}$/;

/** What S3 calls an object of these parts; undefined where they are not called by their digests. */
export function etagOfParts(parts: readonly StorePart[]): string | undefined {
  if (!parts.every(({token}) => md5Pattern.test(token))) return undefined;
  const digest = createHash('md5');
  for (const {token} of parts) digest.update(Buffer.from(token, 'hex'));
  return `${digest.digest('hex')}-${parts.length}`;
}
