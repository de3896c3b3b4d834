/**
 * Which multipart uploads stores have open for Weir, whoever asked for them, so that what nobody will complete can be
 * aborted; and which of the clients' uploads have been left alone for too long.
 */
import {hash} from 'node:crypto';
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {partsOf, storeUploadKey, storeUploadTable, uploadTable} from '#codec/namespace/keys.ts';
import {decodeStoreUpload, encodeStoreUpload, type StoreUpload} from '#codec/namespace/store-upload-record.ts';
import {decodePart, decodeUpload} from '#codec/namespace/upload-record.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {removeUpload} from '#master/namespace/uploads.ts';
import {isKeptUpload} from '#model/multipart.ts';
import type {KeyValue, Reader, Transaction} from '#metastore/metastore.ts';

export function noteStoreUpload(tx: Transaction, upload: StoreUpload): void {
  tx.put(keyOf(upload.mount, upload.storeUploadId), encodeStoreUpload(upload));
}

export function forgetStoreUpload(tx: Transaction, mount: MountId, storeUploadId: string): void {
  tx.delete(keyOf(mount, storeUploadId));
}

export interface Page<T> {
  readonly items: readonly T[];
  /** `after` of the next page; absent at the end. */
  readonly next?: ByteString;
}

export function listStoreUploads(reader: Reader, after: ByteString | undefined, limit: number): Page<StoreUpload> {
  return page(Array.from(reader.range({...storeUploadTable, ...(after === undefined ? {} : {from: `${after}\0` as ByteString}), limit})), limit, decodeStoreUpload);
}

/** Clients' uploads of all paths, in no order that means anything. */
export function listAllUploads(reader: Reader, after: ByteString | undefined, limit: number): Page<UploadRecord> {
  return page(Array.from(reader.range({...uploadTable, ...(after === undefined ? {} : {from: `${after}\0` as ByteString}), limit})), limit, decodeUpload);
}

/** When a client last did something with an upload, in wall ms. */
export function lastActivity(reader: Reader, {uploadId, initiatedAt}: Pick<UploadRecord, 'uploadId' | 'initiatedAt'>): number {
  let last = initiatedAt;
  for (const {value} of reader.range(partsOf(uploadId, 0))) {
    const {modifiedAt} = decodePart(value);
    if (modifiedAt > last) last = modifiedAt;
  }
  return Number(last / 1_000_000n);
}

/** The client's upload ends here and now; what the store has of it is to be aborted. False when something was done with it since `before` (wall ms). */
export function expireUpload(tx: Transaction, upload: UploadRecord, before: number): boolean {
  if (lastActivity(tx, upload) >= before) return false;
  removeUpload(tx, upload.path, upload.uploadId);
  // Noted when it was opened, unless that was before there were such notes.
  const {mount, storeKey, storeUploadId} = upload;
  if (!isKeptUpload(upload)) noteStoreUpload(tx, {mount, storeKey, storeUploadId, openedAt: 0});
  return true;
}

function page<T>(rows: readonly KeyValue[], limit: number, decode: (value: Uint8Array) => T): Page<T> {
  const last = rows.at(-1);
  return {items: rows.map(({value}) => decode(value)), ...(rows.length === limit && last ? {next: last.key} : {})};
}

/** Stores choose names of any length. */
function keyOf(mount: MountId, storeUploadId: string): ByteString {
  return storeUploadKey(mount, hash('sha256', storeUploadId, 'hex') as ByteString);
}
