/** The steps of a write, between whoever writes, the master that gives it a name and the worker that takes its bytes: a new object, an upload in parts, a draft that is sealed. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {Checksums, ContentMetadata, SealedOver, TimeNs} from '#model/content.ts';
import type {WriteType} from '#model/mount.ts';

/** Checked in the same transaction as the change that it guards. ETags without quotes; `*` = anything. */
export interface Precondition {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  /** Bytes. */
  readonly ifLength?: number;
  /** When the version became visible, in whole seconds since 1970. */
  readonly ifModifiedAt?: number;
}

/** A file that was made without a name, by who has it open alone: what it is when it gets one. */
export interface Unnamed {
  /** MasterApi.reserveInode. */
  readonly id: InodeId;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
}

export interface BeginWriteOptions {
  readonly metadata?: ContentMetadata;
  readonly mode?: number;
  /** Default: what the nearest directory above says (setting `write-type`), else the mount, else `writeTypeDefault`. */
  readonly writeType?: WriteType;
  readonly writeTypeDefault?: WriteType;
  readonly precondition?: Precondition;
  /** Make missing parents (default true): as implied directories for `kind: 'file'` S3 keys, else as explicit ones. */
  readonly parents?: 'implied' | 'explicit' | 'none';
  /** Extended attributes that the new version begins with; it has none of the old one's. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
  /** The content is the next one of this inode, which stays, as when a file is written in place: Conflict when the path leads elsewhere by now. */
  readonly inode?: InodeId;
  /** The file is this one, which nobody has seen before. Only of callers that may do everything. */
  readonly unnamed?: Unnamed;
  /** When the bytes were last changed; default now. */
  readonly mtime?: TimeNs;
  /** How many bytes it will have, where that is known: QuotaExceeded where there is no room for them. */
  readonly length?: number;
  /** How it came, where that is no plain write: told to who listens to the bucket. */
  readonly origin?: 'copy' | 'post';
}

export interface SealOptions {
  /** Where neither a directory above nor the mount says anything. */
  readonly writeTypeDefault?: WriteType;
}

/** What a draft has become in the cache. */
export interface SealedDraft {
  readonly content: ContentId;
  readonly length: number;
  readonly etag: string;
  readonly metadata: ContentMetadata;
  /** When the bytes were last changed. */
  readonly mtime: TimeNs;
  /** The bytes survive power loss already. */
  readonly durable: boolean;
  readonly over?: SealedOver;
}

/** The right to write one new content to one path. Valid until committed or abandoned; forgotten by a restart. */
export interface WriteTicket {
  readonly writeId: number;
  readonly path: ByteString;
  readonly content: ContentId;
  readonly mount: MountId;
  readonly storeKey: ByteString;
  readonly metadata: ContentMetadata;
  readonly writeType: WriteType;
  /** A file is written in place, and no version is kept: what the store has at the key stays there until the new object takes its place. */
  readonly inPlace?: true;
}

/** What the worker knows when the store has the whole object, or (`pending`, without a fingerprint) the cache has it durably. */
export interface WrittenObject {
  readonly length: number;
  readonly pending?: true;
  readonly fingerprint: string;
  readonly etag: string;
  readonly checksums: Checksums;
  readonly mtime?: TimeNs;
}

export interface UploadRecord {
  readonly uploadId: string;
  readonly path: ByteString;
  readonly mount: MountId;
  readonly storeKey: ByteString;
  /** The content that the parts will become. */
  readonly content: ContentId;
  /** The store's own name of the upload. Empty: the cache keeps the parts (ASYNC_THROUGH), and `content` names their draft. */
  readonly storeUploadId: string;
  readonly metadata: ContentMetadata;
  readonly checksumAlgorithm?: keyof Checksums;
  readonly checksumType?: 'FULL_OBJECT' | 'COMPOSITE';
  readonly mode?: number;
  readonly initiatedAt: TimeNs;
  readonly initiator: string;
  /** What the file begins with. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
}

export interface CompleteOptions {
  readonly precondition?: Precondition;
  /** How many parts the file is made of, and the numbers of those that were uploaded and are not among them. */
  readonly parts: number;
  readonly unused: readonly number[];
  /** Of them all. */
  readonly length?: number;
}

export interface PartRecord {
  readonly partNumber: number;
  readonly length: number;
  readonly etag: string;
  readonly checksums: Checksums;
  /** What the connector needs to complete with this part; or where the cache keeps it. */
  readonly storePart: string;
  readonly modifiedAt: TimeNs;
  /** Of a part of a sealed content (model/seal.ts): what its own key is made with. */
  readonly salt?: Uint8Array;
}
