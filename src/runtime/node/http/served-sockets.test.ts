import assert from 'node:assert/strict';
import {once} from 'node:events';
import {connect, createServer} from 'node:net';
import {describe, it} from 'node:test';
import {text} from 'node:stream/consumers';
import {ServedSockets} from '#runtime/node/http/served-sockets.ts';

const serving = (name: string): ServedSockets => new ServedSockets({}, (exchange) => exchange.respond(200, [], {kind: 'bytes', length: name.length, bytes: Buffer.from(name)}), undefined);
const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

describe('connections that move', () => {
  it('go on with the next request where they were handed over, and nobody but the servers notices', async () => {
    const [here, there] = [serving('here'), serving('there')];
    const server = createServer({allowHalfOpen: true, pauseOnConnect: true}, (accepted) => here.accept(accepted)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as {port: number}).port, '127.0.0.1');
    const answers: string[] = [];
    const answer = async (): Promise<string> => {
      for (let got = ''; ; ) {
        got += String(((await once(socket, 'data')) as [Buffer])[0]);
        const end = got.indexOf('\r\n\r\n');
        if (end >= 0 && got.length > end + 4) return got.slice(end + 4);
      }
    };
    socket.write(request);
    answers.push(await answer());
    // Away after the next answer, back after the one that follows.
    const move = (from: ServedSockets, to: ServedSockets): void => {
      from.shared.handAway = (connection) => {
        const fd = connection.leave();
        assert.ok(fd >= 0);
        from.shared.handAway = undefined;
        to.adopt(fd, true);
        return true;
      };
    };
    move(here, there);
    for (let i = 0; i < 2; i++) {
      socket.write(request);
      answers.push(await answer());
    }
    assert.deepEqual([here.count, there.count], [0, 1]);
    move(there, here);
    for (let i = 0; i < 2; i++) {
      socket.write(request);
      answers.push(await answer());
    }
    assert.deepEqual(answers, ['here', 'here', 'there', 'there', 'here']);
    assert.deepEqual([here.count, there.count], [1, 0]);
    const ended = text(socket);
    server.close();
    await Promise.all([here.stop(), there.stop()]);
    assert.equal(await ended, '');
  });

  it('stay while another request has come already, and while they write', async () => {
    const [here, there] = [serving('here'), serving('there')];
    const moved: boolean[] = [];
    here.shared.handAway = (connection) => {
      const fd = connection.leave();
      moved.push(fd >= 0);
      if (fd >= 0) there.adopt(fd, true);
      return fd >= 0;
    };
    const server = createServer({allowHalfOpen: true, pauseOnConnect: true}, (accepted) => here.accept(accepted)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as {port: number}).port, '127.0.0.1');
    socket.write(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    while (moved.length < 1) await new Promise((resolve) => setImmediate(resolve));
    socket.write(request.repeat(3));
    const closed = text(socket);
    while (moved.length < 4) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(moved, [false, false, false, true]);
    assert.deepEqual([here.shared.requests, here.shared.reads], [4, 3]);
    server.close();
    await Promise.all([here.stop(), there.stop()]);
    assert.equal((await closed).split('here').length - 1, 4);
  });
});
