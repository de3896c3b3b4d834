/** Mounts by FUSE that an instance serves for who asks for one on the same machine (`weir fuse`), and how a mount may be. */
import type {CallContext} from '#contracts/context.ts';

/** Where a process runs: a mount that one of two makes is the other's, too, when all of it is the same. */
export interface Whereabouts {
  /** Of the kernel that runs: another one on every machine and after every start of it. */
  readonly machine: string;
  readonly mountNamespace: string;
  /** The directory that is called `/`, which chroot(2) changes. */
  readonly root: string;
  readonly uid: number;
}

export interface FuseOptions {
  readonly readOnly: boolean;
  /** Others than the mounting user may use it. */
  readonly allowOther: boolean;
  /** Files may be handed to the kernel, where it can read them by itself. */
  readonly passthrough: boolean;
  /** Locks hold between all mounts of the instance that say so. */
  readonly sharedLocks: boolean;
  /** Whose all is shown to be, and bits of modes that are not shown. */
  readonly shownAs: {readonly uid?: number; readonly gid?: number; readonly umask: number};
  /** What is mounted, where that is not the whole namespace: a directory's path. */
  readonly subdirectory?: string;
  /** Flags of mount(8), each on its own. */
  readonly flags: readonly string[];
}

export interface DirectoryOptions extends FuseOptions {
  /** An existing directory, absolute. */
  readonly directory: string;
}

export interface ServeOptions {
  readonly from: Whereabouts;
  /** There was a mount: where it has been taken away none is made. */
  readonly goOn: boolean;
}

/** First what there is to say of it to whoever asked, a line each; then, once, that it is mounted. */
export type ServeNews = {readonly said: string} | {readonly mounted: true};

export interface ServedMountInfo {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly subdirectory?: string;
  /** Files and directories that are open. */
  readonly open: number;
  /** Requests of the kernel since this instance serves it. */
  readonly requests: number;
}

export interface MountsApi {
  /**
   * Serves a mount for as long as it is there, also when the caller has gone: another one may come for it then. Ends when the mount has gone;
   * without having said that it is mounted, where there was one to go on with and it has been taken away. Busy while another caller, or another process, has
   * the mount; PermissionDenied to callers elsewhere; Unavailable when the instance goes and leaves it to the next one; Unsupported, NotFound, NotADirectory, Overloaded.
   */
  serve(options: DirectoryOptions, how: ServeOptions, context: CallContext): AsyncIterable<ServeNews>;
  /** Takes it away; resolves when it has gone. Nothing happens when it is not there. */
  unmount(directory: string, context: CallContext): Promise<void>;
  listServed(context: CallContext): Promise<readonly ServedMountInfo[]>;
}
