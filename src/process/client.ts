/**
 * The package's `./client` export: files of a running Weir for programs in TypeScript and JavaScript. Paths are ordinary text; bytes are
 * Uint8Array; what is long is a stream. Every method rejects with a WeirError whose `kind` says what happened (`NotFound`, `AlreadyExists`,
 * `PreconditionFailed` …). A write is there, whole and durable, when its promise resolves; until then nothing is seen of it.
 */
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {RootKey} from '#cli/environment.ts';
import type {FileSystem} from '#client/file-system.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {type CallContext, rootPrincipal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import {commandRuntime} from '#process/command-runtime.ts';
import {connectFiles} from '#process/connect.ts';
import {findInstance, homeAt, homeDirectory} from '#process/home.ts';
import {readRootKey} from '#process/keys.ts';
import {isAlive, processFacts} from '#runtime/node/process.ts';

export {isKind, WeirError} from '#base/errors.ts';
export type {ErrorKind} from '#base/errors.ts';

/** An instance of this machine by its home (default $WEIR_HOME, else ~/.weir), or one anywhere by its rpc address and a key. */
export type ConnectOptions =
  | {readonly home?: string}
  | {readonly address: {readonly host: string; readonly port: number}; readonly accessKeyId: string; readonly secretAccessKey: string};

export interface FileEntry {
  /** From the root; a directory's ends in `/`. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink' | 'special';
  /** Bytes; 0 for directories. */
  readonly length: number;
  readonly modified: Date;
  /** POSIX permission bits. */
  readonly mode: number;
  /** Names the version of a file's bytes. */
  readonly etag?: string;
}

export interface CallOptions {
  /** Aborting it ends the call with kind `Cancelled`. */
  readonly signal?: AbortSignal;
}

/** A part of a file, in bytes; `suffix` means its last ones. Cut to the file; `RangeNotSatisfiable` when nothing is left. */
export type ReadRange = {readonly offset?: number; readonly length?: number} | {readonly suffix: number};

export interface WriteOptions extends CallOptions {
  /** `*`: only if nothing is there; otherwise an ETag that what is there must not have. */
  readonly ifNoneMatch?: string;
  /** Only if what is there has this ETag. */
  readonly ifMatch?: string;
  readonly contentType?: string;
}

export type Source = string | Uint8Array | AsyncIterable<Uint8Array>;

/** Asks for nothing yet. Unavailable when no instance runs at the home. */
export async function connect(options: ConnectOptions = {}): Promise<WeirClient> {
  const runtime = commandRuntime();
  if ('address' in options) return new WeirClient(connectFiles(runtime, options.address, options));
  const home = homeAt(homeDirectory(options.home, processFacts.environment, processFacts.workingDirectory));
  const info = await findInstance(runtime.disk, home, isAlive);
  const key: RootKey | undefined = info && (await readRootKey(runtime, home));
  if (!info || !key) throw new WeirError('Unavailable', `no instance is running at ${home.directory}; start one with weir up`);
  return new WeirClient(connectFiles(runtime, info.rpc, key));
}

const never = new AbortController().signal;
const entriesPerPage = 1000;

export class WeirClient implements AsyncDisposable {
  readonly #files: FileSystem & AsyncDisposable;

  /** Use `connect`. */
  constructor(files: FileSystem & AsyncDisposable) {
    this.#files = files;
  }

  async stat(path: string, options: CallOptions = {}): Promise<FileEntry> {
    return entryOf(await this.#files.stat(pathOf(path), {}, contextOf(options)));
  }

  /** The entries of a directory in byte order of their names, or, `recursive`, all below it, parents first; read page by page as you go on. */
  async *list(path: string, options: CallOptions & {readonly recursive?: boolean} = {}): AsyncGenerator<FileEntry, void, void> {
    const directory = `${pathOf(path).replace(/\/$/, '')}/` as ByteString;
    let after: ByteString | undefined;
    do {
      const view = options.recursive ? 'tree' : 'children';
      const page = await this.#files.list({directory, view, limit: entriesPerPage, ...(after === undefined ? {} : {after})}, contextOf(options));
      for (const entry of page.entries) if ('info' in entry) yield entryOf(entry.info);
      after = page.next;
    } while (after !== undefined);
  }

  /** The bytes of exactly one version of a file: `for await` over it, or `pipeTo`. Cancel it when it is not read to its end. */
  async read(path: string, range: ReadRange = {}, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const context = contextOf(options);
    const wanted = 'suffix' in range ? range : {offset: range.offset ?? 0, ...(range.length === undefined ? {} : {length: range.length})};
    const file = await this.#files.open(pathOf(path), {range: wanted}, context);
    if (file.info.length === 0 && !('suffix' in wanted) && wanted.offset === 0) {
      await file[Symbol.asyncDispose]();
      return ReadableStream.from(nothing());
    }
    const chunks = async function* () {
      await using opened = file;
      yield* bodyChunks(await opened.read(opened.resolve(wanted), context));
    };
    return ReadableStream.from(chunks());
  }

  /** A file, or a range of one, in memory. */
  async readBytes(path: string, range: ReadRange = {}, options: CallOptions = {}): Promise<Uint8Array> {
    return Buffer.concat(await Array.fromAsync(await this.read(path, range, options)));
  }

  /** Makes or replaces a file, and the directories above it. If `source` fails, nothing has changed. */
  async write(path: string, source: Source, options: WriteOptions = {}): Promise<FileEntry> {
    const {ifMatch, ifNoneMatch, contentType} = options;
    const chunks = typeof source === 'string' ? [Buffer.from(source, 'utf8')] : source instanceof Uint8Array ? [source] : source;
    const writer = await this.#files.create(
      pathOf(path),
      {
        kind: 'file',
        parents: 'explicit',
        ...(Array.isArray(chunks) ? {length: chunks[0]!.length} : {}),
        ...(contentType === undefined ? {} : {metadata: {'content-type': contentType}}),
        ...(ifMatch === undefined && ifNoneMatch === undefined ? {} : {precondition: {...(ifMatch === undefined ? {} : {ifMatch}), ...(ifNoneMatch === undefined ? {} : {ifNoneMatch})}}),
      },
      contextOf(options),
    );
    try {
      for await (const chunk of chunks) await writer.write(chunk);
      return entryOf(await writer.commit());
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  /** With the directories above it; harmless when it is there. */
  async makeDirectory(path: string, options: CallOptions = {}): Promise<FileEntry> {
    return entryOf(await this.#files.makeDirectory(pathOf(path), {parents: true, existing: 'keep'}, contextOf(options)));
  }

  /** Files and whole trees; by the store itself where it can. `replace`: a file that is there. */
  async rename(from: string, to: string, options: CallOptions & {readonly replace?: boolean} = {}): Promise<FileEntry> {
    return entryOf(await this.#files.rename(pathOf(from), pathOf(to), {replace: options.replace === true}, contextOf(options)));
  }

  async copy(from: string, to: string, options: CallOptions = {}): Promise<FileEntry> {
    return entryOf(await this.#files.copy(pathOf(from), pathOf(to), {}, contextOf(options)));
  }

  async remove(path: string, options: CallOptions & {readonly recursive?: boolean} = {}): Promise<void> {
    await this.#files.remove(pathOf(path), {recursive: options.recursive === true}, contextOf(options));
  }

  async close(): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function pathOf(path: string): ByteString {
  return fromText(path.startsWith('/') ? path : `/${path}`);
}

function contextOf({signal}: CallOptions): CallContext {
  return {principal: rootPrincipal, signal: signal ?? never};
}

function entryOf({path, inode, length}: FileInfo): FileEntry {
  return {
    path: toText(path),
    kind: inode.kind,
    length,
    modified: new Date(Number(inode.mtime / 1_000_000n)),
    mode: inode.mode,
    ...(inode.content ? {etag: inode.content.etag} : {}),
  };
}
