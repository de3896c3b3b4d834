/**
 * A proxy that passes bytes on as they are and keeps the requests among them, so that tests can see what a client really sends, and
 * so that there are recordings to fuzz with (record.ts).
 */
import {once} from 'node:events';
import {connect, createServer, type Socket} from 'node:net';

/** A longer body is kept up to here. */
const bodyBytesKept = 64 * 1024;

export interface RecordedRequest {
  /** As sent: request line, headers, the empty line. */
  readonly head: string;
  /** As framed on the wire; only its beginning when `cut`. */
  readonly body: Buffer;
  readonly cut: boolean;
}

export interface Recorder extends AsyncDisposable {
  readonly endpoint: string;
  /** In the order of their ends. */
  readonly requests: RecordedRequest[];
}

export async function startRecorder(upstream: string): Promise<Recorder> {
  const {hostname, port} = new URL(upstream);
  const requests: RecordedRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({noDelay: true}, client => {
    const weir = connect({host: hostname, port: Number(port), noDelay: true});
    const splitter = new RequestSplitter(request => requests.push(request));
    for (const [socket, other] of [[client, weir], [weir, client]] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
    client.on('data', (chunk: Buffer) => splitter.push(chunk));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as {port: number};
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Splits a connection's bytes into requests, by Content-Length or chunks (RFC 9112, 6). */
export class RequestSplitter {
  readonly #found: (request: RecordedRequest) => void;
  #pending: Buffer = Buffer.alloc(0);
  #head: string | undefined;
  #body: Buffer[] = [];
  #kept = 0;
  #cut = false;
  /** Bytes of the body, or of the chunk with its line end, that are still to come. */
  #left = 0;
  #chunked = false;
  #trailers = false;

  constructor(found: (request: RecordedRequest) => void) {
    this.#found = found;
  }

  push(bytes: Buffer): void {
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
    while (this.#step());
  }

  #step(): boolean {
    if (this.#head === undefined) {
      const end = this.#pending.indexOf('\r\n\r\n');
      if (end < 0) return false;
      this.#begin(this.#take(end + 4).toString('latin1'));
    } else if (this.#left > 0) {
      if (this.#pending.length === 0) return false;
      const taken = this.#take(Math.min(this.#left, this.#pending.length));
      this.#left -= taken.length;
      this.#keep(taken);
    } else {
      const end = this.#pending.indexOf('\r\n');
      if (end < 0) return false;
      const line = this.#take(end + 2);
      this.#keep(line);
      if (this.#trailers) {
        if (line.length === 2) this.#finish();
        return true;
      }
      const size = Number.parseInt(line.toString('latin1'), 16);
      if (size > 0) this.#left = size + 2;
      else this.#trailers = true;
      return true;
    }
    if (this.#left === 0 && !this.#chunked) this.#finish();
    return true;
  }

  #begin(head: string): void {
    this.#head = head;
    this.#chunked = /^transfer-encoding:.*chunked/im.test(head);
    this.#left = this.#chunked ? 0 : Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  }

  #take(bytes: number): Buffer {
    const taken = this.#pending.subarray(0, bytes);
    this.#pending = this.#pending.subarray(bytes);
    return taken;
  }

  #keep(bytes: Buffer): void {
    const kept = bytes.subarray(0, bodyBytesKept - this.#kept);
    if (kept.length < bytes.length) this.#cut = true;
    if (kept.length > 0) this.#body.push(Buffer.from(kept));
    this.#kept += kept.length;
  }

  #finish(): void {
    this.#found({head: this.#head!, body: Buffer.concat(this.#body), cut: this.#cut});
    this.#head = undefined;
    this.#body = [];
    this.#kept = 0;
    this.#cut = false;
    this.#chunked = false;
    this.#trailers = false;
  }
}
