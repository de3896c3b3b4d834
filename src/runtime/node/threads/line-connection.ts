/** A connection of the kind that `rpc/` speaks over, through a line between two threads: its bytes are the payloads of records of one kind. */
import {WeirError} from '#base/errors.ts';
import {recordBytesMax} from '#runtime/node/threads/byte-ring.ts';
import type {ThreadLine} from '#runtime/node/threads/thread-line.ts';
import type {Connection} from '#runtime/net.ts';

const here = {host: 'thread', port: 0};

export class LineConnection implements Connection {
  readonly remote = here;
  readonly #line: ThreadLine;
  readonly #kind: number;
  /** Bounded by the windows of the streams. */
  #received: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #broken = false;

  constructor(line: ThreadLine, kind: number) {
    this.#line = line;
    this.#kind = kind;
  }

  /** A record of the connection's kind has come. */
  receive(payload: Uint8Array): void {
    this.#received.push(Buffer.from(payload));
    this.#wake?.();
  }

  get incoming(): AsyncIterable<Uint8Array> {
    return this.#chunks();
  }

  async write(buffers: readonly Uint8Array[]): Promise<void> {
    if (this.#broken) throw broken();
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += recordBytesMax) this.#line.send(this.#kind, 0, buffer.subarray(at, at + recordBytesMax));
    }
    await this.#line.room();
  }

  end(): Promise<void> {
    this.destroy();
    return Promise.resolve();
  }

  destroy(): void {
    this.#broken = true;
    this.#wake?.();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunks = this.#received;
      this.#received = [];
      yield* chunks;
      if (this.#received.length > 0) continue;
      if (this.#broken) throw broken();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

const broken = (): WeirError => new WeirError('Unavailable', 'the other thread has ended');
