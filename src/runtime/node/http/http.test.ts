import assert from 'node:assert/strict';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import {isKind, WeirError} from '#base/errors.ts';
import type {Body} from '#contracts/worker-api.ts';
import type {FileLease} from '#model/file-lease.ts';
import {bytes, http, Raw, readAll, withServer} from '#runtime/node/http/fixture.test.ts';
import {nodeDisk} from '#runtime/node/node-disk.ts';

describe('http exchange', () => {
  it('hands over the request as it was sent, and answers', async () => {
    await withServer(
      async (exchange) => {
        const body = await readAll(exchange.body);
        await exchange.respond(200, ['X-A', 'b'], bytes(JSON.stringify([exchange.method, exchange.target, exchange.rawHeaders.slice(0, 6), exchange.header('x-two'), body.toString()])));
      },
      async (origin) => {
        const response = await http.request({method: 'PUT', url: `${origin}/a%2Fb/../c//d?x=%20&y`, headers: ['X-Two', '1', 'x-TWO', 'zwei\xfc', 'Host', 'me'], body: Buffer.from('hello')});
        assert.equal(response.status, 200);
        assert.equal(response.header('x-a'), 'b');
        assert.ok(response.header('date'));
        assert.deepEqual(JSON.parse((await readAll(response.body)).toString()), ['PUT', '/a%2Fb/../c//d?x=%20&y', ['X-Two', '1', 'x-TWO', 'zwei\xfc', 'Host', 'me'], '1, zwei\xfc', 'hello']);
      },
    );
  });

  it('sends 100 Continue when the body is first read, and not otherwise', async () => {
    await withServer(
      async (exchange) => {
        assert.ok(exchange.expectsContinue);
        if (exchange.target === '/no') return await exchange.respond(403, []);
        await exchange.respond(200, [], bytes((await readAll(exchange.body)).toString()));
      },
      async (_, port) => {
        const yes = new Raw(port);
        yes.send('PUT /yes HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
        await yes.until(/^HTTP\/1.1 100 Continue\r\n\r\n$/);
        yes.send('abc');
        await yes.until(/HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nabc$/);
        yes.socket.destroy();
        const no = new Raw(port);
        no.send('PUT /no HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
        await no.closed;
        assert.match(no.received, /^HTTP\/1.1 403 Forbidden\r\n/);
        assert.match(no.received, /\r\nConnection: close\r\n/);
      },
    );
  });

  it('hands over a body whole where all of it has come, once, and what follows is the next request', async () => {
    await withServer(
      async (exchange) => {
        const whole = exchange.body.whole?.();
        const again = exchange.body.whole?.();
        const rest = await readAll(exchange.body);
        await exchange.respond(200, ['X-Is', [whole && Buffer.from(whole).toString(), again, rest.toString()].join('|')]);
      },
      async (_, port) => {
        const raw = new Raw(port);
        raw.send('PUT /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcPUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nde');
        await raw.until(/X-Is: abc\|\|\r\n[^]*\r\n\r\n$/);
        raw.send('fgPUT /3 HTTP/1.1\r\nHost: h\r\n\r\n');
        await raw.until(/X-Is: \|\|defg\r\n[^]*X-Is: \|\|\r\n[^]*\r\n\r\n$/);
        raw.send('PUT /4 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n');
        await raw.until(/X-Is: \|\|x\r\n[^]*\r\n\r\n$/);
        raw.socket.destroy();
      },
    );
  });

  it('passes over expectations that it does not know', async () => {
    await withServer(
      async (exchange) => {
        assert.ok(!exchange.expectsContinue);
        await exchange.respond(200, [], bytes((await readAll(exchange.body)).toString()));
      },
      async (_, port) => {
        for (const expectation of ['', '200', 'miracles']) {
          const raw = new Raw(port);
          raw.send(`PUT / HTTP/1.1\r\nHost: h\r\nExpect: ${expectation}\r\nContent-Length: 3\r\n\r\nabc`);
          await raw.until(/^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nabc$/);
          raw.socket.destroy();
        }
      },
    );
  });

  it('shows the trailers after the body', async () => {
    await withServer(
      async (exchange) => {
        const body = await readAll(exchange.body);
        await exchange.respond(200, [], bytes(`${body.toString()} ${exchange.body.trailers.join('|')}`));
      },
      async (_, port) => {
        const raw = new Raw(port);
        raw.send('PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 12\r\n\r\n');
        await raw.until(/\r\n\r\nabc X-Sum\|12$/);
        raw.socket.destroy();
      },
    );
  });

  it('announces the length and sends nothing for HEAD, and lets the body go', async () => {
    let disposed = 0;
    const lease = {offset: 0, length: 77, resident: true, [Symbol.dispose]: () => void disposed++} as unknown as FileLease;
    await withServer(
      (exchange) => exchange.respond(exchange.method === 'HEAD' ? 200 : 304, [], {kind: 'lease', length: 77, lease}),
      async (origin) => {
        for (const method of ['HEAD', 'GET']) {
          const response = await http.request({method, url: origin, headers: []});
          assert.equal(response.header('content-length'), '77');
          assert.equal((await readAll(response.body)).length, 0);
        }
      },
    );
    assert.equal(disposed, 2);
  });

  it('keeps the connection after a body that nobody read', async () => {
    await withServer(
      (exchange) => exchange.respond(200, [], bytes(exchange.target)),
      async (_, port) => {
        const raw = new Raw(port);
        raw.send('PUT /one HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n');
        await raw.until(/\/one$/);
        raw.send(`${'x'.repeat(300_000)}GET /two HTTP/1.1\r\nHost: h\r\n\r\n`);
        await raw.until(/\/two$/);
        raw.socket.destroy();
      },
    );
  });

  it('breaks off an answer that fails half-way, and lets a handler answer for one that fails before', async () => {
    const sent = Promise.withResolvers<void>();
    const failing = async function* (first: boolean): AsyncGenerator<Uint8Array> {
      if (!first) {
        yield Buffer.from('some');
        await sent.promise;
      }
      throw new WeirError('Unavailable', 'the store is gone');
    };
    await withServer(
      async (exchange) => {
        const first = exchange.target === '/first';
        try {
          await exchange.respond(200, [], {kind: 'stream', length: 10, stream: failing(first)});
        } catch (error) {
          assert.ok(isKind(error, 'Unavailable'));
          await exchange.respond(503, [], bytes('sorry'));
        }
      },
      async (origin) => {
        const early = await http.request({method: 'GET', url: `${origin}/first`, headers: []});
        assert.equal(early.status, 503);
        assert.equal((await readAll(early.body)).toString(), 'sorry');
        const late = await http.request({method: 'GET', url: `${origin}/later`, headers: []});
        assert.equal(late.status, 200);
        sent.resolve();
        await assert.rejects(readAll(late.body), (error) => isKind(error, 'Unavailable'));
      },
    );
  });

  it('tells the handler when the client goes away', async () => {
    const told = Promise.withResolvers<unknown>();
    await withServer(
      async (exchange) => {
        exchange.signal.addEventListener('abort', () => told.resolve(exchange.signal.reason));
        await told.promise;
        await exchange.respond(200, [], bytes('nobody hears this'));
      },
      async (_, port) => {
        const raw = new Raw(port);
        raw.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
        raw.socket.once('connect', () => setImmediate(() => raw.socket.resetAndDestroy()));
        assert.ok(isKind(await told.promise, 'Cancelled'));
      },
    );
  });

  it('answers 500 for a handler that fails or forgets', async () => {
    await withServer(
      (exchange) => (exchange.target === '/fails' ? Promise.reject(new Error('bug')) : Promise.resolve()),
      async (origin) => {
        for (const target of ['/fails', '/forgets']) {
          const response = await http.request({method: 'GET', url: origin + target, headers: []});
          assert.equal(response.status, 500);
          await readAll(response.body);
        }
      },
    );
  });

  it('refuses heads that are too large, malformed or ambiguous', async () => {
    await withServer(
      (exchange) => exchange.respond(200, []),
      async (_, port) => {
        const cases: [string, RegExp][] = [
          [`GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
          ['GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', /^HTTP\/1.1 400 /],
          ['GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', /^HTTP\/1.1 400 /],
          ['GET / HTTP/1.1\r\nHost : h\r\n\r\n', /^HTTP\/1.1 400 /],
          ['nonsense\r\n\r\n', /^HTTP\/1.1 400 /],
        ];
        for (const [sent, answer] of cases) {
          const raw = new Raw(port);
          raw.send(sent);
          await raw.closed;
          assert.match(raw.received, answer, sent.slice(0, 60));
        }
      },
    );
  });

  it('does not wait for ever for a head', async () => {
    await withServer(
      (exchange) => exchange.respond(200, []),
      async (_, port) => {
        const raw = new Raw(port);
        raw.send('GET / HTTP/1.1\r\nHost:');
        await raw.closed;
        assert.match(raw.received, /^HTTP\/1.1 408 /);
      },
      {headersTimeoutMs: 20},
    );
  });

  it('streams without a length', async () => {
    const parts = Array.from({length: 50}, (_, i) => Buffer.alloc(20_000, i));
    await withServer(
      (exchange) => exchange.respondStream(200, [], (async function* () { yield* parts; })()),
      async (origin) => {
        const response = await http.request({method: 'GET', url: origin, headers: []});
        assert.equal(response.header('transfer-encoding'), 'chunked');
        assert.ok((await readAll(response.body)).equals(Buffer.concat(parts)));
      },
    );
  });

  it('may be called off at any moment, also when the last byte has just come', async () => {
    const length = 300_000;
    await withServer(
      (exchange) => exchange.respond(200, [], {kind: 'bytes', length, bytes: Buffer.alloc(length)}),
      async (url) => {
        const moments: ((abort: () => void) => void)[] = [(abort) => abort(), (abort) => process.nextTick(abort), (abort) => void Promise.resolve().then(abort), (abort) => void setImmediate(abort)];
        for (let i = 0; i < 60; i++) {
          const stop = new AbortController();
          const {body} = await http.request({method: 'GET', url, headers: [], signal: stop.signal});
          let received = 0;
          try {
            for await (const chunk of body) {
              received += chunk.length;
              if (received === length || (i % 5 === 0 && received > i * 5000)) moments[i % moments.length]!(() => stop.abort());
            }
            assert.equal(received, length);
          } catch (error) {
            assert.ok(isKind(error, 'Cancelled'));
          }
        }
      },
    );
  });

  it('says when nobody answers, and when it was called off', async () => {
    let url = '';
    await withServer(() => Promise.resolve(), (origin) => Promise.resolve(void (url = origin)));
    await assert.rejects(http.request({method: 'GET', url, headers: []}), (error) => isKind(error, 'Unavailable'));
    const abort = new AbortController();
    await withServer(
      () => new Promise((resolve) => {
        abort.abort();
        resolve();
      }),
      (origin) => assert.rejects(http.request({method: 'GET', url: origin, headers: [], signal: abort.signal}), (error) => isKind(error, 'Cancelled')),
    );
  });
});

describe('sending files', () => {
  const size = 9_000_001;
  const content = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) content[i] = (i * 31 + (i >> 10)) & 0xff;

  async function withFile(fn: (lease: (offset: number, length: number, more?: Partial<FileLease>) => Body) => Promise<void>): Promise<void> {
    const directory = await mkdtemp(path.join(tmpdir(), 'weir-http-'));
    try {
      await writeFile(path.join(directory, 'f'), content);
      await using file = await nodeDisk.open(path.join(directory, 'f'), {mode: 'read'});
      let open = 0;
      await fn((offset, length, more) => {
        open++;
        const lease: FileLease = {file: file.descriptor, offset, length, resident: true, read: (into, position) => file.read(into, position), [Symbol.dispose]: () => void open--, ...more};
        return {kind: 'lease', length, lease};
      });
      assert.equal(open, 0, 'every lease was given back');
    } finally {
      await rm(directory, {recursive: true});
    }
  }

  for (const resident of [true, false]) {
    it(`sends exactly the range, to slow readers too (resident: ${resident})`, async () => {
      await withFile((lease) =>
        withServer(
          async (exchange) => {
            const [offset = 0, length = 0] = exchange.target.slice(1).split('-').map(Number);
            await exchange.respond(200, [], lease(offset, length, {resident}));
          },
          async (origin) => {
            await Promise.all(
              [[0, size], [5, 1], [70_001, 65_536], [4097, 70_000], [1, size - 1], [8_000_000, 1_000_001]].map(async ([offset = 0, length = 0]) => {
                const response = await http.request({method: 'GET', url: `${origin}/${offset}-${length}`, headers: []});
                const chunks: Uint8Array[] = [];
                for await (const chunk of response.body) {
                  chunks.push(chunk);
                  if (chunks.length % 8 === 0) await new Promise((resolve) => void setImmediate(resolve));
                }
                assert.ok(Buffer.concat(chunks).equals(content.subarray(offset, offset + length)), `${offset}+${length}`);
              }),
            );
          },
        ),
      );
    });
  }

  it('keeps answers in order on one connection', async () => {
    await withFile((lease) =>
      withServer(
        (exchange) => exchange.respond(200, [], exchange.target === '/file' ? lease(0, 300_000) : bytes('between')),
        async (_, port) => {
          const raw = new Raw(port);
          raw.send(['/text', '/file', '/text', '/file', '/end'].map((target) => `GET ${target} HTTP/1.1\r\nHost: h\r\n${target === '/end' ? 'Connection: close\r\n' : ''}\r\n`).join(''));
          await raw.closed;
          const bodies = raw.received.split(/HTTP\/1.1 200 OK\r\n[^]*?\r\n\r\n/).slice(1);
          const file = content.subarray(0, 300_000).toString('latin1');
          assert.ok(bodies[1] === file && bodies[3] === file);
          assert.deepEqual([bodies[0], bodies[2], bodies[4]], ['between', 'between', 'between']);
        },
      ),
    );
  });

  it('does not let an answer look complete whose file changed', async () => {
    await withFile((lease) =>
      withServer(
        async (exchange) => {
          const validate = () => Promise.reject(new WeirError('ContentChanged', 'it changed'));
          await exchange.respond(200, [], lease(0, 400_000, {validate})).catch((error: unknown) => assert.ok(isKind(error, 'ContentChanged')));
        },
        async (origin) => {
          const response = await http.request({method: 'GET', url: origin, headers: []});
          await assert.rejects(readAll(response.body), (error) => isKind(error, 'Unavailable'));
        },
      ),
    );
  });

  /** A body that yields `pieces`, each a range of the file: by lease, or by a buffer that is overwritten as soon as the next is asked for. */
  const inPieces = (pieces: readonly (readonly [offset: number, length: number, form: 'lease' | 'lent'])[], lease: (offset: number, length: number) => Body, length: number): Body & {done: Promise<void>} => {
    const done = Promise.withResolvers<void>();
    async function* iterate(): AsyncGenerator<Uint8Array | FileLease> {
      try {
        for (const [offset, count, form] of pieces) {
          if (form === 'lease') {
            const body = lease(offset, count);
            if (body.kind === 'lease') yield body.lease;
            continue;
          }
          const lent = Buffer.from(content.subarray(offset, offset + count));
          yield lent;
          lent.fill(0xdd);
        }
      } finally {
        done.resolve();
      }
    }
    const never: AsyncIterator<Uint8Array> = {next: () => Promise.reject(new Error('the pieces are asked for'))};
    return {kind: 'stream', length, stream: {pieces: iterate, [Symbol.asyncIterator]: () => never}, done: done.promise};
  };

  it('sends what comes in pieces, and looks at nothing that was lent for longer than that', async () => {
    const pieces = Array.from({length: 40}, (_, i) => [i * 200_000, 200_000, i % 3 === 1 ? 'lease' : 'lent'] as const);
    await withFile((lease) =>
      withServer(
        (exchange) => exchange.respond(200, [], inPieces(pieces, lease, 8_000_000)),
        async (origin) => {
          for (let round = 0; round < 3; round++) {
            const response = await http.request({method: 'GET', url: origin, headers: []});
            const chunks: Uint8Array[] = [];
            for await (const chunk of response.body) {
              chunks.push(chunk);
              if (chunks.length % 4 === 0) await new Promise((resolve) => void setImmediate(resolve));
            }
            assert.ok(Buffer.concat(chunks).equals(content.subarray(0, 8_000_000)));
          }
        },
      ),
    );
  });

  it('breaks off an answer whose pieces are too many or too few, and lets the pieces go of a client that left', async () => {
    await withFile(async (lease) => {
      for (const promised of [300_001, 250_000]) {
        await withServer(
          (exchange) => exchange.respond(200, [], inPieces([[0, 200_000, 'lent'], [200_000, 100_000, 'lease']], lease, promised)).catch((error: unknown) => assert.ok(isKind(error, 'Internal'))),
          async (origin) => {
            const read = http.request({method: 'GET', url: origin, headers: []}).then((response) => readAll(response.body));
            await assert.rejects(read, (error) => isKind(error, 'Unavailable'), `${promised}`);
          },
        );
      }
      const left = Promise.withResolvers<void>();
      await withServer(
        async (exchange) => {
          const body = inPieces(Array.from({length: 40}, (_, i) => [i * 200_000, 200_000, i % 2 === 1 ? 'lease' : 'lent'] as const), lease, 8_000_000);
          await exchange.respond(200, [], body);
          await body.done;
          left.resolve();
        },
        async (_, port) => {
          const raw = new Raw(port);
          raw.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
          await raw.until(/200 OK/);
          raw.socket.pause();
          raw.socket.destroy();
          await left.promise;
        },
      );
    });
  });

  it('stops for a client that goes away', async () => {
    await withFile((lease) => {
      const left = Promise.withResolvers<void>();
      return withServer(
        (exchange) => exchange.respond(200, [], lease(0, size)).then(left.resolve, left.reject),
        async (_, port) => {
          const raw = new Raw(port);
          raw.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
          await raw.until(/200 OK/);
          raw.socket.pause();
          raw.socket.destroy();
          await left.promise;
        },
      );
    });
  });
});
