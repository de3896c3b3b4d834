/**
 * New files, whole or not at all: written under a name of their own in `.weir/tmp` (the same file system), made durable,
 * renamed to their place, and the name made durable. What a crash leaves behind in `.weir/tmp` is swept when it is a day old.
 * A small file in a directory that is known costs four calls of the disk: open, a durable write, rename, close; and its share of a sync.
 * Many at once go together (small-files.ts).
 *
 * Conditions are checked under a lock of the key: they hold against all writers of this process; a file system has no
 * way to hold them against others.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import {KeyedMutex} from '#base/keyed-mutex.ts';
import type {Clock} from '#runtime/clock.ts';
import {type Disk, type DiskFile, type DiskPath, placedBytesMax} from '#runtime/disk.ts';
import type {Random} from '#runtime/random.ts';
import type {SmallWrite, StoreObject, StoreWriteRequest} from '#understore/under-store.ts';
import type {EnteredDirectory} from '#connectors/file/known-directories.ts';
import {diskPath, ownDirectory, parentOf, pathOfKey, shadowOf} from '#connectors/file/names.ts';
import {attemptsMax, type Place} from '#connectors/file/place.ts';
import {SmallFiles, type ToPlace} from '#connectors/file/small-files.ts';

const leftoverAgeMs = 24 * 3_600_000;

export interface TemporaryFile {
  readonly file: DiskFile;
  readonly path: ByteString;
  /** Its bytes are, as soon as they are written. */
  readonly isDurable?: boolean;
  /** Looking at it waits for nobody. */
  readonly isLocal?: boolean;
}

export interface CreateOptions {
  readonly permissions?: number | undefined;
  /** See OpenOptions: for a file that is written at once. */
  readonly durable?: boolean;
}

export class Publisher {
  readonly #place: Place;
  readonly #disk: Disk;
  readonly #keys = new KeyedMutex();
  readonly #small: SmallFiles;
  /** Of the names that this process gives; numbers tell them apart. */
  readonly #prefix: string;
  #made = 0;
  #ready = false;

  constructor(place: Place, {random, clock}: {readonly random: Random; readonly clock: Pick<Clock, 'yield'>}) {
    this.#place = place;
    this.#disk = place.disk;
    this.#small = new SmallFiles(place.disk, clock);
    this.#prefix = random.id();
  }

  get #directory(): ByteString {
    return this.#place.absolute(`${ownDirectory}/tmp` as ByteString);
  }

  create({permissions = 0o666, durable = false}: CreateOptions = {}): Promise<TemporaryFile> {
    const options = {mode: 'exclusive', permissions, durable} as const;
    return this.#make(async (name, path) => {
      using known = this.#place.known.enter(this.#directory);
      if (known) return {file: await known.open(name, options), path, isDurable: durable, isLocal: true};
      const file = await this.#disk.open(diskPath(path), options);
      await this.#place.wroteTo(this.#directory);
      return {file, path, isDurable: durable};
    });
  }

  /** With the bytes of another file; shares its blocks where the file system can. */
  createCopy(of: ByteString): Promise<TemporaryFile> {
    return this.#make(async (_name, path) => {
      await this.#disk.copy(diskPath(of), diskPath(path));
      return {file: await this.#disk.open(diskPath(path), {mode: 'write'}), path};
    });
  }

  /** Whole files, each made or not for itself; answers in order. */
  async publishSmall(files: readonly SmallWrite[]): Promise<readonly (StoreObject | WeirError)[]> {
    const placed = await this.#placeTogether(files);
    return await Promise.all(files.map(async (file, i) => placed[i] ?? (await this.#publishAlone(file).catch(asWeirError))));
  }

  async #publishAlone({key, bytes, mode: permissions, condition}: SmallWrite): Promise<StoreObject> {
    using _itself = this.#small.byItself();
    const temporary = await this.create({permissions, durable: bytes.length > 0});
    try {
      if (bytes.length > 0) await temporary.file.write([bytes], 0);
    } catch (error) {
      await this.discard(temporary);
      throw error;
    }
    return await this.publish(temporary, key, condition);
  }

  /** Undefined of those that must go by themselves: their directory cannot be known, somebody else has the key, or it is not as simple. */
  async #placeTogether(files: readonly SmallWrite[]): Promise<readonly (StoreObject | WeirError | undefined)[]> {
    const answers: (StoreObject | WeirError | undefined)[] = files.map(() => undefined);
    using held = new DisposableStack();
    const drafts = this.#small.isReady ? this.#place.known.hold(this.#directory) : undefined;
    if (!drafts) return answers;
    held.use(drafts);
    const directories = new Map<ByteString, EnteredDirectory | undefined>();
    const going: number[] = [];
    const toPlace: ToPlace[] = [];
    for (const [i, file] of files.entries()) {
      try {
        const made = await this.#toPlace(file, drafts, directories, held);
        if (!made) continue;
        going.push(i);
        toPlace.push(made);
      } catch (error) {
        answers[i] = asWeirError(error);
      }
    }
    if (going.length === 0) return answers;
    const placed = await this.#small.place(toPlace);
    for (const [at, i] of going.entries()) {
      const stat = placed[at]!;
      // Whatever it is: the other way finds out what to do about it.
      if (!(stat instanceof WeirError)) answers[i] = this.#place.objectOf(files[i]!.key, stat);
    }
    return answers;
  }

  /** `directories`: what is known of some; `held`: has the key and the directory then. */
  async #toPlace(file: SmallWrite, drafts: EnteredDirectory, directories: Map<ByteString, EnteredDirectory | undefined>, held: DisposableStack): Promise<ToPlace | undefined> {
    const {key, bytes, mode: permissions = 0o666, condition} = file;
    const turn = bytes.length > placedBytesMax ? undefined : this.#keys.take(key);
    if (!turn) return undefined;
    held.use(turn);
    const relative = pathOfKey(key);
    const parent = parentOf(relative);
    if (!directories.has(parent)) {
      const directory = this.#place.known.hold(this.#place.absolute(parent)) ?? (await this.#makeKnown(parent));
      directories.set(parent, directory && held.use(directory));
    }
    const known = directories.get(parent);
    if (!known) return undefined;
    const fresh = condition !== undefined && 'ifAbsent' in condition;
    if (condition && !fresh) await this.#check(key, condition);
    const at = (path: ByteString): DiskPath => known.at(path.slice(parent === '' ? 0 : parent.length + 1) as ByteString);
    const place = at(relative);
    const shadow = fresh ? shadowOf(relative) : undefined;
    const absent = fresh ? [place, ...(shadow === undefined ? [] : [at(shadow)])] : [];
    const placed = {draft: drafts.at(this.#name()), place, directory: known.at('.' as ByteString), bytes, permissions, absent};
    return {file: placed, within: [drafts.directory, known.directory]};
  }

  async #makeKnown(parent: ByteString): Promise<EnteredDirectory | undefined> {
    try {
      await this.#place.toBeWritten(parent);
    } catch {
      // The other way says what is wrong.
      return undefined;
    }
    return this.#place.known.hold(this.#place.absolute(parent));
  }

  #name(): ByteString {
    return `${this.#prefix}-${(this.#made++).toString(36)}` as ByteString;
  }

  async #make<T>(make: (name: ByteString, path: ByteString) => Promise<T>): Promise<T> {
    if (!this.#ready) await this.#disk.makeDirectory(diskPath(this.#directory), {recursive: true});
    this.#ready = true;
    const name = this.#name();
    try {
      return await make(name, `${this.#directory}/${name}` as ByteString);
    } catch (error) {
      // Somebody removed our directory: make it anew the next time.
      this.#ready = false;
      throw error;
    }
  }

  /** Puts a finished temporary file at its key; the file is closed and gone from its temporary name whatever happens. */
  async publish({file, path, isDurable, isLocal}: TemporaryFile, key: ByteString, condition: StoreWriteRequest['condition']): Promise<StoreObject> {
    try {
      if (isDurable !== true) await file.datasync();
      using _turn = await this.#keys.acquire(key);
      if (condition) await this.#check(key, condition);
      if (!(await this.#intoKnown(path, key))) {
        const target = await this.intoPlace(path, () => this.#place.target(key));
        await this.#place.wroteTo(parentOf(target) || ('/' as ByteString));
      }
      // Renaming changes ctime, so the fingerprint is that of after.
      return this.#place.objectOf(key, (isLocal === true ? file.statNow() : undefined) ?? (await file.stat()))!;
    } catch (error) {
      await this.#remove(path);
      throw error;
    } finally {
      await file.close();
    }
  }

  /** The short way. False, with nothing done, where the directory is not known, or where it is not as simple: a directory of that name, say. */
  async #intoKnown(from: ByteString, key: ByteString): Promise<boolean> {
    const target = this.#place.absolute(pathOfKey(key));
    if (key.endsWith('/') || key === '') return false;
    const parent = parentOf(target) || ('/' as ByteString);
    using known = this.#place.known.enter(parent);
    if (!known) return false;
    try {
      await this.#disk.rename(diskPath(from), known.at(target.slice(target.lastIndexOf('/') + 1) as ByteString));
    } catch {
      // Whatever it is: the other way finds out what to do about it.
      return false;
    }
    await known.sync();
    return true;
  }

  /** Moves what lies at `from` to where `place` says, durably; again when the directory there was removed meanwhile. */
  async intoPlace(from: ByteString, place: () => Promise<ByteString>): Promise<ByteString> {
    for (let attempt = 1; ; attempt++) {
      try {
        const target = await place();
        await this.#disk.rename(diskPath(from), diskPath(target));
        await this.#place.syncs.sync(parentOf(target) || ('/' as ByteString));
        return target;
      } catch (error) {
        if (attempt === attemptsMax || !isKind(error, 'NotFound') || !(await this.#isThere(from))) throw error;
      }
    }
  }

  async #isThere(path: ByteString): Promise<boolean> {
    try {
      await this.#disk.stat(diskPath(path));
      return true;
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory')) return false;
      throw error;
    }
  }

  async discard({file, path}: TemporaryFile): Promise<void> {
    await file.close();
    await this.#remove(path);
  }

  /** The turn of a key, for other changes that must not meet a publication. */
  lock(key: ByteString): Promise<Disposable> {
    return this.#keys.acquire(key);
  }

  async close(): Promise<void> {
    await this.#small.close();
  }

  /** Removes what crashes have left behind. */
  async sweep(clock: Pick<Clock, 'nowMs'>): Promise<void> {
    let names: string[];
    try {
      names = await this.#disk.readDirectory(diskPath(this.#directory));
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory')) return;
      throw error;
    }
    for (const name of names) {
      const path = `${this.#directory}/${name}` as ByteString;
      try {
        const {mtimeNs} = await this.#disk.stat(diskPath(path));
        if (Number(mtimeNs / 1_000_000n) < clock.nowMs() - leftoverAgeMs) await this.#disk.unlink(diskPath(path));
      } catch (error) {
        if (!isKind(error, 'NotFound')) throw error;
      }
    }
  }

  async #check(key: ByteString, condition: NonNullable<StoreWriteRequest['condition']>): Promise<void> {
    const found = await this.#place.find(key);
    const met = 'ifAbsent' in condition ? !found : found !== undefined && this.#place.moved.fingerprintOf(found.stat) === condition.ifFingerprint;
    if (!met) throw new WeirError('PreconditionFailed', found ? `${toText(key)} exists in another version` : `${toText(key)} does not exist`);
  }

  async #remove(path: ByteString): Promise<void> {
    try {
      await this.#disk.unlink(diskPath(path));
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
    }
  }
}

function asWeirError(error: unknown): WeirError {
  return error instanceof WeirError ? error : new WeirError('Internal', 'a file could not be written', {cause: error});
}
