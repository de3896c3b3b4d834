/** Multipart uploads: their records, and the ticket with which one becomes a file. The bytes are between worker and store. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {CallContext} from '#contracts/context.ts';
import type {CompleteOptions, PartRecord, UploadRecord, WriteTicket} from '#contracts/writing.ts';
import {createUpload, getUpload, listKeptUploads, listParts, listUploads, partNumberMax, putPart, removeUpload, type UploadListRequest} from '#master/namespace/uploads.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Writes} from '#master/writes/writes.ts';
import {isKeptUpload} from '#model/multipart.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Random} from '#runtime/random.ts';

export class Uploads {
  readonly #services: {readonly transactions: Transactions; readonly random: Random; readonly clock: Clock};
  readonly #writes: Writes;

  constructor(services: {readonly transactions: Transactions; readonly random: Random; readonly clock: Clock}, writes: Writes) {
    this.#services = services;
    this.#writes = writes;
  }

  /** The ticket of the upload is spent: the one that completes it is another. */
  async create(ticket: WriteTicket, upload: Omit<UploadRecord, 'uploadId' | 'content' | 'initiatedAt' | 'initiator' | 'path' | 'mount' | 'storeKey' | 'metadata'>, context: CallContext): Promise<UploadRecord> {
    const {transactions, random, clock} = this.#services;
    const {path, mount, storeKey, content, metadata} = ticket;
    const record: UploadRecord = {...upload, uploadId: random.id(), path, mount, storeKey, content, metadata, initiatedAt: clock.nowNs(), initiator: context.principal.name};
    await transactions.change(context, tx => {
      createUpload(tx, record);
    });
    this.#writes.abandon(ticket);
    return record;
  }

  async get(path: ByteString, uploadId: string): Promise<UploadRecord> {
    return await this.#services.transactions.read(reader => getUpload(reader, path, uploadId));
  }

  async putPart(path: ByteString, uploadId: string, part: PartRecord, context: CallContext): Promise<PartRecord | undefined> {
    const replaced = await this.#services.transactions.change(context, tx => putPart(tx, path, uploadId, part) ?? null);
    return replaced ?? undefined;
  }

  kept(): {readonly upload: UploadRecord; readonly parts: readonly PartRecord[]}[] {
    return this.#services.transactions.peek(reader => listKeptUploads(reader).map(upload => ({upload, parts: listParts(reader, upload.path, upload.uploadId, 0, partNumberMax)})));
  }

  async listParts(path: ByteString, uploadId: string, after: number, limit: number): Promise<readonly PartRecord[]> {
    return await this.#services.transactions.read(reader => listParts(reader, path, uploadId, after, limit));
  }

  async list(request: UploadListRequest): Promise<readonly UploadRecord[]> {
    return await this.#services.transactions.read(reader => listUploads(reader, request));
  }

  async beginComplete(path: ByteString, uploadId: string, {parts, unused, ...options}: CompleteOptions, context: CallContext): Promise<WriteTicket> {
    const upload = await this.get(path, uploadId);
    const {metadata, mode, xattrs} = upload;
    // Sealed from what the cache keeps, each attempt is a content of its own: the parts may be others by the next.
    const [way, content] = isKeptUpload(upload) ? [{writeType: 'ASYNC_THROUGH'} as const, {}] : [{}, {content: upload.content}];
    const begin = {metadata, ...(mode === undefined ? {} : {mode}), ...(xattrs ? {xattrs} : {}), ...options, ...way};
    const ticket = await this.#writes.begin(path, begin, context, {uploadId, ...content, parts, unused, checked: upload.checksumAlgorithm !== undefined});
    if (ticket.mount !== upload.mount || ticket.storeKey !== upload.storeKey) {
      this.#writes.abandon(ticket);
      throw new WeirError('Conflict', `${toText(path)} has moved to another place of its store since the upload began`);
    }
    return ticket;
  }

  async remove(path: ByteString, uploadId: string, context: CallContext): Promise<void> {
    await this.#services.transactions.change(context, tx => void removeUpload(tx, path, uploadId));
  }
}
