/** Real connections, by node:net. */
import {connect as connectSocket, createServer, type Socket} from 'node:net';
import {once} from 'node:events';
import {WeirError} from '#base/errors.ts';
import type {Address, Connection, Listener, Net} from '#runtime/net.ts';
import {systemError} from '#runtime/node/system-errors.ts';

function wrap(socket: Socket): Connection {
  socket.setNoDelay(true);
  const remote: Address = {host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0};
  let failure: Error | undefined;
  socket.on('error', (error) => (failure = systemError(error, `the connection to ${remote.host}:${remote.port}`, 'Unavailable')));
  const broken = () => failure ?? new WeirError('Unavailable', `the connection to ${remote.host}:${remote.port} is closed`);
  const destroy = () => void socket.destroy();
  return {
    remote,
    incoming: incoming(socket, broken),
    write: async (buffers) => {
      if (socket.destroyed || socket.writableEnded) throw broken();
      if (buffers.length > 1) socket.cork();
      let room = true;
      for (const buffer of buffers) room = socket.write(buffer);
      if (buffers.length > 1) socket.uncork();
      if (room || socket.writableLength < socket.writableHighWaterMark) return;
      const {promise, resolve} = Promise.withResolvers<void>();
      socket.once('drain', resolve);
      socket.once('close', resolve);
      await promise;
      socket.off('drain', resolve);
      socket.off('close', resolve);
      if (socket.destroyed) throw broken();
    },
    end: () => new Promise((resolve) => (socket.destroyed ? resolve() : socket.end(() => resolve()))),
    destroy,
    [Symbol.asyncDispose]: () => Promise.resolve(destroy()),
  };
}

async function* incoming(socket: Socket, broken: () => Error): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) yield chunk;
  } catch {
    throw broken();
  }
}

export const nodeNet: Net = {
  connect: async (address, options) => {
    const signal = options?.signal;
    const socket = connectSocket({host: address.host, port: address.port});
    // Only while connecting: a connection outlives the call that opened it.
    const giveUp = () => void socket.destroy(new WeirError('Unavailable', `connecting to ${address.host}:${address.port}: given up`));
    signal?.addEventListener('abort', giveUp, {once: true});
    if (signal?.aborted) giveUp();
    try {
      await once(socket, 'connect');
    } catch (error) {
      throw systemError(error, `connecting to ${address.host}:${address.port}`, 'Unavailable');
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
    return wrap(socket);
  },
  listen: async (address, onConnection): Promise<Listener> => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      onConnection(wrap(socket));
    });
    try {
      server.listen({host: address.host, port: address.port});
      await once(server, 'listening');
    } catch (error) {
      throw systemError(error, `listening on ${address.host}:${address.port}`);
    }
    const bound = server.address() as {address: string; port: number};
    return {
      address: {host: bound.address, port: bound.port},
      [Symbol.asyncDispose]: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          for (const socket of sockets) socket.destroy();
        }),
    };
  },
};
