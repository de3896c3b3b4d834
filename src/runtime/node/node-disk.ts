/** Real disks, by node:fs. Everything that may wait for a medium goes through libuv's threads. */
import * as fs from 'node:fs';
import {type FileHandle, open as openFile} from 'node:fs/promises';
import * as fsp from 'node:fs/promises';
import {type ByteString, fromBytes, fromText, toBytes} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Descriptor} from '#model/file-lease.ts';
import {type DirectoryEntry, type Disk, type DiskDirectory, type DiskFile, type DiskPath, type FileStat, type OpenOptions, writeNowBytesMax} from '#runtime/disk.ts';
import {descriptorNumber, forgetDescriptor, makeDescriptor} from '#runtime/node/descriptor.ts';
import {kindOf, toStat} from '#runtime/node/file-stat.ts';
import {byShortPath, isLong} from '#runtime/node/long-paths.ts';
import {HeldUp} from '#runtime/node/held-up.ts';
import {libc} from '#runtime/node/native/libc.ts';
import {isOnLocalFileSystem} from '#runtime/node/local-file-systems.ts';
import {placingThread} from '#runtime/node/placing/placing-thread.ts';
import {systemError} from '#runtime/node/system-errors.ts';

// Without O_NONBLOCK, opening a named pipe that lies among the files would hold a thread for ever.
const {O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_NONBLOCK, O_NOFOLLOW, O_DIRECTORY, O_DSYNC} = fs.constants;
const openFlags: Readonly<Record<OpenOptions['mode'], number>> = {read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT, exclusive: O_RDWR | O_CREAT | O_EXCL};
const scanBatchEntries = 512;
const ENXIO = 6;

/** By all files and names together: they are mostly on one disk. */
const heldUp = new HeldUp(() => performance.now());

const native = (path: DiskPath): string | Buffer => (typeof path === 'string' ? path : Buffer.from(path.buffer, path.byteOffset, path.byteLength));
const shown = (path: DiskPath): string => (typeof path === 'string' ? path : Buffer.from(path).toString());

class NodeFile implements DiskFile {
  readonly descriptor: Descriptor;
  readonly #handle: FileHandle;
  readonly #path: string;
  #closed = false;
  /** Undefined until somebody wants to know. */
  #isLocal: boolean | undefined;
  /** Each write waits for the medium. */
  readonly #durable: boolean;

  constructor(handle: FileHandle, path: string, {durable, isLocal}: {readonly durable: boolean; readonly isLocal?: boolean}) {
    this.#handle = handle;
    this.#path = path;
    this.#durable = durable;
    this.#isLocal = isLocal;
    this.descriptor = makeDescriptor(handle.fd);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    try {
      while (done < into.length) {
        const {bytesRead} = await this.#handle.read(into, done, into.length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
    } catch (error) {
      throw systemError(error, `reading ${this.#path}`);
    }
    return done;
  }

  readResident(into: Uint8Array, position: number): number | undefined {
    if (this.#closed) throw new WeirError('Io', `reading ${this.#path}: it is closed`);
    const count = libc()?.preadResident(this.#handle.fd, into, position);
    return count === undefined || count < 0 ? undefined : count;
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    try {
      if (buffers.length === 1) await this.#writeWhole(buffers[0]!, position);
      else {
        const total = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
        const {bytesWritten} = await this.#handle.writev(buffers, position);
        // A short vectored write (a nearly full disk, a signal): the rest goes one by one.
        if (bytesWritten < total) await this.#writeRest(buffers, bytesWritten, position);
      }
    } catch (error) {
      throw systemError(error, `writing ${this.#path}`);
    }
  }

  writeNow(buffer: Uint8Array, position: number): boolean {
    if (this.#durable || buffer.length > writeNowBytesMax || !this.#isKnownLocal() || heldUp.tooLong) return false;
    const begun = performance.now();
    try {
      return fs.writeSync(this.#handle.fd, buffer, 0, buffer.length, position) === buffer.length;
    } catch {
      return false;
    } finally {
      heldUp.was(begun, buffer.length);
    }
  }

  beginWriteBack(position: number, length: number): void {
    if (!this.#closed) libc()?.beginWriteBack(this.#handle.fd, position, length);
  }

  async copyFrom(source: Descriptor, from: number, length: number, position: number): Promise<boolean> {
    if (this.#closed) throw new WeirError('Io', `writing ${this.#path}: it is closed`);
    const calls = libc();
    if (!calls) return false;
    // Numbers of our own: whoever gives up may close his while a thread still copies.
    const numbers = [descriptorNumber(source), this.#handle.fd].map((number) => calls.duplicate(number)) as [number, number];
    try {
      if (numbers.some((number) => number < 0)) return false;
      for (let done = 0; done < length; ) {
        const count = await calls.copyRange(numbers[0], from + done, numbers[1], position + done, length - done);
        if (count <= 0) return false;
        done += count;
      }
      return true;
    } finally {
      for (const number of numbers) if (number >= 0) calls.close(number);
    }
  }

  async #writeWhole(buffer: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < buffer.length; ) {
      const {bytesWritten} = await this.#handle.write(buffer, done, buffer.length - done, position + done);
      done += bytesWritten;
    }
  }

  async #writeRest(buffers: readonly Uint8Array[], written: number, position: number): Promise<void> {
    let start = 0;
    for (const buffer of buffers) {
      const skip = Math.min(buffer.length, Math.max(0, written - start));
      if (skip < buffer.length) await this.#writeWhole(buffer.subarray(skip), position + start + skip);
      start += buffer.length;
    }
  }

  async datasync(): Promise<void> {
    await this.#handle.datasync().catch((error: unknown) => {
      throw systemError(error, `syncing ${this.#path}`);
    });
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size).catch((error: unknown) => {
      throw systemError(error, `truncating ${this.#path}`);
    });
  }

  punch(offset: number, length: number): Promise<void> {
    const result = libc()?.punchHole(this.#handle.fd, offset, length);
    if (result === 0) return Promise.resolve();
    return Promise.reject(new WeirError('Unsupported', `punching a hole into ${this.#path}: ${result === undefined ? 'no way to on this system' : `error ${-result}`}`));
  }

  async seek(position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    const {size} = await this.stat();
    if (position >= size) return to === 'data' ? undefined : size;
    const found = libc()?.seek(this.#handle.fd, position, to);
    if (found === -ENXIO) return undefined;
    return found === undefined || found < 0 ? (to === 'data' ? position : size) : found;
  }

  async stat(): Promise<FileStat> {
    try {
      return toStat(await this.#handle.stat({bigint: true}));
    } catch (error) {
      throw systemError(error, `looking at ${this.#path}`);
    }
  }

  statNow(): FileStat | undefined {
    return this.#isKnownLocal() ? toStat(fs.fstatSync(this.#handle.fd, {bigint: true})) : undefined;
  }

  /** On a file system of this machine's own; false, too, until that is found out. */
  #isKnownLocal(): boolean {
    if (this.#closed) throw new WeirError('Io', `${this.#path} is closed`);
    if (this.#isLocal === undefined) {
      this.#isLocal = false;
      void isOnLocalFileSystem(this.#handle.fd).then((isLocal) => (this.#isLocal = isLocal));
    }
    return this.#isLocal;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    forgetDescriptor(this.descriptor);
    await this.#handle.close().catch((error: unknown) => {
      throw systemError(error, `closing ${this.#path}`);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Known by its descriptor; the kernel says where that is without asking a medium. */
class NodeDirectory implements DiskDirectory {
  readonly #handle: FileHandle;
  readonly #path: ByteString;
  readonly #link: string;

  private constructor(handle: FileHandle, path: ByteString) {
    this.#handle = handle;
    this.#path = path;
    this.#link = `/proc/self/fd/${handle.fd}`;
  }

  static async open(path: DiskPath): Promise<NodeDirectory | undefined> {
    const bytes = native(path);
    if (isLong(bytes)) return undefined;
    const handle = await openFile(bytes, O_RDONLY | O_DIRECTORY);
    const directory = new NodeDirectory(handle, fromBytes(Buffer.from(bytes)));
    if ((await isOnLocalFileSystem(handle.fd)) && directory.isThere()) return directory;
    await handle.close();
    return undefined;
  }

  isThere(): boolean {
    // Of a directory that was removed this has " (deleted)" behind it.
    return fs.readlinkSync(this.#link, 'latin1') === this.#path;
  }

  open(name: ByteString, {mode, permissions = 0o600, durable = false}: Pick<OpenOptions, 'mode' | 'permissions' | 'durable'>): Promise<DiskFile> {
    const flags = openFlags[mode] | O_NONBLOCK | O_NOFOLLOW | (durable ? O_DSYNC : 0);
    return attempt('opening', this.at(name), async (path) => new NodeFile(await openFile(path, flags, permissions), `${shown(toBytes(this.#path))}/${shown(toBytes(name))}`, {durable, isLocal: true}));
  }

  statNow(name: ByteString): FileStat | undefined {
    if (heldUp.tooLong) return undefined;
    const begun = performance.now();
    try {
      const stat = fs.lstatSync(native(this.at(name)), {bigint: true, throwIfNoEntry: false});
      return stat && toStat(stat);
    } catch {
      return undefined;
    } finally {
      heldUp.was(begun, 0);
    }
  }

  at(name: ByteString): DiskPath {
    return fromText(name) === name ? `${this.#link}/${name}` : toBytes(`${this.#link}/${name}` as ByteString);
  }

  async sync(): Promise<void> {
    await this.#handle.sync().catch((error: unknown) => {
      throw systemError(error, `syncing the directory ${shown(toBytes(this.#path))}`);
    });
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** One place that turns failures of a call into ours. */
async function attempt<T>(what: string, path: DiskPath, call: (path: string | Buffer) => Promise<T>): Promise<T> {
  try {
    return await byShortPath(native(path), call);
  } catch (error) {
    throw systemError(error, `${what} ${shown(path)}`);
  }
}

/** PermissionDenied for a directory that is not below the other. */
async function within(path: DiskPath, {fd}: FileHandle, beneath: ByteString): Promise<void> {
  const real = fromBytes(await fsp.readlink(`/proc/self/fd/${fd}`, {encoding: 'buffer'}));
  if (beneath !== '/' && real !== beneath && !real.startsWith(`${beneath}/`)) throw new WeirError('PermissionDenied', `${shown(path)} leads out of its directory`);
}

/**
 * Opens a file and makes sure that it lies below a directory, wherever links led. The check is on what was opened, so a path that is changed
 * in between cannot fool it; and nothing is made or truncated before it.
 */
async function openBeneath(path: DiskPath, options: OpenOptions, beneath: ByteString): Promise<FileHandle> {
  const check = async (handle: FileHandle, inside: (real: string) => boolean): Promise<FileHandle> => {
    const real = fromBytes(await fsp.readlink(`/proc/self/fd/${handle.fd}`, {encoding: 'buffer'}));
    if (beneath === '/' || inside(real)) return handle;
    await handle.close();
    throw new WeirError('PermissionDenied', `${shown(path)} leads out of its directory`);
  };
  const durable = options.durable === true ? O_DSYNC : 0;
  const existing = async (): Promise<FileHandle> => {
    const handle = await openFile(native(path), (options.mode === 'read' ? O_RDONLY : O_RDWR) | O_NONBLOCK | durable);
    await check(handle, (real) => real.startsWith(`${beneath}/`));
    if (!options.truncate) return handle;
    try {
      await handle.truncate(0);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  };
  if (options.mode === 'read' || options.mode === 'write') return await existing();
  if (options.mode === 'create') {
    try {
      return await existing();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  const bytes = Buffer.from(native(path));
  const slash = bytes.lastIndexOf('/');
  await using parent = await openFile(bytes.subarray(0, Math.max(1, slash)), O_RDONLY | O_DIRECTORY);
  await check(parent, (real) => real === beneath || real.startsWith(`${beneath}/`));
  const made = Buffer.concat([Buffer.from(`/proc/self/fd/${parent.fd}/`), bytes.subarray(slash + 1)]);
  return await openFile(made, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | durable, options.permissions ?? 0o600);
}

export const nodeDisk: Disk = {
  open: async (path, options) => {
    const {beneath, mode, truncate = false, permissions = 0o600, durable = false} = options;
    const flags = openFlags[mode] | O_NONBLOCK | (truncate ? O_TRUNC : 0) | (durable ? O_DSYNC : 0);
    if (beneath === undefined) return await attempt('opening', path, async (short) => new NodeFile(await openFile(short, flags, permissions), shown(path), {durable}));
    try {
      const long = isLong(native(path));
      const handle = await (long ? byShortPath(native(path), (short) => openFile(short, flags | O_NOFOLLOW, permissions), (beginning) => within(path, beginning, beneath)) : openBeneath(path, options, beneath));
      return new NodeFile(handle, shown(path), {durable});
    } catch (error) {
      throw systemError(error, `opening ${shown(path)}`);
    }
  },
  openDirectory: (path) => attempt('opening the directory', path, () => NodeDirectory.open(path)),
  stat: (path) => attempt('looking at', path, async (short) => toStat(await fsp.lstat(short, {bigint: true}))),
  readDirectory: (path) => attempt('listing', path, (short) => fsp.readdir(short, {encoding: 'utf8'})),
  async *scanDirectory(path): AsyncGenerator<readonly DirectoryEntry[]> {
    const directory = await attempt('listing', path, (short) => fsp.opendir(short as string, {encoding: 'latin1' as BufferEncoding, bufferSize: scanBatchEntries}));
    try {
      for (let batch: DirectoryEntry[] = []; ; ) {
        const entry = await attempt('listing', path, () => directory.read());
        if (entry) batch.push({name: entry.name as ByteString, kind: kindOf(entry)});
        if (batch.length > 0 && (!entry || batch.length >= scanBatchEntries)) {
          yield batch;
          batch = [];
        }
        if (!entry) return;
      }
    } finally {
      await directory.close();
    }
  },
  readLink: (path) => attempt('reading the link', path, async (short) => fromBytes(await fsp.readlink(short, {encoding: 'buffer'}))),
  realPath: (path) => attempt('resolving', path, async () => fromBytes(await fsp.realpath(native(path), {encoding: 'buffer'}))),
  makeDirectory: (path, options) =>
    attempt('making the directory', path, async (short) => {
      await fsp.mkdir(short, {recursive: options?.recursive ?? false, mode: options?.permissions ?? 0o700});
    }),
  unlink: (path) => attempt('removing', path, (short) => fsp.unlink(short)),
  removeDirectory: (path) => attempt('removing the directory', path, (short) => fsp.rmdir(short)),
  rename: (from, to) => attempt('renaming', from, (short) => byShortPath(native(to), (shortTo) => fsp.rename(short, shortTo))),
  link: (from, to) => attempt('naming again', from, (short) => byShortPath(native(to), (shortTo) => fsp.link(short, shortTo))),
  copy: (from, to) => attempt('copying', from, (short) => byShortPath(native(to), (shortTo) => fsp.copyFile(short, shortTo, fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE))),
  syncDirectory: (path) =>
    attempt('syncing the directory', path, async (short) => {
      await using handle = await openFile(short, O_RDONLY);
      await handle.sync();
    }),
  placer: placingThread,
  space: (path) =>
    attempt('measuring the space of', path, async () => {
      const {bavail, blocks, bsize} = await fsp.statfs(native(path));
      return {free: bavail * bsize, total: blocks * bsize};
    }),
  lock: (path) =>
    attempt('locking', path, async () => {
      const {lockFile} = await import('#runtime/node/file-lock.ts');
      return lockFile(native(path).toString());
    }),
};
