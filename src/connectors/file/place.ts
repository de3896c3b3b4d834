/**
 * The root directory of a mount and the way in: no operation leaves it. Symbolic links on the way are followed while they
 * stay within the root; one that leads out is PermissionDenied. Files are checked once they are open (see OpenOptions.beneath),
 * so that nobody can swap a directory for a link in between; for names that are changed, the directory is resolved just before.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {Disk, DiskFile, FileStat} from '#runtime/disk.ts';
import type {StoreObject} from '#understore/under-store.ts';
import {DirectorySync} from '#connectors/file/directory-sync.ts';
import {KnownDirectories} from '#connectors/file/known-directories.ts';
import {MovedFiles} from '#connectors/file/moved-files.ts';
import {diskPath, ownBytesOf, parentOf, pathOfKey, shadowOf} from '#connectors/file/names.ts';
import {objectOf} from '#connectors/file/objects.ts';

/** A directory goes with its last child, maybe just before something is put into it; every further attempt takes another delete. */
export const attemptsMax = 100;
const settledMax = 10_000;

export interface Root {
  /** Canonical (Disk.realPath). */
  readonly path: ByteString;
  readonly inode: bigint;
}

export class Place {
  readonly disk: Disk;
  /** Without a trailing slash. */
  readonly root: ByteString;
  readonly syncs: DirectorySync;
  readonly moved: MovedFiles;
  readonly known: KnownDirectories;

  readonly #inode: bigint;
  /** Directories that were made and whose names are not durable yet: nothing below them is, either. Relative paths; the value tells one making from the next. */
  readonly #undurable = new Map<ByteString, number>();
  #made = 0;
  /** Relative paths of directories that are becoming known. */
  readonly #opening = new Map<ByteString, Promise<void>>();
  /** Relative paths of directories that were synced since the start: an earlier life may have been killed between making what it made there and the sync. */
  readonly #settled = new Set<ByteString>();

  constructor(disk: Disk, root: Root) {
    this.disk = disk;
    this.root = root.path === '/' ? ('' as ByteString) : root.path;
    this.#inode = root.inode;
    this.syncs = new DirectorySync(disk);
    this.moved = new MovedFiles(disk, this.root);
    this.known = new KnownDirectories(disk);
  }

  /** The absolute path of a path relative to the root. */
  absolute(relative: ByteString): ByteString {
    return (relative === '' ? this.root || '/' : `${this.root}/${relative}`) as ByteString;
  }

  /** What the file of a key looks like as an object; undefined for what is none. */
  objectOf(key: ByteString, stat: FileStat, target?: ByteString): StoreObject | undefined {
    return objectOf(key, stat, this.moved.fingerprintOf(stat), target);
  }

  /** The file or link of a key (or, for a directory's key, the directory), and where it was found; undefined when there is none. */
  async find(key: ByteString): Promise<{path: ByteString; stat: FileStat} | undefined> {
    const relative = pathOfKey(key);
    {
      using known = this.known.enter(this.absolute(parentOf(relative)));
      if (!known && !(await this.#enter(parentOf(relative)))) return undefined;
    }
    const wantsDirectory = key === '' || key.endsWith('/');
    const found = await this.#stat(relative);
    if (found && (found.kind === 'directory') === wantsDirectory) return {path: this.absolute(relative), stat: found};
    const shadow = wantsDirectory ? undefined : shadowOf(relative);
    const shadowed = shadow === undefined ? undefined : await this.#stat(shadow);
    return shadowed && shadowed.kind !== 'directory' ? {path: this.absolute(shadow!), stat: shadowed} : undefined;
  }

  /** As an object: with a link's target, with the bytes that a directory has as its own key's. Undefined for what is none. */
  async describe(key: ByteString, {path, stat}: {readonly path: ByteString; readonly stat: FileStat}): Promise<StoreObject | undefined> {
    const object = this.objectOf(key, stat, stat.kind === 'symlink' ? await this.disk.readLink(diskPath(path)) : undefined);
    const own = object?.kind === 'directory' && key !== '' ? await this.#statAt(ownBytesOf(path)) : undefined;
    if (!object || !own) return object;
    const {length, fingerprint, etag} = this.objectOf(key, own)!;
    return {...object, length, fingerprint, etag};
  }

  /** Opens the file of a key for reading. NotFound, PermissionDenied (a link leads out). */
  async openFile(key: ByteString): Promise<{file: DiskFile; stat: FileStat; path: ByteString}> {
    const relative = pathOfKey(key);
    if (relative === '') throw notFound(key);
    const shadow = shadowOf(relative);
    for (const candidate of key.endsWith('/') ? [ownBytesOf(relative)] : shadow === undefined ? [relative] : [relative, shadow]) {
      const opened = await this.#open(candidate);
      if (opened) return {...opened, path: this.absolute(candidate)};
    }
    await this.assertThere();
    throw notFound(key);
  }

  /**
   * Where a file of this key is to be put; makes the directories above. A directory that has its name stays, and the file
   * goes beside it under its escape; a file that has the name of a directory above is moved to its escape. Bytes of a directory's
   * key go into it.
   */
  async target(key: ByteString): Promise<ByteString> {
    const relative = pathOfKey(key);
    if (relative === '') throw new WeirError('IsADirectory', 'the root is a directory');
    if (key.endsWith('/')) {
      await this.makeDirectories(relative);
      return this.absolute(ownBytesOf(relative));
    }
    await this.makeDirectories(parentOf(relative));
    const found = await this.#stat(relative);
    if (found?.kind !== 'directory') return this.absolute(relative);
    const shadow = shadowOf(relative);
    if (shadow === undefined) throw new WeirError('IsADirectory', `${toText(key)} is a directory, and its name is too long to stand beside it`);
    return this.absolute(shadow);
  }

  /** Asked before anything is called absent: Unavailable when the root is gone, or is another directory (what was mounted there no longer is). */
  async assertThere(): Promise<void> {
    if ((await this.#stat('' as ByteString))?.inode !== this.#inode) throw new WeirError('Unavailable', `the mounted directory ${toText(this.root)} is gone`);
  }

  /** Makes a directory (relative path) and those above it, durable; existing ones are fine, and one that is removed meanwhile is made again. */
  async makeDirectories(relative: ByteString): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#makeDirectories(relative);
      } catch (error) {
        if (attempt === attemptsMax || !isKind(error, 'NotFound')) throw error;
      }
    }
  }

  async #makeDirectories(relative: ByteString): Promise<void> {
    if (await this.#enter(relative)) {
      if ((await this.#stat(relative))?.kind === 'directory' || relative === '') return await this.#makeDurable(relative);
    }
    const parent = parentOf(relative);
    if (relative === '') throw new WeirError('Unavailable', `the mounted directory ${toText(this.root)} is gone`);
    await this.#makeDirectories(parent);
    const there = await this.#stat(relative);
    if (there?.kind === 'symlink') {
      // A link to a directory within the root counts as the directory; anything else cannot be one.
      if (await this.#enter(relative)) return;
      throw new WeirError('NotADirectory', `${toText(relative)} is a symbolic link that leads nowhere`);
    }
    if (there && there.kind !== 'directory') {
      const shadow = shadowOf(relative);
      if (shadow === undefined) throw new WeirError('NotADirectory', `${toText(relative)} is a file, and its name is too long to stand beside a directory`);
      await this.moved.move(this.absolute(relative), this.absolute(shadow), there);
    }
    try {
      this.#undurable.set(relative, ++this.#made);
      await this.disk.makeDirectory(diskPath(this.absolute(relative)), {permissions: 0o777});
    } catch (error) {
      if (!isKind(error, 'AlreadyExists')) throw error;
    }
    await this.#makeDurable(relative);
  }

  /** Makes a directory in one that is there, where nothing has its name. It may not survive power loss yet. False: it is not made, or was not by this. */
  async makeDirectory(relative: ByteString): Promise<boolean> {
    const parent = parentOf(relative);
    using known = this.known.enter(this.absolute(parent));
    if (relative === '' || (!known && !(await this.#enter(parent)))) return false;
    this.#undurable.set(relative, ++this.#made);
    try {
      await this.disk.makeDirectory(diskPath(this.absolute(relative)), {permissions: 0o777});
      return true;
    } catch (error) {
      if (!isKind(error, 'AlreadyExists', 'NotFound', 'NotADirectory')) throw error;
      return false;
    }
  }

  /** What has this name (relative path), or that nothing has, survives power loss. */
  async makeNameLast(relative: ByteString): Promise<void> {
    const made = this.#undurable.get(relative);
    await this.makeNamesLast(parentOf(relative));
    if (this.#undurable.get(relative) === made) this.#undurable.delete(relative);
  }

  /** What this directory (relative path) has by now, and that it has nothing else, survives power loss; where it is not there, that it is not. */
  async makeNamesLast(relative: ByteString): Promise<void> {
    for (let path = relative; ; path = parentOf(path)) {
      try {
        await this.syncs.sync(this.absolute(path));
        return await this.#makeDurable(path);
      } catch (error) {
        if (path === '' || !isKind(error, 'NotFound', 'NotADirectory', 'NameTooLong')) throw error;
      }
    }
  }

  /** Something was put into this directory (absolute), whose name, and those above, survive power loss. */
  async wroteTo(directory: ByteString): Promise<void> {
    await this.known.met(directory, () => this.#lasts(directory));
  }

  /** Makes a directory (relative path), durable, and known where it can be: many files are about to be put there. All who ask at once wait for the same. */
  async toBeWritten(relative: ByteString): Promise<void> {
    let opening = this.#opening.get(relative);
    if (!opening) {
      const absolute = this.absolute(relative);
      opening = this.makeDirectories(relative).then(() => this.known.know(absolute, () => this.#lasts(absolute))).finally(() => this.#opening.delete(relative));
      this.#opening.set(relative, opening);
    }
    await opening;
  }

  /** Whether the name of a directory (absolute), and those above, survive power loss. */
  #lasts(directory: ByteString): boolean {
    for (let path = directory.slice(this.root.length + 1) as ByteString; path !== ''; path = parentOf(path)) if (this.#undurable.has(path)) return false;
    return true;
  }

  /** Whoever finds a directory that another caller has just made waits for its name like the other. */
  async #makeDurable(relative: ByteString): Promise<void> {
    for (let path = relative; path !== ''; path = parentOf(path)) {
      const made = this.#undurable.get(path);
      const parent = parentOf(path);
      if (made === undefined && this.#settled.has(parent)) continue;
      try {
        await this.syncs.sync(this.absolute(parent));
      } catch (error) {
        // Others' directories may be passed through and not read.
        if (made === undefined && isKind(error, 'PermissionDenied')) continue;
        // Removed meanwhile, and what was above it: nothing is left to be made durable.
        if (isKind(error, 'NotFound') && this.#undurable.get(path) === made) this.#undurable.delete(path);
        throw error;
      }
      if (this.#undurable.get(path) === made) this.#undurable.delete(path);
      if (this.#settled.size >= settledMax) this.#settled.clear();
      this.#settled.add(parent);
    }
  }

  /** True when the directory (relative path) exists and really lies within the root; PermissionDenied when it lies elsewhere. */
  async #enter(relative: ByteString): Promise<boolean> {
    let real: ByteString;
    try {
      real = await this.disk.realPath(diskPath(this.absolute(relative)));
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory')) return false;
      throw error;
    }
    if (real !== (this.root || '/') && !real.startsWith(`${this.root}/`)) throw new WeirError('PermissionDenied', `${toText(relative)} leads out of the mounted directory by a symbolic link`);
    return true;
  }

  #stat(relative: ByteString): Promise<FileStat | undefined> {
    return this.#statAt(this.absolute(relative));
  }

  async #statAt(path: ByteString): Promise<FileStat | undefined> {
    try {
      return await this.disk.stat(diskPath(path));
    } catch (error) {
      // A name too long for the file system is no name of it.
      if (isKind(error, 'NotFound', 'NotADirectory', 'NameTooLong')) return undefined;
      throw error;
    }
  }

  async #open(relative: ByteString): Promise<{file: DiskFile; stat: FileStat} | undefined> {
    let file: DiskFile;
    try {
      file = await this.disk.open(diskPath(this.absolute(relative)), {mode: 'read', beneath: (this.root || '/') as ByteString});
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory', 'IsADirectory')) return undefined;
      throw error;
    }
    try {
      const stat = await file.stat();
      if (stat.kind === 'file') return {file, stat};
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    return undefined;
  }
}

export function notFound(key: ByteString): WeirError {
  return new WeirError('NotFound', `${toText(key)} does not exist`);
}
