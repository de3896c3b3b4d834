/** The kernel's side of a mount by FUSE: messages in, messages out. What they mean is codec/fuse and frontends/fuse. */
import type {Descriptor} from '#model/file-lease.ts';

export interface FuseMountOptions {
  /** An existing directory, absolute. */
  readonly directory: string;
  /** What `mount` and `df` show as the source. */
  readonly source: string;
  readonly readOnly: boolean;
  /** Others than the mounting user may use it. */
  readonly allowOther: boolean;
  /** Flags of mount(8), as `nosuid`. */
  readonly flags: readonly string[];
}

export interface FuseDevice extends AsyncDisposable {
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
  /** Whether this thread has been killed and ends as soon as its request is answered; true also where that cannot be seen. */
  isKilled(thread: number): boolean;
  /** The largest message that the device reads: a WRITE of `writeBytesMax` with its header. */
  readonly writeBytesMax: number;
}

export interface Fuse {
  /** Mounts. Unsupported without FUSE, NotFound, NotADirectory, Busy, PermissionDenied. */
  mount(options: FuseMountOptions): Promise<FuseDevice>;
}
