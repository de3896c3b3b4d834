/**
 * Objects under keys of clients (SSE-C) on their way in; on their way out: opening.ts. Store and cache have ciphertext of the same length;
 * the key is in the request and, as what it derives, in the cipher at work, and is kept nowhere. What is kept: model/seal.ts, codec/s3/seal.ts.
 */
import {createHmac} from 'node:crypto';
import type {CustomerKey} from '#codec/s3/customer-key.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {decodeSeal, encodeSeal, keyOfPart, makeSeal, openSeal, saltBytes} from '#codec/s3/seal.ts';
import {SealedBytes} from '#codec/s3/sealed-bytes.ts';
import type {SealedAs} from '#client/file-system.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import type {S3Request} from '#frontends/s3/request.ts';
import type {ChecksumAlgorithm, ContentMetadata} from '#model/content.ts';
import {Digests, type ExpectedDigests} from '#model/digests.ts';
import {sealEntry} from '#model/seal.ts';

export const anotherKey = () => new S3Error('InvalidRequest', 'The provided encryption parameters did not match the ones used originally.');

/** How one object is written. */
export interface Sealing {
  readonly key: Uint8Array;
}

/** How a part is: what its name is made with stays the same in an upload, so that the same bytes sent again have the same name. */
export interface PartSealing extends Sealing {
  readonly salt: Uint8Array;
  readonly nameKey: Uint8Array;
}

/** For an object that comes in one piece. */
export function sealWhole({runtime}: S3Request, key: CustomerKey): {readonly metadata: ContentMetadata; readonly sealing: Sealing} {
  const salt = runtime.random.bytes(saltBytes);
  const {seal, contentKey} = makeSeal(key.bytes, 'whole', salt);
  return {metadata: {[sealEntry]: encodeSeal(seal)}, sealing: {key: contentKey}};
}

/** For an upload in parts. */
export function sealUpload({runtime}: S3Request, key: CustomerKey): ContentMetadata {
  return {[sealEntry]: encodeSeal(makeSeal(key.bytes, 'parts', runtime.random.bytes(saltBytes)).seal)};
}

/** How the next part is written; undefined: as it is. InvalidRequest where the key is another than the upload began with, or there is one and not the other. */
export function sealingOfPart({runtime}: S3Request, upload: UploadRecord, key: CustomerKey | undefined): PartSealing | undefined {
  const nameKey = checkUploadKey(upload, key);
  if (!nameKey) return undefined;
  const salt = runtime.random.bytes(saltBytes);
  return {key: keyOfPart(key!.bytes, salt), salt, nameKey};
}

/** The same without writing. Absent keys are let pass where they are `optional`. */
export function checkUploadKey({metadata}: UploadRecord, key: CustomerKey | undefined, {optional} = {optional: false}): Uint8Array | undefined {
  const kept = metadata[sealEntry];
  if (kept === undefined) {
    if (key) throw new S3Error('InvalidRequest', 'The multipart upload initiate did not request encryption. Please resend the request without sending encryption parameters.');
    return undefined;
  }
  if (!key) {
    if (optional) return undefined;
    throw new S3Error('InvalidRequest', 'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.');
  }
  const nameKey = openSeal(key.bytes, decodeSeal(kept));
  if (!nameKey) throw anotherKey();
  return nameKey;
}

/** An ETag that says nothing of the bytes to those without the key, except where two parts of an upload are the same. */
const partName = (nameKey: Uint8Array, md5: string): string => createHmac('sha256', nameKey).update(md5).digest('hex').slice(0, 32);

/** Writes bytes as ciphertext. What was announced of them is `expected`, once they have ended: IncompleteBody, BadDigest. */
export async function writeSealed(
  request: S3Request, writer: {write(chunk: Uint8Array): Promise<void>}, bytes: AsyncIterable<Uint8Array>,
  {sealing, checksums, expected}: {readonly sealing: Sealing | PartSealing; readonly checksums: readonly ChecksumAlgorithm[]; readonly expected: () => ExpectedDigests},
): Promise<SealedAs> {
  const digests = await Digests.start(checksums, request.runtime.clock);
  const cipher = new SealedBytes(sealing.key, 0);
  for await (const chunk of bytes) {
    await digests.update(chunk);
    await writer.write(cipher.update(chunk));
  }
  const {md5, checksums: kept} = await digests.finish(expected());
  return 'nameKey' in sealing ? {checksums: kept, salt: sealing.salt, etag: partName(sealing.nameKey, md5)} : {checksums: kept};
}
