import assert from 'node:assert/strict';
import {connect, type Socket} from 'node:net';
import type {Body} from '#contracts/worker-api.ts';
import type {HttpExchange, HttpServerOptions} from '#runtime/http.ts';
import {createHttp} from '#runtime/node/http/node-http.ts';

export const http = createHttp();
const host = '127.0.0.1';

/** A server on a free port for as long as `fn` runs. */
export async function withServer(handler: (exchange: HttpExchange) => Promise<void>, fn: (origin: string, port: number) => Promise<void>, options: Partial<HttpServerOptions> = {}): Promise<void> {
  await using server = await http.serve({address: {host, port: 0}, ...options}, handler);
  await fn(`http://${host}:${server.address.port}`, server.address.port);
}

/** A connection that sends text as it is and collects what comes. */
export class Raw {
  readonly socket: Socket;
  received = '';
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.socket = connect(port, host);
    this.closed = new Promise((resolve) => void this.socket.on('close', () => resolve()));
    this.socket.on('error', () => {});
    this.socket.setEncoding('latin1').on('data', (text: string) => (this.received += text));
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.received) && !this.socket.destroyed) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.socket.off('data', done);
          this.socket.off('close', done);
          resolve();
        };
        this.socket.on('data', done);
        this.socket.on('close', done);
      });
    }
    assert.match(this.received, pattern);
  }
}

export const readAll = async (body: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await Array.fromAsync(body));
export const bytes = (text: string): Body => {
  const encoded = Buffer.from(text);
  return {kind: 'bytes', length: encoded.length, bytes: encoded};
};
