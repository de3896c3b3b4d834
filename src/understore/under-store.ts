/**
 * An under store: a system that keeps data for good, reached through one connector. Keys are ByteStrings relative to the
 * mount's URI, `/`-separated, never starting with `/`; a key that ends in `/` is a directory (its marker object), any other
 * a file or symbolic link, and `a` never means `a/`. The empty key is the place itself: it can be listed, not read.
 *
 * Listings: a page holds up to `limit` objects and folded prefixes together; where `orderedList`, both are sorted and every
 * later page lies behind in the merged order. A prefix `d/` that is itself an object (the directory of a store that has
 * some, or its marker) is listed as the object `d/`. With `delimiter`, `after` inside a folded directory skips all of it.
 * What is absent lists as empty. A page may be short or empty and still have a `continuation`.
 *
 * Errors are WeirErrors: NotFound, PermissionDenied, PreconditionFailed, ContentChanged, NoSpace, InvalidArgument, Unsupported, and, worth a retry:
 * Unavailable, Overloaded, Timeout. A connector does not retry, limit or measure: wrappers in understore/layers do.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {WeirError} from '#base/errors.ts';
import type {Checksums, ContentMetadata, TimeNs} from '#model/content.ts';
import type {Descriptor} from '#model/file-lease.ts';
import type {DiskFile} from '#runtime/disk.ts';

/** What a store can do, as data. Callers branch on this, never on scheme names. */
export interface Capabilities {
  readonly write: boolean;
  /** Files of this host that can be read in place: `openLocal` works. */
  readonly localFile: boolean;
  /** Directories exist by themselves; without, they are implied by keys and marked by `k/` objects. */
  readonly directories: boolean;
  /** `list` can start after any key; without, it starts at the beginning and is paged by the connector. */
  readonly listAfter: boolean;
  /** `list` returns keys in byte order. */
  readonly orderedList: boolean;
  /** `list` without a delimiter walks the whole tree below the prefix in one stream of pages. */
  readonly recursiveList: boolean;
  /** `read` can be conditional on a fingerprint, in the store itself. */
  readonly conditionalRead: boolean;
  /** `write` can be conditional (`ifAbsent`, `ifFingerprint`), in the store itself. */
  readonly conditionalWrite: boolean;
  readonly rename: 'none' | 'file' | 'tree';
  readonly copy: boolean;
  readonly multipart: boolean;
  /** Parts can be made of ranges of objects that the store has: `copyPart`. */
  readonly copyParts: boolean;
  /** Content headers and user metadata come back as they were written. */
  readonly metadata: boolean;
  /** Owner, group and permission bits are the store's. */
  readonly permissions: boolean;
  readonly partBytesMin: number;
  readonly partBytesMax: number;
  /** Objects up to this size can be written in one request. */
  readonly singleWriteBytesMax: number;
  /** Objects up to this size are taken whole, and several cost less together: `writeTogether`. */
  readonly togetherBytesMax?: number;
}

export interface StoreObject {
  readonly key: ByteString;
  readonly kind: 'file' | 'directory' | 'symlink';
  readonly length: number;
  readonly fingerprint: string;
  readonly etag: string;
  readonly modified: TimeNs;
  readonly checksums: Checksums;
  /** Absent from listings, where stores do not say; present from stat and read. */
  readonly metadata?: ContentMetadata;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly target?: ByteString;
}

export interface StoreListRequest {
  /** Only keys that start with this. With `delimiter` it is empty or ends in `/`. */
  readonly prefix: ByteString;
  readonly after?: ByteString;
  /** Continues a listing: the `continuation` of the page before. */
  readonly continuation?: string;
  /** Fold what lies below the next `/` into `prefixes`. */
  readonly delimiter: boolean;
  readonly limit: number;
}

export interface StoreListPage {
  readonly objects: readonly StoreObject[];
  /** Folded directories, each ending in `/`. */
  readonly prefixes: readonly ByteString[];
  readonly continuation?: string;
}

export interface StoreCallOptions {
  readonly signal: AbortSignal;
}

export interface StoreStatOptions extends StoreCallOptions {
  /**
   * What is answered survives power loss: that the object has its name, or that there is none. Asked by who goes on from what an interrupted change
   * has left: a process that was killed, or a call that failed, may have changed names of a local disk and not synced them.
   */
  readonly lasting?: true;
}

export interface StoreMakeOptions extends StoreCallOptions {
  /** What is made survives the process when it is answered, and power loss no sooner than with a `stat` that asks for what is lasting. A store may do more. */
  readonly lasting?: false;
}

export interface StoreReadRequest {
  /** Absent: from 0. Negative: the last bytes (then `length` is absent). */
  readonly offset?: number;
  /** Absent: to the end. Longer than what there is: what there is. */
  readonly length?: number;
  /** Fails with ContentChanged when the object is another version. */
  readonly ifFingerprint?: string;
}

export interface StoreRead {
  readonly object: StoreObject;
  /** What the body really holds. */
  readonly offset: number;
  readonly length: number;
  /** Buffers of which the receiver may keep hold. Throws Unavailable when the store breaks off before `length`. Must be read to the end or returned. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The receiver, and whoever it showed them to, is done with a chunk or with a part of one, once: the memory may be used for other bytes. Never needed. */
  readonly giveBack?: (chunk: Uint8Array) => void;
}

export interface StoreWriteRequest {
  readonly key: ByteString;
  readonly metadata: ContentMetadata;
  readonly mode?: number;
  /** Bytes, when known. */
  readonly length?: number;
  readonly condition?: {readonly ifAbsent: true} | {readonly ifFingerprint: string};
}

/** A small object with all its bytes. */
export interface SmallWrite {
  /** Not that of a directory. */
  readonly key: ByteString;
  readonly bytes: Uint8Array;
  readonly mode?: number | undefined;
  readonly condition?: StoreWriteRequest['condition'];
}

/** A write under way: nothing is visible in the store before finish, and nothing remains after abort. */
export interface StoreWrite {
  /** Done with a chunk when its write resolves, with the last when `finish` or `abort` does: then its memory may be used again. */
  readonly copies?: true;
  /** Resolves when there is room for more. */
  write(chunk: Uint8Array): Promise<void>;
  /** The same of bytes of a file of this host, where the store takes them from there; false: they are to be written. What was taken of them until then is written over. */
  readonly writeFile?: (file: Descriptor, offset: number, length: number) => Promise<boolean>;
  /** Once `finish` was called: what the store will call an object that was sent in parts, where that is known. */
  readonly etag?: string | undefined;
  /** Makes the object visible, whole. PreconditionFailed. `sent`: for who is to recognise it when the answer is lost (made-after-all.ts). */
  finish(sent?: SentObject): Promise<StoreObject>;
  abort(): Promise<void>;
}

/** An object as it was written. */
export interface SentObject {
  /** Bytes. */
  readonly length: number;
  /** What S3 calls it: the MD5 of its bytes, or that of its parts'. Undefined: not known, and nothing is recognised. */
  readonly etag: string | undefined;
}

/** Bytes of an object as it was when it had this fingerprint. */
export interface StoreRange {
  readonly key: ByteString;
  readonly fingerprint: string;
  readonly offset: number;
  readonly length: number;
}

export interface StorePart {
  readonly partNumber: number;
  /** What the store needs to complete with this part. */
  readonly token: string;
  readonly length: number;
}

/** Conditions that are not met fail with PreconditionFailed, also `ifFingerprint` on an absent key. */
export interface UnderStore extends AsyncDisposable {
  readonly capabilities: Capabilities;
  /** Undefined when there is none. */
  stat(key: ByteString, options: StoreStatOptions): Promise<StoreObject | undefined>;
  /** NotFound, ContentChanged, RangeNotSatisfiable (details: length). */
  read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead>;
  list(request: StoreListRequest, options: StoreCallOptions): Promise<StoreListPage>;
  write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite>;
  /** Capability `togetherBytesMax`: each is made, whole, or not, for itself. Answers in order. Metadata is not kept. */
  writeTogether?(files: readonly SmallWrite[], options: StoreCallOptions): Promise<readonly (StoreObject | WeirError)[]>;
  /** Absent keys are fine, and their absence survives power loss, too. Answers the keys that could not be removed, with the reason. */
  remove(keys: readonly ByteString[], options: StoreCallOptions): Promise<readonly {key: ByteString; error: Error}[]>;
  /** Capability `copy`. Metadata replaces the source's when given. */
  copy(from: ByteString, to: ByteString, request: {metadata?: ContentMetadata; ifFingerprint?: string}, options: StoreCallOptions): Promise<StoreObject>;
  /** Capability `rename`. Replaces a file at `to`. */
  rename(from: ByteString, to: ByteString, options: StoreCallOptions): Promise<void>;
  /** Capability `directories`: an empty one, parents included; elsewhere the marker object. */
  makeDirectory(key: ByteString, options: StoreMakeOptions): Promise<void>;
  /** Capability `multipart`. */
  createUpload(request: StoreWriteRequest, options: StoreCallOptions): Promise<string>;
  /** The body yields exactly `length` bytes. Who asks for its next piece is done with the one before: its memory may be used again. */
  uploadPart(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, options: StoreCallOptions): Promise<StorePart>;
  /** Capability `copyParts`: the part is made of what the store has, whose bytes travel nowhere. NotFound, ContentChanged: here, or from `completeUpload`. */
  copyPart(key: ByteString, uploadId: string, partNumber: number, source: StoreRange, options: StoreCallOptions): Promise<StorePart>;
  completeUpload(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], options: StoreCallOptions): Promise<StoreObject>;
  abortUpload(key: ByteString, uploadId: string, options: StoreCallOptions): Promise<void>;
  /** Capability `localFile`: the file itself. NotFound. */
  openLocal(key: ByteString, options: StoreCallOptions): Promise<{file: DiskFile; object: StoreObject}>;
  close(): Promise<void>;
}

/** Told of the multipart uploads that a store has open, so that what is left of one can be aborted in another life. */
export interface UploadNotes {
  /** Resolves when it is noted durably; no part is sent before. */
  opened(key: ByteString, uploadId: string): Promise<void>;
  /** It is completed or aborted. */
  closed(uploadId: string): void;
}

/** What a connector's folder exports as `connector`. */
export interface Connector {
  readonly schemes: readonly string[];
  /** Every option with its meaning, for help and for the check of unknown names. Marked `secret` where listings must mask it. */
  readonly options: Readonly<Record<string, {readonly help: string; readonly secret?: boolean}>>;
  /**
   * Reads URI and options; InvalidArgument says what is wrong. Does not touch the store. `place` names where the data lies,
   * canonically and without options (`s3://endpoint/bucket/prefix/`), so that overlapping mounts can be refused.
   */
  describe(uri: string, options: Readonly<Record<string, string>>): {readonly place: string; readonly defaultName: string};
  open(uri: string, options: Readonly<Record<string, string>>, environment: ConnectorEnvironment): Promise<UnderStore>;
}

export interface ConnectorEnvironment {
  readonly disk: import('#runtime/disk.ts').Disk;
  readonly http: Pick<import('#runtime/http.ts').Http, 'request'>;
  readonly clock: import('#runtime/clock.ts').Clock;
  readonly random: import('#runtime/random.ts').Random;
  /** The process's environment, for stores that have standard variables. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** For the uploads that a connector opens by itself, for writes and copies; those of `createUpload` are noted around it. */
  readonly uploads?: UploadNotes | undefined;
}
