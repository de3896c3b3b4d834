/**
 * Records of the change log, and the transactions inside them.
 *
 * Segment file:  magic "WEIRLOG\x01" · first sequence u64 · CRC32C of the sixteen bytes before u32
 * Record:        payload length u32 · CRC32C u32 (of all that follows) · sequence u64 · durable u64 · payload
 *                `durable` is the last sequence that was synced when the record was made. Damage to a record that a later, valid record
 *                calls durable is corruption; otherwise it is the torn end of the log. Zeros to the end of the file are neither: room for more.
 * Transaction:   version u8 = 1 · mutation count varint · mutations · request flag u8 · [client, counter, acknowledged, result]
 * Mutation:      key length varint · key · value length + 1 varint (0 = delete) · value
 *
 * Integers are little-endian; varints are LEB128 up to 2^53.
 */
import {crc32c} from '@node-rs/crc32';
import {assert} from '#base/assert.ts';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';

export const segmentMagic = 'WEIRLOG\x01';
export const segmentHeaderBytes = 20;
export const recordHeaderBytes = 24;
/** A longer record is damage, never a reason to allocate. */
export const recordPayloadBytesMax = 64 * 1024 * 1024;
const transactionVersion = 1;

export interface Mutation {
  readonly key: ByteString;
  /** null: the key is deleted. */
  readonly value: Uint8Array | null;
}

export interface RequestResult {
  readonly client: string;
  readonly counter: number;
  readonly acknowledged: number;
  readonly result: Uint8Array;
}

export interface TransactionRecord {
  readonly mutations: readonly Mutation[];
  readonly request?: RequestResult;
}

export function encodeSegmentHeader(firstSequence: number): Buffer {
  const header = Buffer.alloc(segmentHeaderBytes);
  header.write(segmentMagic, 0, 'latin1');
  header.writeBigUInt64LE(BigInt(firstSequence), 8);
  header.writeUInt32LE(crc32c(header.subarray(0, 16)), 16);
  return header;
}

/** The first sequence; undefined when these are not a segment's first bytes. */
export function decodeSegmentHeader(bytes: Buffer): number | undefined {
  if (bytes.length < segmentHeaderBytes || bytes.toString('latin1', 0, 8) !== segmentMagic) return undefined;
  if (crc32c(bytes.subarray(0, 16)) !== bytes.readUInt32LE(16)) return undefined;
  return Number(bytes.readBigUInt64LE(8));
}

/** Writes a record's header in front of `payloadBytes` that already stand at `at + recordHeaderBytes`. */
export function sealRecord(buffer: Buffer, at: number, payloadBytes: number, sequence: number, durable: number): void {
  buffer.writeUInt32LE(payloadBytes, at);
  buffer.writeUInt32LE(sequence >>> 0, at + 8);
  buffer.writeUInt32LE(Math.floor(sequence / 0x1_0000_0000), at + 12);
  buffer.writeUInt32LE(durable >>> 0, at + 16);
  buffer.writeUInt32LE(Math.floor(durable / 0x1_0000_0000), at + 20);
  buffer.writeUInt32LE(crc32c(buffer.subarray(at + 8, at + recordHeaderBytes + payloadBytes)), at + 4);
}

export interface DecodedRecord {
  readonly sequence: number;
  readonly durable: number;
  readonly payload: Buffer;
  /** Where the next record begins. */
  readonly end: number;
}

/** The record at `at`; 'short' when more bytes are needed to tell, undefined when there is no valid record. */
export function decodeRecord(bytes: Buffer, at: number): DecodedRecord | 'short' | undefined {
  if (bytes.length - at < recordHeaderBytes) return 'short';
  const length = bytes.readUInt32LE(at);
  if (length > recordPayloadBytesMax) return undefined;
  const end = at + recordHeaderBytes + length;
  if (end > bytes.length) return 'short';
  if (crc32c(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return undefined;
  return {
    sequence: Number(bytes.readBigUInt64LE(at + 8)),
    durable: Number(bytes.readBigUInt64LE(at + 16)),
    payload: bytes.subarray(at + recordHeaderBytes, end),
    end,
  };
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

function writeVarint(buffer: Buffer, at: number, value: number): number {
  let rest = value;
  while (rest >= 128) {
    buffer[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  buffer[at++] = rest;
  return at;
}

/** Upper bound of the encoded size, cheap to compute. */
export function transactionBytes(record: TransactionRecord): number {
  let bytes = 1 + varintBytes(record.mutations.length) + 1;
  for (const {key, value} of record.mutations) bytes += varintBytes(key.length) + key.length + (value ? varintBytes(value.length + 1) + value.length : 1);
  if (record.request) bytes += 8 * 4 + Buffer.byteLength(record.request.client) + record.request.result.length;
  return bytes;
}

/** Encodes at `at`; returns where it ended. The buffer must have room for transactionBytes. */
export function encodeTransaction(record: TransactionRecord, buffer: Buffer, at: number): number {
  const {mutations, request} = record;
  let end = at;
  buffer[end++] = transactionVersion;
  end = writeVarint(buffer, end, mutations.length);
  for (const {key, value} of mutations) {
    end = writeVarint(buffer, end, key.length);
    end += buffer.write(key, end, 'latin1');
    if (value === null) buffer[end++] = 0;
    else {
      end = writeVarint(buffer, end, value.length + 1);
      buffer.set(value, end);
      end += value.length;
    }
  }
  buffer[end++] = request ? 1 : 0;
  if (request) {
    end = writeVarint(buffer, end, Buffer.byteLength(request.client));
    end += buffer.write(request.client, end, 'utf8');
    end = writeVarint(buffer, end, request.counter);
    end = writeVarint(buffer, end, request.acknowledged);
    end = writeVarint(buffer, end, request.result.length);
    buffer.set(request.result, end);
    end += request.result.length;
  }
  assert(end <= buffer.length, 'the transaction fits its buffer');
  return end;
}

/** Corrupt when the bytes are not one whole transaction of a version that is known. Values are views into `bytes`. */
export function decodeTransaction(bytes: Buffer): TransactionRecord {
  let at = 0;
  const corrupt = (what: string) => new WeirError('Corrupt', `a transaction of the change log ${what}`);
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw corrupt('ends early');
      value += (byte & 127) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw corrupt('holds a number over 2^53');
      if (byte < 128) return value;
      scale *= 128;
      if (scale > Number.MAX_SAFE_INTEGER) throw corrupt('holds a number over 2^53');
    }
  };
  const take = (length: number): Buffer => {
    if (length > bytes.length - at) throw corrupt('ends early');
    return bytes.subarray(at, (at += length));
  };
  const version = bytes[at++];
  if (version !== transactionVersion) throw corrupt(`has version ${version}`);
  const count = varint();
  if (count > bytes.length) throw corrupt('claims more mutations than it has bytes');
  const mutations: Mutation[] = [];
  for (let i = 0; i < count; i++) {
    const key = take(varint()).toString('latin1') as ByteString;
    const length = varint();
    mutations.push({key, value: length === 0 ? null : take(length - 1)});
  }
  const flag = bytes[at++];
  if (flag !== 0 && flag !== 1) throw corrupt('has an unknown flag');
  const request = flag === 1 ? {client: take(varint()).toString('utf8'), counter: varint(), acknowledged: varint(), result: take(varint())} : undefined;
  if (at !== bytes.length) throw corrupt('has bytes behind its end');
  return {mutations, ...(request ? {request} : {})};
}
