/**
 * An under store in memory: the reference for what `UnderStore` means, and the store behind the tests of master, worker
 * and simulator. Every capability can be switched off, and then behaves as a store without it does. `outside` changes
 * objects behind Weir's back; `counters` say what was asked of it. For failures wrap it with layers/with-faults.ts.
 */
import {createHash, hash} from 'node:crypto';
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {GiB, KiB} from '#base/units.ts';
import type {ContentMetadata} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';
import {listKeys} from '#understore/memory/list-keys.ts';
import {SortedKeys} from '#understore/memory/sorted-keys.ts';
import type {
  Capabilities, SmallWrite, StoreCallOptions, StoreListPage, StoreListRequest, StoreObject, StorePart, StoreRange, StoreRead, StoreReadRequest, StoreWrite, StoreWriteRequest, UnderStore,
} from '#understore/under-store.ts';

/** What a plain object store can do. */
export const objectStoreCapabilities: Capabilities = {
  write: true, localFile: false, directories: false, listAfter: true, orderedList: true, recursiveList: true, conditionalRead: true, conditionalWrite: true,
  rename: 'none', copy: true, multipart: true, copyParts: true, metadata: true, permissions: false, partBytesMin: 1, partBytesMax: 5 * GiB, singleWriteBytesMax: 5 * GiB,
};

export interface MemoryStoreOptions {
  readonly clock: Pick<Clock, 'nowNs'>;
  readonly capabilities?: Partial<Capabilities>;
  /** Bodies come in pieces of this size (default 64 KiB). */
  readonly chunkBytes?: number;
}

interface Stored {
  readonly object: StoreObject;
  readonly bytes: Uint8Array;
}

interface Upload {
  readonly request: StoreWriteRequest;
  readonly parts: Map<number, {readonly token: string; readonly bytes: Uint8Array}>;
}

/** Requests by method, and bytes of bodies, since the store was made. */
export interface MemoryStoreCounters {
  readonly requests: Record<'stat' | 'read' | 'list' | 'write' | 'remove' | 'copy' | 'rename' | 'makeDirectory' | 'createUpload' | 'uploadPart' | 'copyPart' | 'completeUpload' | 'abortUpload', number>;
  bytesRead: number;
  bytesWritten: number;
  listedKeys: number;
}

const noBytes = new Uint8Array(0);

export class MemoryUnderStore implements UnderStore {
  readonly capabilities: Capabilities;
  readonly counters: MemoryStoreCounters = {
    requests: {stat: 0, read: 0, list: 0, write: 0, remove: 0, copy: 0, rename: 0, makeDirectory: 0, createUpload: 0, uploadPart: 0, copyPart: 0, completeUpload: 0, abortUpload: 0},
    bytesRead: 0, bytesWritten: 0, listedKeys: 0,
  };
  readonly #clock: Pick<Clock, 'nowNs'>;
  readonly #chunkBytes: number;
  readonly #objects = new Map<ByteString, Stored>();
  readonly #keys = new SortedKeys();
  readonly #uploads = new Map<string, Upload>();
  #versions = 0;

  constructor(options: MemoryStoreOptions) {
    this.capabilities = {...objectStoreCapabilities, ...options.capabilities};
    this.#clock = options.clock;
    this.#chunkBytes = options.chunkBytes ?? 64 * KiB;
  }

  /** The same data as somebody else sees and changes it: synchronous, uncounted, unconditional. */
  readonly outside = {
    put: (key: ByteString, bytes: Uint8Array, metadata: ContentMetadata = {}): StoreObject => this.#put({key, metadata}, bytes),
    remove: (key: ByteString): void => this.#delete(key),
    bytes: (key: ByteString): Uint8Array | undefined => this.#objects.get(key)?.bytes,
    object: (key: ByteString): StoreObject | undefined => this.#objects.get(key)?.object,
    keys: (): readonly ByteString[] => this.#keys.all(),
    /** Multipart uploads that were neither completed nor aborted. */
    uploads: (): readonly string[] => [...this.#uploads.keys()],
  };

  async stat(key: ByteString, options: StoreCallOptions): Promise<StoreObject | undefined> {
    this.#begin('stat', options);
    return this.#objects.get(key)?.object;
  }

  async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    this.#begin('read', options);
    const {object, bytes} = this.#get(key);
    if (request.ifFingerprint !== undefined && request.ifFingerprint !== object.fingerprint) {
      throw new WeirError('ContentChanged', `${toText(key)} is another version now`);
    }
    const {offset, length} = resolveRange(request, object.length, key);
    return {object, offset, length, body: this.#body(bytes.subarray(offset, offset + length), options.signal)};
  }

  async list(request: StoreListRequest, options: StoreCallOptions): Promise<StoreListPage> {
    this.#begin('list', options);
    if (!request.delimiter) this.#need(this.capabilities.recursiveList, 'recursiveList');
    if (request.after !== undefined) this.#need(this.capabilities.listAfter, 'listAfter');
    const page = listKeys(this.#keys.all(), request, this.capabilities.orderedList ? 'ascending' : 'descending');
    this.counters.listedKeys += page.keys.length + page.prefixes.length;
    const objects = page.keys.map(key => withoutMetadata(this.#get(key).object));
    return {objects, prefixes: page.prefixes, ...(page.continuation === undefined ? {} : {continuation: page.continuation})};
  }

  async write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite> {
    this.#begin('write', options);
    this.#need(this.capabilities.write, 'write');
    const chunks: Uint8Array[] = [];
    let state: 'open' | 'closed' = 'open';
    return {
      write: async chunk => {
        options.signal.throwIfAborted();
        this.counters.bytesWritten += chunk.length;
        if (state === 'open') chunks.push(Uint8Array.prototype.slice.call(chunk));
      },
      finish: async () => {
        options.signal.throwIfAborted();
        if (state === 'closed') throw new WeirError('Cancelled', `the write of ${toText(request.key)} has ended`);
        state = 'closed';
        const bytes = Buffer.concat(chunks);
        if (request.length !== undefined && bytes.length !== request.length) {
          throw new WeirError('IncompleteBody', `${toText(request.key)}: ${bytes.length} of ${request.length} announced bytes were written`);
        }
        this.#check(request);
        return this.#put(request, bytes);
      },
      abort: async () => {
        state = 'closed';
        chunks.length = 0;
      },
    };
  }

  async writeTogether(files: readonly SmallWrite[], options: StoreCallOptions): Promise<readonly (StoreObject | WeirError)[]> {
    this.#begin('write', options);
    this.#need(this.capabilities.togetherBytesMax !== undefined, 'togetherBytesMax');
    return files.map(({key, bytes, condition}) => {
      this.counters.bytesWritten += bytes.length;
      const request = {key, metadata: {}, ...(condition ? {condition} : {})};
      try {
        this.#check(request);
        return this.#put(request, bytes.slice());
      } catch (error) {
        if (error instanceof WeirError) return error;
        throw error;
      }
    });
  }

  async remove(keys: readonly ByteString[], options: StoreCallOptions): Promise<readonly {key: ByteString; error: Error}[]> {
    this.#begin('remove', options);
    this.#need(this.capabilities.write, 'write');
    const failed: {key: ByteString; error: Error}[] = [];
    for (const key of keys) {
      if (this.capabilities.directories && key.endsWith('/') && this.#keys.firstWithPrefix(key, key) !== undefined) {
        failed.push({key, error: new WeirError('DirectoryNotEmpty', `${toText(key)} is not empty`)});
      } else {
        this.#delete(key);
      }
    }
    return failed;
  }

  async copy(from: ByteString, to: ByteString, request: {metadata?: ContentMetadata; ifFingerprint?: string}, options: StoreCallOptions): Promise<StoreObject> {
    this.#begin('copy', options);
    this.#need(this.capabilities.copy, 'copy');
    const source = this.#get(from);
    if (request.ifFingerprint !== undefined && request.ifFingerprint !== source.object.fingerprint) {
      throw new WeirError('ContentChanged', `${toText(from)} is another version now`);
    }
    return this.#put({key: to, metadata: request.metadata ?? source.object.metadata ?? {}}, source.bytes);
  }

  async rename(from: ByteString, to: ByteString, options: StoreCallOptions): Promise<void> {
    this.#begin('rename', options);
    const tree = from.endsWith('/');
    this.#need(tree ? this.capabilities.rename === 'tree' : this.capabilities.rename !== 'none', 'rename');
    if (tree !== to.endsWith('/')) throw new WeirError('InvalidArgument', `${toText(from)} and ${toText(to)} are not of one kind`);
    if (tree && to.startsWith(from)) throw new WeirError('InvalidArgument', `${toText(to)} lies within ${toText(from)}`);
    if (tree && this.#keys.firstWithPrefix(to, to) !== undefined) throw new WeirError('DirectoryNotEmpty', `${toText(to)} is not empty`);
    if (tree ? this.#keys.firstWithPrefix(from) === undefined : !this.#objects.has(from)) throw notFound(from);
    if (this.capabilities.directories) this.#makeParents(to);
    const keys = tree ? this.#keys.all().filter(key => key.startsWith(from)) : [from];
    for (const key of keys) {
      const stored = this.#get(key);
      this.#delete(key);
      const moved = (to + key.slice(from.length)) as ByteString;
      this.#place({object: {...stored.object, key: moved}, bytes: stored.bytes});
    }
  }

  async makeDirectory(key: ByteString, options: StoreCallOptions): Promise<void> {
    this.#begin('makeDirectory', options);
    this.#need(this.capabilities.write, 'write');
    if (!key.endsWith('/')) throw new WeirError('InvalidArgument', `the key of a directory ends in "/": ${toText(key)}`);
    if (!this.#objects.has(key)) this.#put({key, metadata: {}}, noBytes);
  }

  async createUpload(request: StoreWriteRequest, options: StoreCallOptions): Promise<string> {
    this.#begin('createUpload', options);
    this.#need(this.capabilities.multipart, 'multipart');
    const id = `upload-${++this.#versions}`;
    this.#uploads.set(id, {request, parts: new Map()});
    return id;
  }

  async uploadPart(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, options: StoreCallOptions): Promise<StorePart> {
    this.#begin('uploadPart', options);
    const upload = this.#upload(key, uploadId);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) {
      options.signal.throwIfAborted();
      this.counters.bytesWritten += chunk.length;
      chunks.push(Uint8Array.prototype.slice.call(chunk));
    }
    const bytes = Buffer.concat(chunks);
    if (bytes.length !== length) throw new WeirError('IncompleteBody', `part ${partNumber} of ${toText(key)}: ${bytes.length} of ${length} announced bytes came`);
    const token = hash('md5', bytes);
    upload.parts.set(partNumber, {token, bytes});
    return {partNumber, token, length};
  }

  async copyPart(key: ByteString, uploadId: string, partNumber: number, source: StoreRange, options: StoreCallOptions): Promise<StorePart> {
    this.#begin('copyPart', options);
    this.#need(this.capabilities.copyParts, 'copyParts');
    const upload = this.#upload(key, uploadId);
    const {object, bytes: from} = this.#get(source.key);
    if (object.fingerprint !== source.fingerprint) throw new WeirError('ContentChanged', `${toText(source.key)} is another version now`);
    const bytes = from.slice(source.offset, source.offset + source.length);
    if (bytes.length !== source.length) throw new WeirError('InvalidArgument', `${toText(source.key)} has no bytes ${source.offset} to ${source.offset + source.length}`);
    const token = hash('md5', bytes);
    upload.parts.set(partNumber, {token, bytes});
    return {partNumber, token, length: bytes.length};
  }

  async completeUpload(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], options: StoreCallOptions): Promise<StoreObject> {
    this.#begin('completeUpload', options);
    const upload = this.#upload(key, uploadId);
    const digests = createHash('md5');
    const pieces: Uint8Array[] = [];
    parts.forEach((part, i) => {
      const stored = upload.parts.get(part.partNumber);
      if (stored?.token !== part.token) throw new WeirError('InvalidArgument', `part ${part.partNumber} of ${toText(key)} is unknown or was replaced`);
      if (i > 0 && parts[i - 1]!.partNumber >= part.partNumber) throw new WeirError('InvalidArgument', `parts of ${toText(key)} are out of order`);
      if (i < parts.length - 1 && stored.bytes.length < this.capabilities.partBytesMin) throw new WeirError('InvalidArgument', `part ${part.partNumber} of ${toText(key)} is too small`);
      digests.update(Buffer.from(stored.token, 'hex'));
      pieces.push(stored.bytes);
    });
    this.#check(condition ? {key, metadata: {}, condition} : {key, metadata: {}});
    this.#uploads.delete(uploadId);
    return this.#put(upload.request, Buffer.concat(pieces), `${digests.digest('hex')}-${parts.length}`);
  }

  async abortUpload(_key: ByteString, uploadId: string, options: StoreCallOptions): Promise<void> {
    this.#begin('abortUpload', options);
    this.#uploads.delete(uploadId);
  }

  async openLocal(): Promise<never> {
    throw new WeirError('Unsupported', 'a store in memory has no local files');
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  #begin(call: keyof MemoryStoreCounters['requests'], options: StoreCallOptions): void {
    options.signal.throwIfAborted();
    this.counters.requests[call]++;
  }

  #need(capability: boolean, name: string): void {
    if (!capability) throw new WeirError('Unsupported', `this store cannot do ${name}`);
  }

  #get(key: ByteString): Stored {
    const stored = this.#objects.get(key);
    if (!stored) throw notFound(key);
    return stored;
  }

  #upload(key: ByteString, uploadId: string): Upload {
    const upload = this.#uploads.get(uploadId);
    if (upload?.request.key !== key) throw new WeirError('NotFound', `there is no upload ${uploadId} of ${toText(key)}`);
    return upload;
  }

  #check({key, condition}: StoreWriteRequest): void {
    if (!condition) return;
    this.#need(this.capabilities.conditionalWrite, 'conditionalWrite');
    const found = this.#objects.get(key)?.object;
    const met = 'ifAbsent' in condition ? found === undefined : found?.fingerprint === condition.ifFingerprint;
    if (!met) throw new WeirError('PreconditionFailed', found ? `${toText(key)} exists in another version` : `${toText(key)} does not exist`);
  }

  #put(request: Pick<StoreWriteRequest, 'key' | 'metadata' | 'mode'>, bytes: Uint8Array, etag: string = hash('md5', bytes)): StoreObject {
    const {key} = request;
    if (this.capabilities.directories) this.#makeParents(key);
    const object: StoreObject = {
      key, kind: key.endsWith('/') ? 'directory' : 'file', length: bytes.length, fingerprint: `v${++this.#versions}`, etag, modified: this.#clock.nowNs(), checksums: {},
      metadata: this.capabilities.metadata ? request.metadata : {},
      ...(this.capabilities.permissions ? {mode: request.mode ?? (key.endsWith('/') ? 0o755 : 0o644), uid: 0, gid: 0} : {}),
    };
    this.#place({object, bytes});
    return object;
  }

  #makeParents(key: ByteString): void {
    if (!key.endsWith('/') && this.#objects.has(`${key}/` as ByteString)) throw new WeirError('IsADirectory', `${toText(key)} is a directory`);
    for (let slash = key.indexOf('/'); slash !== -1 && slash < key.length - 1; slash = key.indexOf('/', slash + 1)) {
      if (this.#objects.has(key.slice(0, slash) as ByteString)) throw new WeirError('NotADirectory', `${toText(key.slice(0, slash) as ByteString)} is not a directory`);
      const parent = key.slice(0, slash + 1) as ByteString;
      if (!this.#objects.has(parent)) this.#put({key: parent, metadata: {}}, noBytes);
    }
  }

  #place(stored: Stored): void {
    if (!this.#objects.has(stored.object.key)) this.#keys.add(stored.object.key);
    this.#objects.set(stored.object.key, stored);
  }

  #delete(key: ByteString): void {
    if (this.#objects.delete(key)) this.#keys.delete(key);
  }

  async *#body(bytes: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length; at += this.#chunkBytes) {
      signal.throwIfAborted();
      const chunk = bytes.slice(at, at + this.#chunkBytes);
      this.counters.bytesRead += chunk.length;
      yield chunk;
    }
  }
}

/** The range of an object of `size` bytes that a request means. RangeNotSatisfiable when it starts behind the end; an empty object's beginning is fine. */
export function resolveRange(request: StoreReadRequest, size: number, key: ByteString): {offset: number; length: number} {
  const wanted = request.offset ?? 0;
  const offset = wanted < 0 ? Math.max(0, size + wanted) : wanted;
  if (offset > 0 && offset >= size) {
    throw new WeirError('RangeNotSatisfiable', `${toText(key)} has ${size} bytes; the range starts at ${offset}`, {details: {length: size}});
  }
  return {offset, length: Math.min(request.length ?? size, size - offset)};
}

function withoutMetadata(object: StoreObject): StoreObject {
  const {metadata: _, ...rest} = object;
  return rest;
}

function notFound(key: ByteString): WeirError {
  return new WeirError('NotFound', `${toText(key)} does not exist`);
}
