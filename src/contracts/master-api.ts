/**
 * What the master offers: the namespace, the mounts, and the commit of writes. Paths are ByteStrings in the form of
 * `model/path.ts`; without a trailing slash a path means what `kind` says (default `either`: the directory first).
 *
 * Every answer is durable in the sense of design 4.1, unless the caller is content with less (CallContext.moment): it waits for whatever it has read or written. Errors are WeirErrors;
 * each method names the kinds that are its own. Any method may also fail with PermissionDenied, Cancelled, Timeout,
 * Overloaded, and, where it must ask an under store, with Unavailable.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {JobInfo, MountRequest, PathExplanation, PersistPage, PersistRequest, UsageInfo, WebhookInfo, WebhookRequest} from '#contracts/administration.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {ListPage, ListRequest, ListVersionsRequest, VersionPage} from '#contracts/listings.ts';
import type {BeginWriteOptions, CompleteOptions, PartRecord, Precondition, SealedDraft, SealOptions, UploadRecord, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {Checksums, ContentMetadata, TimeNs} from '#model/content.ts';
import type {LockRange} from '#model/file-locks.ts';
import type {AttributePatch, Settings} from '#model/inode.ts';
import type {Mount} from '#model/mount.ts';
import type {Retention} from '#model/object-lock.ts';
import type {PathKind} from '#model/path.ts';
import type {SpecialFile} from '#model/special-file.ts';

/** An answer about an inode, and until when (wall ms) it may be believed unasked: in the past, or 0, when it may not. Changes that come through Weir do not wait for that. */
export interface NodeInfo {
  readonly info: FileInfo;
  readonly validUntil: number;
}

/** Without `info`: nothing has the name. */
export interface LookupResult {
  readonly info?: FileInfo;
  readonly validUntil: number;
}

/** A name that leads elsewhere, or nowhere, or somewhere for the first time. */
export interface NameChange {
  readonly directory: InodeId;
  readonly name: ByteString;
  /** What it led to before, if to anything. */
  readonly was?: InodeId;
}

/** Bytes of a file, from one up to another: Infinity, to its end and the end itself. */
export interface ChangedRange {
  readonly from: number;
  readonly to: number;
}

/** What those must know who remember answers. `lost`: more has changed than could be told, perhaps anything. */
export interface Changes {
  /** Whose attributes or bytes have changed, or who are gone. */
  readonly inodes: readonly InodeId[];
  readonly names: readonly NameChange[];
  /** Files that the listener has open and another mount has begun to write, or has written: what is read of them is their draft from now on. */
  readonly written?: readonly ({readonly inode: InodeId} & ChangedRange)[];
  readonly lost?: true;
}

/**
 * What a store said about one object, with the mount it lies in. `startedAt` is the wall time in ms at which the question
 * was asked: an answer older than a local commit to the same path is ignored.
 */
export interface Observation {
  readonly startedAt: number;
  /** Absent when the store has no such object. */
  readonly object?: {
    readonly length: number;
    readonly fingerprint: string;
    readonly etag: string;
    readonly checksums: Checksums;
    readonly metadata: ContentMetadata;
    readonly modified: TimeNs;
    readonly mode?: number;
    readonly uid?: number;
    readonly gid?: number;
  };
}

/**
 * Result of `open`. `unknown` means that the namespace knows nothing of the path yet: the caller may read
 * (mount, storeKey) from the store at once and hand what it learns to `observe`, which saves a round trip.
 */
export type OpenResult = {readonly known: FileInfo} | {readonly unknown: Unknown};

export interface Unknown {
  readonly mount: MountId;
  readonly storeKey: ByteString;
  /** How many ms ago the store may have been asked for what is believed now. */
  readonly ageMsMax: number;
}

export interface MakeDirectoryOptions {
  readonly mode?: number;
  /** Make the missing ones above too. Default false. */
  readonly parents?: boolean;
  /** `keep`: one that exists is answered, made explicit if it was implied. Default `fail`: AlreadyExists. */
  readonly existing?: 'fail' | 'keep';
  /** What a new one begins with, in the same transaction, set in this order; one that was kept keeps its own. */
  readonly settings?: Settings;
}

export interface RemoveOptions {
  readonly recursive?: boolean;
  readonly precondition?: Precondition;
  /** As S3 deletes a key whose versions are kept: also one that is not there gets a delete marker. */
  readonly deleteMarker?: boolean;
  /** With `version`: the caller may override GOVERNANCE retention and wants to. */
  readonly bypassGovernance?: boolean;
}

/** How many bytes may lie below a directory (setting `quota`). */
export interface QuotaInfo {
  /** The directory that has it. */
  readonly path: ByteString;
  readonly limit: number;
  /** While `counting`, of what is counted so far. */
  readonly used: number;
  readonly counting: boolean;
}

/** What the quotas above an inode leave it; that of the one which leaves least. */
export interface RoomInfo {
  readonly limit: number;
  readonly used: number;
  /** Bytes that the file may have; of a directory, that are left. */
  readonly lengthMax: number;
}

/** An advisory lock of a program on a mount, or (`none`) its end. */
export interface LockRequest extends LockRange {
  readonly inode: InodeId;
  /** As of flock(2), which has no ranges; else as of fcntl(2). The two do not see each other. */
  readonly whole: boolean;
  /** The mount. */
  readonly holder: string;
  /** Whose it is among those of the holder. */
  readonly owner: string;
  readonly pid: number;
  readonly type: 'read' | 'write' | 'none';
}

/** A lock that is in the way. */
export interface LockInfo extends LockRange {
  readonly type: 'read' | 'write';
  readonly pid: number;
}

export interface RenamePathOptions extends PathOptions {
  /** What is at the target gives way: a file to a file, an empty directory to a directory. */
  readonly replace: boolean;
  /** Both names change what they lead to, whatever that is. `replace` is false then, so that who does not know this refuses. */
  readonly exchange?: boolean;
}

export interface LockChange {
  /** Null removes it. */
  readonly retention?: Retention | null;
  readonly legalHold?: boolean;
  /** The caller may override GOVERNANCE retention and wants to. */
  readonly bypassGovernance?: boolean;
}

/** What was removed, of a key whose versions are kept; else empty. `deleteMarker`: one was made, or (with `version`) that is what was removed. */
export interface RemoveResult {
  readonly versionId?: string;
  readonly deleteMarker?: boolean;
}

export interface MasterApi {
  /** NotFound, NotADirectory. Loads from the store what is not known or no longer fresh. */
  stat(path: ByteString, options: PathOptions, context: CallContext): Promise<FileInfo>;
  /** Where an inode is now, for those who hold its id: canonical, a directory's path ends in `/`. NotFound when it has no name any more. */
  pathOf(inode: InodeId, context: CallContext): Promise<ByteString>;
  /** What the change of this very request answered, if it was made before (CallContext.request): `info` where that is about a file. Undefined: it was not. */
  earlier(context: CallContext): Promise<{readonly info?: FileInfo} | undefined>;
  /** What `stat` says of the inode, wherever it is. NotFound when it has no name any more. */
  statInode(inode: InodeId, context: CallContext): Promise<NodeInfo>;
  /** What a directory has under a name. `kind`: as of a path. NotFound (the directory itself), NotADirectory. */
  lookup(directory: InodeId, name: ByteString, kind: PathKind, context: CallContext): Promise<LookupResult>;
  /**
   * What changes from now on (the first item says that now has come), but for changes whose CallContext has the same `origin`. Who asks for the
   * next item has taken in the one before: changes of others are answered only then, but a slow listener is not waited for long.
   */
  watch(origin: string, context: CallContext): AsyncIterable<Changes>;
  /**
   * The inode is open: until `holder` lets go it can be reached by its id, also when it has no name any more (then `path` is
   * empty), and its content can be read (of what somebody else removed from the store, or went with a whole tree: what is
   * cached of it). Said again it changes nothing. Answers the inode as it is. NotFound, Overloaded.
   */
  retain(inode: InodeId, holder: string, context: CallContext): Promise<FileInfo>;
  /** What is not held is fine. */
  release(inode: InodeId, holder: string, context: CallContext): Promise<void>;
  /** Resolves when every change that was answered before, to whomever, survives power loss (CallContext.moment), and with `inode` the bytes of that file. Io. */
  sync(inode: InodeId | undefined, context: CallContext): Promise<void>;
  /** The id of a file that is not in the namespace yet (BeginWriteOptions.unnamed). It never belongs to anything else. */
  reserveInode(context: CallContext): Promise<InodeId>;
  /**
   * Sets or ends a lock; answers one that is in the way, null when there is none. With `wait` it is waited for. The holder's end (`watch`) lets
   * go of all of its locks. Deadlock, Cancelled, Overloaded.
   */
  lock(request: LockRequest, options: {readonly wait: boolean}, context: CallContext): Promise<LockInfo | null>;
  /** The lock that would be in the way. */
  testLock(request: LockRequest, context: CallContext): Promise<LockInfo | null>;
  /** The holder has exactly these open: said by one that has come back after a restart, and (with none) by or for one that has ended. */
  hold(holder: string, inodes: readonly InodeId[], context: CallContext): Promise<void>;
  /** Like stat for a file that will be read (`kind` defaults to file), without the round trip when nothing is known yet. */
  open(path: ByteString, options: PathOptions, context: CallContext): Promise<OpenResult>;
  /** Takes in what a reader learned after `unknown`. NotFound when the store has no such object. */
  observe(path: ByteString, observation: Observation, context: CallContext): Promise<FileInfo>;
  /** A reader found another version in the store than `content`: refresh, answer what is there now. NotFound. */
  contentChanged(path: ByteString, content: ContentId, context: CallContext): Promise<FileInfo>;
  /** NotFound, NotADirectory, InvalidArgument. A failed listing of the store fails the call and leaves no trace. */
  list(request: ListRequest, context: CallContext): Promise<ListPage>;

  /** AlreadyExists (also where a parent does, without `parents`), NotFound (parent), ReadOnly. Idempotent with `existing: 'keep'`. */
  makeDirectory(path: ByteString, options: MakeDirectoryOptions, context: CallContext): Promise<FileInfo>;
  makeSymlink(path: ByteString, target: ByteString, context: CallContext): Promise<FileInfo>;
  /** A fifo, socket or device. AlreadyExists, NotFound, NotADirectory, InvalidArgument. */
  makeSpecial(path: ByteString, special: SpecialFile, options: {readonly mode: number}, context: CallContext): Promise<FileInfo>;
  setAttributes(path: ByteString, patch: AttributePatch, options: PathOptions, context: CallContext): Promise<FileInfo>;
  /** Retention and legal hold of a version, in a bucket with object lock. NotFound, PermissionDenied (also: it would be let go before its time), InvalidArgument. */
  setLock(path: ByteString, change: LockChange, options: PathOptions, context: CallContext): Promise<FileInfo>;
  /** All settings of a directory, with the revision that `Inode.settings` had (0: none were ever made). NotFound, NotADirectory. */
  getSettings(path: ByteString, context: CallContext): Promise<{readonly revision: number; readonly settings: Settings}>;
  /** Sets one, or removes it (null). The directory stays from now on, also when only keys had called it into being. InvalidArgument (the name), TooLarge. */
  setSetting(path: ByteString, name: string, value: string | null, context: CallContext): Promise<FileInfo>;
  /**
   * NotFound, AlreadyExists, DirectoryNotEmpty, CrossMount, InvalidArgument (into itself; an exchange with a directory whose store cannot rename
   * trees, or where versions are kept), ReadOnly.
   */
  rename(from: ByteString, to: ByteString, options: RenamePathOptions, context: CallContext): Promise<FileInfo>;
  /**
   * Gives a file a further name in its mount. The store has the object under the first one; when that goes, it is moved to another.
   * NotFound, AlreadyExists, CrossMount, PermissionDenied (a directory), Unsupported (a symbolic link; a bucket that keeps versions), ReadOnly.
   */
  link(from: ByteString, to: ByteString, context: CallContext): Promise<FileInfo>;
  /**
   * Of a file whose versions are kept: it becomes an old one behind a delete marker; with `version`, that one goes for good.
   * NotFound, DirectoryNotEmpty (not recursive), ReadOnly, Busy (a mount point lies within), PreconditionFailed, PermissionDenied (also: it is locked).
   */
  remove(path: ByteString, options: RemoveOptions & PathOptions, context: CallContext): Promise<RemoveResult>;
  /** Versions and delete markers of the keys of a bucket, by key, the newest first. NotFound, NotADirectory, InvalidArgument. */
  listVersions(request: ListVersionsRequest, context: CallContext): Promise<VersionPage>;

  /** Checks that the write is allowed and reserves a content id. NotFound, NotADirectory, ReadOnly, PreconditionFailed, IsADirectory. */
  beginWrite(path: ByteString, options: BeginWriteOptions & PathOptions, context: CallContext): Promise<WriteTicket>;
  /**
   * Waits for the path's turn to publish and checks the precondition again. Between this and commitWrite the worker lets
   * the store finish the object; so the store's order of versions is the namespace's. `ticket.writeType` is how the object
   * comes to be after all: of CACHE_THROUGH, no upload of an earlier version is under way from then on.
   */
  prepareCommit(ticket: WriteTicket, context: CallContext): Promise<void>;
  /** Makes the content visible, whole, in one transaction. */
  commitWrite(ticket: WriteTicket, object: WrittenObject, context: CallContext): Promise<FileInfo>;
  /** A new file, empty, in one step; undefined where it takes those of every write. AlreadyExists. */
  makeFile(path: ByteString, options: {readonly mode: number} & SealOptions, context: CallContext): Promise<FileInfo | undefined>;
  /** The id that the content of a draft of this file is to have; undefined where it takes the steps of every write. NotFound: it has no name any more. */
  beginSeal(inode: InodeId, options: SealOptions, context: CallContext): Promise<ContentId | undefined>;
  /** The draft's bytes are kept by the cache as that content: the file has it now, as the next one of its inode; undefined, and the content is dropped, where it takes the steps of every write by now. NotFound. */
  commitSeal(inode: InodeId, sealed: SealedDraft, context: CallContext): Promise<FileInfo | undefined>;
  /** What was kept as that content by a process that died before it committed it is dropped; harmless after a commit. Not to be committed afterwards. */
  abandonSeal(inode: InodeId, content: ContentId, context: CallContext): Promise<void>;
  /** Gives the ticket back; harmless after a commit. */
  abandonWrite(ticket: WriteTicket, context: CallContext): Promise<void>;

  /** Files of which the store has not got the content yet, in the order in which they were made. */
  listPending(request: PersistRequest, context: CallContext): Promise<PersistPage>;
  /**
   * Tries at once what waits at or below the path. With `resolve`, of the conflicts there: `overwrite` the store's version with ours, or
   * `discard` ours, so that the store's is shown. Answers how many files that was about.
   */
  persist(path: ByteString, options: {readonly resolve?: 'overwrite' | 'discard'}, context: CallContext): Promise<{readonly files: number}>;

  createUpload(ticket: WriteTicket, upload: Omit<UploadRecord, 'uploadId' | 'content' | 'initiatedAt' | 'initiator' | 'path' | 'mount' | 'storeKey' | 'metadata'>, context: CallContext): Promise<UploadRecord>;
  /** NotFound when there is no such upload of that path. */
  getUpload(path: ByteString, uploadId: string, context: CallContext): Promise<UploadRecord>;
  /** Answers the part of that number whose place it takes. */
  putPart(path: ByteString, uploadId: string, part: PartRecord, context: CallContext): Promise<PartRecord | undefined>;
  /** Ascending, with numbers > `after`: of an upload of that path, or of the content that it became. NotFound. */
  listParts(path: ByteString, uploadId: string, after: number, limit: number, context: CallContext): Promise<readonly PartRecord[]>;
  /** Ordered by key, then by the time of creation. `after` is exclusive; without an id it means all uploads of that key. InvalidArgument: it is the id of an upload of another key. */
  listUploads(request: {directory: ByteString; prefix?: ByteString; after?: {key: ByteString; uploadId: string}; limit: number}, context: CallContext): Promise<readonly UploadRecord[]>;
  /** A ticket to publish the upload's content with; the upload ends when that ticket commits. */
  beginCompleteUpload(path: ByteString, uploadId: string, options: CompleteOptions, context: CallContext): Promise<WriteTicket>;
  removeUpload(path: ByteString, uploadId: string, context: CallContext): Promise<void>;

  /** AlreadyExists (overlap with another mount's store, or the path is taken), InvalidArgument (options), Unavailable (the store does not answer). */
  mount(request: MountRequest, context: CallContext): Promise<Mount>;
  /** Replaces options, readOnly and freshness of a live mount; nothing cached is dropped unless the URI's place changes. */
  updateMount(path: ByteString, change: Partial<Omit<MountRequest, 'path' | 'uri'>>, context: CallContext): Promise<Mount>;
  /** Forgets metadata and cached bytes of the subtree; the store is untouched. NotFound, Busy (mounts within). */
  unmount(path: ByteString, context: CallContext): Promise<void>;
  listMounts(context: CallContext): Promise<readonly Mount[]>;

  /** Drops what is believed about the path (and below), so that the next use asks the store. */
  refresh(path: ByteString, context: CallContext): Promise<void>;
  explain(path: ByteString, options: PathOptions, context: CallContext): Promise<PathExplanation>;
  listJobs(context: CallContext): Promise<readonly JobInfo[]>;
  /**
   * Stops a job where it stands; from then on the namespace shows what the store has: of a move, what it has brought to the
   * new name there and the rest by the old one; of a removal, what it has left. NotFound, Unsupported.
   */
  cancelJob(id: number, context: CallContext): Promise<void>;
  /**
   * What lies below a directory. For the root and mount points: as counted all along, of what is known. For others: loaded
   * where it is not known, and counted. NotFound, NotADirectory.
   */
  usage(path: ByteString, context: CallContext): Promise<UsageInfo>;
  /** That of a directory or the nearest above; null without one. NotFound, NotADirectory. */
  quota(path: ByteString, context: CallContext): Promise<QuotaInfo | null>;
  /** Null where no quota is. */
  roomOf(inode: InodeId, context: CallContext): Promise<RoomInfo | null>;
  /** Without their secrets. */
  listWebhooks(context: CallContext): Promise<readonly WebhookInfo[]>;
  /** Makes it, or changes where its events go; those that wait stay. InvalidArgument, Unsupported (this instance sends nothing). */
  putWebhook(name: string, webhook: WebhookRequest, context: CallContext): Promise<WebhookInfo>;
  /** With the events that wait for it. NotFound, Busy (a bucket's configuration names it). */
  removeWebhook(name: string, context: CallContext): Promise<void>;
  /** A consistent copy of all metadata as a byte stream with checksums (format: docs/formats/backup.md), while writes go on. */
  backup(context: CallContext): AsyncIterable<Uint8Array>;
}
