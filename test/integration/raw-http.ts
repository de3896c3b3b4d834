/** Requests that no HTTP library would send: bytes on a socket, and whatever comes back. */
import {connect, type Socket} from 'node:net';

export interface RawAnswer {
  /** 0 when the connection was closed without an answer. */
  readonly status: number;
  readonly code: string;
  readonly text: string;
  /** The server has closed the connection. */
  readonly closed: boolean;
}

/** Sends all, then reads until the answer is complete, the server closes, or the time is over. */
export async function rawRequest(endpoint: string, bytes: string | Buffer, options: {readonly half?: boolean; readonly msMax?: number} = {}): Promise<RawAnswer> {
  const socket = await open(endpoint);
  let received = Buffer.alloc(0);
  const closed = await new Promise<boolean>(resolve => {
    const timer = setTimeout(() => resolve(false), options.msMax ?? 5000);
    const done = (ended: boolean): void => {
      clearTimeout(timer);
      resolve(ended);
    };
    socket.on('error', () => done(true));
    socket.on('close', () => done(true));
    socket.on('end', () => done(true));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (isComplete(received)) setImmediate(() => done(socket.readableEnded || socket.destroyed));
    });
    if (options.half) socket.end(bytes);
    else socket.write(bytes);
  });
  socket.destroy();
  const text = received.toString('latin1');
  return {status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), code: /<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? '', text, closed};
}

function isComplete(received: Buffer): boolean {
  const head = received.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const text = received.subarray(0, head).toString('latin1');
  if (/^HTTP\/1\.1 (100|102|103)/.test(text)) return false;
  const length = /^content-length: *(\d+)/im.exec(text)?.[1];
  return length !== undefined && received.length >= head + 4 + Number(length);
}

export async function open(endpoint: string): Promise<Socket> {
  const {hostname, port} = new URL(endpoint);
  const socket = connect({host: hostname, port: Number(port)});
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

/** A request's head as it goes over the wire. */
export function head(method: string, target: string, headers: Readonly<Record<string, string>> | readonly (readonly [string, string])[]): string {
  const pairs = Array.isArray(headers) ? (headers as [string, string][]) : Object.entries(headers);
  return `${method} ${target} HTTP/1.1\r\n${pairs.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}
