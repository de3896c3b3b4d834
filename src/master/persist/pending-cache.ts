/** What a master needs of the cache that keeps pending contents. */
import {WeirError} from '#base/errors.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import type {LastingCache} from '#master/persist/unsynced.ts';
import type {PendingBytes, PendingLease} from '#master/persist/upload-content.ts';
import type {ReadableContent} from '#model/content.ts';

/** The cache, as far as it keeps what no store has yet. */
export interface PendingCache {
  readonly bytes: PendingBytes;
  /** All of a small content, on the spot; undefined: not now. */
  readonly bytesNow: (content: ReadableContent) => Uint8Array | undefined;
  readonly file: PendingLease;
  /** The store of the mount has these too. */
  readonly persisted: (content: ContentId, mount: MountId) => void;
  readonly drop: (contents: readonly ContentId[]) => Promise<void> | void;
  /** An upload whose parts it keeps has ended, and no client knows. */
  readonly uploadEnded: (upload: UploadRecord) => void;
  readonly lasting: LastingCache;
}

/** Without one nothing can become pending. */
export const noCache: PendingCache = {
  bytes: () => {
    throw new WeirError('Unsupported', 'this instance was started without a cache that keeps what is pending');
  },
  bytesNow: () => undefined,
  file: () => Promise.resolve(undefined),
  persisted: () => undefined,
  drop: () => undefined,
  uploadEnded: () => undefined,
  lasting: {makeDurable: contents => Promise.resolve(contents.map(() => false)), keep: () => Promise.resolve(false), isSound: () => Promise.resolve(false)},
};
