import assert from 'node:assert/strict';
import {once} from 'node:events';
import {mkdtemp, open, readdir, readlink, rm, writeFile} from 'node:fs/promises';
import {connect, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {describe, it} from 'node:test';
import type {HttpExchange} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';
import {makeDescriptor} from '#runtime/node/descriptor.ts';
import {serveHttp} from '#runtime/node/http/http-server.ts';
import {nodeMetrics} from '#runtime/node/node-metrics.ts';
import {LeaseLender} from '#runtime/node/threads/leases.ts';
import {ServingThreads} from '#runtime/node/threads/serving-threads.ts';
import {recordKinds} from '#runtime/node/threads/thread-words.ts';

const lines: string[] = [];
const log: Log = {debug: () => {}, info: () => {}, warn: (message) => lines.push(message), error: (message) => lines.push(message), child: () => log};
const entry = new URL('../../../../test/fixtures/serving-thread.ts', import.meta.url).href;
const fileBytes = 32 * 2 ** 20;

/** The main thread answers with its name and the body that it was sent. */
async function answerHere(exchange: HttpExchange): Promise<void> {
  const body = Buffer.concat([Buffer.from('main '), ...(await Array.fromAsync(exchange.body))]);
  await exchange.respond(200, [], {kind: 'bytes', length: body.length, bytes: body});
}

async function served(fixed: number, youngMs = 60_000) {
  const directory = await mkdtemp(path.join(tmpdir(), 'weir-threads-'));
  await writeFile(path.join(directory, 'file'), Buffer.alloc(fileBytes, 'cached'));
  const file = await open(path.join(directory, 'file'));
  const lenders: LeaseLender[] = [];
  let [disposed, ended] = [0, 0];
  const metrics = nodeMetrics();
  const threads = new ServingThreads({
    entry, fixed, youngMs, log, metrics,
    services: (line) => {
      const lender = new LeaseLender(line);
      lenders.push(lender);
      return {
        data: undefined, transfer: [],
        receive: ({kind, id}) => {
          if (lender.receive(kind, id)) return;
          const lease = {file: makeDescriptor(file.fd), offset: 0, length: fileBytes, resident: false, read: () => Promise.reject(new Error('not here')), [Symbol.dispose]: () => void disposed++};
          line.send(recordKinds.answer, id, Buffer.from(JSON.stringify(lender.lend(lease))));
        },
        heard: () => {},
        ended: () => {
          ended++;
          lender[Symbol.dispose]();
        },
      };
    },
  });
  const listener = await serveHttp({address: {host: '127.0.0.1', port: 0}, threads}, answerHere);
  return {
    port: listener.address.port, metrics,
    leases: () => ({under: lenders.reduce((sum, {count}) => sum + count, 0), disposed, ended}),
    [Symbol.asyncDispose]: async () => {
      await listener[Symbol.asyncDispose]();
      await file.close();
      await rm(directory, {recursive: true});
    },
  };
}

async function ask(socket: Socket, head: string, body = ''): Promise<string> {
  socket.write(`${head} HTTP/1.1\r\nHost: x\r\n${body === '' ? '' : `Content-Length: ${body.length}\r\n`}\r\n${body}`);
  for (let got = ''; ; ) {
    const [chunk] = (await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [undefined])])) as [Buffer | undefined];
    if (!chunk) return 'closed';
    got += chunk.toString('latin1');
    const end = got.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(got)?.[1]);
    if (end >= 0 && got.length === end + 4 + length) return got.slice(end + 4);
  }
}

const opened = async (port: number): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
};

/** A connection that a thread serves. */
async function inThread(port: number): Promise<Socket> {
  for (;;) {
    const socket = await opened(port);
    if ((await ask(socket, 'GET /who')).startsWith('thread')) return socket;
    socket.destroy();
  }
}

/** Sockets of this process, by their inodes: more than one descriptor of one would keep a connection open. */
async function socketsOpen(): Promise<number> {
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((link) => link.startsWith('socket:')).length;
}

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('threads that serve connections', {timeout: 120_000}, () => {
  it('answer beside the main one, hand on what is not theirs with all that was sent, and count once', async () => {
    await using server = await served(2);
    const sockets = await Promise.all(Array.from({length: 6}, () => opened(server.port)));
    const names = new Set<string>();
    for (const socket of sockets) {
      const who = await ask(socket, 'GET /who');
      names.add(who);
      // The same connection, now in the main thread, and what it was sent is whole.
      const body = 'body '.repeat(5_000);
      assert.equal(await ask(socket, 'PUT /x', body), `main ${body}`);
      assert.match(await ask(socket, 'GET /who'), /^main/);
    }
    assert.ok([...names].filter((name) => name.startsWith('thread')).length === 2, [...names].join());
    const counted = Number(/weir_test_requests_total (\d+)/.exec(await server.metrics.render())?.[1]);
    assert.ok(counted > 0 && counted <= 6);
    for (const socket of sockets) socket.destroy();
  });

  it('take their own connections with them when they fail, give back what was lent, and are replaced', async () => {
    await using server = await served(1, 0);
    const before = await socketsOpen();
    // One in the middle of a large answer, whose reader is slow; one idle; one in the main thread.
    const victim = await inThread(server.port);
    victim.pause();
    victim.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => server.leases().under === 1);
    const [inMain, idle, crasher] = await Promise.all([opened(server.port), inThread(server.port), inThread(server.port)]);
    assert.match(await ask(inMain, 'PUT /here', 'x'), /^main/);
    assert.equal(await ask(crasher, 'GET /crash'), 'closed');
    victim.resume();
    for (const socket of [victim, idle]) if (!socket.closed) await once(socket, 'close');
    await until(() => server.leases().ended === 1);
    assert.deepEqual({...server.leases()}, {under: 0, disposed: 1, ended: 1});
    assert.match(await ask(inMain, 'PUT /here', 'x'), /^main/);
    inMain.destroy();
    await until(async () => (await socketsOpen()) <= before);
    (await inThread(server.port)).destroy();
    assert.ok(lines.includes('a serving thread failed'));
  });

  it('answer what is under way before they end', async () => {
    const server = await served(1);
    const socket = await inThread(server.port);
    socket.pause();
    socket.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\n');
    await until(() => server.leases().under === 1);
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
    socket.resume();
    const closing = once(socket, 'close');
    await server[Symbol.asyncDispose]();
    await closing;
    assert.ok(bytes > fileBytes, `${bytes}`);
    assert.deepEqual({...server.leases()}, {under: 0, disposed: 1, ended: 1});
  });
});
