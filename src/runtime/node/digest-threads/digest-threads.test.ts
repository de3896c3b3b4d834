import assert from 'node:assert/strict';
import {createHash, randomBytes} from 'node:crypto';
import {describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import {Digests} from '#model/digests.ts';
import {makeRing, recordBytesMax, RingReader, RingWriter} from '#runtime/node/threads/byte-ring.ts';
import {DigestThreads} from '#runtime/node/digest-threads/digest-threads.ts';

const clock = {yield: () => Promise.resolve()};
const algorithms = ['crc64nvme', 'sha256', 'crc32c', 'crc32'] as const;

describe('a ring of bytes', () => {
  it('hands over what was put in, in order, round its end again and again, and says when it is full', () => {
    const ring = makeRing();
    const [writer, reader] = [new RingWriter(ring), new RingReader(ring)];
    const lengths = [0, 1, 3, 4, recordBytesMax, 1000, 77 * KiB, recordBytesMax - 1];
    let [put, got] = [0, 0];
    const payload = (i: number): Buffer => Buffer.alloc(lengths[i % lengths.length]!, i + 1);
    for (let round = 0; round < 60; round++) {
      while (writer.write(put % 5, put, payload(put))) put++;
      assert.ok(put - got >= 7, 'a record of every length fits at once');
      for (let some = 0; some <= round % 9 && got < put; some++, got++) {
        const {kind, id, payload: bytes} = reader.next();
        assert.deepEqual([kind, id], [got % 5, got]);
        assert.ok(bytes.equals(payload(got)), `record ${got}`);
      }
    }
    assert.ok(got > 200);
  });
});

describe('digests in threads', () => {
  it('are those that the event loop computes, of several bodies at once', async () => {
    await using threads = new DigestThreads({threadsMax: 2, startBytesMin: 1, bytesMin: 1});
    const one = async (bytes: Buffer, piece: number): Promise<void> => {
      const elsewhere = threads.begin(algorithms, bytes.length);
      assert.ok(elsewhere);
      const [there, here] = [await Digests.start(algorithms, clock, elsewhere), await Digests.start(algorithms, clock)];
      for (let at = 0; at < bytes.length; at += piece) {
        // What was taken over may be changed.
        const lent = Buffer.from(bytes.subarray(at, at + piece));
        await there.update(lent);
        lent.fill(0);
        await here.update(bytes.subarray(at, at + piece));
      }
      const found = await there.finish({length: bytes.length, md5: createHash('md5').update(bytes).digest('hex')});
      assert.deepEqual(found, await here.finish(undefined));
    };
    await Promise.all([one(randomBytes(5 * MiB + 3), 64 * KiB), one(randomBytes(3 * MiB), 300 * KiB + 1), one(randomBytes(100), 7), one(randomBytes(MiB), MiB)]);
    assert.equal(threads.threads, 2);
  });

  it('are without MD5 where nobody asked for it', async () => {
    await using threads = new DigestThreads({threadsMax: 1, startBytesMin: 1, bytesMin: 1});
    const bytes = randomBytes(300_000);
    const work = threads.begin(['sha256'], bytes.length, {md5: false});
    assert.ok(work);
    await work.update(bytes);
    const {md5, checksums} = await work.finish();
    assert.deepEqual([md5, checksums], ['', {sha256: createHash('sha256').update(bytes).digest('base64')}]);
  });

  it('still find what is wrong', async () => {
    await using threads = new DigestThreads({threadsMax: 1, startBytesMin: 1, bytesMin: 1});
    const digests = await Digests.start([], clock, threads.begin([], 3));
    await digests.update(Buffer.from('abc'));
    await assert.rejects(digests.finish({md5: '0'.repeat(32)}), (error) => isKind(error, 'BadDigest'));
  });

  it('begin with a body that is worth it, and end when there is nothing more', async () => {
    await using threads = new DigestThreads({threadsMax: 1, startBytesMin: 100, bytesMin: 10, idleMs: 1});
    assert.equal(threads.begin([], 99), undefined);
    assert.equal(threads.begin([], undefined), undefined);
    const first = threads.begin([], 100);
    assert.ok(first);
    assert.equal(threads.begin([], 9), undefined);
    const second = threads.begin([], 10);
    assert.ok(second);
    second.abandon();
    assert.equal((await first.finish()).md5, createHash('md5').digest('hex'));
    while (threads.threads > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(threads.begin([], 99), undefined);
  });

  it('begin with many smaller bodies, too', async () => {
    await using threads = new DigestThreads({threadsMax: 1, startBytesMin: 1000, startBytesPerSecond: 350, bytesMin: 100});
    const begun = Array.from({length: 4}, () => threads.begin([], 100));
    // They may come so slowly that they are not many.
    assert.ok(begun.slice(0, 3).every((work) => work === undefined));
    begun[3]?.abandon();
    assert.equal(threads.begin([], 99), undefined);
    while (threads.threads === 0) threads.begin([], 100)?.abandon();
  });

  it('fail when their thread is gone, and where it cannot make them', async () => {
    const threads = new DigestThreads({threadsMax: 1, startBytesMin: 1, bytesMin: 1});
    const unknown = threads.begin(['rot13' as 'sha1'], 5);
    await assert.rejects(unknown!.finish(), (error) => isKind(error, 'Internal'));
    const work = threads.begin([], 5);
    const finishing = assert.rejects(work!.finish(), (error) => isKind(error, 'Internal'));
    await threads[Symbol.asyncDispose]();
    await finishing;
    await assert.rejects(work!.update(Buffer.alloc(5)), (error) => isKind(error, 'Internal'));
    assert.equal(threads.threads, 0);
  });

  it('are left to the event loop where there is one core', () => {
    assert.equal(new DigestThreads({threadsMax: 0}).begin([], 100 * MiB), undefined);
  });
});
