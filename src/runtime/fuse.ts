/** The kernel's side of a mount by FUSE: messages in, messages out. What they mean is codec/fuse and frontends/fuse. */
import type {Descriptor} from '#model/file-lease.ts';

export interface FuseMountOptions {
  /** An existing directory, absolute. */
  readonly directory: string;
  /** What `mount` and `df` show as the source. */
  readonly source: string;
  /** Which part of that it shows; the whole when absent. */
  readonly subdirectory?: string;
  readonly readOnly: boolean;
  /** Others than the mounting user may use it. */
  readonly allowOther: boolean;
  /** Flags of mount(8), as `nosuid`. */
  readonly flags: readonly string[];
  /** Where to leave the mount when this process dies: a directory of its owner's, absolute. Without it the mount ends with the process. */
  readonly keeper?: string;
}

/** Bytes that outlive this process, as long as the mount does: written at once, without waiting for a disk. What was never written is zero. */
export interface KeptMemory {
  /** Fills `into`. */
  read(into: Uint8Array, position: number): void;
  write(bytes: Uint8Array, position: number): void;
}

export interface FuseDevice extends AsyncDisposable {
  /** Who has mounted it, where that is an ordinary user. */
  readonly user: {readonly uid: number; readonly gid: number} | undefined;
  /** What the next process will find, should this one die; absent where nobody keeps the mount, which then ends with this process. */
  readonly kept: KeptMemory | undefined;
  /**
   * Begins to hand over requests, one whole message a call; its bytes are valid until the handler returns. `ended` is called once, when
   * the mount has gone: with nothing when it was unmounted, with an error when the device failed.
   */
  start(handler: (message: Buffer) => void, ended: (failure?: Error) => void): void;
  /** Sends one reply or notification, whole and at once. False when nobody waits for it any more. */
  send(head: Uint8Array, body?: Uint8Array): boolean;
  /** Tells the kernel something unasked (codec/fuse `notification`), one after the other. It may wait for programs that wait for us: never await it in a request. */
  notify(code: number, body: Uint8Array): Promise<void>;
  /** Hands a file to the kernel, to be named in the answer to OPEN. Undefined where kernel or privileges do not allow it. */
  registerBacking(file: Descriptor): number | undefined;
  releaseBacking(id: number): void;
  /** The mount is to end with this process after all: the kernel could not hand out again what this one has not answered. */
  endWithProcess(): void;
  /** Takes no more requests, waits until those that it has are `settled`, and leaves the mount to the next process. */
  leave(settled: Promise<void>): Promise<void>;
  /** Whether this thread has been killed and ends as soon as its request is answered; true also where that cannot be seen. */
  isKilled(thread: number): boolean;
  /** The largest message that the device reads: a WRITE of `writeBytesMax` with its header. */
  readonly writeBytesMax: number;
}

export const keptHeadBytes = 256;

export interface Fuse {
  /** The mount that an earlier process has left there, as it was asked for here; undefined when there is none. One that was made otherwise is ended. Busy while another process serves it. */
  takeOver(options: FuseMountOptions): Promise<FuseDevice | undefined>;
  /** Whether a mount is there that nobody serves or keeps. Busy where it does not answer. */
  isDead(directory: string): Promise<boolean>;
  /** Ends all mounts that were left in a place of keepers and that nobody serves; answers where they were. */
  endLeft(keeper: string): Promise<readonly string[]>;
  /** What the mounts remember that are kept in a place, served or not: to be looked at, and disposed of at once. For a start: a keeper that was stopped is waited for. */
  keptIn(keeper: string): readonly (KeptMemory & Disposable)[];
  /** The beginnings of that, `keptHeadBytes` each, without holding anybody up; of keepers that do not answer nothing. */
  keptHeads(keeper: string): Promise<readonly Uint8Array[]>;
  /** Mounts. Unsupported without FUSE, NotFound, NotADirectory, Busy, PermissionDenied. */
  mount(options: FuseMountOptions): Promise<FuseDevice>;
}
