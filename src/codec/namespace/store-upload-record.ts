/** Records of multipart uploads that stores have open for Weir: its own of large objects, and those behind clients' uploads. */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {BinaryReader, BinaryWriter} from '#codec/namespace/binary.ts';

export interface StoreUpload {
  readonly mount: MountId;
  readonly storeKey: ByteString;
  /** The store's own name of it. */
  readonly storeUploadId: string;
  /** Wall ms. */
  readonly openedAt: number;
}

const version = 1;
const out = new BinaryWriter();
const reader = new BinaryReader('store upload');

export function encodeStoreUpload(upload: StoreUpload): Uint8Array {
  out.byte(version);
  out.number(upload.mount);
  out.byteString(upload.storeKey);
  out.text(upload.storeUploadId);
  out.number(upload.openedAt);
  return out.take();
}

/** Throws Corrupt. */
export function decodeStoreUpload(record: Uint8Array): StoreUpload {
  reader.open(record);
  const found = reader.byte();
  if (found !== version) throw reader.corrupt(`version ${found} is not known`);
  const upload = {mount: reader.number() as MountId, storeKey: reader.byteString(), storeUploadId: reader.text(), openedAt: reader.number()};
  reader.end();
  return upload;
}
