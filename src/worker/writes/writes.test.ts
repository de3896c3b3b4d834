import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {describe, it} from 'node:test';
import {crc32} from 'node:zlib';
import fc from 'fast-check';
import {asciiBytes} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {systemContext} from '#contracts/context.ts';
import type {PartRecord, UploadRecord, WriteTicket} from '#contracts/writing.ts';
import type {ReadableContent} from '#model/content.ts';
import {Faults, withFaults} from '#understore/layers/with-faults.ts';
import {mount, read, stamped, type TestWorker, testWorker} from '#worker/fixture.test.ts';
import {Channel} from '#worker/writes/channel.ts';
import {Digests} from '#model/digests.ts';

const key = asciiBytes('dir/object');
const ticket = (content = 50): WriteTicket => ({writeId: content, path: asciiBytes('/m/dir/object'), content: content as ContentId, mount, storeKey: key, metadata: {'content-type': 'a/b'}, writeType: 'CACHE_THROUGH'});
const ready = async () => {};
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');
const upload = (storeUploadId: string, more: Partial<UploadRecord> = {}): UploadRecord => ({
  uploadId: 'u1', path: asciiBytes('/m/dir/object'), mount, storeKey: key, content: 60 as ContentId, storeUploadId, metadata: {}, initiatedAt: 0n, initiator: 'test', ...more,
});

async function put(t: TestWorker, bytes: Buffer, chunkBytes: number, options: {length?: number} = {}) {
  const stream = await t.worker.write(ticket(), {...options, checksums: ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256']}, systemContext);
  for (let at = 0; at < bytes.length; at += chunkBytes) await stream.write(bytes.subarray(at, at + chunkBytes));
  return stream;
}

const readable = (fingerprint: string, length: number, id = 50): ReadableContent => ({id: id as ContentId, length, mount, storeKey: key, fingerprint});

describe('a write', () => {
  for (const length of [0, 1, 4 * KiB, 256 * KiB, 256 * KiB + 1, 3 * MiB + 5]) {
    it(`of ${length} bytes reaches store and cache, with its digests`, async () => {
      const t = testWorker();
      const bytes = stamped('w', 1, length);
      const stream = await put(t, bytes, 100_000, length % 2 ? {length} : {});
      const sha256 = createHash('sha256').update(bytes).digest('base64');
      const written = await stream.finish(ready, {length, md5: md5(bytes), checksums: {sha256}});
      assert.equal(written.etag, md5(bytes));
      assert.equal(Buffer.from(written.checksums.crc32!, 'base64').readUInt32BE(), crc32(bytes));
      assert.equal(written.checksums.sha256, sha256);
      assert.deepEqual(t.store.outside.bytes(key), bytes);
      assert.deepEqual(t.store.outside.object(key)?.metadata, {'content-type': 'a/b'});
      if (length > 0) assert.ok((await read(t.worker, readable(written.fingerprint, length), 0, length)).equals(bytes));
      assert.equal(t.store.counters.requests.read, 0);
      assert.equal(t.blocks.liveDrafts, 0);
    });
  }

  it('is not in the store before its caller is ready, and never when that fails', async () => {
    const t = testWorker();
    const stream = await put(t, stamped('w', 1, MiB), 64 * KiB);
    await assert.rejects(stream.finish(async () => {
      assert.equal(t.store.outside.object(key), undefined);
      throw new WeirError('PreconditionFailed', 'somebody was faster');
    }), {kind: 'PreconditionFailed'});
    assert.equal(t.store.outside.object(key), undefined);
    assert.equal(t.blocks.liveDrafts, 0);
    assert.equal(t.blocks.contents.size, 0);
  });

  it('with wrong digests or length leaves nothing', async () => {
    const bytes = stamped('w', 1, MiB);
    for (const [expected, kind] of [[{length: 5}, 'IncompleteBody'], [{md5: md5(Buffer.from('x'))}, 'BadDigest'], [{checksums: {crc32: 'AAAAAA=='}}, 'BadDigest']] as const) {
      const t = testWorker();
      const stream = await put(t, bytes, 64 * KiB);
      await assert.rejects(stream.finish(ready, expected), {kind});
      assert.equal(t.store.outside.object(key), undefined);
      assert.equal(t.blocks.liveDrafts, 0);
    }
  });

  it('holds the last chunk back from the store', async () => {
    const t = testWorker();
    await put(t, Buffer.alloc(300, 1), 100);
    assert.equal(t.store.counters.bytesWritten, 200);
  });

  it('does not need the cache', async () => {
    const t = testWorker();
    t.blocks.mode = 'refuse';
    const bytes = stamped('w', 1, MiB);
    const written = await (await put(t, bytes, 64 * KiB)).finish(ready);
    assert.deepEqual(t.store.outside.bytes(key), bytes);
    assert.ok((await read(t.worker, readable(written.fingerprint, MiB), 0, MiB)).equals(bytes));
  });

  it('fails with the store', async () => {
    const faults = new Faults();
    const t = testWorker({wrap: (store, clock) => withFaults(store, clock, faults)});
    faults.add({call: 'finish', error: () => new WeirError('Unavailable', 'the store is down')});
    const stream = await put(t, stamped('w', 1, MiB), 64 * KiB);
    await assert.rejects(stream.finish(ready), {kind: 'Unavailable'});
    assert.equal(t.blocks.contents.size, 0);
    assert.equal(t.blocks.liveDrafts, 0);
  });

  it('that is aborted leaves nothing, and takes no more', async () => {
    const t = testWorker();
    const stream = await put(t, stamped('w', 1, MiB), 64 * KiB);
    await stream.abort();
    await stream.abort();
    await assert.rejects(stream.write(Buffer.alloc(1)), {kind: 'Cancelled'});
    await assert.rejects(stream.finish(ready), {kind: 'Cancelled'});
    assert.equal(t.store.outside.object(key), undefined);
    assert.equal(t.blocks.liveDrafts, 0);
  });
});

describe('a multipart upload', () => {
  const parts = async (t: TestWorker, storeUploadId: string, pieces: readonly Buffer[], order: readonly number[]): Promise<PartRecord[]> => {
    const records: PartRecord[] = [];
    for (const i of order) {
      const stream = await t.worker.uploadPart(upload(storeUploadId), i + 1, {length: pieces[i]!.length, checksums: ['crc64nvme']}, systemContext);
      for (let at = 0; at < pieces[i]!.length; at += 70_000) await stream.write(pieces[i]!.subarray(at, at + 70_000));
      records[i] = await stream.finish({md5: md5(pieces[i]!)});
    }
    return records;
  };

  it('of equal parts, in any order, is cached when it is complete', async () => {
    const t = testWorker();
    const bytes = stamped('m', 1, 2 * MiB + 12_345);
    const pieces = [bytes.subarray(0, MiB), bytes.subarray(MiB, 2 * MiB), bytes.subarray(2 * MiB)];
    const id = await t.worker.createUpload(ticket(), systemContext);
    const records = await parts(t, id, pieces, [1, 0, 2]);
    const written = await t.worker.completeUpload(upload(id, {checksumAlgorithm: 'crc64nvme'}), 60 as ContentId, records, ready, systemContext);
    assert.match(written.etag, /-3$/);
    const whole = await Digests.start(['crc64nvme'], t.clock);
    await whole.update(bytes);
    assert.deepEqual(written.checksums, (await whole.finish(undefined)).checksums);
    assert.ok((await read(t.worker, readable(written.fingerprint, bytes.length, 60), 0, bytes.length)).equals(bytes));
    assert.equal(t.store.counters.requests.read, 0);
    assert.deepEqual(t.store.outside.uploads(), []);
    assert.equal(t.blocks.liveDrafts, 0);
  });

  it('whose parts do not fit, come twice or are left out is right all the same', async () => {
    const bytes = stamped('m', 1, 600_000);
    const cases: {pieces: Buffer[]; order: number[]; use: number[]}[] = [
      {pieces: [bytes.subarray(0, 100_000), bytes.subarray(100_000)], order: [0, 1], use: [0, 1]},
      {pieces: [bytes.subarray(0, 300_000), bytes.subarray(300_000)], order: [0, 1, 0], use: [0, 1]},
      {pieces: [bytes.subarray(0, 300_000), bytes.subarray(0, 300_000), bytes.subarray(300_000)], order: [0, 1, 2], use: [0, 2]},
      {pieces: [bytes.subarray(0, 400_000), bytes.subarray(400_000)], order: [1, 0], use: [0, 1]},
    ];
    for (const {pieces, order, use} of cases) {
      const t = testWorker();
      const id = await t.worker.createUpload(ticket(), systemContext);
      const records = await parts(t, id, pieces, order);
      const written = await t.worker.completeUpload(upload(id), 60 as ContentId, use.map(i => records[i]!), ready, systemContext);
      assert.ok((await read(t.worker, readable(written.fingerprint, bytes.length, 60), 0, bytes.length)).equals(bytes));
      assert.equal(t.blocks.liveDrafts, 0);
    }
  });

  it('refuses a part that is not what was announced, and forgets it when aborted', async () => {
    const t = testWorker();
    const id = await t.worker.createUpload(ticket(), systemContext);
    const part = async (length: number) => t.worker.uploadPart(upload(id), 1, {length}, systemContext);
    const long = await part(10);
    await assert.rejects(long.write(Buffer.alloc(11)), {kind: 'IncompleteBody'});
    const short = await part(10);
    await short.write(Buffer.alloc(9));
    await assert.rejects(short.finish(), {kind: 'IncompleteBody'});
    const wrong = await part(3);
    await wrong.write(Buffer.from('abc'));
    await assert.rejects(wrong.finish({md5: md5(Buffer.from('abd'))}), {kind: 'BadDigest'});
    await t.worker.abortUpload(upload(id), systemContext);
    assert.deepEqual(t.store.outside.uploads(), []);
    assert.equal(t.blocks.liveDrafts, 0);
  });
});

describe('a copy', () => {
  for (const copy of [true, false]) {
    it(copy ? 'is made by the store where it can' : 'else goes through the worker', async () => {
      const t = testWorker({store: {capabilities: {copy}}});
      const bytes = stamped('source', 1, 2 * MiB);
      const source = t.put('source', bytes);
      const written = await t.worker.copy(source, ticket(), ready, systemContext);
      assert.equal(written.length, bytes.length);
      assert.deepEqual(t.store.outside.bytes(key), bytes);
      assert.equal(t.store.counters.requests.copy, copy ? 1 : 0);
      t.store.outside.put(asciiBytes('source'), stamped('source', 2, 2 * MiB));
      if (copy) await assert.rejects(t.worker.copy(source, ticket(51), ready, systemContext), {kind: 'ContentChanged'});
      if (copy) {
        t.store.outside.remove(asciiBytes('source'));
        await assert.rejects(t.worker.copy(source, ticket(52), ready, systemContext), {kind: 'ContentChanged'}, 'a source that a job has moved on');
      }
    });
  }
});

it('a channel hands over every chunk, in order, one at a time', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({minLength: 1, maxLength: 8}), {maxLength: 20}), fc.nat(20), async (chunks, stopAfter) => {
    const channel = new Channel();
    const got: Uint8Array[] = [];
    const reading = (async () => { for await (const chunk of channel) if (got.push(chunk) > stopAfter) break; })();
    try {
      for (const chunk of chunks) await channel.push(chunk);
      channel.end();
    } catch (error) {
      assert.ok(chunks.length > stopAfter && error instanceof WeirError);
    }
    await reading;
    assert.deepEqual(got, chunks.slice(0, stopAfter + 1));
  }));
});
