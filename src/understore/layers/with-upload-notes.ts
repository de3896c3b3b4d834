/** Notes the multipart uploads that callers open in a store, before they can send a part of one. */
import type {ByteString} from '#base/byte-string.ts';
import {StoreLayer} from '#understore/layers/layer.ts';
import type {StoreCallOptions, StoreObject, StorePart, StoreWriteRequest, UnderStore, UploadNotes} from '#understore/under-store.ts';

export function withUploadNotes(store: UnderStore, notes: UploadNotes): UnderStore {
  return new UploadNotesLayer(store, notes);
}

class UploadNotesLayer extends StoreLayer {
  readonly #notes: UploadNotes;

  constructor(inner: UnderStore, notes: UploadNotes) {
    super(inner);
    this.#notes = notes;
  }

  override async createUpload(request: StoreWriteRequest, options: StoreCallOptions): Promise<string> {
    const uploadId = await this.inner.createUpload(request, options);
    await this.#notes.opened(request.key, uploadId);
    return uploadId;
  }

  override async completeUpload(key: ByteString, uploadId: string, parts: readonly StorePart[], condition: StoreWriteRequest['condition'], options: StoreCallOptions): Promise<StoreObject> {
    const object = await this.inner.completeUpload(key, uploadId, parts, condition, options);
    this.#notes.closed(uploadId);
    return object;
  }

  override async abortUpload(key: ByteString, uploadId: string, options: StoreCallOptions): Promise<void> {
    await this.inner.abortUpload(key, uploadId, options);
    this.#notes.closed(uploadId);
  }
}
