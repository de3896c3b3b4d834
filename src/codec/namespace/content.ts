/** The part of an inode record that describes a content. Version 1; a later version gets a decoder beside this one. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import type {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {checksumAlgorithms, type Checksums, type Content, type ContentBase, type ContentMetadata, type PersistState, type TimeNs} from '#model/content.ts';

const derivedKey = 1;
const listed = 2;
const hexEtag = 4;
const fingerprintIsEtag = 8;
const committedAtGiven = 16;
const uploaded = 32;
const checkedUpload = 64;
/** A byte says more: its place among `persistStates`. */
const unstored = 128;
/** Numbers are stored: append only. */
const persistStates: readonly PersistState[] = ['pending', 'conflict'];
/** With the state: what it is over follows. */
const hasBase = 128;

const md5Hex = /^[0-9a-f]{32}$/;

const noMetadata: ContentMetadata = Object.freeze({});
const noChecksums: Checksums = Object.freeze({});

/** `key`: the store key that names and store prefixes derive; only another one is stored. `committedAt`: likewise. */
export function writeContent(out: BinaryWriter, content: Content, key: ByteString, committedAt: TimeNs): void {
  const hex = md5Hex.test(content.etag);
  const sameMark = content.fingerprint === content.etag;
  const flags =
    (content.storeKey === key ? derivedKey : 0) | (content.listed ? listed : 0) | (hex ? hexEtag : 0) | (sameMark ? fingerprintIsEtag : 0) |
    (content.committedAt === committedAt ? 0 : committedAtGiven) | (content.upload ? uploaded : 0) | (content.upload?.checked ? checkedUpload : 0) | (content.pending ? unstored : 0);
  out.byte(flags);
  out.number(content.id);
  out.number(content.length);
  out.number(content.mount);
  if (hex) out.bytes(Buffer.from(content.etag, 'hex'));
  else out.text(content.etag);
  if (!sameMark) out.text(content.fingerprint);
  if (flags & committedAtGiven) out.int64(content.committedAt);
  if (!(flags & derivedKey)) out.byteString(content.storeKey);
  writeChecksums(out, content.checksums);
  writeTexts(out, content.metadata);
  if (content.upload) {
    out.text(content.upload.id);
    out.number(content.upload.parts);
  }
  if (content.pending) out.byte(persistStates.indexOf(content.pending) | (content.over ? hasBase : 0));
  if (content.pending && content.over) writeBase(out, content.over);
}

function writeBase(out: BinaryWriter, {id, length, fingerprint, storeKey, own}: ContentBase): void {
  out.number(id);
  out.number(length);
  out.text(fingerprint);
  // No key of a file is empty.
  out.byteString(storeKey ?? ('' as ByteString));
  out.bytes(own);
}

function readBase(reader: BinaryReader): ContentBase {
  const id = reader.number() as ContentId;
  const length = reader.number();
  const fingerprint = reader.text();
  const storeKey = reader.byteString();
  return {id, length, fingerprint, ...(storeKey === '' ? {} : {storeKey}), own: reader.bytes()};
}

function readState(reader: BinaryReader): Pick<Content, 'pending' | 'over'> {
  const number = reader.byte();
  const pending = persistStates[number & ~hasBase];
  if (!pending) throw reader.corrupt(`unknown state ${number} of a content`);
  return {pending, ...(number & hasBase ? {over: readBase(reader)} : {})};
}

/** The same `key` and `committedAt` rules as writeContent. */
export function readContent(reader: BinaryReader, key: ByteString, committedAt: TimeNs): Content {
  const flags = reader.byte();
  const id = reader.number() as ContentId;
  const length = reader.number();
  const mount = reader.number() as MountId;
  const etag = flags & hexEtag ? reader.hex() : reader.text();
  const fingerprint = flags & fingerprintIsEtag ? etag : reader.text();
  const committed = flags & committedAtGiven ? reader.int64() : committedAt;
  const storeKey = flags & derivedKey ? key : reader.byteString();
  const checksums = readChecksums(reader);
  const metadata = readMetadata(reader);
  const content = {id, length, mount, storeKey, fingerprint, etag, checksums, metadata, committedAt: committed};
  if (!(flags & (listed | uploaded | unstored))) return content;
  const upload = flags & uploaded ? {id: reader.text(), parts: reader.number(), ...(flags & checkedUpload ? ({checked: true} as const) : {})} : undefined;
  const state = flags & unstored ? readState(reader) : {};
  return {...content, ...(flags & listed ? {listed: true} : {}), ...(upload ? {upload} : {}), ...state};
}

export function writeChecksums(out: BinaryWriter, checksums: Checksums): void {
  let present = 0;
  checksumAlgorithms.forEach((name, i) => (present |= checksums[name] === undefined ? 0 : 1 << i));
  out.number(present);
  for (const name of checksumAlgorithms) {
    const value = checksums[name];
    if (value !== undefined) out.text(value);
  }
}

export function readChecksums(reader: BinaryReader): Checksums {
  const present = reader.number();
  if (present === 0) return noChecksums;
  if (present >= 1 << checksumAlgorithms.length) throw reader.corrupt(`unknown checksums ${present}`);
  const checksums: {-readonly [name in keyof Checksums]: string} = {};
  for (let i = 0; i < checksumAlgorithms.length; i++) if (present & (1 << i)) checksums[checksumAlgorithms[i]!] = reader.text();
  return checksums;
}

/** A record of texts, in its own order. */
export function writeTexts(out: BinaryWriter, texts: Readonly<Record<string, string>>): void {
  const names = Object.keys(texts);
  out.number(names.length);
  for (const name of names) {
    out.text(name);
    out.text(texts[name]!);
  }
}

export function readTexts(reader: BinaryReader): Readonly<Record<string, string>> {
  const count = reader.number();
  if (count === 0) return noMetadata;
  const texts: Record<string, string> = {};
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    setOwn(texts, name, reader.text());
  }
  return texts;
}

const lastBytes = new Uint8Array(256);
let lastLength = 0;
let lastMetadata = noMetadata;

/**
 * Objects that are read one after the other mostly say the same of themselves (a content type), and to compare bytes costs a fraction of making texts
 * and an object of them. The encoding says by itself where it ends: what begins with the bytes of the last is the last.
 */
function readMetadata(reader: BinaryReader): ContentMetadata {
  if (lastLength > 0 && reader.pass(lastBytes, lastLength)) return lastMetadata;
  const start = reader.position;
  const metadata = readTexts(reader);
  lastLength = reader.copySince(start, lastBytes);
  lastMetadata = metadata;
  return metadata;
}

/** Sets an own property under any name: what users call their metadata must not reach `__proto__`. */
export function setOwn<T>(record: Record<string, T>, name: string, value: T): void {
  if (name === '__proto__') Object.defineProperty(record, name, {value, enumerable: true, configurable: true, writable: true});
  else record[name] = value;
}
