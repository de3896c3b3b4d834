/**
 * Multipart uploads: a directory `.weir/uploads/ID` each, with the key in the file `key` and a file for every part, durable
 * when acknowledged. Completion copies the first (sharing its blocks where the file system can), appends the others and
 * publishes the result as any other write; the parts stay until that has succeeded, so a failed completion can be repeated.
 * A part that is made of what the store has only says of what: completion begins with a copy of that file, and writes the others into it.
 */
import {type ByteString, fromBytes, fromText, toBytes, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import {KiB} from '#base/units.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';
import type {Random} from '#runtime/random.ts';
import type {StoreObject, StorePart, StoreRange, StoreWriteRequest} from '#understore/under-store.ts';
import {diskPath, ownDirectory, pathOfKey} from '#connectors/file/names.ts';
import {notFound, type Place} from '#connectors/file/place.ts';
import type {Publisher} from '#connectors/file/publisher.ts';

const copyBytes = 1024 * KiB;
const tokenPattern = /^\d+-[0-9a-f]+(-copy)?$/;
/** No note of a copied part is longer: a key of 1024 bytes, escaped. */
const noteBytesMax = 16 * KiB;

export class Uploads {
  readonly #place: Place;
  readonly #disk: Disk;
  readonly #publisher: Publisher;
  readonly #random: Random;

  constructor(place: Place, publisher: Publisher, random: Random) {
    this.#place = place;
    this.#disk = place.disk;
    this.#publisher = publisher;
    this.#random = random;
  }

  async create(request: StoreWriteRequest): Promise<string> {
    pathOfKey(request.key);
    const id = this.#random.id();
    const directory = this.#directory(id);
    await this.#disk.makeDirectory(diskPath(directory), {recursive: true});
    const file = await this.#disk.open(diskPath(`${directory}/key` as ByteString), {mode: 'exclusive'});
    try {
      await file.write([toBytes(request.key)], 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    // The first may have made all of them.
    for (const above of [`${ownDirectory}/uploads/${id}`, `${ownDirectory}/uploads`, ownDirectory, '']) await this.#place.syncs.sync(this.#place.absolute(above as ByteString));
    return id;
  }

  async put(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, signal: AbortSignal): Promise<StorePart> {
    const directory = await this.#find(key, uploadId);
    const token = `${String(partNumber).padStart(5, '0')}-${this.#random.id()}`;
    const path = diskPath(`${directory}/${token}` as ByteString);
    const file = await this.#disk.open(path, {mode: 'exclusive'});
    let written = 0;
    try {
      for await (const chunk of body) {
        signal.throwIfAborted();
        await file.write([chunk], written);
        written += chunk.length;
      }
      if (written !== length) throw new WeirError('IncompleteBody', `part ${partNumber} of ${toText(key)}: ${written} of ${length} announced bytes came`);
      await file.datasync();
    } catch (error) {
      await this.#disk.unlink(path);
      throw error;
    } finally {
      await file.close();
    }
    await this.#place.syncs.sync(directory);
    return {partNumber, token, length};
  }

  /** Only noted: the bytes are looked for when the upload is completed. */
  async copy(key: ByteString, uploadId: string, partNumber: number, source: StoreRange): Promise<StorePart> {
    const directory = await this.#find(key, uploadId);
    const size = await this.#sizeOf(source);
    if (source.offset + source.length > size) throw new WeirError('InvalidArgument', `${toText(source.key)} has ${size} bytes: none from ${source.offset} to ${source.offset + source.length}`);
    const token = `${String(partNumber).padStart(5, '0')}-${this.#random.id()}-copy`;
    const file = await this.#disk.open(diskPath(`${directory}/${token}` as ByteString), {mode: 'exclusive'});
    try {
      await file.write([Buffer.from(JSON.stringify(source))], 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    await this.#place.syncs.sync(directory);
    return {partNumber, token, length: source.length};
  }

  async complete(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], signal: AbortSignal): Promise<StoreObject> {
    const directory = await this.#find(key, uploadId);
    const stored = new Set(await this.#disk.readDirectory(diskPath(directory)));
    for (const [i, part] of parts.entries()) {
      if (!tokenPattern.test(part.token) || !stored.has(part.token)) throw new WeirError('InvalidArgument', `part ${part.partNumber} of ${toText(key)} is unknown`);
      if (i > 0 && parts[i - 1]!.partNumber >= part.partNumber) throw new WeirError('InvalidArgument', `parts of ${toText(key)} are out of order`);
    }
    const first = parts[0];
    if (!first) throw new WeirError('InvalidArgument', `${toText(key)} cannot be made of no parts`);
    const sources = new Map<StorePart, StoreRange>();
    for (const part of parts) if (part.token.endsWith('-copy')) sources.set(part, await this.#noteOf(`${directory}/${part.token}` as ByteString));
    const [base] = sources.values();
    const made = await this.#publisher.createCopy(base ? await this.#pathOf(base) : (`${directory}/${first.token}` as ByteString));
    try {
      let length = 0;
      for (const part of parts) {
        const source = sources.get(part);
        const isThere = source ? source.key === base!.key && source.offset === length : part === first && !base;
        if (!isThere) await this.#append(made.file, length, source ?? `${directory}/${part.token}` as ByteString, signal);
        length += part.length;
      }
      if (base) {
        await made.file.truncate(length);
        // The same versions before they were copied and after.
        for (const source of sources.values()) await this.#sizeOf(source);
      }
    } catch (error) {
      await this.#publisher.discard(made);
      throw error;
    }
    const object = await this.#publisher.publish(made, key, condition);
    await this.#drop(directory);
    return object;
  }

  async abort(uploadId: string): Promise<void> {
    if (/^[0-9a-f]+$/.test(uploadId)) await this.#drop(this.#directory(uploadId));
  }

  #directory(id: string): ByteString {
    return this.#place.absolute(fromText(`${ownDirectory}/uploads/${id}`));
  }

  /** The directory of an upload. NotFound when there is none of that name for that key. */
  async #find(key: ByteString, uploadId: string): Promise<ByteString> {
    const missing = (): WeirError => new WeirError('NotFound', `there is no upload ${uploadId} of ${toText(key)}`);
    if (!/^[0-9a-f]+$/.test(uploadId)) throw missing();
    const directory = this.#directory(uploadId);
    let file: DiskFile;
    try {
      file = await this.#disk.open(diskPath(`${directory}/key` as ByteString), {mode: 'read'});
    } catch (error) {
      throw isKind(error, 'NotFound', 'NotADirectory') ? missing() : error;
    }
    try {
      const bytes = Buffer.alloc((await file.stat()).size);
      const count = await file.read(bytes, 0);
      if (fromBytes(bytes.subarray(0, count)) !== key) throw missing();
      return directory;
    } finally {
      await file.close();
    }
  }

  /** NotFound, ContentChanged. */
  async #sizeOf({key, fingerprint}: StoreRange): Promise<number> {
    const found = await this.#place.find(key);
    if (!found) throw notFound(key);
    if (this.#place.moved.fingerprintOf(found.stat) !== fingerprint) throw new WeirError('ContentChanged', `${toText(key)} is another version now`);
    return found.stat.size;
  }

  async #pathOf(source: StoreRange): Promise<ByteString> {
    await this.#sizeOf(source);
    // Refuses links that lead out.
    const {file, path} = await this.#place.openFile(source.key);
    await file.close();
    return path;
  }

  async #noteOf(path: ByteString): Promise<StoreRange> {
    const file = await this.#disk.open(diskPath(path), {mode: 'read'});
    try {
      const bytes = Buffer.alloc(noteBytesMax);
      const {key, fingerprint, offset, length} = JSON.parse(bytes.subarray(0, await file.read(bytes, 0)).toString()) as StoreRange;
      return {key, fingerprint, offset, length};
    } finally {
      await file.close();
    }
  }

  async #append(to: DiskFile, position: number, from: ByteString | StoreRange, signal: AbortSignal): Promise<void> {
    const range = typeof from === 'string' ? {offset: 0, length: Infinity} : from;
    const source = typeof from === 'string' ? await this.#disk.open(diskPath(from), {mode: 'read'}) : (await this.#place.openFile(from.key)).file;
    try {
      for (let at = 0; at < range.length; ) {
        signal.throwIfAborted();
        const buffer = Buffer.allocUnsafeSlow(Math.min(copyBytes, range.length - at));
        const count = await source.read(buffer, range.offset + at);
        if (count > 0) await to.write([buffer.subarray(0, count)], position + at);
        at += count;
        if (count < buffer.length) return;
      }
    } finally {
      await source.close();
    }
  }

  async #drop(directory: ByteString): Promise<void> {
    try {
      // The key last: while it is there, an interrupted removal can be repeated.
      const names = await this.#disk.readDirectory(diskPath(directory));
      for (const name of [...names.filter(name => name !== 'key'), ...names.filter(name => name === 'key')]) await this.#disk.unlink(diskPath(`${directory}/${name}` as ByteString));
      await this.#disk.removeDirectory(diskPath(directory));
    } catch (error) {
      if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
    }
  }
}
