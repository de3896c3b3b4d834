/**
 * The question that a serving thread asks before it answers a GET, and its answer: of the bucket what admission depends on, and the object as it would
 * be opened on the spot. One record each way instead of calls, because this is asked for every small read: a warm one costs the main thread what it
 * has to look up and little more.
 *
 *   question   flags u8 (1 suffix, 2 length given, 4 no range) · offset or suffix f64 · length f64 · bytes of the bucket's path u16 · path
 *   answer     flags u8 (1 bucket, 2 info, 4 lease, 8 bytes) · [id f64 · uid u32 · settings f64, -1 without] · [offset f64 · length f64 ·
 *              bytes of the info u32 · info (msgpack) · [lease: id u32 · descriptor u32 · offset f64 · validated u8] · [the bytes]]
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {decodeValue, encodeValue} from '#codec/rpc/values.ts';
import type {BucketFacts, FoundAhead, RangeSpec} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {LentLease} from '#runtime/node/threads/leases.ts';

export interface ReadQuestion {
  readonly bucket: ByteString;
  readonly path: ByteString;
  /** Undefined: only what it is. */
  readonly range: RangeSpec | undefined;
}

const questionHeadBytes = 1 + 8 + 8 + 2;
const isSuffix = 1;
const hasLength = 2;
const noRange = 4;
const hasBucket = 1;
const hasInfo = 2;
const hasLease = 4;
const hasBytes = 8;
const leaseBytes = 4 + 4 + 8 + 1;
/** Beside the info and the bytes. */
const answerBytesMax = 1 + 8 + 4 + 8 + 8 + 8 + 4 + leaseBytes;

/** Into a buffer that is used again and again; the bytes of it that are the question. */
export function encodeQuestion({bucket, path, range}: ReadQuestion, into: Buffer): Buffer {
  const suffix = range && 'suffix' in range;
  const length = suffix ? undefined : range?.length;
  into[0] = (range ? 0 : noRange) | (suffix ? isSuffix : 0) | (length === undefined ? 0 : hasLength);
  into.writeDoubleLE(suffix ? range.suffix : (range?.offset ?? 0), 1);
  into.writeDoubleLE(length ?? 0, 9);
  into.writeUInt16LE(bucket.length, 17);
  const end = questionHeadBytes + into.write(path, questionHeadBytes, 'latin1');
  return into.subarray(0, end);
}

export function decodeQuestion(record: Buffer): ReadQuestion {
  const flags = record[0]!;
  const first = record.readDoubleLE(1);
  const path = record.toString('latin1', questionHeadBytes) as ByteString;
  const range: RangeSpec | undefined = flags & noRange ? undefined : flags & isSuffix ? {suffix: first} : flags & hasLength ? {offset: first, length: record.readDoubleLE(9)} : {offset: first};
  return {bucket: path.slice(0, record.readUInt16LE(17)) as ByteString, path, range};
}

/** Undefined when it does not fit: then the body is still the caller's. Streams do not travel. */
export function encodeAnswer({bucket, info, opened}: FoundAhead, lend: (lease: FileLease) => LentLease, into: Buffer): Buffer | undefined {
  let at = 1;
  into[0] = 0;
  if (bucket) {
    into[0] |= hasBucket;
    at = into.writeDoubleLE(bucket.id, at);
    at = into.writeUInt32LE(bucket.uid, at);
    at = into.writeDoubleLE(bucket.settings ?? -1, at);
  }
  const told = opened?.info ?? info;
  if (!told) return into.subarray(0, at);
  const body = opened?.body;
  const infoBytes = encodeValue(told);
  const bytes = body?.kind === 'bytes' ? body.bytes : undefined;
  if (body?.kind === 'stream' || infoBytes.length + (bytes?.length ?? 0) + answerBytesMax > into.length) return undefined;
  into[0] |= hasInfo;
  at = into.writeDoubleLE(opened?.range.offset ?? 0, at);
  at = into.writeDoubleLE(opened?.range.length ?? 0, at);
  at = into.writeUInt32LE(infoBytes.length, at);
  into.set(infoBytes, at);
  at += infoBytes.length;
  if (bytes) {
    into[0] |= hasBytes;
    into.set(bytes, at);
    at += bytes.length;
  } else if (body?.kind === 'lease') {
    into[0] |= hasLease;
    const lent = lend(body.lease);
    at = into.writeUInt32LE(lent.id, at);
    at = into.writeUInt32LE(lent.fd, at);
    at = into.writeDoubleLE(lent.offset, at);
    at = into.writeUInt8(lent.validated ? 1 : 0, at);
  }
  return into.subarray(0, at);
}

/** `record` may be used again afterwards. */
export function decodeAnswer(record: Buffer, borrow: (lent: LentLease) => FileLease): FoundAhead {
  const flags = record[0]!;
  let at = 1;
  let bucket: BucketFacts | undefined;
  if (flags & hasBucket) {
    const settings = record.readDoubleLE(at + 12);
    bucket = {id: record.readDoubleLE(at) as InodeId, uid: record.readUInt32LE(at + 8), ...(settings < 0 ? {} : {settings})};
    at += 20;
  }
  if ((flags & hasInfo) === 0) return {bucket, info: undefined, opened: undefined};
  const range = {offset: record.readDoubleLE(at), length: record.readDoubleLE(at + 8)};
  const infoEnd = at + 20 + record.readUInt32LE(at + 16);
  const info = decodeValue(record.subarray(at + 20, infoEnd)) as FileInfo;
  const {length} = range;
  if (flags & hasBytes) {
    const bytes = Buffer.from(record.subarray(infoEnd));
    return {bucket, info, opened: {info, range, body: {kind: 'bytes', length, bytes}}};
  }
  if ((flags & hasLease) === 0) return {bucket, info, opened: undefined};
  const lent = {id: record.readUInt32LE(infoEnd), fd: record.readUInt32LE(infoEnd + 4), offset: record.readDoubleLE(infoEnd + 8), length, validated: record[infoEnd + 16] === 1};
  return {bucket, info, opened: {info, range, body: {kind: 'lease', length, lease: borrow(lent)}}};
}
