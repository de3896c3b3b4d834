/**
 * What a worker offers: bytes of contents, from the cache or from the store behind, and the path of new bytes to both.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {Observation} from '#contracts/master-api.ts';
import type {PartRecord, UploadRecord, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {WriteType} from '#model/mount.ts';
import type {Checksums, ReadableContent, SealedOver, TimeNs} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';

/**
 * Bytes on their way out, in the cheapest form that there is:
 * `bytes` are small and in memory; a `lease` is a range of a local file that can leave by sendfile(2) and must be disposed;
 * a `stream` yields buffers, and perhaps leases, as they come. All three deliver exactly `length` bytes or fail.
 */
export type Body =
  | {readonly kind: 'bytes'; readonly length: number; readonly bytes: Uint8Array}
  | {readonly kind: 'lease'; readonly length: number; readonly lease: FileLease}
  | {readonly kind: 'stream'; readonly length: number; readonly stream: ByteStream};

/** Yields buffers that the receiver may keep but not change (others read and store them too). */
export interface ByteStream extends AsyncIterable<Uint8Array> {
  /**
   * The same bytes more cheaply, instead of the iteration: a buffer is on loan until the next piece is asked for or the iterator
   * returned; a lease is the receiver's to dispose.
   */
  pieces?(): AsyncIterable<Uint8Array | FileLease>;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** The first read of an object that nobody knew: what the store said, and the read itself, under way. */
export interface Probe {
  readonly observation: Observation;
  /** Hand this to `read` with the content that came of the observation: the bytes already on their way are used and cached. */
  readonly probeId: number;
}

/** Which part of an object a first read wants. Exactly one form; `suffix` asks for the last bytes. */
export type ProbeRange = {readonly offset: number; readonly length?: number} | {readonly suffix: number};

/** Resolves when the object may become visible. `way`: how it comes to be, when that is not as the ticket says. */
export type Ready = (way?: WriteType) => Promise<void>;

export interface WriteStream {
  /** Done with a chunk when its write resolves: then its memory may be used again. */
  readonly copies?: true;
  /** Resolves when the next chunk may come (backpressure of the store). Where it does not copy, the buffer must not be changed afterwards. */
  write(chunk: Uint8Array): Promise<void>;
  /**
   * Lets the store finish the object. `ready` is awaited just before the store could make it visible; if it throws, the
   * object is not made. `expected` is verified against what was written: BadDigest, IncompleteBody. `md5` is hexadecimal (an
   * ETag) or base64 (a Content-MD5).
   */
  finish(ready: Ready, expected?: {length?: number; md5?: string; checksums?: Checksums}): Promise<WrittenObject>;
  /** Stops and leaves nothing behind in store or cache. Harmless after finish. */
  abort(): Promise<void>;
}

export interface CacheLocation {
  /** Present bytes by tier, fastest first. */
  readonly tiers: readonly {readonly name: string; readonly bytes: number; readonly pages: readonly (readonly [first: number, count: number])[]}[];
  readonly pageBytes: number;
  readonly pinned: boolean;
  /** Since the process started: requests and bytes asked of the store for this content, and bytes served from the cache. */
  readonly upstreamRequests: number;
  readonly upstreamBytes: number;
  readonly servedBytes: number;
  /** Whether bytes are read in place (a local store) and never cached, and why. */
  readonly inPlace: boolean;
}

export interface TierStatus {
  readonly name: string;
  readonly directory: string;
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly state: 'ok' | 'full' | 'failed';
}

export interface WorkerStatus {
  readonly tiers: readonly TierStatus[];
  readonly contents: number;
  readonly hitBytes: number;
  readonly missBytes: number;
  readonly upstreamRequests: number;
  readonly upstreamBytes: number;
}

/**
 * A draft: the mutable form of a file's bytes while it is being written (design 4.2). It lies on disk under its inode and the content that it was
 * opened over, so that what was synced is found again after a crash.
 */
export interface DraftInfo {
  readonly draft: number;
  readonly inode: InodeId;
  /** The content that it began with; absent: nothing. */
  readonly base?: ContentId;
  /** The content that it is to be sealed as; of one from before, perhaps has been. */
  readonly seal?: ContentId;
  /** Of one from before, of which power loss has left an earlier state: what it perhaps has been sealed as after that. */
  readonly laterSeals?: readonly ContentId[];
  /** Bytes. */
  readonly length: number;
  /** Of the last change. */
  readonly modified: TimeNs;
}

export interface SealedBytes {
  readonly length: number;
  readonly etag: string;
  /** They survive power loss already. */
  readonly durable: boolean;
  /** The cache has only what is their own. */
  readonly over?: SealedOver;
}

/** Drafts, one a file, for who gives mounts their share of them in the same process (client/open-drafts.ts). */
export interface WorkerDrafts {
  /** A draft with the bytes of `base`, or empty. AlreadyExists when that file has one; NoSpace. */
  openDraft(inode: InodeId, base: ReadableContent | undefined, options: {readonly seal?: ContentId}, context: CallContext): Promise<DraftInfo>;
  /** Drafts that a process left behind when it died, once: to be closed, or opened again. */
  leftDrafts(context: CallContext): Promise<readonly DraftInfo[]>;
  /** One of those goes on, as no content has come of it; of a file, with the true length and time. `content`: what its file has now. */
  reopenDraft(draft: number, content: ReadableContent | undefined, context: CallContext): Promise<DraftInfo>;
  /** What the draft was opened over is here now, or its store has got it. False: that is nothing new, or no answer. */
  moveDraft(draft: number, content: ReadableContent, context: CallContext): Promise<boolean>;
  /** Up to the draft's end. This and what follows: ContentChanged when what was not changed of the file is not where it was (`moveDraft`). */
  readDraft(draft: number, range: ByteRange, context: CallContext): Promise<Uint8Array>;
  /** NoSpace, TooLarge. */
  writeDraft(draft: number, position: number, bytes: Uint8Array, context: CallContext): Promise<void>;
  truncateDraft(draft: number, length: number, context: CallContext): Promise<void>;
  /** The range becomes zeros; the length stays. */
  punchDraft(draft: number, range: ByteRange, context: CallContext): Promise<void>;
  /** Where data, or a hole, begins at or behind a position within the draft; the end is a hole. Undefined: only holes follow. */
  seekDraft(draft: number, position: number, to: 'data' | 'hole', context: CallContext): Promise<number | undefined>;
  /** What was written before survives power loss. */
  syncDraft(draft: number, context: CallContext): Promise<void>;
  /** Its bytes are kept as that content, safe and not durable yet; undefined when the cache could not. */
  sealDraft(draft: number, content: ContentId, context: CallContext): Promise<SealedBytes | undefined>;
  /**
   * The bytes become the ticket's content by way of its store; little of them travels where the store can make the object of the version that it has. Nobody
   * changes the draft meanwhile. `ready` as in WriteStream.finish. PreconditionFailed where the store has another version by now.
   */
  publishDraft(draft: number, ticket: WriteTicket, ready: Ready, context: CallContext): Promise<WrittenObject>;
  /** Its bytes are that content of that inode by now. */
  rebaseDraft(draft: number, inode: InodeId, base: ContentId, context: CallContext): Promise<void>;
  /** `keep`: the bytes stay on disk, for the next `leftDrafts`. */
  closeDraft(draft: number, options: {readonly keep: boolean}, context: CallContext): Promise<void>;
}

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
}

export interface WorkerApi {
  /** `range` must lie within the content. ContentChanged when the store no longer has this version and the bytes are not all cached. */
  read(content: ReadableContent, range: ByteRange, options: {readonly probeId?: number}, context: CallContext): Promise<Body>;
  /** Asks the store for an object of which nothing is known, and starts reading it. A missing object is an observation, not an error. `ageMsMax`: Unknown. */
  probe(mount: MountId, storeKey: ByteString, range: ProbeRange, options: {readonly ageMsMax: number}, context: CallContext): Promise<Probe>;
  /** Starts a new object. `length` when known; the store may need it to choose between one request and parts. */
  write(ticket: WriteTicket, options: {readonly length?: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext): Promise<WriteStream>;
  /** Server-side copy where the store can, else through this worker. `ready` as in WriteStream.finish. */
  copy(source: ReadableContent, ticket: WriteTicket, ready: Ready, context: CallContext): Promise<WrittenObject>;

  /** Opens a multipart upload in the store; returns its name there. Empty: it is kept in the cache, as the ticket's write type wants, until it is completed. */
  createUpload(ticket: WriteTicket, context: CallContext): Promise<string>;
  uploadPart(upload: UploadRecord, partNumber: number, options: {readonly length: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext): Promise<PartStream>;
  /** The parts become `content`, the ticket's. Of a kept upload: ContentChanged when a part was replaced meanwhile; `settleUpload` must follow. */
  completeUpload(upload: UploadRecord, content: ContentId, parts: readonly PartRecord[], ready: Ready, context: CallContext): Promise<WrittenObject>;
  abortUpload(upload: UploadRecord, context: CallContext): Promise<void>;
  /** Of a kept upload: no record names this part any more. */
  dropPart(upload: UploadRecord, part: PartRecord, context: CallContext): Promise<void>;
  /** A kept upload is a file now; or the completion that made `content` of it failed, and it goes on. */
  settleUpload(upload: UploadRecord, content: ContentId, options: {readonly committed: boolean}, context: CallContext): Promise<void>;

  /** Brings the content into the cache whole; yields progress. */
  load(content: ReadableContent, context: CallContext): AsyncIterable<LoadProgress>;
  /** Drops cached bytes; what the store has stays. */
  free(contents: readonly ContentId[], context: CallContext): Promise<void>;
  /** Pinned contents are not evicted. */
  pin(content: ContentId, pinned: boolean, context: CallContext): Promise<void>;
  locate(content: ReadableContent, context: CallContext): Promise<CacheLocation>;
  status(context: CallContext): Promise<WorkerStatus>;
}

export interface PartStream {
  /** Who writes may change a buffer as soon as `write` has resolved. Else never. */
  readonly copies?: true;
  write(chunk: Uint8Array): Promise<void>;
  finish(expected?: {length?: number; md5?: string; checksums?: Checksums}): Promise<PartRecord>;
  abort(): Promise<void>;
}
