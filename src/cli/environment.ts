/** What commands stand on; `process/` hands it in, tests hand in their own. */
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {IdentityApi} from '#contracts/identity-api.ts';
import type {DirectoryOptions, ServedMountInfo, Whereabouts} from '#contracts/mounts-api.ts';
import type {WriteType} from '#model/mount.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface Terminal {
  out(text: string | Uint8Array): Promise<void>;
  err(text: string): void;
  readonly input: AsyncIterable<Uint8Array>;
  /** Whether progress and colour make sense on stderr. */
  readonly interactive: boolean;
  readonly columns: number;
}

export interface UpOptions {
  readonly uris: readonly {readonly uri: string; readonly path?: string; readonly options: Readonly<Record<string, string>>}[];
  readonly host: string;
  readonly s3Port: number;
  readonly httpPort: number;
  readonly rpcPort: number;
  /** Where buckets are shown as websites; absent: nowhere. */
  readonly websitePort?: number;
  /** S3, REST and websites speak TLS, with the PEM files of this host: the certificate with what leads to its authority, and its key. */
  readonly tls?: {readonly certFile: string; readonly keyFile: string};
  /** Threads that serve S3 beside the main one, whatever the load; 0 = none. Absent: as many as load asks for and cores allow. */
  readonly threads?: number;
  /** Bytes of a tier in memory; 0 = none. */
  readonly memoryBytes?: number;
  /** Whether requests that change something, or are denied, are written down (default true). */
  readonly audit?: boolean;
  readonly disks: readonly {readonly directory: string; readonly quotaBytes: number}[];
  /** Where to mount the namespace by FUSE, and how. */
  readonly fuse?: DirectoryOptions;
  /** How the home is written, and mounts that are made now without a write type of their own. */
  readonly writeType?: WriteType;
}

/** What a running instance tells about itself, in its home. */
export interface InstanceInfo {
  readonly pid: number;
  readonly home: string;
  readonly s3: string;
  readonly http: string;
  readonly rpc: {readonly host: string; readonly port: number};
  readonly website?: string;
  /** S3 and REST speak TLS with this certificate; `selfSigned`: clients have to be told to trust it. */
  readonly tls?: {readonly certFile: string; readonly selfSigned: boolean};
  readonly fuse?: string;
  /** Where it serves mounts for others; absent: nowhere. */
  readonly whereabouts?: Whereabouts;
  readonly startedAt: number;
}

export interface RootKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The instance at `--home`, as a whole. */
export interface InstanceControl {
  readonly home: string;
  /** Runs until it is told to stop; `onReady` when everything answers. AlreadyRunning. */
  run(options: UpOptions, onReady: (info: InstanceInfo, key: RootKey) => Promise<void>): Promise<void>;
  /** Undefined when none is running. */
  find(): Promise<InstanceInfo | undefined>;
  key(): Promise<RootKey>;
  /** Stops a running instance and waits until it is gone. `keepMount`: its mounts stay for the next one, and programs on them wait for that. */
  stop(info: InstanceInfo, options: {readonly keepMount: boolean}): Promise<void>;
  /** Ends the mounts that an instance has left, where none is running: whoever waits there fails (ENOTCONN). Answers where they were. */
  endMounts(): Promise<readonly string[]>;
  /** Makes the metadata of a stopped instance from a backup. `replaced`: the directory in which what was there is kept, until the next restore. AlreadyRunning, AlreadyExists (unless `force`), Corrupt. */
  restore(backup: AsyncIterable<Uint8Array>, options: {readonly force: boolean}): Promise<{readonly entries: number; readonly replaced?: string}>;
  demo(options: {readonly megabytes: number}): Promise<void>;
}

export interface CliEnvironment {
  readonly runtime: Runtime;
  readonly terminal: Terminal;
  readonly version: string;
  /** The directory that relative local paths start from. */
  readonly workingDirectory: string;
  /** The process's environment variables. */
  readonly variables: Readonly<Record<string, string | undefined>>;
  instance(home: string | undefined): InstanceControl;
  /** A client of the instance at that home. Unavailable when none is running. */
  connect(home: string | undefined): Promise<FileSystem & AsyncDisposable>;
  /** Users, keys and policies of the instance at that home. Unavailable. */
  connectIdentity(home: string | undefined): Promise<IdentityApi & AsyncDisposable>;
  /**
   * Mounts the namespace of the instance at that home, by FUSE. The instance serves the mount, or a process of its own, this one, does: where it is asked to,
   * or `why` it must. `ended` when it was unmounted. Busy, Unavailable, Unsupported, PermissionDenied, NotFound.
   */
  mount(home: string | undefined, options: DirectoryOptions, how: {readonly ownProcess: boolean}): Promise<AsyncDisposable & {readonly ended: Promise<void>; readonly why: string | undefined}>;
  /** The mounts by FUSE that the instance at that home serves. Unavailable. */
  servedMounts(home: string | undefined): Promise<readonly ServedMountInfo[]>;
  /** The text of http://…/metrics of the instance at that home. */
  metrics(home: string | undefined): Promise<string>;
  /** The principal and the signal that commands call with: aborted by Ctrl-C. */
  readonly context: CallContext;
}
