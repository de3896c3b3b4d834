/** Checksums in headers and trailers. Source: "Checking object integrity", S3 User Guide. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {type ChecksumAlgorithm, checksumAlgorithms, type Checksums} from '#model/content.ts';
import {type ChecksumType, checksumTypesOf} from '#model/multipart.ts';

const bytesOf: Readonly<Record<ChecksumAlgorithm, number>> = {crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32, md5: 16, sha512: 64, xxhash3: 8, xxhash64: 8, xxhash128: 16};

/** What S3 computes and keeps when the client names nothing. */
export const defaultAlgorithm: ChecksumAlgorithm = 'crc64nvme';

export interface RequestedChecksums {
  /** Values that came in headers: none or one. */
  readonly declared: Checksums;
  /** The one whose value comes in a trailer. */
  readonly announcedTrailer?: ChecksumAlgorithm;
  /** The one that the client uses, however it says so. */
  readonly algorithm?: ChecksumAlgorithm;
}

type Header = (name: string) => string | undefined;

const invalid = (message: string) => new S3Error('InvalidRequest', message);
const invalidValue = (name: string) => invalid(`Value for ${name} header is invalid.`);
const noMatch = (algorithm: ChecksumAlgorithm) => new S3Error('BadDigest', `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`);
const prefix = 'x-amz-checksum-';
const notValues = new Set(['type', 'algorithm', 'mode']);

/** Headers `x-amz-checksum-…` that are values. InvalidRequest: an unknown algorithm, more than one. */
export function checksumHeaders(rawHeaders: readonly string[]): readonly (readonly [ChecksumAlgorithm, string])[] {
  const found: [ChecksumAlgorithm, string][] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length <= prefix.length || (name.charCodeAt(0) | 0x20) !== 0x78 || name.slice(0, prefix.length).toLowerCase() !== prefix) continue;
    const word = name.slice(prefix.length).toLowerCase();
    if (notValues.has(word)) continue;
    if (!isAlgorithm(word)) throw invalid('The algorithm type you specified in x-amz-checksum- header is invalid.');
    found.push([word, rawHeaders[i + 1]!.trim()]);
  }
  if (found.length > 1) throw invalid('Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.');
  return found;
}

/** Of an upload of bytes. BadDigest: a value that the named algorithm cannot have. InvalidRequest: one that cannot be of its header's, more than one, an unknown algorithm, names that contradict each other. */
export function requestedChecksums(header: Header, rawHeaders: readonly string[]): RequestedChecksums {
  const declared = checksumHeaders(rawHeaders);
  const sdk = header('x-amz-sdk-checksum-algorithm');
  const named = sdk === undefined ? undefined : algorithmNamed(sdk);
  for (const [algorithm, value] of declared) {
    if (isDigest(value, algorithm)) continue;
    // What the algorithm that was named beside it cannot have made does not match ("PutObject", ChecksumAlgorithm).
    throw named === algorithm && value !== '' ? noMatch(algorithm) : invalidValue(`${prefix}${algorithm}`);
  }
  const trailer = header('x-amz-trailer')?.trim().toLowerCase();
  const announced = trailer?.startsWith(prefix) ? trailer.slice(prefix.length) : undefined;
  if (trailer !== undefined && (announced === undefined || !isAlgorithm(announced))) throw invalid('The value specified in the x-amz-trailer header is not supported');
  if (trailer !== undefined && declared.length > 0) throw invalid('Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.');
  const used = declared[0]?.[0] ?? (announced as ChecksumAlgorithm | undefined);
  if (named !== undefined && used === undefined) {
    throw invalid('x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.');
  }
  if (named !== undefined && named !== used) throw invalidValue('x-amz-sdk-checksum-algorithm');
  return {declared: Object.fromEntries(declared), ...(announced === undefined ? {} : {announcedTrailer: announced as ChecksumAlgorithm}), ...(used ? {algorithm: used} : {})};
}

/** Of a whole object at the end of an upload: composite ones end in `-N`. InvalidRequest: no Base64; BadDigest: no value that the algorithm can have. */
export function completedChecksums(rawHeaders: readonly string[]): Checksums {
  const declared = checksumHeaders(rawHeaders);
  for (const [algorithm, value] of declared) {
    const digest = algorithm === 'crc64nvme' ? value : value.replace(/-\d{1,9}$/, '');
    if (isDigest(digest, algorithm)) continue;
    throw /^[A-Za-z0-9+/]+=*$/.test(digest) ? noMatch(algorithm) : invalidValue(`${prefix}${algorithm}`);
  }
  return Object.fromEntries(declared);
}

/** What a multipart upload is created with. InvalidRequest for pairs that do not exist. */
export function uploadChecksums(header: Header): {readonly checksumAlgorithm?: ChecksumAlgorithm; readonly checksumType?: ChecksumType} {
  const word = header('x-amz-checksum-algorithm');
  const checksumAlgorithm = word === undefined ? undefined : algorithmNamed(word);
  const wanted = checksumTypeOf(header);
  if (!checksumAlgorithm) {
    if (wanted) throw invalid('The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.');
    return {};
  }
  const types = checksumTypesOf(checksumAlgorithm);
  if (wanted && !types.includes(wanted)) throw invalid(`The ${wanted} checksum type cannot be used with the ${checksumAlgorithm} checksum algorithm.`);
  return {checksumAlgorithm, checksumType: wanted ?? types[0]!};
}

/** `x-amz-checksum-type`. InvalidRequest. */
export function checksumTypeOf(header: Header): ChecksumType | undefined {
  const type = header('x-amz-checksum-type')?.trim().toUpperCase();
  if (type === undefined || type === '') return undefined;
  if (type !== 'FULL_OBJECT' && type !== 'COMPOSITE') throw invalidValue('x-amz-checksum-type');
  return type;
}

function isAlgorithm(word: string): word is ChecksumAlgorithm {
  return Object.hasOwn(bytesOf, word);
}

/** A name in any case. InvalidRequest. */
export function algorithmNamed(name: string): ChecksumAlgorithm {
  const word = name.trim().toLowerCase();
  if (!isAlgorithm(word)) {
    const known = checksumAlgorithms.map((algorithm) => algorithm.toUpperCase()).sort().join(', ');
    throw invalid(`Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${known}]`);
  }
  return word;
}

/** Base64 of as many bytes as the algorithm makes. */
export function isDigest(value: string, algorithm: ChecksumAlgorithm): boolean {
  const digest = Buffer.from(value, 'base64');
  return digest.length === bytesOf[algorithm] && digest.toString('base64') === value;
}

/** Hexadecimal MD5 of a Content-MD5 header. InvalidDigest. */
export function parseContentMd5(value: string): string {
  if (!/^[A-Za-z0-9+/]{22}==$/.test(value.trim())) throw new S3Error('InvalidDigest', 'The Content-Md5 you specified is not valid.', {'Content-MD5': value.slice(0, 100)});
  return Buffer.from(value.trim(), 'base64').toString('hex');
}
