/**
 * The connections of one HTTP server in one thread, however they came: accepted here, or handed over by another thread of this process by a
 * descriptor. And how they leave: closed, or handed over between two requests.
 */
import type {Socket} from 'node:net';
import {createServer as createTlsServer, type Server as TlsServer, type TlsOptions} from 'node:tls';
import {WeirError} from '#base/errors.ts';
import {HttpConnection} from '#runtime/node/http/http-connection.ts';
import {openReceiving, reopen} from '#runtime/node/http/own-receiving.ts';
import {ServerConnections} from '#runtime/node/http/server-connections.ts';
import {libc} from '#runtime/node/native/libc.ts';
import {descriptorsMax} from '#runtime/node/process.ts';
import type {HttpExchange, HttpServerOptions} from '#runtime/http.ts';
import type {Log} from '#runtime/log.ts';

/** Of the descriptors that the process may have, so that files and stores keep theirs. (Node raises its soft limit to the hard one by itself.) */
const connectionsShare = 0.5;
const connectionsMax = 16_384;
/** How long answers under way may take after the end was asked for. */
const stopMs = 2_000;
/** How often connections are looked at for their time limits. */
const checkIntervalMs = 2_000;

export type ServedOptions = Omit<HttpServerOptions, 'address' | 'threads'>;

export class ServedSockets {
  readonly shared: ServerConnections;
  readonly #sockets = new Set<Socket>();
  readonly #most: number;
  readonly #tls: TlsServer | undefined;
  readonly #sweeper: NodeJS.Timeout;

  /** InvalidArgument: key and certificate do not belong together. */
  constructor(options: ServedOptions, handler: (exchange: HttpExchange) => Promise<void>, log: Log | undefined) {
    const shared = (this.shared = new ServerConnections(options, handler, log));
    this.#most = options.connectionsMax ?? Math.min(connectionsMax, Math.floor(descriptorsMax() * connectionsShare));
    this.#tls = options.tls && secureServer({...options.tls, allowHalfOpen: true, ALPNProtocols: ['http/1.1'], handshakeTimeout: shared.headersTimeoutMs}, (socket) => this.#serveStream(socket));
    this.#sweeper = setInterval(() => shared.sweep(), Math.min(checkIntervalMs, shared.headersTimeoutMs, shared.stallMs));
    this.#sweeper.unref();
  }

  /** Connections that are open, also those that have not finished their handshake. */
  get count(): number {
    return this.#sockets.size;
  }

  /** Takes over a connection that was accepted in this turn: without TLS, paused. */
  accept(accepted: Socket): void {
    if (!this.#hasRoom()) accepted.destroy();
    else if (this.#tls) this.#secure(this.#tls, accepted);
    else {
      let connection: HttpConnection | undefined;
      const socket = reopen(accepted, (bytes) => connection?.received(bytes, true));
      this.#count(socket ?? accepted);
      if (socket) connection = this.#serve(socket, false);
      else {
        this.#serveStream(accepted);
        accepted.resume();
      }
    }
  }

  /** The same by its descriptor, which belongs to this thread from now on. `kept`: it has had answers already; `input`: what was read of it and not answered. */
  adopt(fd: number, kept: boolean, input?: Buffer): void {
    if (!this.#hasRoom()) libc()?.close(fd);
    else if (this.#tls) this.#secure(this.#tls, openReceiving(fd));
    else {
      const socket = openReceiving(fd, (bytes) => connection.received(bytes, true));
      const connection = this.#serve(socket, kept);
      this.#count(socket);
      if (input) connection.receivedElsewhere(input);
    }
  }

  /** Whoever is done with its requests goes; whoever is not is cut off after a while. The listener must have been closed before. */
  async stop(): Promise<void> {
    this.shared.closing = true;
    const cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, stopMs);
    for (const connection of this.shared.connections) connection.stop();
    if (this.#sockets.size > 0) await Promise.all([...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    clearTimeout(cut);
    clearInterval(this.#sweeper);
  }

  #hasRoom(): boolean {
    return this.#sockets.size < this.#most || this.shared.makeRoom();
  }

  #count(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #secure(tls: TlsServer, socket: Socket): void {
    this.#count(socket);
    tls.emit('connection', socket);
  }

  #serve(socket: Socket, kept: boolean): HttpConnection {
    const connection = new HttpConnection(socket, this.shared, kept);
    this.shared.connections.add(connection);
    return connection;
  }

  #serveStream(socket: Socket): void {
    const connection = this.#serve(socket, false);
    socket.on('data', (chunk: Buffer) => connection.received(chunk, false));
  }
}

function secureServer(options: TlsOptions, accept: (socket: Socket) => void): TlsServer {
  try {
    return createTlsServer(options, accept);
  } catch (error) {
    throw new WeirError('InvalidArgument', `TLS cannot be spoken with this certificate and key: ${(error as Error).message}`, {cause: error});
  }
}
