import assert from 'node:assert/strict';
import {test} from 'node:test';
import {keyOfPart} from '#codec/s3/seal.ts';
import {SealedBytes} from '#codec/s3/sealed-bytes.ts';
import type {Body} from '#contracts/worker-api.ts';
import {openedBody} from '#frontends/s3/opening.ts';
import type {FileLease} from '#model/file-lease.ts';

const key = keyOfPart(Buffer.alloc(32, 1), Buffer.alloc(32, 2));
const sealed = Buffer.from(new SealedBytes(key, 0).update(Buffer.from('some plaintext')));
const pieces = {offsets: [0, sealed.length], keyOf: () => key};

/** A leased body, and how often it was given back. */
function leased(from: number): {readonly body: Body; readonly disposed: () => number} {
  let disposed = 0;
  const lease: Partial<FileLease> = {
    offset: from, length: sealed.length - from, read: async (into: Uint8Array, position: number) => sealed.copy(into, 0, position), [Symbol.dispose]: () => void disposed++,
  };
  return {body: {kind: 'lease', length: sealed.length - from, lease: lease as FileLease}, disposed: () => disposed};
}

test('a lease is given back once, whether the bytes are read, read in part, or not at all', async () => {
  const read = leased(5);
  const opened = openedBody(pieces, 5, read.body);
  assert.equal(opened.kind, 'stream');
  const chunks: Uint8Array[] = [];
  for await (const chunk of (opened as Extract<Body, {kind: 'stream'}>).stream) chunks.push(chunk);
  assert.deepEqual([Buffer.concat(chunks).toString(), read.disposed()], ['plaintext', 1]);
  for (const readsOnce of [false, true]) {
    const left = leased(0);
    const iterator = (openedBody(pieces, 0, left.body) as Extract<Body, {kind: 'stream'}>).stream[Symbol.asyncIterator]();
    if (readsOnce) assert.equal(Buffer.from((await iterator.next()).value as Uint8Array).toString(), 'some plaintext');
    await iterator.return?.();
    assert.equal(left.disposed(), 1);
  }
});
