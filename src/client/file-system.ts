/**
 * The file-system client: what front ends, the command line and programs use. Paths are ByteStrings in the form of
 * `model/path.ts`. The same class works over a master and worker in this process and over connections to them.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {KiB} from '#base/units.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {LookupResult, MasterApi, NodeInfo} from '#contracts/master-api.ts';
import type {ChangedNow, MadeNow} from '#contracts/on-the-spot.ts';
import type {Body, ByteRange, WorkerApi} from '#contracts/worker-api.ts';
import type {BeginWriteOptions, PartRecord, Precondition, SealOptions, Unnamed, UploadRecord} from '#contracts/writing.ts';
import type {AttributePatch, Inode} from '#model/inode.ts';
import type {Checksums, ContentMetadata, TimeNs} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {WriteType} from '#model/mount.ts';
import type {PathKind} from '#model/path.ts';

/** The namespace calls that pass through to the master unchanged. */
export type NamespaceCalls = Pick<
  MasterApi,
  | 'earlier' | 'stat' | 'pathOf' | 'statInode' | 'lookup' | 'watch' | 'retain' | 'reserveInode' | 'release' | 'hold' | 'sync' | 'quota' | 'roomOf' | 'lock' | 'testLock'
  | 'list' | 'makeDirectory' | 'makeSymlink' | 'makeSpecial' | 'setAttributes' | 'setLock' | 'getSettings' | 'setSetting' | 'rename' | 'link' | 'remove' | 'listVersions' | 'mount' | 'updateMount'
  | 'unmount' | 'listMounts' | 'listPending' | 'persist' | 'refresh' | 'listJobs' | 'cancelJob' | 'usage' | 'listWebhooks' | 'putWebhook' | 'removeWebhook' | 'backup' | 'getUpload' | 'listParts' | 'listUploads'
>;

/** A range as protocols write it: from an offset, or the last `suffix` bytes. Cut to the file; RangeNotSatisfiable when nothing is left. */
export type RangeSpec = {readonly offset: number; readonly length?: number} | {readonly suffix: number};

export interface OpenFile extends AsyncDisposable {
  /** One version of the file; reads are of exactly this one, or fail with ContentChanged. */
  readonly info: FileInfo;
  /** The range that a RangeSpec means here. RangeNotSatisfiable, with the length in the details. */
  resolve(range: RangeSpec | undefined): ByteRange;
  read(range: ByteRange, context: CallContext): Promise<Body>;
  /** As many bytes as `into` has, from `offset` on, all of them within the file; false when that would take waiting. */
  readNow(offset: number, into: Uint8Array): boolean;
  /** All of it, which is some bytes, as one file of this host; undefined where that takes long, or cannot be had. */
  lease(context: CallContext): Promise<FileLease | undefined>;
}

/** A read that has begun already. */
export interface OpenedNow {
  readonly info: FileInfo;
  /** What the range means here: some bytes of the file. */
  readonly range: ByteRange;
  readonly body: Body;
}

/** What admission to a bucket depends on. */
export type BucketFacts = Pick<Inode, 'id' | 'uid' | 'settings'>;

/** What was found before a read was admitted. */
export interface FoundAhead {
  /** Of a directory that is known on the spot. */
  readonly bucket: BucketFacts | undefined;
  /** Where only that was asked for: what the object's path names, as of statNow. */
  readonly info: FileInfo | undefined;
  /** As of openNow. Whoever uses the body, which must be used or let go, takes it away. */
  opened: OpenedNow | undefined;
}

/** What is kept of bytes that were sealed on the way in (model/seal.ts): the worker saw ciphertext only. */
export interface SealedAs {
  /** Of the plaintext, instead of what the worker computed. */
  readonly checksums: Checksums;
  /** Of a part: what its key is made with, and its name. */
  readonly salt?: Uint8Array;
  readonly etag?: string;
}

/** Bytes up to which a file's are held in memory until they are all there. */
export const smallBytesMax = 64 * KiB;

export interface FileWriter {
  /** Done with a chunk when its write resolves: then its memory may be used again. */
  readonly copies?: true;
  /** Resolves when the next chunk may come. Where it does not copy, the buffer must not be changed afterwards. */
  write(chunk: Uint8Array): Promise<void>;
  /** Publishes. BadDigest, IncompleteBody, PreconditionFailed. On failure nothing has changed. */
  commit(expected?: {length?: number; md5?: string; checksums?: Checksums}, sealed?: SealedAs): Promise<FileInfo>;
  /** Leaves nothing behind. Harmless after commit. */
  abort(): Promise<void>;
}

/** A file that is being written at any place, in any order; nobody else sees the bytes until they are published. */
export interface FileDraft {
  /** Under which it lies on disk: whose next content it becomes. */
  readonly inode: InodeId;
  /** Bytes. */
  readonly length: number;
  /** Of the last change: the file's mtime when it is published. */
  modified: TimeNs;
  /** Somebody has given the file this mtime by hand. */
  touch(mtime: TimeNs): void;
  /** It was changed, by whomever, since it was opened or published. */
  readonly dirty: boolean;
  /** Learns what others have made of it, of whom was told (Changes.written). */
  refresh(context: CallContext): Promise<void>;
  /** Cut at the end. */
  read(range: ByteRange, context: CallContext): Promise<Uint8Array>;
  /**
   * Beyond the end there are zeros in between; at the end where no position is given. Answers where. Seen by all who have it open when it is answered.
   * `id` names what is appended by a process that may die, for the next one: the second time nothing is written. NoSpace.
   */
  write(position: number | undefined, bytes: Uint8Array, context: CallContext, id?: number): Promise<number>;
  /** The same on the spot, of some bytes; false where that takes waiting, for other changes or other mounts: then `write`. The bytes may be changed afterwards. */
  writeNow(position: number, bytes: Uint8Array): boolean;
  truncate(length: number, context: CallContext): Promise<void>;
  /** The range becomes zeros, as far as the file reaches, and takes no room where that can be had. */
  punch(position: number, length: number, context: CallContext): Promise<void>;
  /** Where data, or a hole, begins at or behind a position within the file; the end is a hole. Undefined: only holes follow. */
  seek(position: number, to: 'data' | 'hole', context: CallContext): Promise<number | undefined>;
  /** What was written before survives power loss. */
  sync(context: CallContext): Promise<void>;
  /** The same, begun on the spot, of one that was synced before; undefined where that takes waiting for more than the disk. */
  syncNow(): Promise<void> | undefined;
  /**
   * Makes the bytes the next content of the same inode, whole; they can be changed and published again. Undefined
   * when the file has no name any more: then nobody could read it. Whatever else fails leaves the draft as it was.
   */
  publish(context: CallContext): Promise<FileInfo | undefined>;
  /** The same on the spot, for whoever is content that it is safe; undefined, and it is as it was, where that takes waiting before it can be made. */
  publishNow(context: CallContext): ChangedNow | undefined;
  /** Publishes a file that had no name, under one. PreconditionFailed, IsADirectory: there is something of that name. */
  publishAs(path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo>;
  /** `keep`: the bytes stay, to be found after a restart. */
  close(options: {readonly keep: boolean}, context: CallContext): Promise<void>;
  /** The same without keeping anything, on the spot; false, and it is open, where that takes waiting. */
  closeNow(): boolean;
}

export interface PartWriter {
  /** Buffers may be changed as soon as `write` has resolved. Else never. */
  readonly copies?: true;
  write(chunk: Uint8Array): Promise<void>;
  commit(expected?: {length?: number; md5?: string; checksums?: Checksums}, sealed?: SealedAs): Promise<PartRecord>;
  abort(): Promise<void>;
}

export interface CreateOptions extends BeginWriteOptions, PathOptions {
  readonly length?: number;
  /** Checksums to compute and keep, beyond the ETag's MD5. */
  readonly checksums?: readonly (keyof Checksums)[];
}

export interface CopyOptions extends Omit<PathOptions, 'version'> {
  /** Copy this version of the source. */
  readonly sourceVersion?: string;
  readonly metadata?: ContentMetadata;
  /**
   * The copy is named as S3 names copies, by what its bytes are in one piece and not by the parts that its source was made of, with this
   * checksum instead of the source's where one is given. Where the source has no such names its bytes are read. Default: the source's names.
   */
  readonly onePiece?: {readonly checksum?: keyof Checksums};
  /** Extended attributes that the copy begins with. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
  readonly sourcePrecondition?: Precondition;
  readonly precondition?: Precondition;
  readonly writeType?: WriteType;
}

export interface OpenOptions extends PathOptions {
  /** What will be read first. */
  readonly range?: RangeSpec;
  /** The caller can do something with bytes that are sealed (model/seal.ts). */
  readonly sealed?: boolean;
}

export interface CompletedPart {
  readonly partNumber: number;
  readonly etag: string;
  readonly checksums?: Checksums;
}

export interface CompleteUploadOptions {
  readonly precondition?: Precondition;
  /** Of the whole object, verified. */
  readonly length?: number;
  readonly checksums?: Checksums;
  /** What every part but the last must have at least; a smaller one is InvalidArgument with `details` partNumber and partBytes. */
  readonly partBytesMin?: number;
}

/** Files that are written in place. */
export interface DraftSource {
  /**
   * To write a file in place: with its bytes, or `empty` (also one without a name, which has no content yet); while others write it, their draft, as it is.
   * AlreadyExists while this mount (CallContext.origin) does, or it is being recovered; PermissionDenied for the bytes of a sealed file.
   */
  openDraft(file: FileInfo, options: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<FileDraft>;
  /** The same of a file that has no bytes, as it was found in this very turn, and that nobody else has open, on the spot; undefined where it takes waiting, or fails. */
  openDraftNow(file: FileInfo, options: SealOptions, context: Pick<CallContext, 'origin'>): FileDraft | undefined;
  /** Whether somebody writes the file: then whoever has opened it reads the draft (`joinDraft`). True also where that takes asking. */
  isWrittenNow(inode: InodeId): boolean;
  /** The draft that others write, for one who has the file open (`retain`); undefined when there is none. */
  joinDraft(inode: InodeId, context: CallContext): Promise<FileDraft | undefined>;
  /** What a mount was writing, or others write of what it has open, for the process that goes on with it: when all that the one before has begun is done, and it can do no more. */
  handOverDrafts(holder: string, context: CallContext): Promise<readonly FileDraft[]>;
}

export interface FileSystem extends NamespaceCalls, DraftSource {
  /**
   * Opens a file for reading. `range` is what will be read first (a whole file: `{offset: 0}`), and reading it begins with the
   * open: where nothing is known of the path yet, it is asked of the store together with the metadata, in one round trip; and where
   * the store has another version than the namespace thought, the new one is opened instead. Reading that very range then
   * costs nothing more; without `range` nothing is read, and a version that is gone fails the read. Dispose of the file
   * when it is not read after all. NotFound, IsADirectory, PermissionDenied (also: it is sealed, and `sealed` was not said).
   */
  open(path: ByteString, options: OpenOptions, context: CallContext): Promise<OpenFile>;
  /** To read a file that was retained, as it is; also one that has no path any more. */
  openRetained(info: FileInfo): OpenFile;
  /** What a path names, on the spot; undefined where that takes any waiting, or nothing is known to be there. */
  statNow(path: ByteString, options: PathOptions, context: Pick<CallContext, 'principal'>): FileInfo | undefined;
  /** The same of an inode, and of a name in a directory, for who may see everything. */
  statInodeNow(inode: InodeId): NodeInfo | undefined;
  /** Whether there are quotas at all; true where that takes asking. */
  hasQuotasNow(): boolean;
  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined;
  /** The file that an inode is, retained for the holder; undefined where that takes any waiting, it is no file, or it is sealed: then nothing is retained. Overloaded. */
  openInodeNow(inode: InodeId, holder: string): OpenFile | undefined;
  /** `setAttributes` of an inode, as `patch` says of what it is, on the spot, for whoever is content that it is safe; undefined where that takes waiting: whether it is changed is not known then. */
  setInodeAttributesNow(inode: InodeId, patch: (inode: Inode) => AttributePatch | undefined, context: CallContext): FileInfo | undefined;
  /** `release` on the spot; false where that takes any waiting: then it is not released. */
  releaseNow(inode: InodeId, holder: string): boolean;
  /** Whether `sync` of an inode would wait for nothing; false where that takes asking. */
  lastsNow(inode: InodeId): boolean;
  /** Nothing can be written below the mount of the namespace (FileInfo.mount), whoever asks; false also where that is not known here. */
  isReadOnlyNow(mount: MountId): boolean;
  /**
   * The first read of a file on the spot, where everything is known, cached and in this process; undefined otherwise, also where the range
   * is not satisfiable or the file is sealed: then `open` it. The body must be used or let go. PermissionDenied.
   */
  openNow(path: ByteString, range: RangeSpec, context: Pick<CallContext, 'principal'>): OpenedNow | undefined;
  /**
   * Where openNow and statNow cannot answer because what they ask is in another thread: the answers of both, for a principal whose access is decided
   * by policies, to be used in the turn in which they come. Without a range nothing is opened. Undefined where asking on the spot is the way.
   */
  findAhead(bucket: ByteString, path: ByteString, range: RangeSpec | undefined): Promise<FoundAhead> | undefined;
  create(path: ByteString, options: CreateOptions, context: CallContext): Promise<FileWriter>;
  /** The same on the spot, of little (`smallBytesMax`, and `length` is said) that nothing but the disk has to be waited for; undefined where it takes more. Fails as `create`. */
  createNow(path: ByteString, options: CreateOptions, context: CallContext): FileWriter | undefined;
  /** Copies one file to another path; by the store itself where it can. Metadata replaces the source's when given. What is sealed is so afterwards. */
  copy(from: ByteString, to: ByteString, options: CopyOptions, context: CallContext): Promise<FileInfo>;

  createUpload(path: ByteString, options: CreateOptions & Pick<UploadRecord, 'checksumAlgorithm' | 'checksumType'>, context: CallContext): Promise<UploadRecord>;
  uploadPart(path: ByteString, uploadId: string, partNumber: number, options: {readonly length: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext): Promise<PartWriter>;
  /** `parts`: what the caller wants assembled, ascending. InvalidArgument names a part that is unknown or has another ETag. */
  completeUpload(path: ByteString, uploadId: string, parts: readonly CompletedPart[], options: CompleteUploadOptions, context: CallContext): Promise<FileInfo>;
  abortUpload(path: ByteString, uploadId: string, context: CallContext): Promise<void>;

  /** A new file, empty, where nothing is; its directory is there. AlreadyExists or PreconditionFailed. */
  makeFile(path: ByteString, options: {readonly mode: number} & SealOptions, context: CallContext): Promise<FileInfo>;

  /** The same by the directory, retained for the holder, on the spot; undefined, and nothing is made, where that takes waiting, or fails. */
  makeFileNow(directory: InodeId, name: ByteString, options: {readonly mode: number; readonly holder: string} & SealOptions, context: CallContext): MadeNow | undefined;

  load(path: ByteString, options: PathOptions, context: CallContext): AsyncIterable<{path: ByteString; loadedBytes: number; totalBytes: number}>;
  free(path: ByteString, options: PathOptions, context: CallContext): Promise<{files: number}>;
  pin(path: ByteString, pinned: boolean, context: CallContext): Promise<void>;
  /** Where the bytes are, how fresh, what it cost, why. */
  explain(path: ByteString, options: PathOptions, context: CallContext): Promise<{master: Awaited<ReturnType<MasterApi['explain']>>; cache?: Awaited<ReturnType<WorkerApi['locate']>>}>;
  status(context: CallContext): Promise<Awaited<ReturnType<WorkerApi['status']>>>;
}
