/**
 * What a change has answered, as it is stored with its commit for who asks again (RequestId): mostly one file, as its record says; all else is plain data
 * with bigints and byte arrays in it, as JSON, as it all was before. A file's: version u8 = 1 · path · mount · length · inode id · record.
 */
import {type ByteString, fromBytes, toBytes} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {setOwn} from '#codec/namespace/content.ts';
import {decodeInode, encodeInode} from '#codec/namespace/inode-record.ts';
import type {FileInfo} from '#contracts/file-info.ts';

const fileVersion = 1;
/** All that a file's info has, mostly. */
const fileFields = 4;
/** The store key of no inode: a content says its own. */
const noKey = '\0' as ByteString;

const out = new BinaryWriter();
const reader = new BinaryReader('request result');

export function encodeResult(result: unknown): Uint8Array {
  if (!isPlainFile(result)) return Buffer.from(JSON.stringify({result: plain(result)}));
  const {path, mount, length, inode} = result;
  out.byte(fileVersion);
  out.byteString(path);
  out.number(mount);
  out.number(length);
  out.number(inode.id);
  out.bytes(encodeInode(inode, noKey));
  return out.take();
}

/** Corrupt. */
export function decodeResult(bytes: Uint8Array): unknown {
  if (bytes[0] !== fileVersion) return decodeJson(bytes);
  reader.open(bytes);
  reader.byte();
  const path = reader.byteString();
  const mount = reader.number() as MountId;
  const length = reader.number();
  const id = reader.number() as InodeId;
  const record = reader.bytes();
  reader.end();
  return {path, inode: decodeInode(id, record, noKey), length, mount} satisfies FileInfo;
}

function isPlainFile(result: unknown): result is FileInfo {
  return typeof result === 'object' && result !== null && 'inode' in result && 'path' in result && 'length' in result && 'mount' in result && Object.keys(result).length === fileFields;
}

/** What JSON can say. A function that JSON.stringify would call for each value costs three times as much. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return {$bigint: value.toString()};
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return {$bytes: fromBytes(value)};
  if (Array.isArray(value)) return value.map(plain);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) setOwn(copy, key, plain((value as Record<string, unknown>)[key]));
  return copy;
}

function decodeJson(bytes: Uint8Array): unknown {
  try {
    const parsed = JSON.parse(Buffer.from(bytes).toString(), (_key, value: unknown) => {
      if (typeof value !== 'object' || value === null) return value;
      if ('$bigint' in value) return BigInt(value.$bigint as string);
      return '$bytes' in value ? new Uint8Array(toBytes(value.$bytes as ByteString)) : value;
    }) as {readonly result: unknown};
    return parsed.result;
  } catch (error) {
    throw new WeirError('Corrupt', 'the stored result of a request cannot be read', {cause: error});
  }
}
