import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import type {IncomingMessage} from 'node:http';
import {get} from 'node:https';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import type {HttpExchange} from '#runtime/http.ts';
import {bytes, http, Raw, readAll, withServer} from '#runtime/node/http/fixture.test.ts';

const host = 'Host: h\r\n';
const echo = async (exchange: HttpExchange): Promise<void> => {
  const body = await readAll(exchange.body);
  await exchange.respond(200, [], bytes(`<${exchange.target} ${body.toString('latin1')} ${exchange.body.trailers.join('|')}>`));
};

describe('http server', () => {
  it('answers pipelined requests in order, one at a time, however they were cut', async () => {
    let serving = 0;
    await withServer(
      async (exchange) => {
        assert.equal(++serving, 1);
        await new Promise((resolve) => void setImmediate(resolve));
        serving--;
        await echo(exchange);
      },
      async (_, port) => {
        const requests =
          `GET /1 HTTP/1.1\r\n${host}\r\n\r\nPUT /2 HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc` +
          `PUT /3 HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\nT: u\r\n\r\nGET /4 HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;
        for (const piece of [requests.length, 1]) {
          const raw = new Raw(port);
          raw.socket.setNoDelay(true);
          for (let at = 0; at < requests.length; at += piece) {
            raw.send(requests.slice(at, at + piece));
            await new Promise((resolve) => void setImmediate(resolve));
          }
          await raw.closed;
          assert.deepEqual(raw.received.match(/<[^>]*>/g), ['</1  >', '</2 abc >', '</3 xyz T|u>', '</4  >']);
        }
      },
    );
  });

  it('answers thousands of requests at once without growing the stack', async () => {
    await withServer(
      (exchange) => exchange.respond(200, [], bytes('.')),
      async (_, port) => {
        const raw = new Raw(port);
        const count = 20_000;
        raw.send(`GET / HTTP/1.1\r\n${host}\r\n`.repeat(count - 1) + `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
        await raw.closed;
        assert.equal(raw.received.match(/\r\n\r\n\./g)?.length, count);
      },
    );
  });

  it('knows HTTP/1.0: closes unless asked, and sends no chunks', async () => {
    await withServer(
      (exchange) => (exchange.target === '/stream' ? exchange.respondStream(200, [], (async function* () { yield Buffer.from('abc'); })()) : exchange.respond(200, [], bytes('x'))),
      async (_, port) => {
        for (const [sent, answer] of [
          ['GET / HTTP/1.0\r\n\r\n', /^HTTP\/1.1 200 OK\r\n[^]*Connection: close\r\n\r\nx$/],
          ['GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', /^HTTP\/1.1 200 OK\r\n[^]*Connection: close\r\n\r\nabc$/],
          ['GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n', /Connection: keep-alive\r\n[^]*\r\n\r\nxHTTP[^]*Connection: close\r\n\r\nx$/],
        ] as const) {
          const raw = new Raw(port);
          raw.send(sent);
          await raw.closed;
          assert.match(raw.received, answer);
          assert.doesNotMatch(raw.received, /chunked/);
        }
      },
    );
  });

  it('answers who has finished sending', async () => {
    await withServer(echo, async (_, port) => {
      const raw = new Raw(port);
      raw.socket.end(`PUT /a HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\n${host}\r\n`);
      await raw.closed;
      assert.deepEqual(raw.received.match(/<[^>]*>/g), ['</a hi >', '</b  >']);
    });
  });

  it('goes on for who has finished sending while it waits, and until the connection breaks', async () => {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const told = Promise.withResolvers<unknown>();
    await withServer(
      async (exchange) => {
        exchange.signal.addEventListener('abort', () => told.resolve(exchange.signal.reason));
        begun.resolve();
        await (exchange.target === '/listens' ? ended.promise : told.promise);
        await exchange.respond(200, [], bytes(String(exchange.signal.aborted)));
      },
      async (_, port) => {
        const listens = new Raw(port);
        listens.send(`GET /listens HTTP/1.1\r\n${host}\r\n`);
        await begun.promise;
        listens.socket.end();
        // Whoever asks later and is answered shows that the end of the first was seen.
        const other = new Raw(port);
        other.send(`GET /other HTTP/1.1\r\n${host}\r\n`);
        other.socket.end();
        await once(other.socket, 'finish');
        ended.resolve();
        await listens.closed;
        assert.match(listens.received, /200 OK[^]*false$/);
        other.socket.resetAndDestroy();
        assert.ok(isKind(await told.promise, 'Cancelled'));
      },
      {stallMs: 100},
    );
  });

  it('fails a body that ends early or makes no sense, and serves nothing after it', async () => {
    const kinds: boolean[] = [];
    await withServer(
      async (exchange) => {
        await assert.rejects(readAll(exchange.body), (error) => kinds.push(isKind(error, 'IncompleteBody')) > 0);
        await exchange.respond(400, []);
      },
      async (_, port) => {
        const raw = new Raw(port);
        raw.send(`PUT / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\nGET /smuggled HTTP/1.1\r\n${host}\r\n`);
        await raw.closed;
        assert.equal(raw.received.match(/HTTP\/1.1/g)?.length, 1);
        assert.match(raw.received, /^HTTP\/1.1 400 [^]*Connection: close\r\n/);
        const short = new Raw(port);
        short.socket.end(`PUT / HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nabc`);
        await short.closed;
      },
    );
    assert.deepEqual(kinds, [true, true]);
  });

  it('does not take more of a body than its reader wants', async () => {
    const size = 64 * 1024 * 1024;
    let read = 0;
    const go = Promise.withResolvers<void>();
    await withServer(
      async (exchange) => {
        await go.promise;
        for await (const chunk of exchange.body) read += chunk.length;
        await exchange.respond(200, [], bytes('done'));
      },
      async (_, port) => {
        const raw = new Raw(port);
        raw.send(`PUT / HTTP/1.1\r\n${host}Content-Length: ${size}\r\n\r\n`);
        const chunk = Buffer.alloc(1024 * 1024);
        for (let sent = 0; sent < size; sent += chunk.length) raw.socket.write(chunk);
        // Until the sender has made no headway for a while.
        for (let turns = 0, before = 0; turns < 500; turns++) {
          if (raw.socket.bytesWritten - raw.socket.writableLength !== before) turns = 0;
          before = raw.socket.bytesWritten - raw.socket.writableLength;
          await new Promise((resolve) => void setImmediate(resolve));
        }
        assert.ok(raw.socket.writableLength > size / 2, 'the sender is held back');
        go.resolve();
        await raw.until(/done$/);
        raw.socket.destroy();
      },
    );
    assert.equal(read, size);
  });

  it('gives up on unwanted bodies beyond a bound', async () => {
    await withServer(
      (exchange) => exchange.respond(200, [], bytes('first')),
      async (_, port) => {
        const raw = new Raw(port);
        raw.send(`PUT / HTTP/1.1\r\n${host}Content-Length: 100000000\r\n\r\n`);
        await raw.until(/first$/);
        raw.socket.write(Buffer.alloc(100_000_000));
        await raw.closed;
      },
    );
  });

  it('closes connections that stay idle, and not those that are served', async () => {
    const go = Promise.withResolvers<void>();
    await withServer(
      async (exchange) => {
        if (exchange.target === '/slow') await go.promise;
        await exchange.respond(200, [], bytes('x'));
      },
      async (_, port) => {
        const slow = new Raw(port);
        slow.send(`GET /slow HTTP/1.1\r\n${host}\r\n`);
        const raw = new Raw(port);
        raw.send(`GET / HTTP/1.1\r\n${host}\r\n`);
        await raw.closed;
        assert.match(raw.received, /^HTTP\/1.1 200 [^]*\r\n\r\nx$/);
        go.resolve();
        await slow.until(/x$/);
        slow.socket.destroy();
      },
      {keepAliveMs: 30, headersTimeoutMs: 20},
    );
  });

  it('accepts no more connections than allowed; one without a request gives way', async () => {
    const serving = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    await withServer(
      async (exchange) => {
        if (exchange.target === '/slow') {
          serving.resolve();
          await go.promise;
        }
        await exchange.respond(200, [], bytes('x'));
      },
      async (_, port) => {
        const idle = new Raw(port);
        idle.send(`GET / HTTP/1.1\r\n${host}\r\n`);
        await idle.until(/x$/);
        const busy = new Raw(port);
        busy.send(`GET / HTTP/1.1\r\n${host}\r\n`);
        await busy.until(/x$/);
        await idle.closed;
        busy.send(`GET /slow HTTP/1.1\r\n${host}\r\n`);
        await serving.promise;
        const late = new Raw(port);
        await late.closed;
        assert.equal(late.received, '');
        go.resolve();
        await busy.until(/x[^]*\r\n\r\nx$/);
        busy.socket.destroy();
      },
      {connectionsMax: 1},
    );
  });

  it('lets answers under way finish when it stops, and says that the connection ends', async () => {
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const server = await http.serve({address: {host: '127.0.0.1', port: 0}}, async (exchange) => {
      begun.resolve();
      await go.promise;
      await exchange.respond(200, [], bytes('late'));
    });
    const idle = new Raw(server.address.port);
    const raw = new Raw(server.address.port);
    raw.send(`GET / HTTP/1.1\r\n${host}\r\n`);
    await begun.promise;
    const stopped = server[Symbol.asyncDispose]();
    await idle.closed;
    go.resolve();
    await raw.closed;
    await stopped;
    assert.match(raw.received, /Connection: close\r\n\r\nlate$/);
  });

  it('refuses headers of answers that would break the answer apart', async () => {
    await withServer(
      async (exchange) => {
        await assert.rejects(exchange.respond(200, ['X-A', 'b\r\nSet-Cookie: c'], bytes('x')), (error) => isKind(error, 'Internal'));
        await assert.rejects(exchange.respond(200, ['Transfer-Encoding', 'gzip'], bytes('x')), (error) => isKind(error, 'Internal'));
        await exchange.respond(500, ['Date', 'today', 'X-B', '\xe4'], bytes('y'));
      },
      async (_, port) => {
        const raw = new Raw(port);
        raw.send(`GET / HTTP/1.1\r\n${host}\r\n`);
        await raw.until(/^HTTP\/1.1 500 Internal Server Error\r\nDate: today\r\nX-B: \xe4\r\nContent-Length: 1\r\n(?!Date)[^]*\r\n\r\ny$/);
        raw.socket.destroy();
      },
    );
  });

  it('speaks TLS', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'weir-tls-'));
    try {
      const [keyFile, certFile] = [path.join(directory, 'key'), path.join(directory, 'cert')];
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile, '-out', certFile, '-days', '2', '-subj', '/CN=h'], {stdio: 'ignore'});
      const tls = {key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8')};
      const large = Buffer.alloc(3_000_000, 'weir');
      await withServer(
        (exchange) => exchange.respond(200, ['X-Secure', String(exchange.secure)], {kind: 'bytes', length: large.length, bytes: large}),
        async (_, port) => {
          const response = await new Promise<IncomingMessage>((resolve, reject) => {
            get({port, host: '127.0.0.1', ca: tls.cert, servername: 'h', agent: false}, resolve).on('error', reject);
          });
          assert.equal(response.headers['x-secure'], 'true');
          assert.ok(Buffer.concat((await Array.fromAsync(response)) as Buffer[]).equals(large));
        },
        {tls},
      );
    } finally {
      rmSync(directory, {recursive: true});
    }
  });
});
