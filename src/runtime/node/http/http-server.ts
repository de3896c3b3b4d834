/**
 * The HTTP/1.1 server, on node:net (node:tls for TLS) with a codec of our own: a request costs about half of what it does on node:http
 * (docs/decisions/0002-http-codec.md). What a connection does: http-connection.ts; what a handler sees of it: http-exchange.ts.
 */
import {once} from 'node:events';
import {createServer, type Server, type Socket} from 'node:net';
import {createServer as createTlsServer, type TlsOptions} from 'node:tls';
import {WeirError} from '#base/errors.ts';
import {HttpConnection} from '#runtime/node/http/http-connection.ts';
import {reopen} from '#runtime/node/http/own-receiving.ts';
import {ServerConnections} from '#runtime/node/http/server-connections.ts';
import {descriptorsMax} from '#runtime/node/process.ts';
import {systemError} from '#runtime/node/system-errors.ts';
import type {HttpExchange, HttpServerOptions} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';
import type {Listener} from '#runtime/net.ts';

/** Of the descriptors that the process may have, so that files and stores keep theirs. (Node raises its soft limit to the hard one by itself.) */
const connectionsShare = 0.5;
const connectionsMax = 16_384;
const backlogMax = 1024;
/** How long answers under way may take after the listener was disposed. */
const stopMs = 2_000;
/** How often connections are looked at for their time limits. */
const checkIntervalMs = 2_000;

export async function serveHttp(options: HttpServerOptions, handler: (exchange: HttpExchange) => Promise<void>, log?: Log): Promise<Listener> {
  const shared = new ServerConnections(options, handler, log);
  const sockets = new Set<Socket>();
  const most = options.connectionsMax ?? Math.min(connectionsMax, Math.floor(descriptorsMax() * connectionsShare));
  const hasRoom = (): boolean => sockets.size < most || shared.makeRoom();
  const count = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  const serve = (socket: Socket): HttpConnection => {
    const connection = new HttpConnection(socket, shared);
    shared.connections.add(connection);
    return connection;
  };
  const serveStream = (socket: Socket): void => {
    const connection = serve(socket);
    socket.on('data', (chunk: Buffer) => connection.received(chunk, false));
  };
  const settings = {noDelay: true, allowHalfOpen: true};
  let server: Server;
  if (options.tls) {
    server = secureServer({...settings, ...options.tls, ALPNProtocols: ['http/1.1'], handshakeTimeout: shared.headersTimeoutMs}, serveStream);
    // Also those that have not finished their handshake count.
    server.prependListener('connection', (socket: Socket) => void (hasRoom() ? count(socket) : socket.destroy()));
  } else {
    server = createServer({...settings, pauseOnConnect: true}, (accepted) => {
      if (!hasRoom()) {
        accepted.destroy();
        return;
      }
      let connection: HttpConnection | undefined;
      const socket = reopen(accepted, (bytes) => connection?.received(bytes, true));
      count(socket ?? accepted);
      if (socket) connection = serve(socket);
      else {
        serveStream(accepted);
        accepted.resume();
      }
    });
  }

  try {
    server.listen({host: options.address.host, port: options.address.port, backlog: backlogMax});
    await once(server, 'listening');
  } catch (error) {
    throw systemError(error, `listening on ${options.address.host}:${options.address.port}`);
  }
  const sweeper = setInterval(() => shared.sweep(), Math.min(checkIntervalMs, shared.headersTimeoutMs, shared.stallMs));
  sweeper.unref();
  const bound = server.address() as {address: string; port: number};
  return {
    address: {host: bound.address, port: bound.port},
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        shared.closing = true;
        const cut = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, stopMs);
        const ended = (): void => {
          clearTimeout(cut);
          clearInterval(sweeper);
          resolve();
        };
        // The server knows the connections as they were accepted.
        server.close(() => {
          let left = sockets.size;
          if (left === 0) ended();
          for (const socket of sockets) {
            socket.once('close', () => {
              if (--left === 0) ended();
            });
          }
        });
        for (const connection of shared.connections) connection.stop();
      }),
  };
}

function secureServer(options: TlsOptions, accept: (socket: Socket) => void): Server {
  try {
    return createTlsServer(options, accept);
  } catch (error) {
    throw new WeirError('InvalidArgument', `TLS cannot be spoken with this certificate and key: ${(error as Error).message}`, {cause: error});
  }
}
