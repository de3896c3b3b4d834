/** A directory of this host (local disk, NFS, any mounted path) as an under store. Files keep their names and bytes. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import {GiB, KiB, TiB} from '#base/units.ts';
import type {ContentMetadata} from '#model/content.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';
import type {
  Capabilities, ConnectorEnvironment, SmallWrite, StoreCallOptions, StoreListPage, StoreListRequest, StoreObject, StorePart, StoreRange, StoreRead, StoreReadRequest,
  StoreMakeOptions, StoreStatOptions, StoreWrite, StoreWriteRequest, UnderStore,
} from '#understore/under-store.ts';
import {diskPath, ownBytesOf, parentOf, pathOfKey, readName, shadowOf} from '#connectors/file/names.ts';
import {DirectoryLister} from '#connectors/file/lister.ts';
import type {MovedFiles} from '#connectors/file/moved-files.ts';
import {Place, type Root, notFound} from '#connectors/file/place.ts';
import {Publisher, type TemporaryFile} from '#connectors/file/publisher.ts';
import {Uploads} from '#connectors/file/uploads.ts';

/** Up to this a file is gathered in memory, and written by one call. */
const smallBytesMax = 64 * KiB;

const capabilities: Capabilities = {
  write: true, localFile: true, directories: true, listAfter: true, orderedList: true, recursiveList: true, conditionalRead: true, conditionalWrite: true,
  rename: 'tree', copy: true, multipart: true, copyParts: true, metadata: false, permissions: true, partBytesMin: 1, partBytesMax: 5 * GiB, singleWriteBytesMax: 8 * TiB, togetherBytesMax: smallBytesMax,
};

const readBytes = 256 * KiB;
const removalsInFlightMax = 16;

export class LocalStore implements UnderStore {
  readonly capabilities: Capabilities;
  readonly #disk: Disk;
  readonly #place: Place;
  readonly #publisher: Publisher;
  readonly #uploads: Uploads;
  readonly #lister: DirectoryLister;

  constructor(root: Root, environment: Pick<ConnectorEnvironment, 'disk' | 'random' | 'clock'>) {
    this.capabilities = capabilities;
    this.#disk = environment.disk;
    this.#place = new Place(environment.disk, root);
    this.#publisher = new Publisher(this.#place, environment);
    this.#uploads = new Uploads(this.#place, this.#publisher, environment.random);
    this.#lister = new DirectoryLister(this.#place);
  }

  /** Reads and removes what earlier processes have left. */
  async recover(clock: ConnectorEnvironment['clock']): Promise<void> {
    await this.#place.moved.load();
    await this.#publisher.sweep(clock);
  }

  async stat(key: ByteString, options: StoreStatOptions): Promise<StoreObject | undefined> {
    options.signal.throwIfAborted();
    const found = await this.#place.find(key);
    if (options.lasting) await this.#place.makeNameLast(pathOfKey(key));
    if (!found) {
      await this.#place.assertThere();
      return undefined;
    }
    return await this.#place.describe(key, found);
  }

  async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    options.signal.throwIfAborted();
    const {file, stat} = await this.#place.openFile(key);
    try {
      const object = this.#place.objectOf(key, stat)!;
      if (request.ifFingerprint !== undefined && request.ifFingerprint !== object.fingerprint) throw changed(key);
      const wanted = request.offset ?? 0;
      const offset = wanted < 0 ? Math.max(0, stat.size + wanted) : wanted;
      if (offset > 0 && offset >= stat.size) throw new WeirError('RangeNotSatisfiable', `${toText(key)} has ${stat.size} bytes; the range starts at ${offset}`, {details: {length: stat.size}});
      const length = Math.min(request.length ?? stat.size, stat.size - offset);
      return {object, offset, length, body: fileBody(file, object, offset, length, this.#place.moved, options.signal)};
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  list(request: StoreListRequest, options: StoreCallOptions): Promise<StoreListPage> {
    return this.#lister.list(request, options.signal);
  }

  async write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite> {
    options.signal.throwIfAborted();
    const {key} = request;
    pathOfKey(key);
    if (key.endsWith('/')) return this.#directoryWrite(request, options);
    if (request.length !== undefined && request.length <= smallBytesMax) return this.#smallWrite(request, options);
    return this.#fileWrite(await this.#publisher.create({permissions: request.mode}), request, options);
  }

  /** Touches the disk only when all is there. */
  #smallWrite({key, mode, condition, length = 0}: StoreWriteRequest, options: StoreCallOptions): StoreWrite {
    const bytes = Buffer.allocUnsafe(length);
    let position = 0;
    let open = true;
    return {
      write: async chunk => {
        options.signal.throwIfAborted();
        if (position + chunk.length <= length) bytes.set(chunk, position);
        position += chunk.length;
      },
      finish: async () => {
        options.signal.throwIfAborted();
        if (!open) throw ended(key);
        assertComplete(key, position, length);
        open = false;
        const [made] = await this.#publisher.publishSmall([{key, bytes, mode, condition}]);
        if (made instanceof WeirError) throw made;
        return made!;
      },
      abort: async () => {
        open = false;
      },
    };
  }

  async writeTogether(files: readonly SmallWrite[], options: StoreCallOptions): Promise<readonly (StoreObject | WeirError)[]> {
    options.signal.throwIfAborted();
    return await this.#publisher.publishSmall(files);
  }

  #fileWrite(temporary: TemporaryFile, request: StoreWriteRequest, options: StoreCallOptions): StoreWrite {
    const {key} = request;
    let position = 0;
    let open = true;
    return {
      write: async chunk => {
        options.signal.throwIfAborted();
        const at = position;
        position += chunk.length;
        await temporary.file.write([chunk], at);
      },
      writeFile: async (file, offset, length) => {
        options.signal.throwIfAborted();
        if (!(await temporary.file.copyFrom(file, offset, length, position))) return false;
        position += length;
        return true;
      },
      finish: async () => {
        options.signal.throwIfAborted();
        if (!open) throw ended(key);
        if (request.length !== undefined) assertComplete(key, position, request.length);
        open = false;
        return await this.#publisher.publish(temporary, key, request.condition);
      },
      abort: async () => {
        if (open) await this.#publisher.discard(temporary);
        open = false;
      },
    };
  }

  /** The marker `k/` of object stores is the directory itself here; what bytes it has lie in a file of their own in it. */
  #directoryWrite(request: StoreWriteRequest, options: StoreCallOptions): StoreWrite {
    const {key, length, mode} = request;
    let bytes: StoreWrite | undefined;
    return {
      write: async chunk => {
        if (chunk.length === 0) return;
        bytes ??= this.#fileWrite(await this.#publisher.create({permissions: mode}), {key, metadata: {}, ...(length === undefined ? {} : {length})}, options);
        await bytes.write(chunk);
      },
      finish: async () => {
        if (bytes) return await bytes.finish();
        if (length) throw new WeirError('IncompleteBody', `${toText(key)}: none of ${length} announced bytes were written`);
        await this.makeDirectory(key, options);
        await this.#removeOwnBytes(key);
        return await this.#existing(key, options);
      },
      abort: async () => bytes?.abort(),
    };
  }

  async remove(keys: readonly ByteString[], options: StoreCallOptions): Promise<readonly {key: ByteString; error: Error}[]> {
    const failed: {key: ByteString; error: Error}[] = [];
    const changedDirectories = new Set<ByteString>();
    /** Of keys that were absent: who removed them may have died, or failed, before that lasted. */
    const lookedAt = new Set<ByteString>();
    const removeThem = async (queue: Iterable<ByteString>): Promise<void> => {
      for (const key of queue) {
        try {
          options.signal.throwIfAborted();
          const parent = await this.#removeOne(key);
          if (parent !== undefined) changedDirectories.add(parent);
          else if (key !== '') lookedAt.add(parentOf(pathOfKey(key)));
        } catch (error) {
          failed.push({key, error: error instanceof Error ? error : new WeirError('Cancelled', String(error))});
        }
      }
    };
    const files = keys.filter(key => !key.endsWith('/'));
    const queue = files.values();
    await Promise.all(Array.from({length: Math.min(removalsInFlightMax, files.length)}, () => removeThem(queue)));
    // A directory goes after what is in it, and the key of what is within sorts behind its own.
    await removeThem(keys.filter(key => key.endsWith('/')).toSorted().toReversed());
    for (const directory of changedDirectories) {
      try {
        await this.#place.syncs.sync(directory);
      } catch (error) {
        // Removed as well by now; then its own parent is among those to sync.
        if (!isKind(error, 'NotFound')) throw error;
      }
    }
    for (const directory of lookedAt) await this.#place.makeNamesLast(directory);
    return failed;
  }

  async copy(from: ByteString, to: ByteString, request: {metadata?: ContentMetadata; ifFingerprint?: string}, options: StoreCallOptions): Promise<StoreObject> {
    options.signal.throwIfAborted();
    const directory = from.endsWith('/') ? await this.#existing(from, options) : undefined;
    if (directory?.length === 0) return await (await this.write({key: to, metadata: {}}, options)).finish();
    const source = await this.#place.openFile(from);
    try {
      if (to.endsWith('/') && source.stat.size === 0) return await (await this.write({key: to, metadata: {}}, options)).finish();
      const before = this.#place.moved.fingerprintOf(source.stat);
      if (request.ifFingerprint !== undefined && request.ifFingerprint !== before) throw changed(from);
      const copied = await this.#publisher.createCopy(source.path);
      try {
        if (this.#place.moved.fingerprintOf(await source.file.stat()) !== before) throw changed(from);
      } catch (error) {
        await this.#publisher.discard(copied);
        throw error;
      }
      return await this.#publisher.publish(copied, to, undefined);
    } finally {
      await source.file.close();
    }
  }

  async rename(from: ByteString, to: ByteString, options: StoreCallOptions): Promise<void> {
    options.signal.throwIfAborted();
    const tree = from.endsWith('/');
    if (tree !== to.endsWith('/') || from === '' || to === '') throw new WeirError('InvalidArgument', `${toText(from)} and ${toText(to)} are not of one kind`);
    if (tree && to.startsWith(from)) throw new WeirError('InvalidArgument', `${toText(to)} lies within ${toText(from)}`);
    using _turn = await this.#publisher.lock(to);
    const source = await this.#place.find(from);
    if (!source) throw notFound(from);
    const target = await this.#publisher.intoPlace(source.path, () => (tree ? this.#treeTarget(to) : this.#place.target(to)));
    if (parentOf(source.path) !== parentOf(target)) await this.#place.syncs.sync(parentOf(source.path) || ('/' as ByteString));
  }

  async makeDirectory(key: ByteString, options: StoreMakeOptions): Promise<void> {
    options.signal.throwIfAborted();
    if (!key.endsWith('/')) throw new WeirError('InvalidArgument', `the key of a directory ends in "/": ${toText(key)}`);
    if (options.lasting === false && (await this.#place.makeDirectory(pathOfKey(key)))) return;
    await this.#place.makeDirectories(pathOfKey(key));
  }

  createUpload(request: StoreWriteRequest, options: StoreCallOptions): Promise<string> {
    options.signal.throwIfAborted();
    return this.#uploads.create(request);
  }

  uploadPart(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, options: StoreCallOptions): Promise<StorePart> {
    return this.#uploads.put(key, uploadId, partNumber, body, length, options.signal);
  }

  copyPart(key: ByteString, uploadId: string, partNumber: number, source: StoreRange, _options: StoreCallOptions): Promise<StorePart> {
    return this.#uploads.copy(key, uploadId, partNumber, source);
  }

  completeUpload(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], options: StoreCallOptions): Promise<StoreObject> {
    return this.#uploads.complete(key, uploadId, parts, condition, options.signal);
  }

  abortUpload(_key: ByteString, uploadId: string, _options: StoreCallOptions): Promise<void> {
    return this.#uploads.abort(uploadId);
  }

  async openLocal(key: ByteString, options: StoreCallOptions): Promise<{file: DiskFile; object: StoreObject}> {
    options.signal.throwIfAborted();
    const {file, stat} = await this.#place.openFile(key);
    return {file, object: this.#place.objectOf(key, stat)!};
  }

  async close(): Promise<void> {
    await this.#publisher.close();
    await this.#place.known.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** NotFound. */
  async #existing(key: ByteString, options: StoreCallOptions): Promise<StoreObject> {
    const made = await this.stat(key, options);
    if (!made) throw notFound(key);
    return made;
  }

  /** The directory whose names changed; undefined when there was nothing. */
  async #removeOne(key: ByteString): Promise<ByteString | undefined> {
    const found = await this.#place.find(key);
    if (!found || key === '') return undefined;
    try {
      if (found.stat.kind === 'directory') await this.#removeDirectory(key, found.path);
      else {
        await this.#disk.unlink(diskPath(found.path));
        await this.#place.moved.forget(found.stat.inode);
      }
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
    }
    return await this.#removePieces(parentOf(found.path)) || ('/' as ByteString);
  }

  /** The directories that only the pieces of a long name were in; answers the first that stays. */
  async #removePieces(path: ByteString): Promise<ByteString> {
    for (let directory = path; ; directory = parentOf(directory)) {
      if (readName(directory.slice(directory.lastIndexOf('/') + 1) as ByteString)?.form !== 'piece') return directory;
      try {
        await this.#disk.removeDirectory(diskPath(directory));
      } catch (error) {
        if (isKind(error, 'DirectoryNotEmpty', 'AlreadyExists')) return directory;
        if (!isKind(error, 'NotFound')) throw error;
      }
    }
  }

  async #removeDirectory(key: ByteString, path: ByteString): Promise<void> {
    try {
      await this.#disk.removeDirectory(diskPath(path));
    } catch (error) {
      // The key goes, whatever else is in the directory.
      if (!isKind(error, 'DirectoryNotEmpty', 'AlreadyExists') || !(await this.#removeOwnBytes(key))) throw error;
      await this.#disk.removeDirectory(diskPath(path));
    }
    const shadow = shadowOf(pathOfKey(key));
    if (shadow === undefined) return;
    const from = this.#place.absolute(shadow);
    try {
      await this.#place.moved.move(from, path, await this.#disk.stat(diskPath(from)));
    } catch (error) {
      if (!isKind(error, 'NotFound')) throw error;
    }
  }

  /** False when the directory has none. */
  async #removeOwnBytes(key: ByteString): Promise<boolean> {
    const directory = this.#place.absolute(pathOfKey(key));
    try {
      await this.#disk.unlink(diskPath(ownBytesOf(directory)));
    } catch (error) {
      if (isKind(error, 'NotFound')) return false;
      throw error;
    }
    await this.#place.syncs.sync(directory);
    return true;
  }

  async #treeTarget(to: ByteString): Promise<ByteString> {
    const relative = pathOfKey(to);
    const there = await this.#place.find(to);
    // Makes room by the usual way (a file of that name goes to its escape); the empty directory is then replaced.
    if (!there) await this.#place.makeDirectories(relative);
    return this.#place.absolute(relative);
  }
}

async function* chunksOf(file: DiskFile, object: StoreObject, offset: number, length: number, moved: MovedFiles, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  for (let done = 0; done < length; ) {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafeSlow(Math.min(readBytes, length - done));
    const count = await file.read(buffer, offset + done);
    done += count;
    // The last bytes leave only when the file is still what it was at the first.
    if (count < buffer.length || (done === length && moved.fingerprintOf(await file.stat()) !== object.fingerprint)) throw changed(object.key);
    yield buffer;
  }
}

/** The file is closed when the body has ended, in whatever way. Not a generator: one given back before its first use would not close. */
function fileBody(file: DiskFile, object: StoreObject, offset: number, length: number, moved: MovedFiles, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const chunks = chunksOf(file, object, offset, length, moved, signal);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= file.close());
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      try {
        const result = await chunks.next();
        if (result.done) await close();
        return result;
      } catch (error) {
        await close();
        throw error;
      }
    },
    async return() {
      await chunks.return();
      await close();
      return {done: true, value: undefined};
    },
  };
  return {[Symbol.asyncIterator]: () => iterator};
}

function changed(key: ByteString): WeirError {
  return new WeirError('ContentChanged', `${toText(key)} is another version now`);
}

function ended(key: ByteString): WeirError {
  return new WeirError('Cancelled', `the write of ${toText(key)} has ended`);
}

function assertComplete(key: ByteString, written: number, announced: number): void {
  if (written !== announced) throw new WeirError('IncompleteBody', `${toText(key)}: ${written} of ${announced} announced bytes were written`);
}
