import assert from 'node:assert/strict';
import {test} from 'node:test';
import type {ContentId} from '#base/ids.ts';
import {Digests} from '#model/digests.ts';
import type {StoreWrite} from '#understore/under-store.ts';
import {ContentWrite} from '#worker/writes/content-write.ts';

/** A store that is done with a chunk when its write resolves, a turn later. */
function copyingStore(): {readonly write: StoreWrite; readonly got: Buffer[]} {
  const got: Buffer[] = [];
  const write: StoreWrite = {
    copies: true,
    write: async chunk => {
      await new Promise<void>(resolve => void setImmediate(resolve));
      got.push(Buffer.from(chunk));
    },
    finish: async () => ({key: '' as never, kind: 'file', length: got.reduce((sum, {length}) => sum + length, 0), fingerprint: 'f', etag: '', modifiedAt: 0n, metadata: {}}) as never,
    abort: async () => {},
  };
  return {write, got};
}

const clock = {yield: () => Promise.resolve()};

test('chunks come in memory that is used again, and the last waits for who publishes', async () => {
  const bytes = Buffer.from('so many bytes in pieces that lie in one place');
  const {write, got} = copyingStore();
  const stream = new ContentWrite(1 as ContentId, write, undefined, await Digests.start(['crc32'], clock), bytes.length);
  assert.equal(stream.copies, true);
  const memory = Buffer.alloc(8);
  for (let at = 0; at < bytes.length; at += 8) {
    const piece = memory.subarray(0, bytes.copy(memory, 0, at, at + 8));
    await stream.write(piece);
    memory.fill('?');
  }
  await stream.finish(async () => assert.equal(Buffer.concat(got).length, 40, 'all but the last piece'));
  assert.equal(Buffer.concat(got).toString(), bytes.toString());
});

test('of unknown length each chunk may be the last, and is kept', async () => {
  const {write, got} = copyingStore();
  const stream = new ContentWrite(1 as ContentId, write, undefined, await Digests.start([], clock));
  assert.equal(stream.copies, undefined);
  for (const text of ['one', 'two']) await stream.write(Buffer.from(text));
  await stream.finish(async () => assert.equal(got.length, 1));
  assert.deepEqual(got.map(String), ['one', 'two']);
});

test('more than was announced is refused', async () => {
  const {write} = copyingStore();
  const stream = new ContentWrite(1 as ContentId, write, undefined, await Digests.start([], clock), 4);
  await stream.write(Buffer.from('four'));
  await assert.rejects(stream.write(Buffer.from('.')), {kind: 'IncompleteBody'});
});
