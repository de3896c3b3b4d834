/** A content: one immutable version of a file's bytes. A write, an overwrite, a changed fingerprint: a new content id. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, MountId} from '#base/ids.ts';

/** Nanoseconds since 1970, UTC. */
export type TimeNs = bigint;

/**
 * What the writer said about the bytes, kept and given back: lower-case header names (`content-type`, `cache-control`,
 * `x-amz-meta-…`) to values. Values are text as sent (UTF-8 decoded).
 */
export type ContentMetadata = Readonly<Record<string, string>>;

/** Checksum algorithms, as S3 names them in headers. Their numbers are stored: append only. */
export const checksumAlgorithms = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256', 'md5', 'sha512', 'xxhash3', 'xxhash64', 'xxhash128'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

/** By algorithm, base64; `-N` appended when composite. */
export type Checksums = Readonly<Partial<Record<ChecksumAlgorithm, string>>>;

/**
 * Of a content that its store does not have: `pending`, it is to get it; `conflict`, something else has come there meanwhile, and a person
 * decides which of the two stays. Either way the only bytes are in the cache, which keeps them.
 */
export type PersistState = 'pending' | 'conflict';

/**
 * The version that a pending content was made of by changing little: pages of the content that are not its own are those of this one, at the same
 * place, and it ends at a page's end or where that one does wherever such a page is the last. The store has it, until it has the content.
 */
export interface ContentBase {
  readonly id: ContentId;
  /** Bytes. */
  readonly length: number;
  readonly fingerprint: string;
  /** Absent: the content's own. */
  readonly storeKey?: ByteString;
  /** Runs of the pages that are the content's own (model/own-pages.ts). */
  readonly own: Uint8Array;
}

export interface Content {
  readonly id: ContentId;
  /** Bytes. */
  readonly length: number;
  /** Which mount's store holds the bytes, under which key (relative to the mount's URI). */
  readonly mount: MountId;
  readonly storeKey: ByteString;
  /** The store's own version mark, opaque to all but its connector, which can make a read conditional on it. Empty while `pending`. */
  readonly fingerprint: string;
  /** What clients see as ETag, without quotes. Differs from the store's when we uploaded in parts what came in one piece. */
  readonly etag: string;
  readonly checksums: Checksums;
  readonly metadata: ContentMetadata;
  /** When this version became visible: S3's LastModified. POSIX mtime is the inode's. */
  readonly committedAt: TimeNs;
  /**
   * The multipart upload here that made it, and how many parts it has: their records are kept as long as the content. `checked`: it was begun
   * with a checksum, so its parts have checksums to show; otherwise they are Weir's own affair.
   */
  readonly upload?: {readonly id: string; readonly parts: number; readonly checked?: true};
  /** Known from a listing of the store only, which says nothing of `metadata` and little of `checksums`: ask the store before showing those. */
  readonly listed?: true;
  /** Absent: the store has it. */
  readonly pending?: PersistState;
  /** Of a pending one: the cache has only a part of its bytes. */
  readonly over?: ContentBase;
}

/** What a worker needs to read a content. */
export type ReadableContent = Pick<Content, 'id' | 'length' | 'mount' | 'storeKey' | 'fingerprint' | 'pending' | 'over'>;

export interface SealedOver {
  /** Where all other bytes were when the draft looked last. */
  readonly base: ContentBase;
  /** The content of the file that the draft goes on from: what was changed since it was made of `base` is the draft's own, too. */
  readonly after: ContentId;
}

/** What a content is over, to be read. */
export function baseOf({mount, storeKey}: Pick<Content, 'mount' | 'storeKey'>, over: ContentBase): ReadableContent {
  return {id: over.id, length: over.length, mount, storeKey: over.storeKey ?? storeKey, fingerprint: over.fingerprint};
}

