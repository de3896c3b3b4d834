/** What may lie below a directory, and what does. */
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

export interface Quota {
  /** Bytes. */
  readonly limit: number;
  /** Bytes of files below; while they are being counted, of those counted so far. */
  readonly used: number;
  /** While they are being counted: files with ids up to this one have been. */
  readonly countedTo?: number;
}

const version = 1;
const out = new BinaryWriter();
const reader = new BinaryReader('quota');

export function encodeQuota({limit, used, countedTo}: Quota): Uint8Array {
  out.byte(version);
  out.number(limit);
  out.number(used);
  out.number(countedTo === undefined ? 0 : countedTo + 1);
  return out.take();
}

/** Throws Corrupt. */
export function decodeQuota(record: Uint8Array): Quota {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const quota = {limit: reader.number(), used: reader.number()};
  const counted = reader.number();
  reader.end();
  return counted === 0 ? quota : {...quota, countedTo: counted - 1};
}
