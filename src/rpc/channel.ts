/**
 * One side of one connection: many streams over it, each with its own window, so that a slow reader of one stream holds up
 * neither the connection nor anybody's memory.
 *
 * Bounds: a stream never has more than `windowBytes` of data under way to a receiver that has not read it; a connection serves at
 * most `streamsMax` streams. What is written in one turn of the event loop leaves in one write.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {dataBytesMax, type Frame, FrameKind, FrameParser, frameHeader, frameHeaderBytes, framePayloadBytesMax, writeFrameHeader} from '#codec/rpc/frames.ts';
import {decodeError, decodeValue, encodeError, encodeValue} from '#codec/rpc/values.ts';
import type {Connection} from '#runtime/net.ts';

export const windowBytes = 4 * 1024 * 1024;
export const streamsMax = 65_536;

/** Messages up to this size travel side by side in one buffer: the system is handed one piece, not two for each. */
const gatheredBytesMax = 8 * 1024;
const batchBytes = 64 * 1024;

export type Incoming = {readonly message: unknown} | {readonly data: Uint8Array};

/** What a stream sends and receives. */
export class Stream {
  readonly id: number;
  readonly #channel: Channel;
  readonly #queue: Incoming[] = [];
  #wake: (() => void) | undefined;
  #ended: {readonly value: unknown} | undefined;
  #failed: Error | undefined;
  #sendWindow = windowBytes;
  #roomWanted: (() => void) | undefined;
  #unreported = 0;
  /** Aborted when the other side cancels or the connection breaks. */
  readonly abort = new AbortController();

  constructor(channel: Channel, id: number) {
    this.#channel = channel;
    this.id = id;
  }

  send(message: unknown): void {
    this.#channel.post(FrameKind.message, this.id, encodeValue(message));
  }

  /** Resolves when the other side has room for more. */
  async sendData(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      while (this.#sendWindow <= 0) {
        if (this.#failed) throw this.#failed;
        await new Promise<void>((resolve) => (this.#roomWanted = resolve));
      }
      if (this.#failed) throw this.#failed;
      const piece = bytes.subarray(at, at + Math.min(dataBytesMax, this.#sendWindow));
      this.#sendWindow -= piece.length;
      at += piece.length;
      await this.#channel.postData(this.id, piece);
    }
  }

  end(value: unknown): void {
    this.#channel.post(FrameKind.end, this.id, encodeValue(value));
  }

  fail(error: unknown): void {
    this.#channel.post(FrameKind.fail, this.id, encodeError(error));
  }

  cancel(): void {
    this.#channel.post(FrameKind.cancel, this.id, Buffer.alloc(0));
    this.#channel.forget(this.id);
  }

  /** The next message or data; undefined at the end, whose value is then in `endValue`. Throws what the other side failed with. */
  async next(): Promise<Incoming | undefined> {
    while (this.#queue.length === 0) {
      if (this.#failed) throw this.#failed;
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    const item = this.#queue.shift()!;
    if ('data' in item) this.#consumed(item.data.length);
    return item;
  }

  get endValue(): unknown {
    assert(this.#ended, 'the stream has not ended');
    return this.#ended.value;
  }

  /** Frames from the other side. */
  receive(frame: Frame): void {
    switch (frame.kind) {
      case FrameKind.message:
        this.#queue.push({message: decodeValue(frame.payload)});
        break;
      case FrameKind.data:
        this.#queue.push({data: Buffer.from(frame.payload)});
        break;
      case FrameKind.end:
        this.#ended = {value: decodeValue(frame.payload)};
        break;
      case FrameKind.fail:
        this.break(decodeError(frame.payload));
        break;
      case FrameKind.cancel:
        this.break(new WeirError('Cancelled', 'the caller has gone away'));
        break;
      case FrameKind.window:
        if (frame.payload.length === 4) this.#sendWindow += Buffer.from(frame.payload).readUInt32LE(0);
        this.#roomWanted?.();
        break;
      default:
        throw new WeirError('InvalidArgument', `frame kind ${frame.kind} does not belong on a stream`);
    }
    this.#wake?.();
  }

  break(error: Error): void {
    this.#failed ??= error;
    this.abort.abort(error);
    this.#wake?.();
    this.#roomWanted?.();
  }

  #consumed(bytes: number): void {
    this.#unreported += bytes;
    if (this.#unreported < windowBytes / 4) return;
    const credit = Buffer.allocUnsafe(4);
    credit.writeUInt32LE(this.#unreported, 0);
    this.#unreported = 0;
    this.#channel.post(FrameKind.window, this.id, credit);
  }
}

const noBatch = Buffer.alloc(0);

export interface ChannelEvents {
  /** A frame that opens a stream or belongs to none. Throwing breaks the connection. */
  onFrame(frame: Frame): void;
  /** Before its streams break. */
  onClose(error: Error): void;
}

export class Channel {
  readonly #connection: Connection;
  readonly #streams = new Map<number, Stream>();
  #outgoing: Uint8Array[] = [];
  /** Small messages: up to `sealedTo` they are in `outgoing` already, up to `batchTo` they wait for more of this turn. */
  #batch = noBatch;
  #sealedTo = 0;
  #batchTo = 0;
  #flushing: Promise<void> | undefined;
  #closed: Error | undefined;
  #events: ChannelEvents | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  get closed(): Error | undefined {
    return this.#closed;
  }

  open(id: number): Stream {
    if (this.#streams.size >= streamsMax) throw new WeirError('Overloaded', `${streamsMax} calls are under way on one connection`);
    assert(!this.#streams.has(id), 'a stream id is used once at a time');
    const stream = new Stream(this, id);
    this.#streams.set(id, stream);
    return stream;
  }

  has(id: number): boolean {
    return this.#streams.has(id);
  }

  forget(id: number): void {
    this.#streams.delete(id);
  }

  /** Reads the connection to its end. Call once. */
  async run(events: ChannelEvents): Promise<void> {
    this.#events = events;
    const parser = new FrameParser();
    let reason: Error = new WeirError('Unavailable', 'the connection ended');
    try {
      for await (const chunk of this.#connection.incoming) {
        for (const frame of parser.push(chunk)) {
          const stream = this.#streams.get(frame.stream);
          if (stream && frame.kind !== FrameKind.call && frame.kind !== FrameKind.hello) stream.receive(frame);
          else if (frame.kind === FrameKind.call || frame.kind === FrameKind.hello) events.onFrame(frame);
          // Anything else belongs to a stream that is over on this side: late, and harmless.
        }
      }
    } catch (error) {
      reason = error instanceof Error ? error : new WeirError('Unavailable', String(error));
    }
    this.destroy(reason);
  }

  post(kind: FrameKind, stream: number, payload: Uint8Array): void {
    if (this.#closed) return;
    if (payload.length > framePayloadBytesMax) throw new WeirError('TooLarge', `a message of ${payload.length} bytes is over the limit of ${framePayloadBytesMax}`);
    if (payload.length <= gatheredBytesMax) this.#gather(kind, stream, payload);
    else this.#queue(kind, stream, payload);
    void this.#flush();
  }

  /** Like post, but waits while the socket is full. */
  postData(stream: number, payload: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closed);
    this.#queue(FrameKind.data, stream, payload);
    return this.#flush();
  }

  destroy(error: Error): void {
    if (this.#closed) return;
    this.#closed = error;
    this.#connection.destroy();
    this.#events?.onClose(error);
    for (const stream of this.#streams.values()) stream.break(error);
    this.#streams.clear();
  }

  #gather(kind: FrameKind, stream: number, payload: Uint8Array): void {
    const bytes = frameHeaderBytes + payload.length;
    if (this.#batchTo + bytes > this.#batch.length) {
      this.#seal();
      this.#batch = Buffer.allocUnsafeSlow(batchBytes);
      this.#sealedTo = this.#batchTo = 0;
    }
    writeFrameHeader(this.#batch, this.#batchTo, kind, stream, payload.length);
    this.#batch.set(payload, this.#batchTo + frameHeaderBytes);
    this.#batchTo += bytes;
  }

  #queue(kind: FrameKind, stream: number, payload: Uint8Array): void {
    this.#seal();
    this.#outgoing.push(frameHeader(kind, stream, payload.length), payload);
  }

  /** What was gathered is queued; the bytes are not touched again. */
  #seal(): void {
    if (this.#batchTo === this.#sealedTo) return;
    this.#outgoing.push(this.#batch.subarray(this.#sealedTo, this.#batchTo));
    this.#sealedTo = this.#batchTo;
  }

  /** One write a turn: whatever is posted in this turn leaves together. */
  #flush(): Promise<void> {
    this.#flushing ??= (async () => {
      await Promise.resolve();
      try {
        for (this.#seal(); this.#outgoing.length > 0; this.#seal()) {
          const batch = this.#outgoing;
          this.#outgoing = [];
          await this.#connection.write(batch);
        }
      } catch (error) {
        this.destroy(error instanceof Error ? error : new WeirError('Unavailable', String(error)));
      } finally {
        this.#flushing = undefined;
      }
    })();
    return this.#flushing;
  }
}
