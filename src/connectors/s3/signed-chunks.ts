/**
 * Bodies that are streamed are sent as signed chunks (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`; source: "Signature calculations for the
 * Authorization header: transferring payload in multiple chunks" of the S3 API reference), which every S3 has understood since 2014.
 *
 * Not for the signatures: for the last chunk, which is empty and comes after `finish`. A process that is killed closes its connections in
 * good order, and there are stores that take a plain body which ended too early for the whole object (versitygw does). A body without
 * its last chunk is none.
 */
import {hash} from 'node:crypto';

/** All chunks but the last two are so long. */
export const chunkBytes = 64 * 1024;
export const streamingPayload = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD';

const lineEnd = Buffer.from('\r\n');
const nothing = new Uint8Array(0);
const emptyHash = hash('sha256', '');
const signatureForm = ';chunk-signature=';
const signatureChars = 64;

/** Signs what was signed before and the hash of the next chunk. */
export type SignChunk = (previous: string, payloadHash: string) => string;

/** Length on the wire of a body of `length` bytes. */
export function chunkedLength(length: number): number {
  const around = (bytes: number): number => bytes.toString(16).length + signatureForm.length + signatureChars + 2 * lineEnd.length;
  const whole = Math.floor(length / chunkBytes);
  const rest = length % chunkBytes;
  return length + whole * around(chunkBytes) + (rest > 0 ? around(rest) : 0) + around(0);
}

/**
 * `seed`: the signature of the request; `length`: of the body. What is asked for next says that what came before is done with: a whole chunk's
 * bytes are used again, and nothing of the body is kept when its next piece is asked for. Memory is one chunk.
 */
export async function* signedChunks(body: AsyncIterable<Uint8Array>, length: number, seed: string, sign: SignChunk): AsyncGenerator<Uint8Array, void, undefined> {
  let previous = seed;
  let room: Buffer | undefined;
  let filled = 0;
  function* chunk(payload: Uint8Array): Generator<Uint8Array, void, undefined> {
    previous = sign(previous, payload.length === 0 ? emptyHash : hash('sha256', payload));
    yield Buffer.from(`${payload.length.toString(16)}${signatureForm}${previous}\r\n`);
    if (payload.length > 0) yield payload;
    yield lineEnd;
  }
  for await (const bytes of body) {
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + chunkBytes - filled);
      at += piece.length;
      if (piece.length === chunkBytes) yield* chunk(piece);
      else {
        room ??= Buffer.allocUnsafe(Math.min(length, chunkBytes));
        room.set(piece, filled);
        filled += piece.length;
        if (filled < chunkBytes) continue;
        filled = 0;
        yield* chunk(room);
      }
    }
  }
  if (filled > 0) yield* chunk(room!.subarray(0, filled));
  yield* chunk(nothing);
}
