/**
 * The HTTP/1.1 server, on node:net (node:tls for TLS) with a codec of our own: a request costs about half of what it does on node:http
 * (docs/decisions/0002-http-codec.md). What a connection does: http-connection.ts; what a handler sees of it: http-exchange.ts.
 */
import {once} from 'node:events';
import {createServer} from 'node:net';
import {assert} from '#base/assert.ts';
import {ServedSockets} from '#runtime/node/http/served-sockets.ts';
import {ServingThreads} from '#runtime/node/threads/serving-threads.ts';
import {systemError} from '#runtime/node/system-errors.ts';
import type {HttpExchange, HttpServerOptions} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';
import type {Listener} from '#runtime/net.ts';

const backlogMax = 1024;

export async function serveHttp(options: HttpServerOptions, handler: (exchange: HttpExchange) => Promise<void>, log?: Log): Promise<Listener> {
  const served = new ServedSockets(options, handler, log);
  const {threads} = options;
  assert(threads === undefined || threads instanceof ServingThreads, 'the threads are of this machine');
  const server = createServer({noDelay: true, allowHalfOpen: true, pauseOnConnect: !options.tls}, (accepted) => {
    if (!threads?.take(accepted)) served.accept(accepted);
  });
  try {
    server.listen({host: options.address.host, port: options.address.port, backlog: backlogMax});
    await once(server, 'listening');
  } catch (error) {
    await served.stop();
    throw systemError(error, `listening on ${options.address.host}:${options.address.port}`);
  }
  await threads?.begin(served);
  const bound = server.address() as {address: string; port: number};
  return {
    address: {host: bound.address, port: bound.port},
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      await Promise.all([served.stop(), threads?.stop()]);
      await closed;
    },
  };
}
