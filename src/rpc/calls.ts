/** The calling side of a connection that is there: stubs of contracts, each method a call to the other side. */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {FrameKind} from '#codec/rpc/frames.ts';
import {encodeValue} from '#codec/rpc/values.ts';
import type {CallContext} from '#contracts/context.ts';
import {readyQuestion, type Shape, type Wire} from '#contracts/wire.ts';
import type {Body, Ready} from '#contracts/worker-api.ts';
import type {FileLease} from '#model/file-lease.ts';
import {parseWriteType} from '#model/mount.ts';
import type {Channel, Stream} from '#rpc/channel.ts';

type Method = (...args: unknown[]) => unknown;

/** How a `writer` method's result looks to the stub's maker: the union of WriteStream and PartStream. */
interface RemoteWriter {
  write(chunk: Uint8Array): Promise<void>;
  finish(...args: unknown[]): Promise<unknown>;
  abort(): Promise<void>;
}

/** What of a context travels with each call: null where nothing does. */
export type Travelling = (context: CallContext) => Readonly<Record<string, unknown>> | null;

/** What both sides of any connection may know of a call. Who asks, the handshake has said. */
const travellers = ['request', 'expects', 'owner', 'origin', 'moment', 'trace'] as const;

export const plainTravelling: Travelling = (context) => {
  let travelling: Record<string, unknown> | null = null;
  for (const name of travellers) if (context[name] !== undefined) (travelling ??= {})[name] = context[name];
  return travelling;
};

/** The first message of a body: its bytes follow as data, unless they are here or lent. */
export interface BodyHead {
  readonly length: number;
  readonly bytes?: Uint8Array;
  readonly lent?: unknown;
}

export class Calls {
  readonly #connected: (signal: AbortSignal) => Promise<Channel>;
  readonly #travelling: Travelling;
  readonly #borrow: ((lent: unknown) => FileLease) | undefined;
  #nextStream = 1;

  /** `borrow`: what the other side lends (a side in the same process may) as a lease of this one. */
  constructor(connected: (signal: AbortSignal) => Promise<Channel>, travelling: Travelling, borrow?: (lent: unknown) => FileLease) {
    this.#connected = connected;
    this.#travelling = travelling;
    this.#borrow = borrow;
  }

  /** A stub: the contract's type, each method a call to `name` on the other side. */
  stub<T>(name: string, wire: Wire<T>): T {
    const methods: Record<string, Method> = {};
    for (const [method, shape] of Object.entries<Shape>(wire)) methods[method] = this.#method(`${name}.${method}`, shape);
    return methods as T;
  }

  #method(name: string, shape: Shape): Method {
    switch (shape) {
      case 'call':
        return (...args) => this.#call(name, args);
      case 'publish':
        return (...args) => this.#call(name, args);
      case 'items':
        return (...args) => this.#items(name, args, false);
      case 'paced':
        return (...args) => this.#items(name, args, true);
      case 'bytes':
        return (...args) => this.#bytes(name, args);
      case 'body':
        return (...args) => this.#body(name, args);
      case 'writer':
        return (...args) => this.#writer(name, args);
    }
  }

  async #open(name: string, args: readonly unknown[]): Promise<{stream: Stream; channel: Channel; context: CallContext; ready: Ready | undefined}> {
    const context = args.at(-1) as CallContext;
    context.signal.throwIfAborted();
    const channel = await this.#connected(context.signal);
    const stream = channel.open(this.#nextStream);
    this.#nextStream = this.#nextStream >= 0xffff_fffe ? 1 : this.#nextStream + 1;
    const plain = args.slice(0, -1);
    let ready: Ready | undefined;
    for (let i = 0; i < plain.length; i++) {
      if (typeof plain[i] !== 'function') continue;
      assert(ready === undefined, 'a method has at most one callback');
      ready = plain[i] as Ready;
      plain[i] = null;
    }
    channel.post(FrameKind.call, stream.id, encodeValue([name, plain, this.#travelling(context)]));
    return {stream, channel, context, ready};
  }

  /** Reads a stream to its end; the caller's abort cancels the other side. */
  async #call(name: string, args: readonly unknown[]): Promise<unknown> {
    const {stream, channel, context, ready} = await this.#open(name, args);
    using _watch = cancelOn(context.signal, stream);
    try {
      for (;;) {
        const item = await stream.next();
        if (!item) return stream.endValue;
        if (ready && 'message' in item) await answerReady(stream, ready, item.message);
      }
    } finally {
      channel.forget(stream.id);
    }
  }

  async *#items(name: string, args: readonly unknown[], paced: boolean): AsyncGenerator<unknown> {
    const {stream, channel, context} = await this.#open(name, args);
    using _watch = cancelOn(context.signal, stream);
    let over = false;
    try {
      for (let item = await stream.next(); item; item = await stream.next()) {
        if (!('message' in item)) continue;
        yield item.message;
        if (paced) stream.send(null);
      }
      over = true;
    } finally {
      if (!over) stream.cancel();
      channel.forget(stream.id);
    }
  }

  async *#bytes(name: string, args: readonly unknown[]): AsyncGenerator<Uint8Array> {
    const {stream, channel, context} = await this.#open(name, args);
    yield* readBytes(stream, channel, context);
  }

  async #body(name: string, args: readonly unknown[]): Promise<Body> {
    const {stream, channel, context} = await this.#open(name, args);
    try {
      const first = await stream.next();
      if (!first || !('message' in first)) throw new WeirError('Internal', 'a body began without its length');
      const {length, bytes, lent} = first.message as BodyHead;
      if (bytes || lent !== undefined) channel.forget(stream.id);
      if (bytes) return {kind: 'bytes', length, bytes};
      if (lent !== undefined) {
        assert(this.#borrow !== undefined, 'a lease comes only to who can borrow');
        return {kind: 'lease', length, lease: this.#borrow(lent)};
      }
      return {kind: 'stream', length, stream: readBytes(stream, channel, context)};
    } catch (error) {
      channel.forget(stream.id);
      throw error;
    }
  }

  async #writer(name: string, args: readonly unknown[]): Promise<RemoteWriter> {
    const {stream, channel, context} = await this.#open(name, args);
    const watch = cancelOn(context.signal, stream);
    const close = () => {
      watch[Symbol.dispose]();
      channel.forget(stream.id);
    };
    const opened = await stream.next().catch((error: unknown) => {
      close();
      throw error;
    });
    if (!opened) throw new WeirError('Internal', 'a writer ended before it began');
    return {
      write: (chunk) => stream.sendData(chunk),
      finish: async (...finishArgs) => {
        const ready = finishArgs.find((arg) => typeof arg === 'function') as Ready | undefined;
        stream.send({finish: finishArgs.map((arg) => (typeof arg === 'function' ? null : arg))});
        try {
          for (;;) {
            const item = await stream.next();
            if (!item) return stream.endValue;
            if (ready && 'message' in item) await answerReady(stream, ready, item.message);
          }
        } finally {
          close();
        }
      },
      abort: () => {
        stream.cancel();
        close();
        return Promise.resolve();
      },
    };
  }
}

/** Does nothing for what is no such question. */
async function answerReady(stream: Stream, ready: Ready, question: unknown): Promise<void> {
  if (typeof question !== 'string' || !question.startsWith(readyQuestion)) return;
  try {
    const way = question.slice(readyQuestion.length);
    await (way === '' ? ready() : ready(parseWriteType(way)));
    stream.send('go');
  } catch (error) {
    stream.fail(error);
    throw error;
  }
}

async function* readBytes(stream: Stream, channel: Channel, context: CallContext): AsyncGenerator<Uint8Array> {
  using _watch = cancelOn(context.signal, stream);
  let over = false;
  try {
    for (let item = await stream.next(); item; item = await stream.next()) if ('data' in item) yield item.data;
    over = true;
  } finally {
    if (!over) stream.cancel();
    channel.forget(stream.id);
  }
}

/** By signal, the streams that end with it. One listener a signal: many calls share one that never fires, and each listener costs more the more there are. */
const watching = new WeakMap<AbortSignal, Set<Stream>>();

function cancelOn(signal: AbortSignal, stream: Stream): Disposable {
  const streams = watching.get(signal) ?? watch(signal);
  streams.add(stream);
  return {[Symbol.dispose]: () => streams.delete(stream)};
}

function watch(signal: AbortSignal): Set<Stream> {
  const streams = new Set<Stream>();
  watching.set(signal, streams);
  const onAbort = () => {
    for (const stream of streams) {
      stream.cancel();
      stream.break(new WeirError('Cancelled', 'the call was cancelled'));
    }
  };
  signal.addEventListener('abort', onAbort, {once: true});
  return streams;
}
