/**
 * What all layers share: an under store that passes every call on to another one. A layer overrides `around` for what it
 * does to calls, and `body` for what it does to the bytes of a read on their way out.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {WeirError} from '#base/errors.ts';
import type {ContentMetadata} from '#model/content.ts';
import type {
  Capabilities, SmallWrite, StoreCallOptions, StoreListPage, StoreListRequest, StoreMakeOptions,
  StoreObject, StorePart, StoreRange, StoreRead, StoreReadRequest, StoreStatOptions, StoreWrite, StoreWriteRequest, UnderStore,
} from '#understore/under-store.ts';

/** The methods of UnderStore that reach the store; `writeChunk`, `finish` and `abort` are those of StoreWrite. */
export type StoreCallName =
  | 'stat' | 'read' | 'list' | 'write' | 'writeTogether' | 'writeChunk' | 'finish' | 'abort' | 'remove' | 'copy' | 'rename' | 'makeDirectory'
  | 'createUpload' | 'uploadPart' | 'copyPart' | 'completeUpload' | 'abortUpload' | 'openLocal';

export interface StoreCall {
  readonly name: StoreCallName;
  /** The (first) key, or the prefix of a listing. */
  readonly key: ByteString;
  /** Bytes that the call carries to the store. */
  readonly length?: number;
}

export abstract class StoreLayer implements UnderStore {
  protected readonly inner: UnderStore;

  constructor(inner: UnderStore) {
    this.inner = inner;
  }

  get capabilities(): Capabilities {
    return this.inner.capabilities;
  }

  /** Every call goes through here; `run` sends it on and may be called again where that is safe. */
  protected around<T>(_call: StoreCall, options: StoreCallOptions, run: (options: StoreCallOptions) => Promise<T>): Promise<T> {
    return run(options);
  }

  /** The bytes of a successful read. `done` of the given body must be passed on. */
  protected body(body: AsyncIterable<Uint8Array>, _options: StoreCallOptions): AsyncIterable<Uint8Array> {
    return body;
  }

  stat(key: ByteString, options: StoreStatOptions): Promise<StoreObject | undefined> {
    return this.around({name: 'stat', key}, options, o => this.inner.stat(key, {...options, ...o}));
  }

  async read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    const read = await this.around({name: 'read', key}, options, o => this.inner.read(key, request, o));
    return {...read, body: this.body(read.body, options)};
  }

  list(request: StoreListRequest, options: StoreCallOptions): Promise<StoreListPage> {
    return this.around({name: 'list', key: request.prefix}, options, o => this.inner.list(request, o));
  }

  async write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite> {
    const {key} = request;
    const write = await this.around({name: 'write', key}, options, o => this.inner.write(request, o));
    const {writeFile} = write;
    return {
      ...(write.copies ? {copies: true} : {}),
      write: chunk => this.around({name: 'writeChunk', key, length: chunk.length}, options, () => write.write(chunk)),
      ...(writeFile ? {writeFile: (file, offset, length) => this.around({name: 'writeChunk', key, length}, options, () => writeFile(file, offset, length))} : {}),
      get etag() { return write.etag; },
      finish: () => this.around({name: 'finish', key}, options, () => write.finish()),
      abort: () => this.around({name: 'abort', key}, options, () => write.abort()),
    };
  }

  writeTogether(files: readonly SmallWrite[], options: StoreCallOptions): Promise<readonly (StoreObject | WeirError)[]> {
    const {key} = files[0]!;
    const length = files.reduce((sum, {bytes}) => sum + bytes.length, 0);
    return this.around({name: 'writeTogether', key, length}, options, o => this.inner.writeTogether!(files, o));
  }

  remove(keys: readonly ByteString[], options: StoreCallOptions): Promise<readonly {key: ByteString; error: Error}[]> {
    return this.around({name: 'remove', key: keys[0] ?? ('' as ByteString)}, options, o => this.inner.remove(keys, o));
  }

  copy(from: ByteString, to: ByteString, request: {metadata?: ContentMetadata; ifFingerprint?: string}, options: StoreCallOptions): Promise<StoreObject> {
    return this.around({name: 'copy', key: from}, options, o => this.inner.copy(from, to, request, o));
  }

  rename(from: ByteString, to: ByteString, options: StoreCallOptions): Promise<void> {
    return this.around({name: 'rename', key: from}, options, o => this.inner.rename(from, to, o));
  }

  makeDirectory(key: ByteString, options: StoreMakeOptions): Promise<void> {
    return this.around({name: 'makeDirectory', key}, options, o => this.inner.makeDirectory(key, {...options, ...o}));
  }

  createUpload(request: StoreWriteRequest, options: StoreCallOptions): Promise<string> {
    return this.around({name: 'createUpload', key: request.key}, options, o => this.inner.createUpload(request, o));
  }

  uploadPart(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, options: StoreCallOptions): Promise<StorePart> {
    return this.around({name: 'uploadPart', key, length}, options, o => this.inner.uploadPart(key, uploadId, partNumber, body, length, o));
  }

  copyPart(key: ByteString, uploadId: string, partNumber: number, source: StoreRange, options: StoreCallOptions): Promise<StorePart> {
    return this.around({name: 'copyPart', key}, options, o => this.inner.copyPart(key, uploadId, partNumber, source, o));
  }

  completeUpload(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], options: StoreCallOptions): Promise<StoreObject> {
    return this.around({name: 'completeUpload', key}, options, o => this.inner.completeUpload(key, uploadId, parts, condition, o));
  }

  abortUpload(key: ByteString, uploadId: string, options: StoreCallOptions): Promise<void> {
    return this.around({name: 'abortUpload', key}, options, o => this.inner.abortUpload(key, uploadId, o));
  }

  openLocal(key: ByteString, options: StoreCallOptions): ReturnType<UnderStore['openLocal']> {
    return this.around({name: 'openLocal', key}, options, o => this.inner.openLocal(key, o));
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
