/**
 * The block store of a worker: cached bytes of contents on tiers of local directories. It knows contents by id, pages by
 * number, and nothing of files, users or stores.
 *
 * Invariants, each asserted and tested:
 * 1. A page is present only if it was written whole, with a checksum; what is read from disk after a restart is verified
 *    before its first use, and a page that fails is absent.
 * 2. What is leased is not changed, punched, moved or reused. A leased file may be unlinked; its bytes count until the lease ends.
 * 3. Pinned and dirty contents are never evicted; a restart forgets neither.
 * 4. Each tier stays within its quota.
 * 5. Every page, and every small content, is on one tier, also after a crash in the middle of a move. Tiers named MEM hold what is clean.
 * 6. A failing or full disk never fails a read that the store behind could answer: writes are refused (`stored: false`), reads are misses.
 */
import type {ContentId} from '#base/ids.ts';
import type {FileLease} from '#model/file-lease.ts';
import {ownPageBytes, type PageRun} from '#model/own-pages.ts';

export const pageBytes = ownPageBytes;
/** The unit of placement and eviction. */
export const blockBytes = 64 * 1024 * 1024;
/** Contents up to this size live in segments, larger ones have a file each. */
export const segmentContentBytesMax = 256 * 1024;

/** Of a content so long: it lives in segments. */
export const isSmall = (length: number): boolean => length <= segmentContentBytesMax;

export interface TierOptions {
  /** `MEM`, `SSD`, `HDD`: for people. */
  readonly name: string;
  /** A directory of its own, made when absent. */
  readonly directory: string;
  readonly quotaBytes: number;
}

export interface ContentHandle {
  readonly id: ContentId;
  readonly length: number;
}

/** What a content has on one tier. */
export interface Place {
  readonly tier: string;
  readonly bytes: number;
  /** Present pages, as runs. */
  readonly pages: readonly (readonly [first: number, count: number])[];
}

export interface TierUse {
  readonly name: string;
  readonly directory: string;
  readonly quotaBytes: number;
  readonly usedBytes: number;
  readonly state: 'ok' | 'full' | 'failed';
  /** Since the start: dropped for room, moved from here to a slower tier, moved from here to a faster one. */
  readonly evictedBytes: number;
  readonly demotedBytes: number;
  readonly promotedBytes: number;
}

export interface Presence {
  readonly length: number;
  readonly complete: boolean;
  readonly presentBytes: number;
  readonly pinned: boolean;
  readonly dirty: boolean;
}

/** A content that is being written from its beginning to its end or in any order; becomes readable when sealed. */
export interface Draft {
  /** False from the moment that the cache could not keep up (full, failed): the draft is then worthless and writes do nothing. */
  readonly alive: boolean;
  write(chunk: Uint8Array, position: number): Promise<void>;
  /** Makes the content present, whole. False when it could not be kept. */
  seal(content: ContentHandle, options?: {dirty?: boolean}): Promise<boolean>;
  discard(): Promise<void>;
}

/**
 * A draft under a name: a file on a tier that lasts. What is written to it survives the process at once, and power loss after `sync`; whoever
 * made it finds it again by its name. Calls for ranges that overlap are the caller's to order. Calls throw what the disk says, and
 * NoSpace where the tier has no room.
 */
export interface NamedDraft {
  readonly name: string;
  /** Bytes: where it ends. */
  readonly length: number;
  /** Takes room for bytes that will be written where nothing was before. False when there is none. */
  reserve(bytes: number): Promise<boolean>;
  /** Gives back what was reserved and not written to. */
  unreserve(): void;
  /** The buffers must not be changed before it resolves. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /** The same of one buffer on the spot, beside no other change; false where that takes any waiting: then `write`. */
  writeNow(bytes: Uint8Array, position: number): boolean;
  /** Bytes read, fewer than asked for at the end only. */
  read(into: Uint8Array, position: number): Promise<number>;
  truncate(length: number): Promise<void>;
  /** The range becomes zeros; the length stays. */
  punch(position: number, length: number): Promise<void>;
  /** As DiskFile.seek. */
  seek(position: number, to: 'data' | 'hole'): Promise<number | undefined>;
  /** Of the last change. */
  modified(): Promise<bigint>;
  /** What was written before the call survives power loss, the name too. Those who call at once share one sync. */
  sync(): Promise<void>;
  /** At once for who looks for it here; on disk for good after the next `sync`. AlreadyExists. */
  rename(name: string): Promise<void>;
  /**
   * Makes the first `content.length` bytes that content, dirty; the id must be new. Large ones share the draft's file: nothing is copied, and
   * what is changed in that range afterwards would change the content, so nothing may be. `durable`: the content survives power loss when this
   * resolves, else only the process (`makeDurable`). False when it could not be kept: then the draft is as it was.
   * `own`: of a large one only these pages are there, in order; the others are not, and are not looked for in the draft.
   * The draft stays, and with it a way back: `discard` when what names the content is committed; `drop` of the content first to go on with the draft.
   */
  seal(content: ContentHandle, options: {readonly durable: boolean; readonly own?: readonly PageRun[]}): Promise<boolean>;
  /** Takes the name away, and the bytes that are no content's. */
  discard(): Promise<void>;
  /** Leaves it on disk, to be opened again. */
  close(): Promise<void>;
}

/** A draft that is on disk and not open. */
export interface LeftDraft {
  readonly name: string;
  /** Bytes. */
  readonly length: number;
  /** The content that it was sealed as, whether or not that was committed. */
  readonly sealed?: ContentId;
}

/** Their names are up to 200 of `[A-Za-z0-9_-]`. */
export interface NamedDrafts {
  /** Empty, with room for so many bytes reserved. Undefined when no tier that lasts has that. AlreadyExists. */
  make(name: string, bytes?: number): Promise<NamedDraft | undefined>;
  /** One of `left`. A content that it was sealed as is dropped: who opens it knows that it was not committed. NotFound. */
  open(name: string): Promise<NamedDraft>;
  /** All that are on disk and not open, once the store knows them: from earlier lives, or closed in this one. */
  left(): Promise<readonly LeftDraft[]>;
  /** Discards one of `left`. Absent ones are fine. */
  discard(name: string): Promise<void>;
}

export interface BlockStore extends AsyncDisposable {
  /** Undefined: nothing cached. Does not count as use. */
  presence(id: ContentId): Presence | undefined;
  /** Runs of absent pages within pages [first, last]; empty when all are there. Synchronous: the decision to fill is made in one turn. */
  missing(content: ContentHandle, first: number, last: number): readonly {first: number; count: number}[];
  /**
   * Stores whole pages (the content's last may be short) from `firstPage`. For contents of segment size: the whole content at once.
   * Resolves when they can be read; false when they could not be kept. The buffers are not looked at afterwards: their memory may be used
   * for other bytes then. Counts as an insertion to the eviction policy.
   */
  fill(content: ContentHandle, firstPage: number, bytes: readonly Uint8Array[]): Promise<boolean>;
  /**
   * Present ranges, at once and without waiting for a disk; undefined when they are absent, unverified or not in memory. Counts as use.
   * `into`: of that length, where the bytes go instead of into memory of their own.
   */
  readResident(content: ContentHandle, offset: number, length: number, into?: Uint8Array): Uint8Array | undefined;
  /** Reads a present range into memory. Undefined when any page of it is absent (or proved corrupt). Counts as use. */
  read(content: ContentHandle, offset: number, length: number): Promise<Uint8Array | undefined>;
  /** A descriptor for a present range that is wholly within one file; undefined when any page is absent or on another tier. Pages not yet verified are verified first. Counts as use. */
  lease(content: ContentHandle, offset: number, length: number): Promise<FileLease | undefined>;
  /** The same at once, where the pages are verified and the file is open. What is leased may be on disk only. Counts as use. */
  leaseNow(content: ContentHandle, offset: number, length: number): FileLease | undefined;
  /** Room for a content about to be written, of about that length; undefined when the cache cannot take it. */
  draft(lengthHint: number | undefined): Promise<Draft | undefined>;
  /** Room for a content that is to be sealed dirty, all of it taken now where the length is known; undefined when there is none, or nothing here lasts. */
  lastingDraft(length: number | undefined): Promise<Draft | undefined>;
  /**
   * The content is `base` but for these pages of its own, which are all that it has behind the base's end; a page that is not its own is as long in both. From now
   * on what is here of the base is here of the content, too, also when the base is dropped.
   */
  succeed(content: ContentHandle, base: ContentHandle, own: readonly PageRun[]): void;
  /** Drafts that outlive the process. */
  readonly drafts: NamedDrafts;
  /** Contents that were sealed without that survive power loss where this answers true, in order. */
  makeDurable(ids: readonly ContentId[]): Promise<readonly boolean[]>;
  /**
   * A content of segment size, dirty: it survives power loss when this answers true, or, unless `durable`, the process (`makeDurable`). The
   * buffers must not be changed before.
   */
  keep(content: ContentHandle, bytes: readonly Uint8Array[], options?: {readonly durable: boolean}): Promise<boolean>;
  /** The same on the spot, of some bytes that were never kept: it survives the process; false, and nothing is kept, where that takes waiting. */
  keepNow(id: ContentId, bytes: Uint8Array): boolean;
  /** Dirty contents of previous lives, when all of what those left is known. */
  leftDirty(): Promise<readonly ContentId[]>;
  drop(id: ContentId): Promise<void>;
  pin(id: ContentId, pinned: boolean): void;
  /** Marks a sealed dirty content as held by the under store too. */
  clean(id: ContentId): Promise<void>;
  /** Where a content's present pages are, from the fastest tier. */
  places(id: ContentId): readonly Place[];
  status(): {readonly tiers: readonly TierUse[]; readonly contents: number; readonly indexBytes: number};
  /** True once the index of a previous life is wholly read; until then unknown contents may be absent though they are on disk. */
  readonly warm: boolean;
  /** Resolves when `warm`. */
  loaded(): Promise<void>;
  close(): Promise<void>;
}
