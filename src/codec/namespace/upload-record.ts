/** Records of multipart uploads and their parts. */
import type {ContentId, MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';
import {readChecksums, readTexts, writeChecksums, writeTexts} from '#codec/namespace/content.ts';
import {readXattrs, writeXattrs} from '#codec/namespace/xattrs.ts';
import type {PartRecord, UploadRecord} from '#contracts/writing.ts';
import {checksumAlgorithms} from '#model/content.ts';

/** 2 has extended attributes at its end. */
const uploadVersion = 2;
/** 2 has a salt at its end. */
const partVersion = 1;
const saltedPartVersion = 2;
/** Numbers are stored: append only. 0 = none. */
const algorithms = [undefined, ...checksumAlgorithms] as const;
const checksumTypes = [undefined, 'FULL_OBJECT', 'COMPOSITE'] as const;

const out = new BinaryWriter();
const uploadReader = new BinaryReader('upload');
const partReader = new BinaryReader('part');

export function encodeUpload(upload: UploadRecord): Uint8Array {
  out.byte(uploadVersion);
  out.text(upload.uploadId);
  out.byteString(upload.path);
  out.number(upload.mount);
  out.byteString(upload.storeKey);
  out.number(upload.content);
  out.text(upload.storeUploadId);
  writeTexts(out, upload.metadata);
  out.byte(algorithms.indexOf(upload.checksumAlgorithm));
  out.byte(checksumTypes.indexOf(upload.checksumType));
  out.number(upload.mode === undefined ? 0 : upload.mode + 1);
  out.int64(upload.initiatedAt);
  out.text(upload.initiator);
  writeXattrs(out, upload.xattrs ?? {});
  return out.take();
}

/** Throws Corrupt. */
export function decodeUpload(record: Uint8Array): UploadRecord {
  const reader = uploadReader;
  reader.open(record);
  const found = reader.byte();
  if (found !== 1 && found !== uploadVersion) throw reader.corrupt(`version ${found} is not known`);
  const fixed = {
    uploadId: reader.text(), path: reader.byteString(), mount: reader.number() as MountId, storeKey: reader.byteString(), content: reader.number() as ContentId,
    storeUploadId: reader.text(), metadata: readTexts(reader),
  };
  const algorithm = reader.byte();
  const type = reader.byte();
  if (algorithm >= algorithms.length || type >= checksumTypes.length) throw reader.corrupt('unknown checksum');
  const checksumAlgorithm = algorithms[algorithm];
  const checksumType = checksumTypes[type];
  const mode = reader.number();
  const upload: UploadRecord = {
    ...fixed, initiatedAt: reader.int64(), initiator: reader.text(),
    ...(checksumAlgorithm ? {checksumAlgorithm} : {}), ...(checksumType ? {checksumType} : {}), ...(mode ? {mode: mode - 1} : {}),
  };
  const xattrs = found === 1 ? {} : readXattrs(reader);
  reader.end();
  return Object.keys(xattrs).length === 0 ? upload : {...upload, xattrs};
}

export function encodePart(part: PartRecord): Uint8Array {
  out.byte(part.salt ? saltedPartVersion : partVersion);
  out.number(part.partNumber);
  out.number(part.length);
  out.text(part.etag);
  writeChecksums(out, part.checksums);
  out.text(part.storePart);
  out.int64(part.modifiedAt);
  if (part.salt) out.bytes(part.salt);
  return out.take();
}

/** Throws Corrupt. */
export function decodePart(record: Uint8Array): PartRecord {
  const reader = partReader;
  reader.open(record);
  const found = reader.byte();
  if (found !== partVersion && found !== saltedPartVersion) throw reader.corrupt(`version ${found} is not known`);
  const part: PartRecord = {
    partNumber: reader.number(), length: reader.number(), etag: reader.text(), checksums: readChecksums(reader), storePart: reader.text(), modifiedAt: reader.int64(),
  };
  const salt = found === saltedPartVersion ? Uint8Array.from(reader.bytes()) : undefined;
  reader.end();
  return salt ? {...part, salt} : part;
}
