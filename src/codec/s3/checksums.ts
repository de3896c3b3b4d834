/** Checksums in headers and trailers. Source: "Checking object integrity", S3 User Guide. */
import {S3Error} from '#codec/s3/s3-error.ts';
import type {Checksums} from '#model/content.ts';

export type ChecksumAlgorithm = keyof Checksums;

const bytesOf: Readonly<Record<ChecksumAlgorithm, number>> = {crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32};
const algorithms = Object.keys(bytesOf) as ChecksumAlgorithm[];

export interface RequestedChecksums {
  /** Values that came in headers. */
  readonly declared: Checksums;
  /** The one whose value comes in a trailer. */
  readonly announcedTrailer?: ChecksumAlgorithm;
  /** The one that was asked for by name. */
  readonly algorithm?: ChecksumAlgorithm;
}

/** InvalidRequest: a value that cannot be one, more than one, an unknown algorithm. */
export function requestedChecksums(header: (name: string) => string | undefined): RequestedChecksums {
  const declared: Partial<Record<ChecksumAlgorithm, string>> = {};
  for (const algorithm of algorithms) {
    const value = header(`x-amz-checksum-${algorithm}`)?.trim();
    if (value === undefined) continue;
    if (!isDigest(value, bytesOf[algorithm])) throw new S3Error('InvalidRequest', `Value for x-amz-checksum-${algorithm} header is invalid.`);
    declared[algorithm] = value;
  }
  if (Object.keys(declared).length > 1) throw new S3Error('InvalidRequest', 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.');
  const trailer = header('x-amz-trailer')?.trim().toLowerCase();
  const announced = trailer?.startsWith('x-amz-checksum-') ? named(trailer.slice(15), 'x-amz-trailer') : undefined;
  if (trailer !== undefined && !announced) throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported');
  const word = header('x-amz-checksum-algorithm') ?? header('x-amz-sdk-checksum-algorithm');
  const algorithm = word === undefined ? undefined : named(word.trim().toLowerCase(), 'x-amz-checksum-algorithm');
  return {declared, ...(announced ? {announcedTrailer: announced} : {}), ...(algorithm ? {algorithm} : {})};
}

function named(word: string, header: string): ChecksumAlgorithm {
  if (!Object.hasOwn(bytesOf, word)) throw new S3Error('InvalidRequest', `Checksum algorithm provided is unsupported (${header}). Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]`);
  return word as ChecksumAlgorithm;
}

/** Base64 of so many bytes; a composite one of a multipart object ends in `-N`. */
function isDigest(text: string, bytes: number): boolean {
  const value = text.replace(/-\d{1,5}$/, '');
  const digest = Buffer.from(value, 'base64');
  return digest.length === bytes && digest.toString('base64') === value;
}

/** Hexadecimal MD5 of a Content-MD5 header. InvalidDigest. */
export function parseContentMd5(value: string): string {
  if (!/^[A-Za-z0-9+/]{22}==$/.test(value.trim())) throw new S3Error('InvalidDigest', 'The Content-MD5 you specified is not valid.', {'Content-MD5': value.slice(0, 100)});
  return Buffer.from(value.trim(), 'base64').toString('hex');
}
