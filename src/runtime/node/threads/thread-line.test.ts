import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import {Worker} from 'node:worker_threads';
import {recordBytesMax} from '#runtime/node/threads/byte-ring.ts';
import {LineConnection} from '#runtime/node/threads/line-connection.ts';
import {makeLine, ThreadLine} from '#runtime/node/threads/thread-line.ts';

const echo = new URL('../../../../test/fixtures/echo-thread.ts', import.meta.url);

describe('a line between threads', () => {
  it('brings every record once and in order, also when a side sends more than a ring holds', {timeout: 60_000}, async () => {
    const [here, there] = makeLine();
    const thread = new Worker(echo, {workerData: there, transferList: [there.port]});
    const lengths = [0, 1, 17, 4096, recordBytesMax, 300, 65_536];
    const count = 3_000;
    let got = 0;
    const {promise, resolve} = Promise.withResolvers<void>();
    const line = new ThreadLine(here, ({kind, id, payload}) => {
      const wanted = lengths[id % lengths.length]!;
      assert.deepEqual([kind, id, payload.length], [7, got, wanted]);
      if (wanted > 0) assert.deepEqual([payload[0], payload[wanted - 1]], [id & 0xff, id & 0xff]);
      if (++got === count) resolve();
    });
    const payload = Buffer.alloc(recordBytesMax);
    for (let id = 0; id < count; id++) {
      const bytes = payload.subarray(0, lengths[id % lengths.length]!).fill(id);
      line.send(7, id, bytes);
      if (id % 100 === 0) await line.room();
    }
    await promise;
    line.close();
    await thread.terminate();
  });

  it('wakes a side that sleeps, again and again', {timeout: 60_000}, async () => {
    const [here, there] = makeLine();
    const thread = new Worker(echo, {workerData: there, transferList: [there.port]});
    let answered: ((id: number) => void) | undefined;
    const line = new ThreadLine(here, ({id}) => answered?.(id));
    for (let id = 0; id < 2_000; id++) {
      const answer = new Promise<number>((resolve) => (answered = resolve));
      line.send(1, id, Buffer.from('?'));
      assert.equal(await answer, id);
    }
    line.close();
    await thread.terminate();
  });

  it('carries the bytes of a connection, and breaks it at its end', async () => {
    const [one, other] = makeLine();
    const lines: ThreadLine[] = [];
    const connections = [one, other].map((end, i) => {
      const line = new ThreadLine(end, ({payload}) => connections[i]!.receive(payload));
      lines.push(line);
      return new LineConnection(line, 1);
    });
    const [a, b] = connections as [LineConnection, LineConnection];
    const sent = Buffer.alloc(700_001, 'weir');
    const reading = (async () => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of b.incoming) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes === sent.length) break;
      }
      return Buffer.concat(chunks);
    })();
    await a.write([sent.subarray(0, 3), sent.subarray(3)]);
    assert.ok((await reading).equals(sent));
    const ended = assert.rejects(Array.fromAsync(b.incoming), /has ended/);
    b.destroy();
    await ended;
    await assert.rejects(async () => {
      a.destroy();
      await a.write([sent]);
    }, /has ended/);
    for (const line of lines) line.close();
  });
});
