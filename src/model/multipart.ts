/**
 * What an object made of parts is called: its ETag, and its checksum, both from what is known of the parts (S3 User Guide,
 * "Checking object integrity"). Composite: the digest of the parts' digests, `-N` appended. Full object: the checksum of all
 * bytes, which only CRCs can give without reading them again.
 */
import {createHash} from 'node:crypto';
import {CrcAppender, crcPolynomials} from '#base/crc.ts';
import {WeirError} from '#base/errors.ts';
import {checksumHasher} from '#model/checksum-hashers.ts';
import type {ChecksumAlgorithm, Checksums} from '#model/content.ts';

export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

export interface PartDigests {
  readonly partNumber: number;
  readonly length: number;
  /** MD5, hexadecimal. */
  readonly etag: string;
  readonly checksums: Checksums;
}

/** The cache keeps the parts until the upload is completed, and its store has not heard of it. */
export const isKeptUpload = (upload: {readonly storeUploadId: string}): boolean => upload.storeUploadId === '';

/** What the record of a kept upload's part says as `storePart` when the part went to the store after all, into that upload there. */
export const spilledPart = (storeUploadId: string, token: string): string => `=${encodeURIComponent(storeUploadId)}=${token}`;

/** Undefined for a part that the cache keeps. */
export function spilledIn(storePart: string): {readonly storeUploadId: string; readonly token: string} | undefined {
  const end = storePart.startsWith('=') ? storePart.indexOf('=', 1) : -1;
  return end < 0 ? undefined : {storeUploadId: decodeURIComponent(storePart.slice(1, end)), token: storePart.slice(end + 1)};
}

/** MD5 of the parts' MD5s, and their number. */
export function multipartEtag(parts: readonly PartDigests[]): string {
  const digest = createHash('md5');
  for (const part of parts) digest.update(Buffer.from(part.etag, 'hex'));
  return `${digest.digest('hex')}-${parts.length}`;
}

/** Which types S3 has for which algorithm; the first is what it uses when none was asked for. */
export function checksumTypesOf(algorithm: ChecksumAlgorithm): readonly ChecksumType[] {
  if (algorithm === 'crc64nvme') return ['FULL_OBJECT'];
  return algorithm === 'crc32' || algorithm === 'crc32c' ? ['COMPOSITE', 'FULL_OBJECT'] : ['COMPOSITE'];
}

/** The object's checksum, base64; undefined when a part has none of that algorithm. InvalidArgument for types that do not exist. */
export async function multipartChecksum(parts: readonly PartDigests[], algorithm: ChecksumAlgorithm, wanted: ChecksumType | undefined): Promise<string | undefined> {
  const types = checksumTypesOf(algorithm);
  const type = wanted ?? types[0]!;
  if (!types.includes(type)) throw new WeirError('InvalidArgument', `${algorithm} checksums of multipart uploads cannot be ${type}`);
  if (parts.some(part => part.checksums[algorithm] === undefined)) return undefined;
  const digests = parts.map(part => Buffer.from(part.checksums[algorithm]!, 'base64'));
  if (type === 'COMPOSITE') {
    const hasher = await checksumHasher(algorithm);
    for (const digest of digests) hasher.update(digest);
    return `${hasher.digest().toString('base64')}-${parts.length}`;
  }
  const crc = new CrcAppender(crcPolynomials[algorithm as keyof typeof crcPolynomials]);
  parts.forEach((part, i) => crc.append(digests[i]!, part.length));
  return crc.digest().toString('base64');
}
