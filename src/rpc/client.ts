/** The calling side: a connection that is made when it is first needed, authenticated, and stubs of contracts over it. */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {FrameKind} from '#codec/rpc/frames.ts';
import {decodeValue, encodeValue} from '#codec/rpc/values.ts';
import type {CallContext} from '#contracts/context.ts';
import {readyQuestion, type Shape, type Wire, wireVersion} from '#contracts/wire.ts';
import type {Body, Ready} from '#contracts/worker-api.ts';
import {parseWriteType} from '#model/mount.ts';
import {Channel, type Stream} from '#rpc/channel.ts';
import {proof, sameProof} from '#rpc/handshake.ts';
import type {Address} from '#runtime/net.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface RpcClientOptions {
  readonly address: Address;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

type Method = (...args: unknown[]) => unknown;

/** How a `writer` method's result looks to the stub's maker: the union of WriteStream and PartStream. */
interface RemoteWriter {
  write(chunk: Uint8Array): Promise<void>;
  finish(...args: unknown[]): Promise<unknown>;
  abort(): Promise<void>;
}

export class RpcClient implements AsyncDisposable {
  readonly #runtime: Pick<Runtime, 'net' | 'random'>;
  readonly #options: RpcClientOptions;
  #channel: Promise<Channel> | undefined;
  #nextStream = 1;

  constructor(runtime: Pick<Runtime, 'net' | 'random'>, options: RpcClientOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  /** A stub: the contract's type, each method a call to `name` on the other side. */
  stub<T>(name: string, wire: Wire<T>): T {
    const methods: Record<string, Method> = {};
    for (const [method, shape] of Object.entries<Shape>(wire)) methods[method] = this.#method(`${name}.${method}`, shape);
    return methods as T;
  }

  async close(): Promise<void> {
    const channel = await this.#channel?.catch(() => undefined);
    channel?.destroy(new WeirError('Cancelled', 'the client was closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #method(name: string, shape: Shape): Method {
    switch (shape) {
      case 'call':
        return (...args) => this.#call(name, args);
      case 'publish':
        return (...args) => this.#call(name, args);
      case 'items':
        return (...args) => this.#items(name, args);
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
    const callbacks = args.filter((arg) => typeof arg === 'function') as Ready[];
    assert(callbacks.length <= 1, 'a method has at most one callback');
    const plain = args.slice(0, -1).map((arg) => (typeof arg === 'function' ? null : arg));
    channel.post(FrameKind.call, stream.id, encodeValue([name, plain, {request: context.request, expects: context.expects, owner: context.owner, origin: context.origin, moment: context.moment, trace: context.trace}]));
    return {stream, channel, context, ready: callbacks[0]};
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

  async *#items(name: string, args: readonly unknown[]): AsyncGenerator<unknown> {
    const {stream, channel, context} = await this.#open(name, args);
    using _watch = cancelOn(context.signal, stream);
    let over = false;
    try {
      for (let item = await stream.next(); item; item = await stream.next()) if ('message' in item) yield item.message;
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
      const {length} = first.message as {length: number};
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

  #connected(signal: AbortSignal): Promise<Channel> {
    this.#channel ??= this.#connect(signal).catch((error: unknown) => {
      this.#channel = undefined;
      throw error;
    });
    return this.#channel;
  }

  async #connect(signal: AbortSignal): Promise<Channel> {
    const {address, accessKeyId, secretAccessKey} = this.#options;
    const connection = await this.#runtime.net.connect(address, {signal});
    const channel = new Channel(connection);
    const {promise: greeted, resolve, reject} = Promise.withResolvers<Uint8Array>();
    void channel.run({
      onFrame: (frame) => resolve(Buffer.from(frame.payload)),
      onClose: (error) => {
        reject(error);
        this.#channel = undefined;
      },
    });
    const nonce = this.#runtime.random.bytes(32);
    channel.post(FrameKind.hello, 0, encodeValue({version: wireVersion, accessKeyId, nonce}));
    const hello = decodeValue(await greeted) as {version: number; nonce: Uint8Array; proof: Uint8Array};
    if (hello.version !== wireVersion) {
      channel.destroy(new WeirError('Unsupported', 'version'));
      throw new WeirError('Unsupported', `the instance at ${address.host}:${address.port} speaks version ${hello.version}, this program ${wireVersion}`);
    }
    if (!sameProof(proof(secretAccessKey, 'server', nonce, hello.nonce), hello.proof)) {
      channel.destroy(new WeirError('Unauthenticated', 'proof'));
      throw new WeirError('Unauthenticated', `the instance at ${address.host}:${address.port} does not know access key ${accessKeyId} with this secret`);
    }
    channel.post(FrameKind.hello, 0, encodeValue({proof: proof(secretAccessKey, 'client', nonce, hello.nonce)}));
    return channel;
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

function cancelOn(signal: AbortSignal, stream: Stream): Disposable {
  const onAbort = () => {
    stream.cancel();
    stream.break(new WeirError('Cancelled', 'the call was cancelled'));
  };
  signal.addEventListener('abort', onAbort, {once: true});
  return {[Symbol.dispose]: () => signal.removeEventListener('abort', onAbort)};
}
