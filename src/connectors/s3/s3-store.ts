/** A prefix of a bucket as an under store. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {GiB, MiB} from '#base/units.ts';
import type {ContentMetadata} from '#model/content.ts';
import type {
  Capabilities, ConnectorEnvironment, StoreCallOptions, StoreListPage, StoreListRequest, StoreObject, StorePart, StoreRange, StoreRead, StoreReadRequest, StoreWrite, StoreWriteRequest, UnderStore,
} from '#understore/under-store.ts';
import {ByteBudget} from '#connectors/s3/byte-budget.ts';
import {S3Client} from '#connectors/s3/client.ts';
import {type S3Config, partBytesMax, partBytesMin} from '#connectors/s3/config.ts';
import {listObjects} from '#connectors/s3/list.ts';
import {readObject, statObject} from '#connectors/s3/read.ts';
import {Remover} from '#connectors/s3/remove.ts';
import {abortUpload, completeUpload, copyObject, copyPart, createUpload, uploadPart} from '#connectors/s3/upload.ts';
import {startWrite} from '#connectors/s3/write.ts';

/** Memory of all parts on their way to one store. */
const partMemoryBytesMax = 128 * MiB;

export class S3Store implements UnderStore {
  readonly capabilities: Capabilities;
  readonly #client: S3Client;
  readonly #remover: Remover;
  readonly #budget = new ByteBudget(partMemoryBytesMax);

  constructor(config: S3Config, environment: ConnectorEnvironment) {
    this.#client = new S3Client(config, environment);
    this.#remover = new Remover(this.#client);
    this.capabilities = {
      write: true, localFile: false, directories: false, listAfter: true, orderedList: true, recursiveList: true, conditionalRead: true, conditionalWrite: config.conditionalWrites,
      rename: 'none', copy: true, multipart: true, copyParts: true, metadata: true, permissions: false, partBytesMin, partBytesMax, singleWriteBytesMax: 5 * GiB,
    };
  }

  stat(key: ByteString, options: StoreCallOptions): Promise<StoreObject | undefined> {
    return statObject(this.#client, key, options);
  }

  read(key: ByteString, request: StoreReadRequest, options: StoreCallOptions): Promise<StoreRead> {
    return readObject(this.#client, key, request, options);
  }

  list(request: StoreListRequest, options: StoreCallOptions): Promise<StoreListPage> {
    return listObjects(this.#client, request, options);
  }

  async write(request: StoreWriteRequest, options: StoreCallOptions): Promise<StoreWrite> {
    options.signal.throwIfAborted();
    return startWrite(this.#client, this.#budget, request, options);
  }

  remove(keys: readonly ByteString[], options: StoreCallOptions): Promise<readonly {key: ByteString; error: Error}[]> {
    return this.#remover.remove(keys, options);
  }

  copy(from: ByteString, to: ByteString, request: {metadata?: ContentMetadata; ifFingerprint?: string}, options: StoreCallOptions): Promise<StoreObject> {
    return copyObject(this.#client, from, to, request, options);
  }

  async rename(): Promise<never> {
    throw new WeirError('Unsupported', 'S3 has no renames');
  }

  async makeDirectory(key: ByteString, options: StoreCallOptions): Promise<void> {
    if (!key.endsWith('/')) throw new WeirError('InvalidArgument', 'the key of a directory ends in "/"');
    await this.#client.sendForHeaders({method: 'PUT', key, headers: {'content-type': 'application/x-directory'}, body: new Uint8Array(0), signal: options.signal});
  }

  createUpload(request: StoreWriteRequest, options: StoreCallOptions): Promise<string> {
    return createUpload(this.#client, request, options);
  }

  uploadPart(key: ByteString, uploadId: string, partNumber: number, body: AsyncIterable<Uint8Array>, length: number, options: StoreCallOptions): Promise<StorePart> {
    return uploadPart(this.#client, key, uploadId, partNumber, body, length, options);
  }

  copyPart(key: ByteString, uploadId: string, partNumber: number, source: StoreRange, options: StoreCallOptions): Promise<StorePart> {
    return copyPart(this.#client, key, uploadId, partNumber, source, options);
  }

  completeUpload(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], options: StoreCallOptions): Promise<StoreObject> {
    return completeUpload(this.#client, key, uploadId, parts, condition, options);
  }

  abortUpload(key: ByteString, uploadId: string, options: StoreCallOptions): Promise<void> {
    return abortUpload(this.#client, key, uploadId, options);
  }

  async openLocal(): Promise<never> {
    throw new WeirError('Unsupported', 'objects of S3 are no local files');
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
