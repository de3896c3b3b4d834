/** What people ask of an instance, and are told: mounts, what is to be persisted, jobs, usage, webhooks, why something is as it is. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Freshness, Mount, WriteType} from '#model/mount.ts';

export interface MountRequest {
  readonly path: ByteString;
  readonly uri: string;
  readonly options: Readonly<Record<string, string>>;
  readonly readOnly?: boolean;
  readonly freshness?: Freshness;
  /** Default: CACHE_THROUGH. */
  readonly writeType?: WriteType;
}

/** A file that its store is still to get. */
export interface PersistInfo {
  /** Where it is now; empty when that is not known at this moment. */
  readonly path: ByteString;
  readonly inode: InodeId;
  /** Bytes. */
  readonly length: number;
  /** `waiting` for its turn, or after a failure for `nextAttemptAt`; a `conflict` waits for a person. */
  readonly state: 'waiting' | 'uploading' | 'conflict';
  /** Wall ms at which it was written. */
  readonly since: number;
  readonly failures: number;
  readonly lastError?: string;
  /** Wall ms. */
  readonly nextAttemptAt?: number;
  /** Of the upload under way. */
  readonly uploadedBytes: number;
}

export interface PersistRequest {
  /** A file, or a directory: all below it. */
  readonly path: ByteString;
  /** Only files made after this one: `next` of the page before. */
  readonly after?: InodeId;
  readonly limit: number;
}

export interface PersistPage {
  readonly entries: readonly PersistInfo[];
  /** `after` for the next page; absent at the end. A page may be short, or empty, and still have one. */
  readonly next?: InodeId;
}

export interface JobInfo {
  readonly id: number;
  /** `move` (a store follows a rename), `remove` (a store and the records follow a delete). */
  readonly kind: 'move' | 'remove';
  readonly path: ByteString;
  readonly state: 'running' | 'waiting' | 'failed';
  readonly done: number;
  readonly startedAt: number;
  readonly lastError?: string;
}

export interface PathExplanation {
  readonly info: FileInfo;
  readonly mount: Mount;
  readonly storeKey: ByteString;
  /** Whether the store may be believed unasked now, and why. */
  readonly fresh: boolean;
  readonly checkedAt: number;
  readonly validUntil: number | 'forever' | 'never';
  readonly reason: string;
  /** Requests that the master sent upstream for this inode since the process started. */
  readonly upstreamRequests: number;
}

export interface UsageInfo {
  readonly files: number;
  readonly directories: number;
  readonly bytes: number;
  /** Old versions and delete markers, which the other numbers leave out; absent when there are none. */
  readonly noncurrent?: {readonly versions: number; readonly deleteMarkers: number; readonly bytes: number};
}

/** Where events of buckets may be sent; operators alone make them. */
export interface WebhookRequest {
  /** http or https; nothing else than a POST is ever sent there. */
  readonly url: string;
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: string;
  /** Messages are signed with it (HMAC-SHA-256). */
  readonly secret?: string;
  /** PEM: whom to believe on https instead of the well-known authorities. */
  readonly certificates?: string;
}

export interface WebhookInfo {
  readonly name: string;
  /** How buckets name it. */
  readonly arn: string;
  readonly url: string;
  readonly hasToken: boolean;
  readonly hasSecret: boolean;
  /** Events that wait to be delivered; may be more than there are while some are refused and others not. */
  readonly backlog: number;
  /** Events that were given up because too many newer ones had come. */
  readonly dropped: number;
  /** Why the last attempt failed; absent when it did not, or since the start there was none. */
  readonly lastError?: string;
}
