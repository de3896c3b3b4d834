/**
 * Disks. Paths are absolute. What is written is *seen* at once and *kept* over power loss only after the sync that
 * names it: a file's bytes after `datasync`, a name in a directory after `syncDirectory`. The simulated form takes this
 * literally: a crash keeps any subset of what was not synced, in torn pieces.
 *
 * Errors are WeirErrors: NotFound, AlreadyExists, NotADirectory, IsADirectory, DirectoryNotEmpty, NoSpace, ReadOnly, PermissionDenied,
 * Io (anything else; `cause` has the system's error).
 */
import type {ByteString} from '#base/byte-string.ts';
import type {WeirError} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import type {Descriptor} from '#model/file-lease.ts';

/** Text, or the raw bytes where names need not be UTF-8 (stores that others write to). */
export type DiskPath = string | Uint8Array;

export interface DirectoryEntry {
  readonly name: ByteString;
  readonly kind: FileStat['kind'];
}

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'symlink' | 'other';
  readonly size: number;
  /** Bytes allocated on the medium (a sparse file has fewer than its size). */
  readonly allocated: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly device: bigint;
  readonly inode: bigint;
}

export interface OpenOptions {
  /** `read`: must exist. `write`: read and write, must exist. `create`: read and write, made when absent. `exclusive`: must be absent. */
  readonly mode: 'read' | 'write' | 'create' | 'exclusive';
  readonly truncate?: boolean;
  readonly permissions?: number;
  /**
   * A directory in canonical form (see `realPath`): PermissionDenied unless the file that was opened really lies below
   * it, wherever symbolic links on the way led. Checked on the open file, so nobody can change the path in between.
   */
  readonly beneath?: ByteString;
  /** What is written survives power loss, with the size, as soon as its write has resolved: one call where a write and a sync are two. Says nothing of what was written otherwise. */
  readonly durable?: boolean;
}

/** As much as a mount writes at once; more is written elsewhere: copying it would hold up everybody. */
export const writeNowBytesMax = 1024 * 1024;

export interface DiskFile extends AsyncDisposable {
  /** For sending by the kernel; valid while the file is open. */
  readonly descriptor: Descriptor;
  /** Bytes read into the whole of `into`, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /**
   * Like read, on the spot, but only if that needs no waiting for a medium; undefined when it would (or when this system
   * cannot tell). The way to serve small hot reads without a thread.
   */
  readResident(into: Uint8Array, position: number): number | undefined;
  /** Writes all buffers one after the other from `position`. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /**
   * Like write, on the spot, of one buffer (`writeNowBytesMax`): into the memory of the system, which costs less than a way to another thread and back. False
   * where that may wait for a medium, and when it failed: then `write` is to do it, or to say why not. Nothing is durable by it.
   */
  writeNow(buffer: Uint8Array, position: number): boolean;
  /** What was written of the range goes to the medium from now on, so that a later sync has less to wait for. A hint: nobody waits, nothing is promised. */
  beginWriteBack(position: number, length: number): void;
  /** Bytes of another file, without their way through this process; false where the system cannot copy them so, or not all: then they are to be read and written. */
  copyFrom(source: Descriptor, from: number, length: number, position: number): Promise<boolean>;
  /** Everything written before this call survives power loss after it, with the size. */
  datasync(): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Frees the range; it reads as zeros. Unsupported where the file system cannot. */
  punch(offset: number, length: number): Promise<void>;
  /** Where data, or a hole, begins at or behind a position; the end is a hole. Undefined: no data follows. Where holes cannot be told all is data. */
  seek(position: number, to: 'data' | 'hole'): Promise<number | undefined>;
  stat(): Promise<FileStat>;
  /** The same on the spot, where the file system keeps what is open in memory; undefined where it may ask a server (or this is not known yet). */
  statNow(): FileStat | undefined;
  close(): Promise<void>;
}

/** A directory that is kept open, for names that are made and changed in it again and again. */
export interface DiskDirectory extends AsyncDisposable {
  /** On the spot: whether it lies where it was opened, still with no symbolic link on the way. */
  isThere(): boolean;
  /** As Disk.open, of a name in this very directory, wherever that may be by now; NotFound when it was removed. */
  open(name: ByteString, options: Pick<OpenOptions, 'mode' | 'permissions' | 'durable'>): Promise<DiskFile>;
  /** As Disk.stat, of a name in this very directory, on the spot; undefined where there is none, or where that may wait for a medium that has lately held up others. */
  statNow(name: ByteString): FileStat | undefined;
  /** A path of a name in this very directory, while it is open: nobody can lead it elsewhere. */
  at(name: ByteString): DiskPath;
  /** As Disk.syncDirectory. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A small file that is to be at its place whole or not at all. Its paths are short ones (DiskDirectory.at), less than `placedPathBytesMax`, on one file system. */
export interface PlacedFile {
  /** Where it is written first: a name that nobody has. */
  readonly draft: DiskPath;
  readonly place: DiskPath;
  /** The place's. */
  readonly directory: DiskPath;
  /** At most `placedBytesMax`. */
  readonly bytes: Uint8Array;
  readonly permissions: number;
  /** Nothing may be at these, `placedAbsentMax` of them at most, when it is placed: AlreadyExists. */
  readonly absent: readonly DiskPath[];
}

export const placedBytesMax = 64 * KiB;
export const placedPathBytesMax = 1 * KiB;
export const placedAbsentMax = 2;
/** Together. */
export const placedFilesMax = 64;
export const placedTogetherBytesMax = 1 * MiB;

/** Places small files for one caller, many at once for the price of a few syncs, without a trip to the disk for each step of each. */
export interface FilePlacer extends AsyncDisposable {
  /** `ended`: it had nothing to do, or failed; another may be asked for. */
  readonly state: 'starting' | 'ready' | 'ended';
  /** One call at a time. Answers for each what it looks like once it survives power loss with its name; or why it may not be there, and then no draft is left. */
  place(files: readonly PlacedFile[]): Promise<readonly (FileStat | WeirError)[]>;
}

export interface Disk {
  open(path: DiskPath, options: OpenOptions): Promise<DiskFile>;
  /** Undefined where a symbolic link is on the way, or where a server may have to be asked whether it is still there. NotFound, NotADirectory. */
  openDirectory(path: DiskPath): Promise<DiskDirectory | undefined>;
  /** Of a symbolic link: the link itself. */
  stat(path: DiskPath): Promise<FileStat>;
  /** Names as text, unsorted. For Weir's own directories. */
  readDirectory(path: DiskPath): Promise<string[]>;
  /** Entries with their raw names, unsorted, in batches of some hundreds, read as the caller goes on: for directories of any size. */
  scanDirectory(path: DiskPath): AsyncIterable<readonly DirectoryEntry[]>;
  /** Where a symbolic link points, uninterpreted. */
  readLink(path: DiskPath): Promise<ByteString>;
  /** The path with every symbolic link resolved. NotFound. */
  realPath(path: DiskPath): Promise<ByteString>;
  makeDirectory(path: DiskPath, options?: {recursive?: boolean; permissions?: number}): Promise<void>;
  unlink(path: DiskPath): Promise<void>;
  removeDirectory(path: DiskPath): Promise<void>;
  /** Replaces `to` atomically when it is a file. */
  rename(from: DiskPath, to: DiskPath): Promise<void>;
  /** Gives the file another name (AlreadyExists), which survives power loss by itself. Unsupported where files have one name. */
  link(from: DiskPath, to: DiskPath): Promise<void>;
  /** Copies a file's bytes to a new file (AlreadyExists), by sharing blocks or within the kernel where the file system can. */
  copy(from: DiskPath, to: DiskPath): Promise<void>;
  /** Names made, renamed and removed in this directory before the call survive power loss after it. */
  syncDirectory(path: DiskPath): Promise<void>;
  /** For who places many small files; undefined where there are as many already as there may be. */
  placer(): FilePlacer | undefined;
  /** Free and total bytes of the file system that holds `path`. */
  space(path: DiskPath): Promise<{free: number; total: number}>;
  /** Takes the exclusive lock of a file until disposed or until the process ends, however it ends. AlreadyRunning when another holds it. */
  lock(path: DiskPath): Promise<AsyncDisposable>;
}
