/** Clients that stop: no time passes here but what the test says, so that who is cut off depends on progress alone. */
import assert from 'node:assert/strict';
import {once} from 'node:events';
import {closeSync, mkdtempSync, openSync, rmSync, writeFileSync} from 'node:fs';
import {type AddressInfo, connect, createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {after, describe, it} from 'node:test';
import {isKind} from '#base/errors.ts';
import type {Body} from '#contracts/worker-api.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {HttpExchange} from '#runtime/http.ts';
import {makeDescriptor} from '#runtime/node/descriptor.ts';
import {readAll} from '#runtime/node/http/fixture.test.ts';
import {HttpConnection} from '#runtime/node/http/http-connection.ts';
import {reopen} from '#runtime/node/http/own-receiving.ts';
import {ServerConnections} from '#runtime/node/http/server-connections.ts';

const stallMs = 60_000;
/** More than sockets hold, on both sides. */
const answerBytes = 64 << 20;

class HeldClock extends ServerConnections {
  now = 0;

  override nowMs(): number {
    return this.now;
  }

  pass(ms: number): void {
    this.now += ms;
    this.sweep();
  }
}

/** One connection, of which the client's end is paused. */
async function withClient(handler: (exchange: HttpExchange) => Promise<void>, fn: (shared: HeldClock, client: Socket) => Promise<void>): Promise<void> {
  const shared = new HeldClock({stallMs}, handler, undefined);
  const server = createServer({allowHalfOpen: true, pauseOnConnect: true}, (accepted) => {
    const socket = reopen(accepted, (bytes) => connection.received(bytes, true));
    const connection = new HttpConnection(socket ?? accepted, shared);
    if (!socket) accepted.on('data', (chunk: Buffer) => connection.received(chunk, false)).resume();
    shared.connections.add(connection);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  client.on('error', () => {});
  try {
    await once(client, 'connect');
    await fn(shared, client);
  } finally {
    client.destroy();
    await new Promise((resolve) => void server.close(resolve));
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Until nothing moves any more: the answer fills what lies between server and client. */
async function settled(shared: HeldClock): Promise<void> {
  const sent = (): number => [...shared.connections].reduce((sum, connection) => sum + (connection as HttpConnection).socket.bytesWritten, 0);
  for (let still = 0, before = -1; still < 300; still++) {
    if (sent() !== before) still = 0;
    before = sent();
    await turn();
  }
}

describe('clients that stop', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'weir-stall-'));
  const file = path.join(directory, 'large');
  writeFileSync(file, Buffer.alloc(answerBytes, 'weir'));
  after(() => rmSync(directory, {recursive: true}));

  for (const kind of ['lease', 'stream'] as const) {
    it(`cuts off who does not read a ${kind}, and frees it; who reads slowly gets all`, async () => {
      for (const reads of [false, true]) {
        const fd = openSync(file, 'r');
        const freed = Promise.withResolvers<void>();
        let live = true;
        const free = (): void => {
          live = false;
          freed.resolve();
        };
        const lease: FileLease = {
          file: makeDescriptor(fd), offset: 0, length: answerBytes, resident: true,
          read: (into) => Promise.resolve(into.fill(1).length),
          [Symbol.dispose]: free,
        };
        const stream = async function* (): AsyncGenerator<Uint8Array> {
          try {
            const chunk = Buffer.alloc(256 * 1024);
            for (let sent = 0; sent < answerBytes; sent += chunk.length) yield chunk;
          } finally {
            free();
          }
        };
        const body: Body = kind === 'lease' ? {kind, length: answerBytes, lease} : {kind, length: answerBytes, stream: stream()};
        await withClient((exchange) => exchange.respond(200, [], body), async (shared, client) => {
          client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
          await settled(shared);
          shared.pass(1);
          if (reads) {
            let received = 0;
            client.on('data', (chunk: Buffer) => {
              received += chunk.length;
              client.pause();
            });
            while (received < answerBytes) {
              // Most of the time that it has, then the little that is read at a time.
              const enough = Math.min(answerBytes, received + 8 * 1024 * 1024);
              for (; received < enough; await turn()) client.resume();
              await settled(shared);
              shared.pass(stallMs - 1);
              assert.equal(client.destroyed, false);
            }
          } else {
            shared.pass(stallMs - 1);
            await settled(shared);
            assert.ok(live, 'held while there is hope');
            shared.pass(1);
          }
          await freed.promise;
          if (!reads) while (shared.connections.size > 0) await turn();
        });
        closeSync(fd);
      }
    });
  }

  it('waits for a body as long as some of it comes, and then says that it gave up', async () => {
    let failure: unknown;
    await withClient(
      async (exchange) => {
        await readAll(exchange.body).catch((error: unknown) => (failure = error));
        await exchange.respond(400, []);
      },
      async (shared, client) => {
        let received = '';
        client.setEncoding('latin1').on('data', (text: string) => (received += text));
        client.resume();
        const head = 'PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n';
        client.write(head);
        while (shared.connections.size === 0) await turn();
        const [connection] = shared.connections as Set<HttpConnection>;
        for (let sent = 0; sent < 5; sent++) {
          client.write('x');
          while (connection!.socket.bytesRead <= head.length + sent) await turn();
          await turn();
          shared.pass(stallMs - 1);
          assert.equal(failure, undefined);
        }
        shared.pass(1);
        while (received === '' && !client.destroyed) await turn();
        assert.match(received, /^HTTP\/1.1 400 [^]*Connection: close\r\n/);
        assert.ok(isKind(failure, 'IncompleteBody'));
        assert.equal(failure.details['s3'], 'RequestTimeout');
      },
    );
  });

  it('lets idle connections give way, first those that never asked anything', async () => {
    const closed: string[] = [];
    const shared = new HeldClock({}, () => Promise.resolve(), undefined);
    const add = (name: string, idle: 'new' | 'kept' | false): void => {
      const connection = {idle, check: () => {}, stop: () => (closed.push(name), shared.connections.delete(connection)), leave: () => -1};
      shared.connections.add(connection);
    };
    add('busy', false);
    assert.equal(shared.makeRoom(), false);
    add('kept', 'kept');
    add('new 1', 'new');
    add('new 2', 'new');
    for (let i = 0; i < 3; i++) assert.equal(shared.makeRoom(), true);
    assert.deepEqual(closed, ['new 1', 'new 2', 'kept']);
  });
});
