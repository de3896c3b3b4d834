/** Inodes: the files, directories, symbolic links and special files of the namespace. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Content, TimeNs} from '#model/content.ts';

/** `special`: model/special-file.ts. */
export type InodeKind = 'file' | 'directory' | 'symlink' | 'special';

export interface Inode {
  readonly id: InodeId;
  readonly kind: InodeKind;
  readonly parent: InodeId;
  readonly name: ByteString;
  /** Permission bits with set-id and sticky: 12 bits, as in POSIX. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: TimeNs;
  readonly mtime: TimeNs;
  readonly ctime: TimeNs;
  /** A file's bytes; on a directory, the marker object `k/` when there is one. */
  readonly content?: Content;
  /** A symbolic link's target, uninterpreted; of a special file, which it is. */
  readonly target?: ByteString;
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
  /** A directory that exists only because S3 keys below it do; it vanishes with its last child. */
  readonly implied?: boolean;
  readonly pinned?: boolean;
  /** Wall milliseconds at which the store last confirmed this inode; 0 = never (not loaded from a store). */
  readonly checkedAt: number;
  /** Directories: wall milliseconds at which a complete listing of the store was last merged; 0 = never. */
  readonly listedAt?: number;
  /** Directories: where the subtree lies in the mount's store when names do not tell (a tree renamed on a store without renames). */
  readonly storePrefix?: ByteString;
  /** A directory that is a mount point: the mount that begins here. */
  readonly mount?: MountId;
  /** A directory that has settings: their revision, which grows with every change. What was read under one revision holds while it is the same. */
  readonly settings?: number;
  /** A directory whose mode and owner are as they were given here, whatever its store says of them. */
  readonly ownProtection?: boolean;
  /** A directory of the root, which is a bucket: when it came into being, or was first seen. Renaming and changing it leave that. */
  readonly createdAt?: TimeNs;
  /** A file made while its bucket kept versions: the number of its version (model/version.ts). Without one it is the null version. */
  readonly version?: number;
  /** A file with several names: how many. `parent` and `name` are the first one's, which owns the store's object. */
  readonly links?: number;
}

/** Named documents of a directory, as front ends wrote them (what a bucket is configured with: `policy`, `cors`, `lifecycle` …): name to text. */
export type Settings = Readonly<Record<string, string>>;

/** Extended attributes that belong to the S3 front end (tags, grants, retention): no other front end shows or sets them. */
export const s3XattrPrefix = 'weir.s3.';

/** The parts of an inode that a caller may set. */
export interface AttributePatch {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: TimeNs;
  readonly mtime?: TimeNs;
  readonly pinned?: boolean;
  /** Extended attributes to set; null removes. */
  readonly xattrs?: Readonly<Record<string, Uint8Array | null>>;
}
