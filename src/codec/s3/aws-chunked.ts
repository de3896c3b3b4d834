/**
 * The `aws-chunked` body: chunks inside the HTTP body, so that each can be signed and checksums can follow the payload.
 * (Amazon S3 API reference: "Signature calculations for the Authorization header: transferring payload in multiple chunks".)
 *
 *   chunk     hex length [`;chunk-signature=` 64 hex] CRLF, that many bytes, CRLF
 *   end       `0` [`;chunk-signature=` 64 hex] CRLF, trailers, CRLF
 *   trailer   name `:` value CRLF; behind the last one of a signed body: `x-amz-trailer-signature:` 64 hex CRLF
 *
 * A chunk's signature is checked before the chunk's last byte is handed out. What was handed out before may be forged: nothing
 * counts until `finish` has returned. Memory is bounded by one line.
 */
import {createHash, type Hash, timingSafeEqual} from 'node:crypto';
import {WeirError} from '#base/errors.ts';

/** Gives the signatures that a signed body must carry, in order: each depends on the one before. */
export interface ChunkSigner {
  /** Signature (64 hex digits) of the next chunk, whose payload has this SHA-256. The last chunk is empty. */
  chunk(payloadSha256Hex: string): string;
  /** Signature of the trailers: the SHA-256 is that of their lines, each `name:value` and a line feed. */
  trailer(trailerLinesSha256Hex: string): string;
}

export interface AwsChunkedOptions {
  /** x-amz-decoded-content-length: bytes of payload. */
  readonly decodedLength: number;
  /** Whether trailers may follow: the `-TRAILER` forms. */
  readonly trailers: boolean;
  /** Without it signatures are passed over unchecked. */
  readonly signed?: ChunkSigner;
  /** Bytes that every chunk but the last must have: S3's 8192, where tests do not say less. */
  readonly chunkBytesMin?: number;
}

export interface AwsChunkedEnd {
  /** In the order they came, names in lower case, without the trailers' signature. */
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

/** A length in hexadecimal and a signature; real ones have less than 110 characters. */
const chunkHeaderBytesMax = 1024;
const trailersBytesMax = 8 * 1024;
const chunkBytesMinOfS3 = 8192;
/** A chunk that runs so far over what was announced is not read to its end to see whether it is well-formed. */
const excessBytesMax = 64 * 1024;
const chunkHeaderForm = /^([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?\r$/;
const signatureForm = /^[0-9a-f]{64}$/;
const trailerSignatureName = 'x-amz-trailer-signature';
const lineFeed = 0x0a;

type State = 'header' | 'data' | 'dataEnd' | 'trailers' | 'end';

/** Takes the body in pieces split anywhere. Whatever it throws is a WeirError with the S3 code in `details.s3`; it is unusable then. */
export class AwsChunkedDecoder {
  readonly #decodedLength: number;
  readonly #trailersAllowed: boolean;
  readonly #signed: ChunkSigner | undefined;
  readonly #trailers: (readonly [name: string, value: string])[] = [];
  readonly #chunkBytesMin: number;
  #state: State = 'header';
  /** The part of a line that came with earlier pieces. */
  #line = '';
  /** Payload bytes of the current chunk that are still to come. */
  #left = 0;
  #received = 0;
  #chunks = 0;
  /** Bytes of the chunk before, when it was so small that no other may follow. */
  #small = 0;
  /** Payload of the current chunk that is more than was announced: read, and not handed out. */
  #excess = 0;
  #hash: Hash | undefined;
  /** What the current chunk's header says its signature is. */
  #signature = '';
  #trailerBytes = 0;
  /** Hash of the trailers' lines, while their signature is still to come. */
  #trailerHash: Hash | undefined;

  constructor(options: AwsChunkedOptions) {
    this.#decodedLength = options.decodedLength;
    this.#trailersAllowed = options.trailers;
    this.#signed = options.signed;
    this.#chunkBytesMin = options.chunkBytesMin ?? chunkBytesMinOfS3;
  }

  /** The payload in `chunk`, as views into it. To be exhausted before the next push. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'data') {
        const end = Math.min(chunk.length, at + this.#left);
        const piece = chunk.subarray(at, end);
        this.#left -= end - at;
        if (this.#excess === 0) this.#hash?.update(piece);
        if (this.#left === 0) {
          if (this.#excess === 0) this.#verifyChunk();
          this.#state = 'dataEnd';
        }
        at = end;
        if (this.#excess === 0) yield piece;
      } else {
        at = this.#readLine(chunk, at);
      }
    }
  }

  /** To be called at the end of the body: nothing that was handed out counts before. */
  finish(): AwsChunkedEnd {
    if (this.#state !== 'end') throw brokenOff();
    return {trailers: this.#trailers};
  }

  /** Reads up to the end of a line or of `chunk`, whichever comes first, and returns where it stopped. */
  #readLine(chunk: Uint8Array, at: number): number {
    if (this.#state === 'end') throw brokenOff();
    const bytesMax = this.#state === 'header' ? chunkHeaderBytesMax : this.#state === 'dataEnd' ? 2 : trailersBytesMax - this.#trailerBytes;
    const found = chunk.indexOf(lineFeed, at);
    const end = found < 0 ? chunk.length : found + 1;
    if (this.#line.length + end - at > bytesMax) {
      throw this.#state === 'trailers' ? malformedTrailer() : brokenOff();
    }
    this.#line += Buffer.from(chunk.buffer, chunk.byteOffset + at, end - at).toString('latin1');
    if (found < 0) return end;
    const line = this.#line.slice(0, -1);
    this.#line = '';
    if (this.#state === 'header') this.#readChunkHeader(line);
    else if (this.#state === 'dataEnd') this.#readDataEnd(line);
    else this.#readTrailerLine(line);
    return end;
  }

  #readChunkHeader(line: string): void {
    const match = chunkHeaderForm.exec(line);
    if (!match) throw brokenOff();
    const length = Number.parseInt(match[1]!, 16);
    const signature = match[2];
    if (this.#signed && signature === undefined) throw brokenOff();
    if (length > 0 && this.#small > 0) {
      const details = {s3: 'InvalidChunkSizeError', Chunk: this.#chunks, BadChunkSize: this.#small};
      throw new WeirError('InvalidArgument', `Only the last chunk is allowed to have a size less than ${this.#chunkBytesMin} bytes`, {details});
    }
    this.#chunks++;
    this.#small = length < this.#chunkBytesMin ? length : 0;
    this.#excess = Math.max(0, length - (this.#decodedLength - this.#received));
    if (this.#excess > excessBytesMax) throw otherLength();
    this.#received += length;
    this.#left = length;
    this.#signature = signature ?? '';
    if (this.#signed) this.#hash = createHash('sha256');
    if (length > 0) {
      this.#state = 'data';
      return;
    }
    if (this.#received !== this.#decodedLength) throw otherLength();
    this.#verifyChunk();
    if (this.#trailersAllowed && signature !== undefined) this.#trailerHash = createHash('sha256');
    this.#state = 'trailers';
  }

  #verifyChunk(): void {
    if (!this.#signed || !this.#hash) return;
    if (!sameSignature(this.#signed.chunk(this.#hash.digest('hex')), this.#signature)) throw forged('the signature of a chunk does not match its bytes');
    this.#hash = undefined;
  }

  #readDataEnd(line: string): void {
    if (line !== '\r') throw brokenOff();
    if (this.#excess > 0) throw otherLength();
    this.#state = 'header';
  }

  /** The documentation shows, and some clients send, LF CRLF behind a signed body's last trailer: so a bare LF ends a line too, and a blank line before the signature says nothing. */
  #readTrailerLine(lineWithCr: string): void {
    this.#trailerBytes += lineWithCr.length + 1;
    const line = lineWithCr.endsWith('\r') ? lineWithCr.slice(0, -1) : lineWithCr;
    if (line === '') {
      if (!this.#trailerHash) this.#state = 'end';
      return;
    }
    if (!this.#trailersAllowed) throw brokenOff();
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === '') throw malformedTrailer();
    if (name === trailerSignatureName) {
      // The trailers of an unsigned body, or signed twice.
      if (!this.#trailerHash) throw malformedTrailer();
      if (!signatureForm.test(value)) throw brokenOff();
      if (this.#signed && !sameSignature(this.#signed.trailer(this.#trailerHash.digest('hex')), value)) {
        throw this.#trailers.length === 0 ? malformedTrailer() : forged('the signature of the trailers does not match them');
      }
      this.#trailerHash = undefined;
      return;
    }
    if (this.#signed && !this.#trailerHash) throw malformedTrailer();
    this.#trailerHash?.update(`${line}\n`, 'latin1');
    this.#trailers.push([name, value]);
  }
}

/** Takes as long for a signature that is wrong at its start as for one that is wrong at its end. */
function sameSignature(expected: string, sent: string): boolean {
  return expected.length === sent.length && timingSafeEqual(Buffer.from(expected, 'latin1'), Buffer.from(sent, 'latin1'));
}

/** The words are S3's. What does not follow the framing ends it. */
const brokenOff = () => new WeirError('IncompleteBody', 'The request body terminated unexpectedly', {details: {s3: 'IncompleteBody'}});
const otherLength = () => new WeirError('IncompleteBody', 'You did not provide the number of bytes specified by the Content-Length HTTP header', {details: {s3: 'IncompleteBody'}});
const malformedTrailer = () =>
  new WeirError('InvalidArgument', 'The request contained trailing data that was not well-formed or did not conform to our published schema.', {details: {s3: 'MalformedTrailerError'}});
const forged = (message: string) => new WeirError('PermissionDenied', message, {details: {s3: 'SignatureDoesNotMatch'}});
