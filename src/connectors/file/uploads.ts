/**
 * Multipart uploads: a directory `.weir/uploads/ID` each, with the key in the file `key` and a file for every part, durable
 * when acknowledged. Completion copies the first (sharing its blocks where the file system can), appends the others and
 * publishes the result as any other write; the parts stay until that has succeeded, so a failed completion can be repeated.
 */
import {type ByteString, fromBytes, fromText, toBytes, toText} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import {KiB} from '#base/units.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';
import type {Random} from '#runtime/random.ts';
import type {StoreObject, StorePart, StoreWriteRequest} from '#understore/under-store.ts';
import {diskPath, ownDirectory, pathOfKey} from '#connectors/file/names.ts';
import type {Place} from '#connectors/file/place.ts';
import type {Publisher} from '#connectors/file/publisher.ts';

const copyBytes = 1024 * KiB;

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
    await this.#place.syncs.sync(directory);
    await this.#place.syncs.sync(this.#place.absolute(`${ownDirectory}/uploads` as ByteString));
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

  async complete(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], signal: AbortSignal): Promise<StoreObject> {
    const directory = await this.#find(key, uploadId);
    const stored = new Set(await this.#disk.readDirectory(diskPath(directory)));
    for (const [i, part] of parts.entries()) {
      if (!/^\d+-[0-9a-f]+$/.test(part.token) || !stored.has(part.token)) throw new WeirError('InvalidArgument', `part ${part.partNumber} of ${toText(key)} is unknown`);
      if (i > 0 && parts[i - 1]!.partNumber >= part.partNumber) throw new WeirError('InvalidArgument', `parts of ${toText(key)} are out of order`);
    }
    const first = parts[0];
    if (!first) throw new WeirError('InvalidArgument', `${toText(key)} cannot be made of no parts`);
    const made = await this.#publisher.createCopy(`${directory}/${first.token}` as ByteString);
    try {
      let length = (await made.file.stat()).size;
      for (const part of parts.slice(1)) length = await this.#append(made.file, length, `${directory}/${part.token}` as ByteString, signal);
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

  async #append(to: DiskFile, position: number, from: ByteString, signal: AbortSignal): Promise<number> {
    const source = await this.#disk.open(diskPath(from), {mode: 'read'});
    try {
      for (let at = 0; ; ) {
        signal.throwIfAborted();
        const buffer = Buffer.allocUnsafeSlow(copyBytes);
        const count = await source.read(buffer, at);
        if (count > 0) await to.write([buffer.subarray(0, count)], position + at);
        at += count;
        if (count < buffer.length) return position + at;
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
