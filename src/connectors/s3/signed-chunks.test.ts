import assert from 'node:assert/strict';
import {hash} from 'node:crypto';
import {test} from 'node:test';
import fc from 'fast-check';
import {AwsChunkedDecoder} from '#codec/s3/aws-chunked.ts';
import {chunkBytes, chunkedLength, signedChunks, type SignChunk} from '#connectors/s3/signed-chunks.ts';

const sign: SignChunk = (previous, payloadHash) => hash('sha256', previous + payloadHash);

async function* pieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = cuts[i % cuts.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** In memory that is used again for the next. */
async function* lent(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(2 * chunkBytes);
  for await (const piece of body) {
    memory.fill(0xee);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
  }
}

test('signed chunks are what a verifying decoder expects, of the length that was said, and nothing without the last one', async () => {
  const lengths = fc.oneof(fc.nat(3 * chunkBytes), fc.constantFrom(0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes));
  await fc.assert(
    fc.asyncProperty(lengths, fc.array(fc.integer({min: 1, max: 2 * chunkBytes}), {minLength: 1}), async (length, cuts) => {
      const bytes = Buffer.alloc(length, 'some bytes that repeat ');
      const sent: Buffer[] = [];
      for await (const piece of signedChunks(lent(pieces(bytes, cuts)), length, 'seed', sign)) sent.push(Buffer.from(piece));
      const wire = Buffer.concat(sent);
      assert.equal(wire.length, chunkedLength(length));
      const decoder = (): AwsChunkedDecoder => {
        let previous = 'seed';
        return new AwsChunkedDecoder({decodedLength: length, trailers: false, signed: {chunk: payloadHash => (previous = sign(previous, payloadHash)), trailer: () => ''}});
      };
      const whole = decoder();
      assert.ok(Buffer.concat([...whole.push(wire)]).equals(bytes));
      whole.finish();
      const cut = decoder();
      assert.throws(() => {
        for (const _ of cut.push(wire.subarray(0, wire.length - 90)));
        cut.finish();
      });
    }),
    {numRuns: 50},
  );
});
