/** New bytes: whole objects, parts of uploads, copies. Decides which parts of the machinery each of them needs. */
import type {ByteString} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {BlockStore} from '#blockstore/block-store.ts';
import type {CallContext} from '#contracts/context.ts';
import type {PartStream, Ready, WriteStream} from '#contracts/worker-api.ts';
import type {PartRecord, UploadRecord, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {ContentId} from '#base/ids.ts';
import type {Checksums, ReadableContent} from '#model/content.ts';
import {isKeptUpload, multipartChecksum, multipartEtag, spilledIn, spilledPart} from '#model/multipart.ts';
import type {Clock} from '#runtime/clock.ts';
import {madeAfterAll, recognising} from '#understore/made-after-all.ts';
import {etagOfParts} from '#understore/parts/upload-parts.ts';
import type {StoreProvider} from '#understore/store-provider.ts';
import type {StoreObject, StorePart, StoreWrite, UnderStore} from '#understore/under-store.ts';
import {CacheCopy} from '#worker/writes/cache-copy.ts';
import {Channel} from '#worker/writes/channel.ts';
import {ContentWrite} from '#worker/writes/content-write.ts';
import {Digests, type DigestsElsewhere} from '#model/digests.ts';
import {KeptPartWrite} from '#worker/writes/kept-part-write.ts';
import {KeptUploads} from '#worker/writes/kept-uploads.ts';
import {PendingWrite} from '#worker/writes/pending-write.ts';
import {PartWrite} from '#worker/writes/part-write.ts';
import {UploadDrafts} from '#worker/writes/upload-drafts.ts';

export interface WritesParts {
  readonly blocks: BlockStore;
  readonly stores: StoreProvider;
  readonly clock: Clock;
  readonly digestsElsewhere?: DigestsElsewhere | undefined;
}

export class Writes {
  readonly #blocks: BlockStore;
  readonly #stores: StoreProvider;
  readonly #clock: Clock;
  readonly #digestsElsewhere: DigestsElsewhere | undefined;
  readonly #uploads: UploadDrafts;
  /** Of ASYNC_THROUGH. */
  readonly kept: KeptUploads;

  constructor({blocks, stores, clock, digestsElsewhere}: WritesParts) {
    this.#blocks = blocks;
    this.#stores = stores;
    this.#clock = clock;
    this.#digestsElsewhere = digestsElsewhere;
    this.#uploads = new UploadDrafts(blocks);
    this.kept = new KeptUploads(blocks, clock);
  }

  async write(ticket: WriteTicket, options: {readonly length?: number; readonly checksums?: readonly (keyof Checksums)[]}, {signal}: Pick<CallContext, 'signal'>): Promise<WriteStream> {
    const store = this.#stores.get(ticket.mount);
    const {storeKey: key, metadata} = ticket;
    const {length} = options;
    const through = async (): Promise<StoreWrite> => recognising(await store.write({key, metadata, ...(length === undefined ? {} : {length})}, {signal}), store, key, signal);
    return this.#digesting(options, async digests => {
      if (ticket.writeType === 'ASYNC_THROUGH') return new PendingWrite({content: ticket.content, length, blocks: this.#blocks, clock: this.#clock, digests, through});
      const write = await through();
      const cache = store.capabilities.localFile ? undefined : new CacheCopy(this.#blocks, length);
      return new ContentWrite(ticket.content, write, cache, digests, length);
    });
  }

  /** Undefined when the store cannot copy, or not between these two. */
  async copyByStore(source: ReadableContent, ticket: WriteTicket, ready: Ready, context: CallContext): Promise<WrittenObject | undefined> {
    const store = this.#stores.get(ticket.mount);
    if (source.mount !== ticket.mount || !store.capabilities.copy || source.pending) return undefined;
    await ready('CACHE_THROUGH');
    const object = await store.copy(source.storeKey, ticket.storeKey, {metadata: ticket.metadata, ifFingerprint: source.fingerprint}, {signal: context.signal}).catch((error: unknown) => {
      // A job may have moved it on behind a renamed tree: gone from this key is another version, and whoever refreshes learns where it is.
      throw isKind(error, 'NotFound') ? new WeirError('ContentChanged', `content ${source.id} is not in the store under this key any more`, {cause: error}) : error;
    });
    if (object.length !== source.length) throw new WeirError('ContentChanged', `content ${source.id} was replaced in the store while it was copied`);
    return {length: object.length, fingerprint: object.fingerprint, etag: object.etag, checksums: object.checksums};
  }

  async createUpload(ticket: WriteTicket, context: CallContext): Promise<string> {
    if (ticket.writeType === 'ASYNC_THROUGH' && (await this.kept.begin(ticket.content))) return '';
    const store = this.#stores.get(ticket.mount);
    if (!store.capabilities.multipart) throw new WeirError('Unsupported', 'this under store has no multipart uploads');
    return store.createUpload({key: ticket.storeKey, metadata: ticket.metadata}, {signal: context.signal});
  }

  async uploadPart(
    upload: UploadRecord, partNumber: number, options: {readonly length: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext,
  ): Promise<PartStream> {
    const nowNs = () => this.#clock.nowNs();
    const room = isKeptUpload(upload) ? await this.kept.room(upload, partNumber, options.length) : undefined;
    if (room) {
      return this.#digesting(options, async digests => new KeptPartWrite({partNumber, length: options.length, room, digests, nowNs})).catch(async (error: unknown) => {
        await room.abandon();
        throw error;
      });
    }
    const spilled = isKeptUpload(upload) ? await this.#spill(upload, context) : undefined;
    const store = this.#stores.get(upload.mount);
    return this.#digesting(options, async digests => {
      const draft = store.capabilities.localFile || spilled !== undefined ? noDraft : await this.#uploads.part(upload.uploadId, partNumber, options.length);
      const channel = new Channel();
      const stored = store.uploadPart(upload.storeKey, spilled ?? upload.storeUploadId, partNumber, channel, options.length, {signal: context.signal});
      const uploading = spilled === undefined ? stored : stored.then(part => ({...part, token: spilledPart(spilled, part.token)}));
      return new PartWrite({partNumber, length: options.length, channel, uploading, digests, draft, nowNs});
    });
  }

  async completeUpload(upload: UploadRecord, content: ContentId, parts: readonly PartRecord[], ready: Ready, context: CallContext): Promise<WrittenObject> {
    const {storeKey, storeUploadId} = upload;
    // Who names none gets what S3 computes then.
    const algorithm = upload.checksumAlgorithm ?? 'crc64nvme';
    const checksum = await multipartChecksum(parts, algorithm, upload.checksumType);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const named = {etag: multipartEtag(parts), checksums: checksum === undefined ? {} : {[algorithm]: checksum}};
    if (isKeptUpload(upload) && parts.some(part => spilledIn(part.storePart))) {
      const object = await this.#completeSpilled(upload, content, parts, ready, context);
      return {length, fingerprint: object.fingerprint, ...named};
    }
    if (isKeptUpload(upload)) {
      await (await this.kept.get(upload.content)).seal(content, parts.map(part => ({partNumber: part.partNumber, length: part.length, place: part.storePart})));
      await ready();
      return {length, pending: true, fingerprint: '', ...named};
    }
    const store = this.#stores.get(upload.mount);
    await ready('CACHE_THROUGH');
    const storeParts = parts.map(part => ({partNumber: part.partNumber, token: part.storePart, length: part.length}));
    const object = await this.#complete(store, storeKey, storeUploadId, storeParts, length, context.signal);
    await this.#uploads.complete(upload.uploadId, content, parts);
    return {length, fingerprint: object.fingerprint, ...named};
  }

  async abortUpload(upload: UploadRecord, context: CallContext): Promise<void> {
    if (isKeptUpload(upload)) return await this.#abortKept(upload, context);
    this.#uploads.drop(upload.uploadId);
    await this.#stores.get(upload.mount).abortUpload(upload.storeKey, upload.storeUploadId, {signal: context.signal});
  }

  /** The store's upload for parts for which the cache has no room. */
  async #spill(upload: UploadRecord, {signal}: CallContext): Promise<string> {
    const store = this.#stores.get(upload.mount);
    if (!store.capabilities.multipart) throw new WeirError('Overloaded', 'the cache has no room for this part now; send it again');
    return await (await this.kept.get(upload.content)).spill(() => store.createUpload({key: upload.storeKey, metadata: upload.metadata}, {signal}));
  }

  /** Brings to the store what the cache has kept of it, and lets it make the object there. */
  async #completeSpilled(upload: UploadRecord, content: ContentId, parts: readonly PartRecord[], ready: Ready, {signal}: CallContext): Promise<StoreObject> {
    const store = this.#stores.get(upload.mount);
    const {storeKey} = upload;
    const kept = await this.kept.get(upload.content);
    const storeUploadId = await kept.spilled!;
    const placed = parts.map(({partNumber, length, storePart}) => ({partNumber, length, place: storePart}));
    kept.claim(content, placed.filter(({place}) => !spilledIn(place)));
    const stored: StorePart[] = [];
    for (const part of placed) {
      const {partNumber, length} = part;
      const spilled = spilledIn(part.place);
      stored.push(spilled ? {partNumber, length, token: spilled.token} : await store.uploadPart(storeKey, storeUploadId, partNumber, kept.read(part), length, {signal}));
    }
    await ready('CACHE_THROUGH');
    return await this.#complete(store, storeKey, storeUploadId, stored, parts.reduce((sum, part) => sum + part.length, 0), signal);
  }

  async #complete(store: UnderStore, key: ByteString, storeUploadId: string, parts: readonly StorePart[], length: number, signal: AbortSignal): Promise<StoreObject> {
    const sent = {length, etag: etagOfParts(parts)};
    const object = await store.completeUpload(key, storeUploadId, parts, undefined, {signal}).catch((error: unknown) => madeAfterAll(store, key, sent, error, signal));
    if (object.length !== length) throw new WeirError('Io', `the store keeps ${object.length} of ${length} bytes that it was given in parts`);
    return object;
  }

  async #abortKept(upload: UploadRecord, {signal}: CallContext): Promise<void> {
    const spilled = await (await this.kept.get(upload.content).catch(() => undefined))?.spilled;
    await this.kept.end(upload.content, 'aborted');
    // What cannot be aborted now is noted, and aborted by the next sweep.
    if (spilled !== undefined) await this.#stores.get(upload.mount).abortUpload(upload.storeKey, spilled, {signal}).catch(() => {});
  }

  close(): void {
    this.#uploads.close();
  }

  /** What `make` makes takes care of the digests; when it fails nobody does. */
  async #digesting<T>({length, checksums = []}: {readonly length?: number; readonly checksums?: readonly (keyof Checksums)[]}, make: (digests: Digests) => Promise<T>): Promise<T> {
    const digests = await Digests.start(checksums, this.#clock, this.#digestsElsewhere?.begin(checksums, length), length);
    try {
      return await make(digests);
    } catch (error) {
      digests.abandon();
      throw error;
    }
  }
}

const noDraft = {write: async () => {}, done: () => {}, abandon: () => {}};
