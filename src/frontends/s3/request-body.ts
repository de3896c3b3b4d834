/** Bodies of uploads: however they travelled, what comes out is the object's bytes, checked against all that was announced. */
import {createHash, hash} from 'node:crypto';
import {smallBytesMax} from '#client/file-system.ts';
import {AwsChunkedDecoder} from '#codec/s3/aws-chunked.ts';
import {isDigest, parseContentMd5, type RequestedChecksums, requestedChecksums} from '#codec/s3/checksums.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import type {S3Request} from '#frontends/s3/request.ts';
import {checksumHasher} from '#model/checksum-hashers.ts';
import type {ChecksumAlgorithm, Checksums} from '#model/content.ts';

export const putBytesMax = 5 * 1024 ** 3;
/** XML documents of requests; a list of 10 000 parts with checksums is about 3 MB. */
export const documentBytesMax = 8 * 1024 * 1024;

const malformedTrailer = () => new S3Error('MalformedTrailerError', 'The request contained trailing data that was not well-formed or did not conform to our published schema.');
const noChecksums: RequestedChecksums = {declared: {}};

export interface Upload {
  /** Bytes of the object; undefined when it comes chunked without saying. */
  readonly length?: number;
  /** The checksum that the client uses, if it says so. */
  readonly algorithm?: ChecksumAlgorithm;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** The same, where all has come already: then `bytes` are not to be read. */
  readonly whole: () => readonly Uint8Array[] | undefined;
  /** What the whole must prove to be; complete when the bytes have ended. */
  readonly expected: () => {length?: number; md5?: string; checksums?: Checksums};
}

interface PayloadHash extends Disposable {
  /** The chunk may be changed when it resolves; at once where nothing comes back. */
  update(chunk: Uint8Array): Promise<void> | undefined;
  /** Hexadecimal. */
  finish(): string | Promise<string>;
}

/** SHA-256 of what is signed: of larger bodies beside the event loop, where that can be. */
function payloadHash({runtime}: S3Request, length: number | undefined): PayloadHash {
  const elsewhere = runtime.digestsElsewhere?.begin(['sha256'], length, {md5: false});
  if (elsewhere) {
    return {
      update: (chunk) => elsewhere.update(chunk),
      finish: async () => Buffer.from((await elsewhere.finish()).checksums.sha256!, 'base64').toString('hex'),
      [Symbol.dispose]: () => elsewhere.abandon(),
    };
  }
  const digest = createHash('sha256');
  return {update: (chunk) => void digest.update(chunk), finish: () => digest.digest('hex'), [Symbol.dispose]: () => {}};
}

function announcedLength(request: S3Request, chunked: boolean): number | undefined {
  const text = request.header(chunked ? 'x-amz-decoded-content-length' : 'content-length');
  if (text === undefined && !chunked && request.header('transfer-encoding') !== undefined) return undefined;
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.');
  const length = Number(text);
  if (length > putBytesMax) throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.', {ProposedSize: text, MaxSizeAllowed: String(putBytesMax)});
  return length;
}

/** Reads the headers of an upload; nothing is read of its body before `bytes` is iterated (so nor is `100 Continue` sent). */
export function uploadOf(request: S3Request, checksumsOfBody = true): Upload {
  const {identity, exchange} = request;
  const chunked = identity.payload === 'signed-chunks' || identity.payload === 'signed-chunks-trailer' || identity.payload === 'unsigned-chunks-trailer';
  const length = announcedLength(request, chunked);
  const md5Header = request.header('content-md5');
  const md5 = md5Header === undefined ? undefined : parseContentMd5(md5Header);
  const {declared, announcedTrailer, algorithm} = checksumsOfBody ? requestedChecksums((name) => exchange.header(name), exchange.rawHeaders) : noChecksums;
  let trailing: Checksums = {};

  const decoding = () => new AwsChunkedDecoder({decodedLength: length!, trailers: identity.payload !== 'signed-chunks', ...(identity.chunks ? {signed: identity.chunks} : {})});
  const ended = (decoder: AwsChunkedDecoder): void => {
    const {trailers} = decoder.finish();
    for (const [name, value] of trailers) {
      const found = /^x-amz-checksum-(\w+)$/.exec(name.toLowerCase());
      if (!found) continue;
      if (announcedTrailer !== found[1]) throw malformedTrailer();
      if (!isDigest(value, announcedTrailer!)) throw new S3Error('InvalidRequest', `Value for ${name.toLowerCase()} trailing header is invalid.`);
      trailing = {[announcedTrailer!]: value};
    }
    if (announcedTrailer && trailing[announcedTrailer] === undefined) throw malformedTrailer();
  };
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    const decoder = decoding();
    for await (const chunk of exchange.body) yield* decoder.push(chunk);
    ended(decoder);
  };
  const check = (sum: number, actual: string): void => {
    if (length !== undefined && sum !== length) throw new S3Error('IncompleteBody', 'You did not provide the number of bytes specified by the Content-Length HTTP header');
    if (actual === identity.payloadHash) return;
    throw new S3Error('XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed.", {
      ClientComputedContentSHA256: identity.payloadHash!,
      S3ComputedContentSHA256: actual,
    });
  };
  const hashed = async function* (): AsyncGenerator<Uint8Array> {
    using digest = payloadHash(request, length);
    let sum = 0;
    for await (const chunk of exchange.body) {
      const taken = digest.update(chunk);
      if (taken) await taken;
      sum += chunk.length;
      yield chunk;
    }
    check(sum, await digest.finish());
  };
  const whole = (): readonly Uint8Array[] | undefined => {
    if (length === undefined || length > smallBytesMax) return undefined;
    const bytes = exchange.body.whole?.();
    if (bytes && chunked) {
      const decoder = decoding();
      const pieces = Array.from(decoder.push(bytes));
      ended(decoder);
      return pieces;
    }
    if (bytes && identity.payload === 'hashed') check(bytes.length, hash('sha256', bytes, 'hex'));
    return bytes && [bytes];
  };

  return {
    ...(length === undefined ? {} : {length}),
    ...(algorithm ? {algorithm} : {}),
    whole,
    bytes: {[Symbol.asyncIterator]: () => (chunked ? chunks() : identity.payload === 'hashed' ? hashed() : exchange.body[Symbol.asyncIterator]())} as AsyncIterable<Uint8Array>,
    expected: () => {
      const checksums = {...declared, ...trailing};
      return {...(length === undefined ? {} : {length}), ...(md5 === undefined ? {} : {md5}), ...(Object.keys(checksums).length === 0 ? {} : {checksums})};
    },
  };
}

/** The XML document of a request, whole and checked. */
export async function documentOf(request: S3Request): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  await readDocument(request, (chunk) => chunks.push(chunk));
  return Buffer.concat(chunks);
}

/** The same in pieces as they come; nothing counts before it resolves. Without `checksumsOfBody` those in headers are of something else. */
export async function readDocument(request: S3Request, take: (chunk: Uint8Array) => void, checksumsOfBody = true): Promise<void> {
  if (request.identity.payload === 'unsigned-chunks-trailer') throw new S3Error('InvalidRequest', 'The value of x-amz-content-sha256 header is invalid.');
  const tooLarge = () => new S3Error('MalformedXML', 'The XML you provided was larger than the maximum allowed.');
  const length = request.header('content-length');
  if (length !== undefined && Number(length) > documentBytesMax) throw tooLarge();
  if (length === undefined && request.header('transfer-encoding') === undefined) return;
  const upload = uploadOf(request, checksumsOfBody);
  const sum = upload.algorithm && (await checksumHasher(upload.algorithm));
  const digest = createHash('md5');
  let bytes = 0;
  for await (const chunk of upload.bytes) {
    bytes += chunk.length;
    if (bytes > documentBytesMax) throw tooLarge();
    digest.update(chunk);
    sum?.update(chunk);
    take(chunk);
  }
  const {md5, checksums = {}} = upload.expected();
  if (md5 !== undefined && digest.digest('hex') !== md5) throw new S3Error('BadDigest', 'The Content-MD5 you specified did not match what we received.');
  const computed = sum?.digest().toString('base64');
  for (const [algorithm, value] of Object.entries(checksums)) if (value !== computed) throw new S3Error('BadDigest', `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`);
}
