/**
 * Multipart uploads and their parts. They belong to a path, not to an inode, and no listing of files shows them. Two
 * records an upload: one by its id, one for the order of listings (path, then time of initiation).
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {partKey, partsOf, uploadIdOfOrderKey, uploadKey, uploadOrderFrom, uploadOrderGroup, uploadOrderKey, uploadTable} from '#codec/namespace/keys.ts';
import {decodePart, decodeUpload, encodePart, encodeUpload} from '#codec/namespace/upload-record.ts';
import type {PartRecord, UploadRecord} from '#contracts/writing.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import {isKeptUpload, spilledIn} from '#model/multipart.ts';

const uploadIdPattern = /^[A-Za-z0-9._~-]{1,128}$/;
export const partNumberMax = 10_000;

/** InvalidArgument for an id that is not 1 to 128 URL-safe characters; the caller chooses ids that do not repeat. */
export function createUpload(tx: Transaction, upload: UploadRecord): void {
  if (!uploadIdPattern.test(upload.uploadId)) throw new WeirError('InvalidArgument', `not an upload id: ${JSON.stringify(upload.uploadId.slice(0, 200))}`);
  tx.put(uploadKey(upload.uploadId), encodeUpload(upload));
  tx.put(orderKey(upload), noValue);
}

/** NotFound when there is no such upload of that path. */
export function getUpload(reader: Reader, path: ByteString, uploadId: string): UploadRecord {
  const record = uploadIdPattern.test(uploadId) ? reader.get(uploadKey(uploadId)) : undefined;
  const upload = record && decodeUpload(record);
  if (upload?.path !== path) throw new WeirError('NotFound', 'there is no such upload of this path; it may have been completed or aborted');
  return upload;
}

/** Answers the part of the same number that it replaces. NotFound (the upload), InvalidArgument (the number). */
export function putPart(tx: Transaction, path: ByteString, uploadId: string, part: PartRecord): PartRecord | undefined {
  getUpload(tx, path, uploadId);
  const {partNumber} = part;
  if (!(Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= partNumberMax)) throw new WeirError('InvalidArgument', `part numbers are 1 to ${partNumberMax}, not ${partNumber}`);
  const key = partKey(uploadId, partNumber);
  const replaced = tx.get(key);
  tx.put(key, encodePart(part));
  return replaced && decodePart(replaced);
}

/** Those whose parts the cache keeps. */
export function listKeptUploads(reader: Reader): UploadRecord[] {
  return Array.from(reader.range(uploadTable), ({value}) => decodeUpload(value)).filter(isKeptUpload);
}

/** Ascending, with numbers > `after`. NotFound. */
export function listParts(reader: Reader, path: ByteString, uploadId: string, after: number, limit: number): PartRecord[] {
  const parts = () => Array.from(reader.range({...partsOf(uploadId, after), limit}), ({value}) => decodePart(value));
  // Parts outlive their upload where a content is made of them; who knows the upload's id has it from there.
  if (uploadIdPattern.test(uploadId) && !reader.get(uploadKey(uploadId)) && !reader.range({...partsOf(uploadId, 0), limit: 1})[Symbol.iterator]().next().done) return parts();
  getUpload(reader, path, uploadId);
  return parts();
}

/** Uploads of the store to which parts of a kept upload have gone. */
export function spilledUploads(reader: Reader, uploadId: string): Set<string> {
  const found = new Set<string>();
  for (const {value} of reader.range(partsOf(uploadId, 0))) {
    const spilled = spilledIn(decodePart(value).storePart);
    if (spilled) found.add(spilled.storeUploadId);
  }
  return found;
}

/** Of all parts, in their order: of an upload, or of the content that it became. */
export function partLengths(reader: Reader, uploadId: string): number[] {
  return Array.from(reader.range(partsOf(uploadId, 0)), ({value}) => decodePart(value).length);
}

/** The upload goes; its parts stay, as those of the file that it has become, but for the `unused` ones. NotFound. */
export function completeUpload(tx: Transaction, path: ByteString, uploadId: string, unused: readonly number[]): void {
  const upload = getUpload(tx, path, uploadId);
  for (const partNumber of unused) tx.delete(partKey(uploadId, partNumber));
  tx.delete(uploadKey(uploadId));
  tx.delete(orderKey(upload));
}

/** Deletes records of parts that nothing refers to any more, at most `limit` of them; false when none is left. */
export function forgetParts(tx: Transaction, uploadId: string, limit: number): boolean {
  const keys = Array.from(tx.range({...partsOf(uploadId, 0), limit}), ({key}) => key);
  for (const key of keys) tx.delete(key);
  return keys.length === limit;
}

/** The upload and its parts go. NotFound. */
export function removeUpload(tx: Transaction, path: ByteString, uploadId: string): UploadRecord {
  const upload = getUpload(tx, path, uploadId);
  const parts = Array.from(tx.range(partsOf(uploadId, 0)), ({key}) => key);
  for (const key of parts) tx.delete(key);
  tx.delete(uploadKey(uploadId));
  tx.delete(orderKey(upload));
  return upload;
}

export interface UploadListRequest {
  /** Canonical path of a directory; keys are relative to it. */
  readonly directory: ByteString;
  readonly prefix?: ByteString | undefined;
  /** Exclusive; an empty id: after all uploads of that key. Of an upload that has gone, only the key counts: uploads of that key are listed again. */
  readonly after?: {readonly key: ByteString; readonly uploadId: string} | undefined;
  readonly limit: number;
}

/** Ordered by key, then by time of initiation. InvalidArgument where `after` has the id of an upload of another key. */
export function listUploads(reader: Reader, request: UploadListRequest): UploadRecord[] {
  const first = (request.directory + (request.prefix ?? '')) as ByteString;
  const after = request.after && orderOf(reader, (request.directory + request.after.key) as ByteString, request.after.uploadId);
  const from = after && after.path > first ? after.path : first;
  const found: UploadRecord[] = [];
  for (const group of groups(reader, from)) {
    const wanted = group.filter((upload) => upload.path.startsWith(first) && (!after || compareOrder(upload, after) > 0));
    found.push(...wanted.slice(0, request.limit - found.length));
    const beyond = group.every((upload) => upload.path > first && !upload.path.startsWith(first));
    if (beyond || found.length >= request.limit) break;
  }
  return found;
}

/** Uploads whose order keys share the (cut) path, sorted; the groups come in the order of paths. */
function* groups(reader: Reader, from: ByteString): Generator<UploadRecord[]> {
  let name: ByteString | undefined;
  let group: UploadRecord[] = [];
  for (const {key} of reader.range(uploadOrderFrom(from))) {
    const next = uploadOrderGroup(key);
    if (name !== undefined && next !== name) {
      yield group.sort(compareOrder);
      group = [];
    }
    name = next;
    group.push(decodeUpload(reader.get(uploadKey(uploadIdOfOrderKey(key)))!));
  }
  if (group.length > 0) yield group.sort(compareOrder);
}

type Order = Pick<UploadRecord, 'path' | 'initiatedAt' | 'uploadId'>;

function compareOrder(a: Order, b: Order): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  if (a.initiatedAt !== b.initiatedAt) return a.initiatedAt < b.initiatedAt ? -1 : 1;
  return a.uploadId < b.uploadId ? -1 : a.uploadId > b.uploadId ? 1 : 0;
}

function orderOf(reader: Reader, path: ByteString, uploadId: string): Order {
  if (uploadId === '') return {path, uploadId, initiatedAt: 2n ** 63n};
  const record = uploadIdPattern.test(uploadId) ? reader.get(uploadKey(uploadId)) : undefined;
  if (!record) return {path, uploadId, initiatedAt: -1n};
  const upload = decodeUpload(record);
  if (upload.path !== path) throw new WeirError('InvalidArgument', 'the upload to begin after is of another key', {details: {uploadId}});
  return upload;
}

const noValue = new Uint8Array(0);
const orderKey = (upload: UploadRecord): ByteString => uploadOrderKey(upload.path, upload.initiatedAt, upload.uploadId);
