/**
 * Files that were moved aside for a directory of their name, and back (`a` to `.weir~fa`, see names.ts). A rename changes ctime and with it the
 * fingerprint, though no byte: the object would look like another version, and lose its ETag, its checksums and its metadata,
 * which the namespace knows for the fingerprint. So such a file goes on under the fingerprint that it had, as long as it is exactly
 * as the move has left it.
 *
 * A note for each in `.weir/moved/`, named by the inode: the fingerprint of before, that of after (empty until the move is done), the
 * path. A note without the second, from a crash, holds for a file of which nothing but ctime differs.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {Disk, FileStat} from '#runtime/disk.ts';
import {diskPath, ownDirectory, parentOf} from '#connectors/file/names.ts';
import {fingerprintOf} from '#connectors/file/objects.ts';

/** Beyond this the names of files and directories meet without a note. */
const notesMax = 65_536;
const noteBytesMax = 8192;

interface Note {
  readonly was: string;
  readonly now: string;
  /** Absolute. */
  readonly path: ByteString;
}

export class MovedFiles {
  readonly #disk: Disk;
  readonly #directory: ByteString;
  readonly #notes = new Map<bigint, Note>();
  readonly #inodes = new Map<ByteString, bigint>();

  /** `root`: absolute, without a trailing slash. */
  constructor(disk: Disk, root: ByteString) {
    this.#disk = disk;
    this.#directory = `${root}/${ownDirectory}/moved` as ByteString;
  }

  /** Under which a file is known. */
  fingerprintOf(stat: FileStat): string {
    const now = fingerprintOf(stat);
    if (this.#notes.size === 0) return now;
    const note = this.#notes.get(stat.inode);
    return note?.now === now ? note.was : now;
  }

  /** Renames a file (absolute paths) that looks like `stat`; it keeps its fingerprint. */
  async move(from: ByteString, to: ByteString, stat: FileStat): Promise<void> {
    if (stat.kind !== 'file' || this.#notes.size >= notesMax) return await this.#disk.rename(diskPath(from), diskPath(to));
    const was = this.fingerprintOf(stat);
    for (const path of [from, to]) await this.#forgetOther(path, stat.inode);
    await this.#write(stat.inode, {was, now: '', path: to});
    await this.#disk.rename(diskPath(from), diskPath(to));
    const now = fingerprintOf(await this.#disk.stat(diskPath(to)));
    if (!differsInCtimeOnly(was, now)) return await this.forget(stat.inode);
    const note = {was, now, path: to};
    this.#inodes.delete(from);
    this.#remember(stat.inode, note);
    await this.#write(stat.inode, note);
  }

  /** The file is gone. */
  async forget(inode: bigint): Promise<void> {
    const note = this.#notes.get(inode);
    if (!note) return;
    this.#notes.delete(inode);
    this.#inodes.delete(note.path);
    await this.#unlink(inode.toString(36));
  }

  /** Reads the notes of earlier processes; those of files that are no longer what they were are removed. */
  async load(): Promise<void> {
    let names: string[];
    try {
      names = await this.#disk.readDirectory(diskPath(this.#directory));
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory')) return;
      throw error;
    }
    for (const name of names) {
      const note = await this.#read(name);
      const stat = note && (await this.#stat(note.path));
      const now = stat && fingerprintOf(stat);
      if (note && stat && now !== undefined && stat.inode.toString(36) === name && (note.now === now || (note.now === '' && differsInCtimeOnly(note.was, now)))) this.#remember(stat.inode, {...note, now});
      else await this.#unlink(name);
    }
  }

  #remember(inode: bigint, note: Note): void {
    this.#notes.set(inode, note);
    this.#inodes.set(note.path, inode);
  }

  /** A file that was here and has been replaced since. */
  async #forgetOther(path: ByteString, inode: bigint): Promise<void> {
    const known = this.#inodes.get(path);
    if (known !== undefined && known !== inode) await this.forget(known);
  }

  async #write(inode: bigint, {was, now, path}: Note): Promise<void> {
    const at = diskPath(`${this.#directory}/${inode.toString(36)}` as ByteString);
    const open = () => this.#disk.open(at, {mode: 'create', truncate: true});
    const file = await open().catch(async (error: unknown) => {
      if (!isKind(error, 'NotFound')) throw error;
      await this.#disk.makeDirectory(diskPath(this.#directory), {recursive: true});
      await this.#disk.syncDirectory(diskPath(parentOf(this.#directory)));
      return await open();
    });
    try {
      await file.write([Buffer.from(`${was}\n${now}\n${path}`, 'latin1')], 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    if (now === '') await this.#disk.syncDirectory(diskPath(this.#directory));
  }

  async #read(name: string): Promise<Note | undefined> {
    const file = await this.#disk.open(diskPath(`${this.#directory}/${name}` as ByteString), {mode: 'read'});
    try {
      const buffer = Buffer.alloc(noteBytesMax);
      const [, was, now, path] = /^(\S+)\n(\S*)\n([^]+)$/.exec(buffer.toString('latin1', 0, await file.read(buffer, 0))) ?? [];
      return was === undefined || now === undefined || path === undefined ? undefined : {was, now, path: path as ByteString};
    } finally {
      await file.close();
    }
  }

  async #stat(path: ByteString): Promise<FileStat | undefined> {
    try {
      return await this.#disk.stat(diskPath(path));
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory', 'NameTooLong')) return undefined;
      throw error;
    }
  }

  async #unlink(name: string): Promise<void> {
    try {
      await this.#disk.unlink(diskPath(`${this.#directory}/${name}` as ByteString));
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
    }
  }
}

const beforeCtime = (fingerprint: string): string => fingerprint.slice(0, fingerprint.lastIndexOf('.'));

function differsInCtimeOnly(was: string, now: string): boolean {
  return beforeCtime(was) === beforeCtime(now);
}
