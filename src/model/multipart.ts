/**
 * What an object made of parts is called: its ETag, and its checksum, both from what is known of the parts (S3 User Guide,
 * "Checking object integrity"). Composite: the digest of the parts' digests, `-N` appended. Full object: the checksum of all
 * bytes, which only CRCs can give without reading them again.
 */
import {createHash, hash} from 'node:crypto';
import {crc32} from 'node:zlib';
import {crc32c} from '@node-rs/crc32';
import {combineCrc, crcPolynomials} from '#base/crc.ts';
import {WeirError} from '#base/errors.ts';
import type {Checksums} from '#model/content.ts';

export type ChecksumAlgorithm = keyof Checksums;
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

export interface PartDigests {
  readonly partNumber: number;
  readonly length: number;
  /** MD5, hexadecimal. */
  readonly etag: string;
  readonly checksums: Checksums;
}

/** MD5 of the parts' MD5s, and their number. */
export function multipartEtag(parts: readonly PartDigests[]): string {
  const digest = createHash('md5');
  for (const part of parts) digest.update(Buffer.from(part.etag, 'hex'));
  return `${digest.digest('hex')}-${parts.length}`;
}

/** The type that S3 uses when none was asked for. InvalidArgument for pairs that do not exist. */
export function checksumTypeOf(algorithm: ChecksumAlgorithm, wanted: ChecksumType | undefined): ChecksumType {
  const isSha = algorithm === 'sha1' || algorithm === 'sha256';
  if ((isSha && wanted === 'FULL_OBJECT') || (algorithm === 'crc64nvme' && wanted === 'COMPOSITE')) {
    throw new WeirError('InvalidArgument', `${algorithm} checksums of multipart uploads cannot be ${wanted}`);
  }
  return wanted ?? (algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE');
}

/** The object's checksum, base64; undefined when a part has none of that algorithm. */
export function multipartChecksum(parts: readonly PartDigests[], algorithm: ChecksumAlgorithm, wanted: ChecksumType | undefined): string | undefined {
  const digests: Buffer[] = [];
  for (const part of parts) {
    const checksum = part.checksums[algorithm];
    if (checksum === undefined) return undefined;
    digests.push(Buffer.from(checksum, 'base64'));
  }
  if (checksumTypeOf(algorithm, wanted) === 'COMPOSITE') return `${digestOf(algorithm, Buffer.concat(digests)).toString('base64')}-${parts.length}`;
  if (algorithm === 'sha1' || algorithm === 'sha256') return undefined;
  const crc = crcPolynomials[algorithm];
  let value = 0n;
  parts.forEach((part, i) => (value = combineCrc(crc, value, fromBuffer(digests[i]!), part.length)));
  return toBuffer(value, crc.bits / 8).toString('base64');
}

function digestOf(algorithm: ChecksumAlgorithm, bytes: Buffer): Buffer {
  switch (algorithm) {
    case 'sha1':
    case 'sha256':
      return hash(algorithm, bytes, 'buffer');
    case 'crc32':
      return toBuffer(BigInt(crc32(bytes)), 4);
    case 'crc32c':
      return toBuffer(BigInt(crc32c(bytes)), 4);
    case 'crc64nvme':
      throw new WeirError('InvalidArgument', 'crc64nvme checksums are never composite');
  }
}

function fromBuffer(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`);
}

function toBuffer(value: bigint, bytes: number): Buffer {
  return Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex');
}
