/** The serving side: takes connections, checks who is there, and calls the implementations of contracts. */
import {WeirError} from '#base/errors.ts';
import {type Frame, FrameKind} from '#codec/rpc/frames.ts';
import {decodeValue, encodeValue} from '#codec/rpc/values.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import {readyQuestion, type Shape, type Wire, wireVersion} from '#contracts/wire.ts';
import type {Body} from '#contracts/worker-api.ts';
import type {WriteType} from '#model/mount.ts';
import {Channel, type Stream} from '#rpc/channel.ts';
import {nonceBytes, proof, sameProof} from '#rpc/handshake.ts';
import type {Address, Connection, Listener} from '#runtime/net.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface RpcService {
  readonly name: string;
  readonly wire: Readonly<Record<string, Shape>>;
  readonly implementation: object;
}

/** Pairs a contract with who implements it. */
export function rpcService<T extends object>(name: string, wire: Wire<T>, implementation: T): RpcService {
  return {name, wire, implementation};
}

export interface RpcServerOptions {
  readonly address: Address;
  readonly services: readonly RpcService[];
  readonly lookup: (accessKeyId: string) => {readonly secret: string; readonly principal: Principal} | undefined;
}

/** A connection that has not said who it is by then is closed. */
const handshakeMs = 10_000;

/** Listens until disposed; then open connections are broken off. AlreadyExists when the port is taken. */
export async function serveRpc(runtime: Runtime, options: RpcServerOptions): Promise<Listener> {
  const channels = new Set<Channel>();
  const services = new Map(options.services.map((service) => [service.name, service]));
  const listener = await runtime.net.listen(options.address, (connection) => {
    const channel = new Channel(connection);
    channels.add(channel);
    new Session(runtime, channel, connection, services, options.lookup).run(() => channels.delete(channel));
  });
  return {
    address: listener.address,
    [Symbol.asyncDispose]: async () => {
      for (const channel of channels) channel.destroy(new WeirError('Unavailable', 'the instance is stopping'));
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** What of a CallContext travels; null where it has none. */
type Travelled = {readonly [field in 'request' | 'expects' | 'owner' | 'origin' | 'moment' | 'trace']?: CallContext[field] | null};

class Session {
  readonly #runtime: Runtime;
  readonly #channel: Channel;
  readonly #remote: Connection['remote'];
  readonly #services: ReadonlyMap<string, RpcService>;
  readonly #lookup: RpcServerOptions['lookup'];
  #awaited: {readonly proof: Buffer; readonly principal: Principal} | undefined;
  #principal: Principal | undefined;

  constructor(runtime: Runtime, channel: Channel, connection: Connection, services: ReadonlyMap<string, RpcService>, lookup: RpcServerOptions['lookup']) {
    this.#runtime = runtime;
    this.#channel = channel;
    this.#remote = connection.remote;
    this.#services = services;
    this.#lookup = lookup;
  }

  run(onClose: () => void): void {
    const deadline = this.#runtime.clock.after(handshakeMs, () => {
      if (!this.#principal) this.#channel.destroy(new WeirError('Timeout', 'no handshake'));
    });
    void this.#channel.run({
      onFrame: (frame) => (this.#principal ? this.#onCall(frame, this.#principal) : this.#onHello(frame)),
      onClose: () => {
        deadline[Symbol.dispose]();
        onClose();
      },
    });
  }

  #onHello(frame: Frame): void {
    if (frame.kind !== FrameKind.hello) throw new WeirError('Unauthenticated', 'a call came before the handshake');
    const hello = decodeValue(frame.payload) as {version?: unknown; accessKeyId?: unknown; nonce?: unknown; proof?: unknown} | null;
    if (this.#awaited) {
      if (!sameProof(this.#awaited.proof, hello?.proof)) {
        this.#runtime.log.warn('rpc: wrong proof', {remote: this.#remote.host});
        throw new WeirError('Unauthenticated', 'wrong proof');
      }
      this.#principal = this.#awaited.principal;
      return;
    }
    if (!(hello?.nonce instanceof Uint8Array) || hello.nonce.length !== nonceBytes) throw new WeirError('Unauthenticated', 'no nonce');
    const nonce = this.#runtime.random.bytes(nonceBytes);
    const known = typeof hello.accessKeyId === 'string' ? this.#lookup(hello.accessKeyId) : undefined;
    const secret = known?.secret ?? this.#runtime.random.id();
    this.#channel.post(FrameKind.hello, 0, encodeValue({version: wireVersion, nonce, proof: proof(secret, 'server', hello.nonce, nonce)}));
    const principal = known?.principal ?? {name: 'nobody', uid: 65_534, gids: []};
    this.#awaited = {proof: known ? proof(secret, 'client', hello.nonce, nonce) : Buffer.from(this.#runtime.random.bytes(32)), principal};
  }

  #onCall(frame: Frame, principal: Principal): void {
    if (frame.kind !== FrameKind.call || this.#channel.has(frame.stream)) throw new WeirError('InvalidArgument', 'a stream was opened twice');
    const stream = this.#channel.open(frame.stream);
    this.#serve(stream, frame.payload, principal).then(
      () => this.#channel.forget(stream.id),
      (error: unknown) => {
        if (!(error instanceof WeirError)) this.#runtime.log.error('rpc: a call failed by a bug', {error});
        stream.fail(error);
        this.#channel.forget(stream.id);
      },
    );
  }

  /** Reads the payload before it first waits. */
  async #serve(stream: Stream, payload: Uint8Array, principal: Principal): Promise<void> {
    const {service, method, shape, args, context} = this.#parse(payload, principal, stream);
    const withReady = shape === 'publish' ? args.map((arg) => (arg === null ? (way?: WriteType) => askReady(stream, way) : arg)) : args;
    const call = (service.implementation as Record<string, (...a: unknown[]) => unknown>)[method]!;
    const result = call.apply(service.implementation, [...withReady, context]);
    switch (shape) {
      case 'call':
      case 'publish':
        return stream.end(await result);
      case 'items':
        for await (const item of result as AsyncIterable<unknown>) {
          stream.abort.signal.throwIfAborted();
          stream.send(item);
        }
        return stream.end(null);
      case 'bytes':
        for await (const chunk of result as AsyncIterable<Uint8Array>) await stream.sendData(chunk);
        return stream.end(null);
      case 'body':
        return this.#sendBody(stream, (await result) as Body);
      case 'writer':
        return this.#takeBytes(stream, (await result) as ServedWriter);
    }
  }

  #parse(payload: Uint8Array, principal: Principal, stream: Stream) {
    const value = decodeValue(payload);
    if (!Array.isArray(value) || typeof value[0] !== 'string' || !Array.isArray(value[1])) throw new WeirError('InvalidArgument', 'not a call');
    const [name, args, travelled] = value as [string, unknown[], Travelled | null];
    const [serviceName, method] = name.split('.');
    const service = this.#services.get(serviceName ?? '');
    if (!service || !method || !Object.hasOwn(service.wire, method)) throw new WeirError('Unsupported', `there is no method ${JSON.stringify(name.slice(0, 100))}`);
    const context: CallContext = {
      principal,
      signal: stream.abort.signal,
      ...(travelled?.request ? {request: travelled.request} : {}),
      ...(Array.isArray(travelled?.expects) ? {expects: travelled.expects as NonNullable<CallContext['expects']>} : {}),
      ...(typeof travelled?.origin === 'string' ? {origin: travelled.origin} : {}),
      ...(travelled?.moment === 'safe' ? {moment: 'safe'} : {}),
      ...(travelled?.owner ? {owner: travelled.owner} : {}),
      ...(travelled?.trace ? {trace: travelled.trace} : {}),
    };
    return {service, method, shape: service.wire[method]!, args, context};
  }

  async #sendBody(stream: Stream, body: Body): Promise<void> {
    stream.send({length: body.length});
    for await (const chunk of bodyChunks(body)) await stream.sendData(chunk);
    stream.end(null);
  }

  async #takeBytes(stream: Stream, writer: ServedWriter): Promise<void> {
    let finished = false;
    try {
      stream.send('opened');
      for (;;) {
        const item = await stream.next();
        if (!item) throw new WeirError('IncompleteBody', 'the writer ended without finishing');
        if ('data' in item) await writer.write(item.data);
        else {
          const {finish} = item.message as {finish: unknown[]};
          const result = await writer.finish(...finish.map((arg) => (arg === null ? (way?: WriteType) => askReady(stream, way) : arg)));
          finished = true;
          return stream.end(result);
        }
      }
    } finally {
      if (!finished) await writer.abort();
    }
  }
}

interface ServedWriter {
  write(chunk: Uint8Array): Promise<void>;
  finish(...args: unknown[]): Promise<unknown>;
  abort(): Promise<void>;
}

async function askReady(stream: Stream, way: WriteType | undefined): Promise<void> {
  stream.send(way === undefined ? readyQuestion : readyQuestion + way);
  const answer = await stream.next();
  if (!answer || !('message' in answer) || answer.message !== 'go') throw new WeirError('Cancelled', 'the caller did not give the word to publish');
}
