import assert from 'node:assert/strict';
import {connect, createServer, type Server} from 'node:net';
import {once} from 'node:events';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {startLink} from '#runtime/node/link/link.ts';
import {RequestCounter} from '#runtime/node/link/request-counter.ts';

const host = '127.0.0.1';

/** A target that answers every byte with itself, and ends when its client does. */
async function withEcho(fn: (port: number) => Promise<void>): Promise<void> {
  const server: Server = createServer({allowHalfOpen: true}, (socket) => socket.on('error', () => {}).pipe(socket));
  server.listen(0, host);
  await once(server, 'listening');
  try {
    await fn((server.address() as {port: number}).port);
  } finally {
    server.close();
  }
}

async function roundTrip(port: number, sent: Buffer): Promise<Buffer> {
  const socket = connect({port, host, allowHalfOpen: true});
  socket.end(sent);
  return Buffer.concat(await Array.fromAsync(socket as AsyncIterable<Buffer>));
}

describe('link', () => {
  it('carries everything both ways, for many connections, and counts it', async () => {
    await withEcho(async (port) => {
      await using link = await startLink({target: {host, port}, rttMs: 4, bytesPerSecond: 500e6, perConnectionBytesPerSecond: 100e6});
      const all = Array.from({length: 10}, (_, i) => Buffer.alloc(300_000 + i, i));
      const echoed = await Promise.all(all.map((sent) => roundTrip(link.address.port, sent)));
      assert.ok(echoed.every((bytes, i) => bytes.equals(all[i]!)));
      const total = all.reduce((sum, {length}) => sum + length, 0);
      const {connections, bytesUp, bytesDown} = link.counters;
      assert.deepEqual({connections, bytesUp, bytesDown}, {connections: 10, bytesUp: total, bytesDown: total});
    });
  });

  it('is never faster than its rate and its distance', async () => {
    await withEcho(async (port) => {
      await using link = await startLink({target: {host, port}, rttMs: 40, bytesPerSecond: 2e6});
      const start = performance.now();
      await roundTrip(link.address.port, Buffer.alloc(200_000));
      // A lower bound, which no busy machine can break: handshake and round trip; 200 kB at 2 MB/s less the burst that may be saved up.
      assert.ok(performance.now() - start >= 40 + 38 + 90);
    });
  });

  it('cuts all connections at once', async () => {
    await withEcho(async (port) => {
      await using link = await startLink({target: {host, port}, rttMs: 0, bytesPerSecond: 1e9});
      const socket = connect({port: link.address.port, host});
      socket.write('x');
      await once(socket, 'data');
      const closed = new Promise((resolve) => void socket.on('error', () => {}).on('close', resolve));
      link.cutAll();
      await closed;
      assert.equal((await roundTrip(link.address.port, Buffer.from('again'))).toString(), 'again');
    });
  });

  it('closes the connection when the target does not answer', async () => {
    let unused = 0;
    await withEcho((port) => Promise.resolve(void (unused = port)));
    await using link = await startLink({target: {host, port: unused}, rttMs: 0, bytesPerSecond: 1e9});
    const socket = connect({port: link.address.port, host});
    await new Promise((resolve) => void socket.on('error', () => {}).on('close', resolve).resume());
  });
});

describe('RequestCounter', () => {
  it('counts requests however the bytes are cut', () => {
    const body = 'GET /not-a-request HTTP/1.1\r\n\r\n';
    const stream = Buffer.from(
      'GET /a HTTP/1.1\r\nHost: h\r\n\r\n' +
        `PUT /b HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
        'POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n' +
        'POST /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' +
        'HEAD /e HTTP/1.1\r\n\r\n',
    );
    fc.assert(
      fc.property(fc.array(fc.integer({min: 1, max: 40}), {minLength: 1}), (cuts) => {
        const counter = new RequestCounter();
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = cuts[i % cuts.length]!;
          counter.see(stream.subarray(at, at + size));
          at += size;
        }
        assert.equal(counter.requests, 5);
      }),
    );
  });

  it('leaves alone what is not HTTP', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({maxLength: 300})), (chunks) => {
        const counter = new RequestCounter();
        for (const chunk of chunks) counter.see(chunk);
        assert.equal(counter.requests, 0);
      }),
    );
  });
});
