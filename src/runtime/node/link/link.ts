/**
 * A TCP proxy that behaves like a long link: one rate for all connections together, a delay each way, a handshake that costs a round trip.
 * For demonstrations, tests and measurements of what a far store costs, on one machine.
 */
import {once} from 'node:events';
import {connect, createServer, type Socket} from 'node:net';
import {Flow, Line} from '#runtime/node/link/line.ts';
import {RequestCounter} from '#runtime/node/link/request-counter.ts';
import {systemError} from '#runtime/node/system-errors.ts';
import type {Address} from '#runtime/net.ts';

export interface LinkOptions {
  readonly target: Address;
  /** A round trip, ms; half of it each way. */
  readonly rttMs: number;
  /** Of each direction, all connections together. */
  readonly bytesPerSecond: number;
  /** Of each direction of each connection. */
  readonly perConnectionBytesPerSecond?: number;
  /** Where to listen; a free port of the loopback by default. */
  readonly listen?: Address;
}

export interface LinkCounters {
  readonly connections: number;
  readonly connectionsOpen: number;
  /** HTTP requests seen on the way to the target. */
  readonly requests: number;
  /** Bytes that departed towards the target, and back. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface Link extends AsyncDisposable {
  readonly address: Address;
  /** Since the start. */
  readonly counters: LinkCounters;
  /** Breaks all connections that are open now, at once. */
  cutAll(): void;
}

export async function startLink(options: LinkOptions): Promise<Link> {
  const {target, rttMs, bytesPerSecond, perConnectionBytesPerSecond} = options;
  const listen = options.listen ?? {host: '127.0.0.1', port: 0};
  const up = new Line(rttMs / 2, bytesPerSecond);
  const down = new Line(rttMs / 2, bytesPerSecond);
  const sockets = new Set<Socket>();
  let connections = 0;
  let requestsOfClosed = 0;
  const counters = new Set<RequestCounter>();

  const server = createServer({allowHalfOpen: true, noDelay: true, pauseOnConnect: true}, (front) => {
    connections++;
    sockets.add(front);
    front.on('error', () => {}); // 'close' follows
    const opening = setTimeout(() => {
      const back = connect({host: target.host, port: target.port, allowHalfOpen: true, noDelay: true});
      const counter = new RequestCounter();
      counters.add(counter);
      back.on('error', () => {});
      // A side that closed in good order still has bytes on the way; its flow ends the other side when they have arrived.
      const brokenOff = (socket: Socket, hadError: boolean): boolean => hadError || !socket.readableEnded;
      back.on('close', (hadError) => {
        counters.delete(counter);
        requestsOfClosed += counter.requests;
        if (brokenOff(back, hadError)) front.destroy();
      });
      front.on('close', (hadError) => {
        if (brokenOff(front, hadError)) back.destroy();
      });
      back.on('connect', () => {
        new Flow(up, front, back, perConnectionBytesPerSecond, (bytes) => counter.see(bytes));
        new Flow(down, back, front, perConnectionBytesPerSecond, () => {});
        front.resume();
      });
    }, rttMs);
    front.on('close', () => {
      clearTimeout(opening);
      sockets.delete(front);
    });
  });
  try {
    server.listen({host: listen.host, port: listen.port});
    await once(server, 'listening');
  } catch (error) {
    throw systemError(error, `listening on ${listen.host}:${listen.port}`);
  }
  const bound = server.address() as {address: string; port: number};
  const cutAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    address: {host: bound.address, port: bound.port},
    get counters() {
      let requests = requestsOfClosed;
      for (const counter of counters) requests += counter.requests;
      return {connections, connectionsOpen: sockets.size, requests, bytesUp: up.bytes, bytesDown: down.bytes};
    },
    cutAll,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cutAll();
      }),
  };
}
