/** The serving side of a connection that is there: calls of streams to the implementations of contracts. */
import {WeirError} from '#base/errors.ts';
import {type Frame, FrameKind} from '#codec/rpc/frames.ts';
import {decodeValue} from '#codec/rpc/values.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {CallContext} from '#contracts/context.ts';
import {readyQuestion, type Shape, type Wire} from '#contracts/wire.ts';
import type {Body} from '#contracts/worker-api.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {WriteType} from '#model/mount.ts';
import type {BodyHead} from '#rpc/calls.ts';
import type {Channel, Stream} from '#rpc/channel.ts';
import type {Log} from '#runtime/log.ts';

export interface RpcService {
  readonly name: string;
  readonly wire: Readonly<Record<string, Shape>>;
  readonly implementation: object;
}

/** Pairs a contract with who implements it. */
export function rpcService<T extends object>(name: string, wire: Wire<T>, implementation: T): RpcService {
  return {name, wire, implementation};
}

/** What of a CallContext travels; null where it has none. */
export type Travelled = {readonly [field in 'request' | 'expects' | 'owner' | 'origin' | 'moment' | 'trace']?: CallContext[field] | null};

export type Services = ReadonlyMap<string, RpcService>;

export const servicesByName = (services: readonly RpcService[]): Services => new Map(services.map((service) => [service.name, service]));

export interface ServedCallsOptions {
  readonly services: Services;
  readonly log: Log;
  /** Lends a lease to a side in the same process, and says what travels of it. */
  readonly lend?: (lease: FileLease) => unknown;
}

export class ServedCalls {
  readonly #channel: Channel;
  readonly #options: ServedCallsOptions;

  constructor(channel: Channel, options: ServedCallsOptions) {
    this.#channel = channel;
    this.#options = options;
  }

  /** A frame that opens a stream. `contextOf`: of what came with the call. Reads the frame before it returns. */
  onCall(frame: Frame, contextOf: (travelled: Travelled | null, signal: AbortSignal) => CallContext): void {
    if (frame.kind !== FrameKind.call || this.#channel.has(frame.stream)) throw new WeirError('InvalidArgument', 'a stream was opened twice');
    const stream = this.#channel.open(frame.stream);
    this.#serve(stream, frame.payload, contextOf).then(
      () => this.#channel.forget(stream.id),
      (error: unknown) => {
        if (!(error instanceof WeirError)) this.#options.log.error('rpc: a call failed by a bug', {error});
        stream.fail(error);
        this.#channel.forget(stream.id);
      },
    );
  }

  /** Reads the payload before it first waits. */
  async #serve(stream: Stream, payload: Uint8Array, contextOf: Parameters<ServedCalls['onCall']>[1]): Promise<void> {
    const {service, method, shape, args, context} = this.#parse(payload, stream, contextOf);
    const withReady = shape === 'publish' ? args.map((arg) => (arg === null ? (way?: WriteType) => askReady(stream, way) : arg)) : args;
    withReady.push(context);
    const call = (service.implementation as Record<string, (...a: unknown[]) => unknown>)[method]!;
    const result = call.apply(service.implementation, withReady);
    switch (shape) {
      case 'call':
      case 'publish':
        return stream.end(await result);
      case 'items':
      case 'paced':
        for await (const item of result as AsyncIterable<unknown>) {
          stream.abort.signal.throwIfAborted();
          stream.send(item);
          if (shape === 'paced') await stream.next();
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

  #parse(payload: Uint8Array, stream: Stream, contextOf: Parameters<ServedCalls['onCall']>[1]) {
    const value = decodeValue(payload);
    if (!Array.isArray(value) || typeof value[0] !== 'string' || !Array.isArray(value[1])) throw new WeirError('InvalidArgument', 'not a call');
    const [name, args, travelled] = value as [string, unknown[], Travelled | null];
    const dot = name.indexOf('.');
    const method = name.slice(dot + 1);
    const service = this.#options.services.get(name.slice(0, Math.max(0, dot)));
    if (!service || !Object.hasOwn(service.wire, method)) throw new WeirError('Unsupported', `there is no method ${JSON.stringify(name.slice(0, 100))}`);
    const context = contextOf(travelled, stream.abort.signal);
    return {service, method, shape: service.wire[method]!, args, context};
  }

  async #sendBody(stream: Stream, body: Body): Promise<void> {
    const {length} = body;
    const {lend} = this.#options;
    if (lend && body.kind !== 'stream') {
      stream.send((body.kind === 'bytes' ? {length, bytes: body.bytes} : {length, lent: lend(body.lease)}) satisfies BodyHead);
      return stream.end(null);
    }
    stream.send({length} satisfies BodyHead);
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
