import assert from 'node:assert/strict';
import {execFileSync, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import {http, readAll, withServer} from '#runtime/node/http/fixture.test.ts';

const pattern = Buffer.allocUnsafe(5_000_003);
for (let i = 0; i < pattern.length; i++) pattern[i] = (i * 31 + (i >> 9)) & 0xff;

/** A server that answers each request head with what `answer` writes. */
async function withRaw(answer: (socket: Socket, request: string, connection: number) => void, fn: (origin: string) => Promise<void>): Promise<void> {
  let connections = 0;
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const number = connections++;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
    socket.setEncoding('latin1').on('data', (text: string) => answer(socket, text, number));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await fn(`http://127.0.0.1:${(server.address() as {port: number}).port}`);
  } finally {
    for (const socket of open) socket.destroy();
    server.close();
  }
}

const get = (url: string, signal?: AbortSignal) => http.request({method: 'GET', url, headers: [], ...(signal ? {signal} : {})});
const text = async (url: string): Promise<string> => (await readAll((await get(url)).body)).toString();

describe('http client', () => {
  it('is done with large pieces of a body when it asks for the next', async () => {
    const memory = Buffer.alloc(64 * 1024);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < pattern.length; at += memory.length) {
        yield memory.subarray(0, pattern.copy(memory, 0, at, at + memory.length));
        memory.fill(0);
      }
    }
    let received: Buffer = Buffer.alloc(0);
    const slowly = async (body: AsyncIterable<Uint8Array>): Promise<Buffer> => {
      const chunks: Buffer[] = [];
      for await (const chunk of body) {
        chunks.push(Buffer.from(chunk));
        if (chunks.length % 16 === 0) await new Promise((resolve) => void setImmediate(resolve));
      }
      return Buffer.concat(chunks);
    };
    await withServer(async (exchange) => {
      received = await slowly(exchange.body);
      await exchange.respond(200, []);
    }, async (origin) => {
      const response = await http.request({method: 'PUT', url: origin, headers: ['Content-Length', String(pattern.length)], body: pieces()});
      assert.equal(response.status, 200);
      await readAll(response.body);
    });
    assert.ok(received.equals(pattern));
  });

  it('receives large bodies in memory that it uses again, and never while somebody has it', async () => {
    const body = {kind: 'bytes', length: pattern.length, bytes: pattern} as const;
    await withServer((exchange) => exchange.respond(200, [], body), async (origin) => {
      const memory = new Set<ArrayBufferLike>();
      for (let round = 0; round < 4; round++) {
        await Promise.all([0, 1, 2].map(async (reader) => {
          const response = await get(origin);
          let at = 0;
          let chunks = 0;
          const kept: [Uint8Array, number][] = [];
          for await (const chunk of response.body) {
            assert.ok(pattern.subarray(at, at + chunk.length).equals(chunk), `bytes at ${at}`);
            memory.add(chunk.buffer);
            // Reader 0 keeps one of two chunks until the end.
            if (reader === 0 && chunks++ % 2 === 0) kept.push([chunk, at]);
            else response.giveBack?.(chunk);
            at += chunk.length;
            if (reader === 1) await new Promise((resolve) => void setImmediate(resolve));
          }
          assert.equal(at, pattern.length);
          for (const [chunk, from] of kept) assert.ok(pattern.subarray(from, from + chunk.length).equals(chunk), `kept bytes at ${from}`);
        }));
      }
      assert.ok(memory.size < (4 * 3 * pattern.length) / 2 ** 18, `${memory.size} slabs`);
    });
  });

  it('uses a connection again, and another one when the server has closed it meanwhile', async () => {
    const seen: number[] = [];
    await withRaw((socket, _, connection) => {
      seen.push(connection);
      // The first connection dies with its second request.
      if (connection === 0 && seen.length === 2) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    }, async (origin) => {
      for (let i = 0; i < 3; i++) assert.equal(await text(origin), 'ok');
    });
    assert.deepEqual(seen, [0, 0, 1, 1]);
  });

  it('reads chunks, and bodies that end with the connection', async () => {
    await withRaw((socket, request) => {
      if (request.startsWith('GET /chunks')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
      else socket.end('HTTP/1.1 200 OK\r\n\r\nto the end');
    }, async (origin) => {
      assert.deepEqual(await Promise.all([text(`${origin}/chunks`), text(`${origin}/end`)]), ['abcde', 'to the end']);
    });
  });

  it('fails bodies that are cut, and answers that make no sense', async () => {
    await withRaw((socket, request) => {
      if (request.startsWith('GET /cut')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort');
      else if (request.startsWith('GET /odd')) socket.end('SSH-2.0-OpenSSH\r\n');
      else socket.destroy();
    }, async (origin) => {
      const cut = await get(`${origin}/cut`);
      await assert.rejects(readAll(cut.body), (error) => isKind(error, 'Unavailable'));
      for (const which of ['odd', 'gone']) await assert.rejects(get(`${origin}/${which}`), (error) => isKind(error, 'Unavailable'), which);
    });
  });

  it('does not use a connection again on which more came than was asked for', async () => {
    const connections: number[] = [];
    await withRaw((socket, _, connection) => {
      connections.push(connection);
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    }, async (origin) => {
      for (let i = 0; i < 2; i++) assert.equal(await text(origin), 'ok');
    });
    assert.deepEqual(connections, [0, 1]);
  });

  it('holds a server back that sends faster than is read, and may be called off then', async () => {
    let sent = 0;
    await withRaw((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${1e9}\r\n\r\n`);
      const more = (): void => {
        while (!socket.destroyed && socket.write(pattern)) sent += pattern.length;
        sent += pattern.length;
      };
      socket.on('drain', more);
      more();
    }, async (origin) => {
      const abort = new AbortController();
      const response = await get(origin, abort.signal);
      const iterator = response.body[Symbol.asyncIterator]();
      await iterator.next();
      // The buffers of two sockets, and half a MiB; not all of it.
      for (let before = -1; before !== sent; ) {
        before = sent;
        await new Promise((resolve) => void setTimeout(resolve, 50));
      }
      assert.ok(sent < 100e6, `${sent} bytes`);
      abort.abort();
      await assert.rejects(async () => {
        while (!(await iterator.next()).done);
      }, (error) => isKind(error, 'Cancelled'));
    });
  });

  it('asks a server as much at once as may be, the rest in turn, and forgets who gives up', async () => {
    const held: Socket[] = [];
    let most = 0;
    await withRaw((socket) => {
      held.push(socket);
      most = Math.max(most, held.length);
      if (held.length === 256) for (const one of held.splice(0)) one.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    }, async (origin) => {
      const abort = new AbortController();
      const first = Array.from({length: 256}, () => text(origin));
      const impatient = get(origin, abort.signal);
      const second = Array.from({length: 256}, () => text(origin));
      abort.abort();
      await assert.rejects(impatient, (error) => isKind(error, 'Cancelled'));
      assert.deepEqual(new Set(await Promise.all([...first, ...second])), new Set(['ok']));
    });
    assert.equal(most, 256);
  });

  it('refuses to send what would break the head apart', async () => {
    for (const headers of [['A', 'b\r\nC: d'], ['A b', 'c'], ['A', '\u{1F600}']]) {
      await assert.rejects(http.request({method: 'GET', url: 'http://127.0.0.1:1/', headers}), (error) => isKind(error, 'InvalidArgument'));
    }
    await assert.rejects(http.request({method: 'GET', url: 'http://127.0.0.1:1/a b', headers: []}), (error) => isKind(error, 'InvalidArgument'));
  });

  it('speaks TLS, by whom it trusts', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'weir-tls-'));
    try {
      const [keyFile, certFile] = [path.join(directory, 'key'), path.join(directory, 'cert')];
      const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile, '-out', certFile, '-days', '2', ...names], {stdio: 'ignore'});
      // Trust is read when a process starts, so another process is the client and the server.
      const program = `
        import {createHttp} from '#runtime/node/http/node-http.ts';
        import {readFileSync} from 'node:fs';
        const http = createHttp();
        const body = Buffer.alloc(3_000_000, 'weir');
        await using server = await http.serve({address: {host: '127.0.0.1', port: 0}, tls: {key: readFileSync(process.env.KEY, 'utf8'), cert: readFileSync(process.env.CERT, 'utf8')}},
          exchange => exchange.respond(200, [], {kind: 'bytes', length: body.length, bytes: body}));
        for (const host of ['localhost', '127.0.0.1', 'localhost']) {
          const response = await http.request({method: 'GET', url: \`https://\${host}:\${server.address.port}/\`, headers: []});
          if (!Buffer.concat(await Array.fromAsync(response.body)).equals(body)) throw new Error('other bytes');
        }
        console.log('same');
      `;
      const run = (trust: Record<string, string>) => spawnSync(process.execPath, ['--conditions=source', '--input-type=module', '-e', program], {
        cwd: path.resolve(import.meta.dirname, '../../../..'), env: {...process.env, KEY: keyFile, CERT: certFile, ...trust}, encoding: 'utf8',
      });
      assert.equal(run({NODE_EXTRA_CA_CERTS: certFile}).stdout, 'same\n');
      assert.match(run({}).stderr, /Unavailable|self-signed/);
    } finally {
      rmSync(directory, {recursive: true});
    }
  });
});
