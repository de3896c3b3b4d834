/**
 * What a master and a worker in this process can answer on the spot: a warm read that waits for nobody, without a promise on its way, and the steps of
 * a small write, which waits for the disk alone.
 * `undefined` always means: not now, ask the ordinary way; what is thrown, that way would throw too. Nothing of this travels.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {ChangedRange, LookupResult, NodeInfo} from '#contracts/master-api.ts';
import type {Body, ByteRange, DraftInfo, SealedBytes} from '#contracts/worker-api.ts';
import type {BeginWriteOptions, SealedDraft, SealOptions, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {ReadableContent} from '#model/content.ts';
import type {AttributePatch, Inode} from '#model/inode.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {PathKind} from '#model/path.ts';

export interface MasterOnTheSpot {
  /** What stands at the path, where all of it is known, durable, and may be believed now. PermissionDenied when the principal may not look for it there. */
  statNow(path: ByteString, options: PathOptions, principal: Principal): FileInfo | undefined;
  /** The same by inode, and by what a directory has under a name; also that it has nothing. */
  statInodeNow(inode: InodeId): NodeInfo | undefined;
  /** MasterApi.retain, of a file with bytes that can be read; of nothing else. Overloaded. */
  retainNow(inode: InodeId, holder: string): FileInfo | undefined;
  /** MasterApi.setAttributes of what the inode is, as `patch` says of that, answered when it is safe; undefined: not, or not yet, and it may be asked for again. */
  setInodeAttributesNow(inode: InodeId, patch: (inode: Inode) => AttributePatch | undefined, context: CallContext): FileInfo | undefined;
  /** MasterApi.makeFile and `retain`, by the directory, of callers who are content that it is safe; undefined, and nothing is made, where that takes waiting first, or fails. */
  makeFileNow(directory: InodeId, name: ByteString, options: {readonly mode: number; readonly holder: string} & SealOptions, context: CallContext): MadeNow | undefined;
  /** MasterApi.beginSeal, of what was found in this very turn. */
  beginSealNow(file: FileInfo, options: SealOptions): ContentId | undefined;
  /** MasterApi.commitSeal, of callers who are content that it is safe; undefined, and nothing has changed, where that takes waiting first. */
  commitSealNow(inode: InodeId, sealed: SealedDraft, context: CallContext): ChangedNow | undefined;
  /** MasterApi.release; false: the ordinary way, for it may be the end of a file without a name. */
  releaseNow(inode: InodeId, holder: string): boolean;
  /** Whether MasterApi.sync of the inode would wait for nothing. */
  lastsNow(inode: InodeId): boolean;
  lookupNow(directory: InodeId, name: ByteString, kind: PathKind): LookupResult | undefined;
  /** Whether any directory has a quota. */
  hasQuotasNow(): boolean;
  /** Nothing can be written below the mount, whoever asks. */
  isReadOnlyNow(mount: MountId): boolean;
  /** The same of a file whose bytes will be read. PermissionDenied also when the principal may not. */
  openNow(path: ByteString, principal: Principal): FileInfo | undefined;
  /** MasterApi.beginWrite of a whole new object under ASYNC_THROUGH, or that its store takes whole (`storeSmall`). The ticket does not end by itself: it is committed or abandoned. */
  beginWriteNow(path: ByteString, options: BeginWriteOptions & PathOptions, context: CallContext): WriteTicket | undefined;
  /** Whether so many bytes may be given to `commitWriteNow` as `safe`. */
  mayCarry(bytes: number): boolean;
  /**
   * prepareCommit and commitWrite of such a ticket, whose bytes are kept; the answer comes when the commit is durable, and with it `safe`: the bytes, where
   * they are kept safely and no more. Undefined: it takes both of them, and bytes that are kept durably.
   */
  commitWriteNow(ticket: WriteTicket, object: WrittenObject, context: CallContext, safe?: Uint8Array): Promise<FileInfo> | undefined;
}

/** A change that was made. */
export interface ChangedNow {
  readonly info: FileInfo;
  /** It must not be answered before this resolves; absent: it is safe. */
  readonly safe?: Promise<void>;
}

export interface MadeNow extends ChangedNow, NodeInfo {}

/** The mounts of an instance: which has what open, and what they must hear of what is written and not published. */
export interface MountsOnTheSpot {
  /** Mounts that have the inode open (MasterApi.retain), but for that one. */
  othersWith(inode: InodeId, origin: string | undefined): readonly string[];
  openBy(holder: string): readonly InodeId[];
  /** Changes.written, to these alone. */
  tellWritten(inode: InodeId, range: ChangedRange, to: readonly string[]): void;
  /** When all that was told up to now has been taken in, but for what that one has not. */
  told(except: string | undefined): Promise<void>;
}

export interface WorkerOnTheSpot {
  /** Bytes that are cached and known to be sound. `range` lies within the content. */
  readNow(content: ReadableContent, range: ByteRange): Body | undefined;
  /** The same from `offset` on, as many bytes as `into` has, which lie within the content: copied there, if that needs no waiting. */
  readInto(content: ReadableContent, offset: number, into: Uint8Array): boolean;
  /** Keeps a small content whole and dirty: true when it survives power loss, or, unless `durable`, the process; false when it could not be kept, and nothing of it is. */
  keepSmall(content: ContentId, bytes: Uint8Array, options: {readonly durable: boolean}): Promise<boolean>;
  /** Brings a small content to the store of such a ticket, whole. As StoreWrite.finish. */
  storeSmall(ticket: WriteTicket, chunks: readonly Uint8Array[], length: number, context: CallContext): Promise<{readonly fingerprint: string}>;
  /** WorkerApi.openDraft, of a file without bytes. */
  openDraftNow(inode: InodeId, base: ContentId | undefined, seal: ContentId): DraftInfo | undefined;
  /** WorkerApi.writeDraft, of some bytes, beside no other change of the draft; false: the ordinary way, which may write some of them again. */
  writeDraftNow(draft: number, position: number, bytes: Uint8Array): boolean;
  /** WorkerApi.syncDraft, begun on the spot: the disk alone is waited for; undefined: the ordinary way. */
  syncDraftNow(draft: number): Promise<void> | undefined;
  /** WorkerApi.sealDraft, of a small one; undefined: the ordinary way. */
  sealDraftNow(draft: number, content: ContentId): SealedBytes | undefined;
  /** WorkerApi.rebaseDraft, of one that was sealed so and has its inode still, and of one that is not to be kept, closeDraft; false: the ordinary way. */
  rebaseDraftNow(draft: number, base: ContentId): boolean;
  closeDraftNow(draft: number): boolean;
  /** The content, which has some bytes, as one local file, where it is all there and known to be sound; neither store nor a long check is waited for. */
  leaseWhole(content: ReadableContent, context: CallContext): Promise<FileLease | undefined>;
}
