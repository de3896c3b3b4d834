/** How programs read, against a store behind a link: what it costs in bytes and requests, how long it takes, what is held in memory. */
import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {KiB, MiB} from '#base/units.ts';
import {systemContext} from '#contracts/context.ts';
import type {ReadableContent} from '#model/content.ts';
import {behindLink, bytesOf, type LinkOptions, read, stamped, type TestWorker, testWorker, type TestWorkerOptions, VirtualClock} from '#worker/fixture.test.ts';

function linked(link: LinkOptions, options: TestWorkerOptions = {}): TestWorker & {clock: VirtualClock} {
  const clock = new VirtualClock();
  return {...testWorker({clock, wrap: (store, itsClock) => behindLink(store, itsClock, link), ...options}), clock};
}

const wan = {roundTripMs: 25, linkRate: 200_000};

/** Repeatable, not random. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
}

async function check(t: TestWorker, content: ReadableContent, bytes: Buffer, offset: number, length: number): Promise<void> {
  assert.ok((await read(t.worker, content, offset, length)).equals(bytes.subarray(offset, offset + length)), `bytes at ${offset}`);
}

describe('a sequential reader', () => {
  it('is five times as fast as one connection where each is limited, in bounded memory', async () => {
    const t = linked({roundTripMs: 25, connectionRate: 50_000}, {limits: {heldBytesMax: 32 * MiB}});
    const bytes = stamped('big', 1, 256 * MiB);
    const content = t.put('big', bytes);
    const from = t.clock.now;
    await t.clock.run(check(t, content, bytes, 0, bytes.length));
    const plainMs = 25 + bytes.length / 50_000;
    assert.ok(t.clock.now - from < plainMs / 5, `${t.clock.now - from} ms against ${plainMs}`);
    assert.equal(t.store.counters.bytesRead, bytes.length);
    assert.ok(t.worker.heldBytes.peak <= 33 * MiB, `${t.worker.heldBytes.peak} bytes held`);
  });

  it('fills a shared link', async () => {
    const t = linked(wan);
    const bytes = stamped('big', 1, 256 * MiB);
    const content = t.put('big', bytes);
    const from = t.clock.now;
    await t.clock.run(check(t, content, bytes, 0, bytes.length));
    const idealMs = bytes.length / wan.linkRate;
    assert.ok(idealMs / (t.clock.now - from) > 0.95, `${t.clock.now - from} ms against ${idealMs}`);
  });

  it('that asks as a mount does, for 1 MiB and the next one, fills a shared link too', async () => {
    const t = linked(wan);
    const bytes = stamped('big', 1, 256 * MiB);
    const content = t.put('big', bytes);
    const from = t.clock.now;
    await t.clock.run((async () => {
      let before: Promise<void> = Promise.resolve();
      for (let at = 0; at < bytes.length; at += MiB) {
        const next = check(t, content, bytes, at, MiB);
        await before;
        before = next;
      }
      await before;
    })());
    const idealMs = bytes.length / wan.linkRate;
    assert.ok(idealMs / (t.clock.now - from) > 0.9, `${t.clock.now - from} ms against ${idealMs}`);
    assert.equal(t.store.counters.bytesRead, bytes.length);
  });

  it('that asks for 1 MiB after the other from the beginning is believed at once', async () => {
    const t = linked(wan);
    const bytes = stamped('big', 1, 64 * MiB);
    const content = t.put('big', bytes);
    const from = t.clock.now;
    await t.clock.run((async () => {
      for (let at = 0; at < bytes.length; at += MiB) await check(t, content, bytes, at, MiB);
    })());
    // A round trip for the first, one for the second, and one in which the link is half idle.
    const idealMs = bytes.length / wan.linkRate + 3 * wan.roundTripMs;
    assert.ok(t.clock.now - from < idealMs, `${t.clock.now - from} ms against ${idealMs}`);
    assert.equal(t.store.counters.bytesRead, bytes.length);
  });

  it('that wants a long beginning alone costs little more than that', async () => {
    const t = linked(wan);
    const bytes = stamped('big', 1, 64 * MiB);
    const content = t.put('big', bytes);
    await t.clock.run(check(t, content, bytes, 0, 16 * MiB).then(() => t.clock.sleep(1000)));
    assert.ok(t.store.counters.bytesRead <= 17 * MiB, `${t.store.counters.bytesRead} bytes read`);
  });

  it('is served past a cache that refuses, still from several connections, in bounded memory', async () => {
    const t = linked({roundTripMs: 25, connectionRate: 50_000}, {limits: {heldBytesMax: 32 * MiB}});
    t.blocks.mode = 'refuse';
    const bytes = stamped('big', 1, 64 * MiB);
    const content = t.put('big', bytes);
    const from = t.clock.now;
    await t.clock.run(check(t, content, bytes, 0, bytes.length));
    assert.ok(t.clock.now - from < (25 + bytes.length / 50_000) / 2, `${t.clock.now - from} ms`);
    assert.ok(t.store.counters.bytesRead <= bytes.length * 1.05);
    assert.ok(t.worker.heldBytes.peak <= 33 * MiB, `${t.worker.heldBytes.peak} bytes held`);
  });

  it('that is slow does not make memory grow', async () => {
    for (const mode of ['ok', 'refuse'] as const) {
      const t = linked(wan, {limits: {heldBytesMax: 16 * MiB}});
      t.blocks.mode = mode;
      const bytes = stamped('big', 1, 96 * MiB);
      const content = t.put('big', bytes);
      await t.clock.run((async () => {
        const body = await t.worker.read(content, {offset: 0, length: bytes.length}, {}, systemContext);
        assert.equal(body.kind, 'stream');
        let at = 0;
        for await (const chunk of body.kind === 'stream' ? body.stream : []) {
          assert.ok(bytes.subarray(at, at + chunk.length).equals(chunk));
          at += chunk.length;
          await t.clock.sleep(5);
        }
        assert.equal(at, bytes.length);
      })());
      assert.ok(t.worker.heldBytes.peak <= 17 * MiB, `${mode}: ${t.worker.heldBytes.peak} bytes held`);
      assert.equal(t.worker.heldBytes.now, 0);
    }
  });

  it('of small steps is fetched ahead of, two in one file too', async () => {
    const t = linked(wan);
    const bytes = stamped('log', 1, 64 * MiB);
    const content = t.put('log', bytes);
    const step = 128 * KiB;
    const half = bytes.length / 2;
    await t.clock.run((async () => {
      for (let at = 0; at < half; at += step) {
        await check(t, content, bytes, at, step);
        await check(t, content, bytes, half + at, step);
      }
    })());
    assert.ok(t.store.counters.bytesRead <= bytes.length * 1.05, `${t.store.counters.bytesRead} bytes`);
    assert.ok(t.store.counters.requests.read < bytes.length / step / 4, `${t.store.counters.requests.read} requests`);
  });

  it('gets its first byte after one round trip', async () => {
    const t = linked(wan);
    const bytes = stamped('big', 1, 64 * MiB);
    const content = t.put('big', bytes);
    const from = t.clock.now;
    const body = await t.clock.run(t.worker.read(content, {offset: 0, length: bytes.length}, {}, systemContext));
    assert.ok(t.clock.now - from < 25 + 2, `${t.clock.now - from} ms`);
    assert.ok((await t.clock.run(bytesOf(body))).equals(bytes));
  });
});

describe('random reads', () => {
  for (const aligned of [true, false]) {
    it(`of 64 KiB fetch little more than they ask (${aligned ? 'aligned' : 'anywhere'}), and nothing the second time`, async () => {
      const t = linked(wan);
      const bytes = stamped('big', 1, 128 * MiB);
      const content = t.put('big', bytes);
      const next = sequence(7);
      const offsets = Array.from({length: 100}, () => {
        const offset = Math.floor(next() * (bytes.length - 64 * KiB));
        return aligned ? offset - (offset % (64 * KiB)) : offset;
      });
      await t.clock.run((async () => { for (const offset of offsets) await check(t, content, bytes, offset, 64 * KiB); })());
      assert.ok(t.store.counters.bytesRead <= 1.3 * 100 * 64 * KiB, `${t.store.counters.bytesRead / (100 * 64 * KiB)} times`);
      const before = t.store.counters.requests.read;
      await t.clock.run((async () => { for (const offset of offsets) await check(t, content, bytes, offset, 64 * KiB); })());
      assert.equal(t.store.counters.requests.read, before);
    });
  }
});

/** Column chunks as DuckDB, pyarrow and Polars read them: the end of the file, then the chunks of some columns, row group by row group. */
describe('Parquet', () => {
  it('read by seven connections at once costs at most half more than is asked', async () => {
    const t = linked(wan);
    const bytes = stamped('lineitem', 1, 100 * MiB + 4321);
    const content = t.put('lineitem', bytes);
    const next = sequence(3);
    let asked = 0;
    const ask = async (offset: number, length: number) => {
      asked += length;
      await check(t, content, bytes, offset, length);
    };
    await t.clock.run((async () => {
      await ask(bytes.length - 8, 8);
      await ask(bytes.length - 40_000, 39_992);
      const chunks: (readonly [number, number])[] = [];
      for (let group = 0; group < 12; group++) {
        let at = group * 8 * MiB + Math.floor(next() * 1000);
        for (let column = 0; column < 16; column++) {
          const length = 20_000 + Math.floor(next() * 900_000);
          if (column % 3 === 0) chunks.push([at, length]);
          at += length;
        }
      }
      const connection = async () => {
        for (let chunk = chunks.shift(); chunk; chunk = chunks.shift()) await ask(...chunk);
      };
      await Promise.all(Array.from({length: 7}, connection));
    })());
    assert.ok(t.store.counters.bytesRead <= 1.5 * asked, `${t.store.counters.bytesRead / asked} times`);
    const {upstreamBytes} = await t.worker.locate(content);
    assert.equal(upstreamBytes, t.store.counters.bytesRead);
  });

  it('footers come with the first touch of the end', async () => {
    const t = linked(wan);
    const bytes = stamped('part', 1, 50 * MiB);
    const content = t.put('part', bytes);
    await t.clock.run(check(t, content, bytes, bytes.length - 8, 8));
    await t.clock.run(t.clock.sleep(100));
    const before = t.store.counters.requests.read;
    await t.clock.run(check(t, content, bytes, bytes.length - 100_000, 99_992));
    assert.equal(t.store.counters.requests.read, before);
  });
});
