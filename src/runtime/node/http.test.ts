import assert from 'node:assert/strict';
import {connect, type Socket} from 'node:net';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, before, describe, it} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import type {Body} from '#contracts/worker-api.ts';
import type {HttpExchange} from '#runtime/http.ts';
import {nodeDisk} from '#runtime/node/node-disk.ts';
import {nodeHttp} from '#runtime/node/node-http.ts';
import type {DiskFile} from '#runtime/disk.ts';

const fileBytes = 9 * 1024 * 1024 + 123;
const pattern = Buffer.from(Array.from({length: fileBytes}, (_, i) => (i * 31 + (i >> 8)) & 255));

let directory: string;
let file: DiskFile;
before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'weir-http-'));
  file = await nodeDisk.open(path.join(directory, 'data'), {mode: 'exclusive'});
  await file.write([pattern], 0);
});
after(async () => {
  await file.close();
  await rm(directory, {recursive: true});
});

function lease(offset: number, length: number, options: {resident?: boolean; validate?: () => Promise<void>; disposed?: () => void} = {}): Body {
  return {
    kind: 'lease',
    length,
    lease: {
      file: file.descriptor,
      offset,
      length,
      resident: options.resident ?? false,
      read: (into, position) => file.read(into, position),
      ...(options.validate ? {validate: options.validate} : {}),
      [Symbol.dispose]: () => options.disposed?.(),
    },
  };
}

async function serving(handler: (exchange: HttpExchange) => Promise<void>, options = {}) {
  const listener = await nodeHttp.serve({address: {host: '127.0.0.1', port: 0}, ...options}, handler);
  return {port: listener.address.port, url: `http://127.0.0.1:${listener.address.port}`, [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose]()};
}

async function read(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Sends raw bytes and collects all that comes back until the server closes, or `enough` says so. */
async function raw(port: number, text: string, enough?: (sofar: string) => boolean): Promise<string> {
  const socket: Socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(text, 'latin1');
  let heard = '';
  for await (const chunk of socket) {
    heard += (chunk as Buffer).toString('latin1');
    if (enough?.(heard)) break;
  }
  socket.destroy();
  return heard;
}

describe('the HTTP server', () => {
  it('keeps target and headers as they were sent', async () => {
    await using server = await serving((exchange) => {
      assert.equal(exchange.target, '/a%2Fb//../c?x=%20&y');
      assert.deepEqual(exchange.rawHeaders.slice(0, 6), ['hOsT', 'x', 'X-Twice', '1', 'x-twice', ' 2'.trim()]);
      assert.equal(exchange.header('x-twice'), '1, 2');
      return exchange.respond(200, ['X-Answer', 'yes'], {kind: 'bytes', length: 2, bytes: Buffer.from('ok')});
    });
    const answer = await raw(server.port, 'GET /a%2Fb//../c?x=%20&y HTTP/1.1\r\nhOsT: x\r\nX-Twice: 1\r\nx-twice: 2\r\nConnection: close\r\n\r\n');
    assert.match(answer, /^HTTP\/1.1 200 OK\r\nX-Answer: yes\r\nContent-Length: 2\r\n[^]*\r\n\r\nok$/);
  });

  it('sends leases whole, in any range, to slow readers and over one connection', async () => {
    let disposed = 0;
    const ranges = [[0, fileBytes], [1, 1], [65_535, 3], [fileBytes - 5, 5], [1234, 5_000_000]] as const;
    let next = 0;
    await using server = await serving((exchange) => {
      const [offset, length] = ranges[next++ % ranges.length]!;
      return exchange.respond(200, [], lease(offset, length, {resident: next % 2 === 0, disposed: () => disposed++}));
    });
    for (let round = 0; round < 2; round++) {
      for (const [offset, length] of ranges) {
        const response = await nodeHttp.request({method: 'GET', url: `${server.url}/`, headers: []});
        assert.equal(response.header('content-length'), String(length));
        const bytes = await read(response.body);
        assert.ok(bytes.equals(pattern.subarray(offset, offset + length)), `${offset}+${length}`);
      }
    }
    assert.equal(disposed, ranges.length * 2);
  });

  it('answers pipelined requests in order, also by sendfile', async () => {
    await using server = await serving((exchange) => exchange.respond(200, [], lease(Number(exchange.target.slice(1)), 100_000)));
    const request = (offset: number, last = false) => `GET /${offset} HTTP/1.1\r\nHost: x\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;
    const answer = await raw(server.port, request(0) + request(500_000) + request(7, true));
    const bodies = answer.split(/HTTP\/1.1 200 OK\r\n[^]*?\r\n\r\n/).slice(1);
    assert.deepEqual(bodies.map((body) => body.length), [100_000, 100_000, 100_000]);
    for (const [i, offset] of [0, 500_000, 7].entries()) assert.ok(Buffer.from(bodies[i]!, 'latin1').equals(pattern.subarray(offset, offset + 100_000)));
  });

  it('breaks the connection when a body fails, so that the answer cannot look complete', async () => {
    await using server = await serving((exchange) =>
      exchange.target === '/lease'
        ? exchange.respond(200, [], lease(0, 300_000, {validate: () => Promise.reject(new WeirError('ContentChanged', 'changed'))}))
        : exchange.respond(200, [], {
            kind: 'stream',
            length: 10,
            stream: (async function* () {
              yield Buffer.from('half');
              throw new WeirError('Io', 'the disk failed');
            })(),
          }),
    );
    for (const target of ['/lease', '/stream']) {
      // Whether the head came through before the break is a matter of timing; that nothing whole came is not.
      const whole = async () => read((await nodeHttp.request({method: 'GET', url: server.url + target, headers: []})).body);
      await assert.rejects(whole(), (error) => isKind(error, 'Unavailable'), target);
    }
  });

  it('asks for the body only when somebody reads it', async () => {
    await using server = await serving(async (exchange) => {
      assert.equal(exchange.expectsContinue, true);
      if (exchange.target === '/refused') return exchange.respond(403, []);
      const body = await read(exchange.body);
      return exchange.respond(200, [], {kind: 'bytes', length: body.length, bytes: body});
    });
    const head = (target: string) => `PUT ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`;
    const refused = await raw(server.port, head('/refused'));
    assert.match(refused, /^HTTP\/1.1 403 [^]*Connection: close/);
    assert.doesNotMatch(refused, /100 Continue/);
    const accepted = await raw(server.port, head('/accepted') + 'body', (sofar) => sofar.endsWith('body'));
    assert.match(accepted, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
  });

  it('says when a request breaks off, and hands over trailers', async () => {
    const failed = Promise.withResolvers<unknown>();
    await using server = await serving(async (exchange) => {
      try {
        const body = await read(exchange.body);
        await exchange.respond(200, [], {kind: 'bytes', length: body.length, bytes: body});
        if (exchange.body.trailers.length > 0) failed.resolve(exchange.body.trailers);
      } catch (error) {
        failed.resolve(error);
      }
    });
    const socket = connect(server.port, '127.0.0.1');
    socket.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this');
    await once(socket, 'connect');
    socket.end();
    assert.ok(isKind(await failed.promise, 'IncompleteBody'));
  });

  it('refuses heads that are too large, and nonsense', async () => {
    await using server = await serving((exchange) => exchange.respond(200, []), {headerBytesMax: 16_384});
    assert.match(await raw(server.port, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`), /^HTTP\/1.1 431/);
    for (const nonsense of ['GARBAGE\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n']) {
      assert.match(await raw(server.port, nonsense), /^HTTP\/1.1 400/, nonsense);
    }
  });

  it('tells the handler when the client goes away', async () => {
    const gone = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    await using server = await serving(async (exchange) => {
      exchange.signal.addEventListener('abort', () => gone.resolve());
      started.resolve();
      await gone.promise;
      await exchange.respond(200, [], lease(0, 10));
    });
    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await started.promise;
    socket.destroy();
    await gone.promise;
  });
});

describe('the HTTP client', () => {
  it('sends targets, headers and bodies as they are', async () => {
    await using server = await serving(async (exchange) => {
      const body = await read(exchange.body);
      const text = JSON.stringify([exchange.method, exchange.target, exchange.header('x-one'), body.toString()]);
      await exchange.respond(207, [], {kind: 'bytes', length: text.length, bytes: Buffer.from(text)});
    });
    const stream = (async function* () {
      yield Buffer.from('str');
      yield Buffer.from('eam');
    })();
    for (const [body, expected] of [[Buffer.from('bytes'), 'bytes'], [stream, 'stream'], [undefined, '']] as const) {
      const response = await nodeHttp.request({method: 'PUT', url: `${server.url}/a%2f//..?q=%zz`, headers: ['X-One', '1'], ...(body ? {body} : {})});
      assert.equal(response.status, 207);
      assert.deepEqual(JSON.parse((await read(response.body)).toString()), ['PUT', '/a%2f//..?q=%zz', '1', expected]);
    }
  });

  it('is Unavailable when nobody answers, and Cancelled when called off', async () => {
    await assert.rejects(nodeHttp.request({method: 'GET', url: 'http://127.0.0.1:1/', headers: []}), (error) => isKind(error, 'Unavailable'));
    const abort = new AbortController();
    await using server = await serving(() => new Promise(() => {}));
    const pending = nodeHttp.request({method: 'GET', url: server.url, headers: [], signal: abort.signal});
    abort.abort();
    await assert.rejects(pending, (error) => isKind(error, 'Cancelled'));
  });
});
