import assert from 'node:assert/strict';
import {describe, it} from 'node:test';
import fc from 'fast-check';
import {isKind, WeirError} from '#base/errors.ts';
import {dataBytesMax, FrameParser, frameHeader} from '#codec/rpc/frames.ts';
import {decodeError, decodeValue, encodeError, encodeValue} from '#codec/rpc/values.ts';
import {type CallContext, rootPrincipal, systemContext} from '#contracts/context.ts';
import type {Wire} from '#contracts/wire.ts';
import type {Body} from '#contracts/worker-api.ts';
import {RpcClient} from '#rpc/client.ts';
import {windowBytes} from '#rpc/channel.ts';
import {rpcService} from '#rpc/served-calls.ts';
import {serveRpc} from '#rpc/server.ts';
import type {Connection, Net} from '#runtime/net.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** A net without a network: each write arrives as one chunk when the reader asks; a write waits until it was taken. */
function memoryNet(): Net {
  const listeners = new Map<number, (connection: Connection) => void>();
  const pipe = () => {
    const chunks: {bytes: Uint8Array; taken: () => void}[] = [];
    let wake = () => {};
    let over = false;
    const close = () => {
      over = true;
      wake();
      for (const chunk of chunks.splice(0)) chunk.taken();
    };
    const incoming = (async function* () {
      for (;;) {
        const chunk = chunks.shift();
        if (chunk) {
          chunk.taken();
          yield chunk.bytes;
        } else if (over) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    })();
    const write = (buffers: readonly Uint8Array[]) =>
      over
        ? Promise.reject(new WeirError('Unavailable', 'closed'))
        : new Promise<void>((taken) => {
            chunks.push({bytes: Buffer.concat(buffers), taken});
            wake();
          });
    return {incoming, write, close};
  };
  const side = (read: ReturnType<typeof pipe>, sent: ReturnType<typeof pipe>): Connection => {
    const destroy = () => {
      read.close();
      sent.close();
    };
    return {
      remote: {host: 'memory', port: 1},
      incoming: read.incoming,
      write: sent.write,
      end: () => Promise.resolve(sent.close()),
      destroy,
      [Symbol.asyncDispose]: () => Promise.resolve(destroy()),
    };
  };
  return {
    listen: (address, onConnection) => {
      listeners.set(address.port, onConnection);
      return Promise.resolve({address, [Symbol.asyncDispose]: () => Promise.resolve(void listeners.delete(address.port))});
    },
    connect: (address) => {
      const accept = listeners.get(address.port);
      if (!accept) return Promise.reject(new WeirError('Unavailable', 'nobody listens'));
      const [up, down] = [pipe(), pipe()];
      accept(side(up, down));
      return Promise.resolve(side(down, up));
    },
  };
}

let counter = 0;
function runtime(): Runtime {
  const log = {debug() {}, info() {}, warn() {}, error() {}, child: () => log};
  return {
    net: memoryNet(),
    random: {number: () => 0.5, bytes: (n: number) => new Uint8Array(n).fill(++counter & 0xff), id: () => String(++counter)},
    clock: {after: () => ({[Symbol.dispose]: () => {}})},
    log,
  } as unknown as Runtime;
}

interface Toy {
  add(a: number, b: number, context: CallContext): Promise<number>;
  echo(bytes: Uint8Array, context: CallContext): Promise<Uint8Array>;
  fails(context: CallContext): Promise<void>;
  bug(context: CallContext): Promise<void>;
  waits(context: CallContext): Promise<void>;
  count(to: number, context: CallContext): AsyncIterable<number>;
  pace(context: CallContext): AsyncIterable<number>;
  pour(bytes: number, context: CallContext): AsyncIterable<Uint8Array>;
  body(context: CallContext): Promise<Body>;
  publish(value: string, ready: () => Promise<void>, context: CallContext): Promise<string>;
  write(name: string, context: CallContext): Promise<{write(chunk: Uint8Array): Promise<void>; finish(ready: () => Promise<void>, expected?: {length: number}): Promise<number>; abort(): Promise<void>}>;
}

const wire: Wire<Toy> = {add: 'call', echo: 'call', fails: 'call', bug: 'call', waits: 'call', count: 'items', pace: 'paced', pour: 'bytes', body: 'body', publish: 'publish', write: 'writer'};

class ToyService implements Toy {
  aborted = 0;
  poured = 0;
  written: Buffer[] = [];
  cancelled = Promise.withResolvers<void>();
  waiting = Promise.withResolvers<void>();
  add = (a: number, b: number) => Promise.resolve(a + b);
  echo = (bytes: Uint8Array) => Promise.resolve(bytes);
  fails = () => Promise.reject(new WeirError('NotFound', 'there is no such toy', {details: {size: 7}}));
  bug = () => Promise.reject(new TypeError('secret detail'));
  waits = (context: CallContext) => {
    this.waiting.resolve();
    return new Promise<void>((_, reject) => {
      context.signal.addEventListener('abort', () => {
        this.cancelled.resolve();
        reject(context.signal.reason as Error);
      });
    });
  };
  async *count(to: number) {
    for (let i = 0; i < to; i++) yield i;
  }
  paced = 0;
  async *pace() {
    for (; ; this.paced++) yield this.paced;
  }
  async *pour(bytes: number) {
    for (; this.poured < bytes; this.poured += 65_536) yield new Uint8Array(65_536).fill(this.poured >> 16);
  }
  body = (): Promise<Body> => Promise.resolve({kind: 'bytes', length: 3, bytes: Buffer.from('abc')});
  publish = async (value: string, ready: () => Promise<void>) => {
    await ready();
    return value.toUpperCase();
  };
  write = () =>
    Promise.resolve({
      write: (chunk: Uint8Array) => Promise.resolve(void this.written.push(Buffer.from(chunk))),
      finish: async (ready: () => Promise<void>, expected?: {length: number}) => {
        await ready();
        const {length} = Buffer.concat(this.written);
        if (expected && expected.length !== length) throw new WeirError('IncompleteBody', `${length} bytes came`);
        return length;
      },
      abort: () => Promise.resolve(void this.aborted++),
    });
}

async function connected() {
  const machine = runtime();
  const service = new ToyService();
  const lookup = (id: string) => (id === 'key' ? {secret: 'swordfish', principal: rootPrincipal} : undefined);
  const listener = await serveRpc(machine, {address: {host: 'memory', port: 1}, services: [rpcService<Toy>('toy', wire, service)], lookup});
  const client = new RpcClient(machine, {address: {host: 'memory', port: 1}, accessKeyId: 'key', secretAccessKey: 'swordfish'});
  return {machine, service, client, listener, toy: client.stub<Toy>('toy', wire)};
}

describe('rpc', () => {
  it('calls, also many at a time', async () => {
    const {toy, client} = await connected();
    const sums = await Promise.all(Array.from({length: 100}, (_, i) => toy.add(i, 1, systemContext)));
    assert.deepEqual(sums, Array.from({length: 100}, (_, i) => i + 1));
    await client.close();
  });

  it('carries in one message what the kernel reads or writes at once, and refuses much more', async () => {
    const {toy, client} = await connected();
    assert.equal((await toy.echo(Buffer.alloc(dataBytesMax, 7), systemContext)).length, dataBytesMax);
    await assert.rejects(toy.echo(Buffer.alloc(2 * dataBytesMax), systemContext), {kind: 'TooLarge'});
    await client.close();
  });

  it('hands out what is paced when the one before was taken in', async () => {
    const {toy, service, client} = await connected();
    const numbers = toy.pace(systemContext)[Symbol.asyncIterator]();
    for (const wanted of [0, 1, 2]) {
      assert.equal((await numbers.next()).value, wanted);
      await toy.add(1, 1, systemContext);
      assert.equal(service.paced, wanted);
    }
    await numbers.return?.();
    await client.close();
  });

  it('carries errors with kind and details, and bugs without theirs', async () => {
    const {toy} = await connected();
    await assert.rejects(toy.fails(systemContext), (error) => isKind(error, 'NotFound') && error.message === 'there is no such toy' && error.details['size'] === 7);
    await assert.rejects(toy.bug(systemContext), (error) => isKind(error, 'Internal') && !error.message.includes('secret'));
  });

  it('cancels the other side when the caller goes away', async () => {
    const {toy, service} = await connected();
    const abort = new AbortController();
    const call = toy.waits({...systemContext, signal: abort.signal});
    await service.waiting.promise;
    abort.abort();
    await assert.rejects(call, (error) => isKind(error, 'Cancelled'));
    await service.cancelled.promise;
  });

  it('streams items and bytes, and does not run ahead of a reader that stops', async () => {
    const {toy, service} = await connected();
    const items: number[] = [];
    for await (const item of toy.count(5, systemContext)) items.push(item);
    assert.deepEqual(items, [0, 1, 2, 3, 4]);
    const reader = toy.pour(64 << 20, systemContext)[Symbol.asyncIterator]();
    assert.equal((await reader.next()).value?.length, 65_536);
    for (let i = 0; i < 1000; i++) await Promise.resolve();
    assert.ok(service.poured <= windowBytes + 65_536 * 2, `${service.poured} bytes were sent to a reader of one chunk`);
    let total = 65_536;
    for (let next = await reader.next(); !next.done; next = await reader.next()) total += next.value.length;
    assert.equal(total, 64 << 20);
  });

  it('delivers bodies, asks back before publishing, takes written bytes', async () => {
    const {toy, service} = await connected();
    const body = await toy.body(systemContext);
    assert.equal(body.length, 3);
    assert.ok(body.kind === 'stream');
    for await (const chunk of body.stream) assert.equal(Buffer.from(chunk).toString(), 'abc');

    let asked = 0;
    assert.equal(await toy.publish('x', () => Promise.resolve(void asked++), systemContext), 'X');
    assert.equal(asked, 1);
    await assert.rejects(toy.publish('x', () => Promise.reject(new WeirError('PreconditionFailed', 'no')), systemContext), (error) => isKind(error, 'PreconditionFailed'));

    const writer = await toy.write('n', systemContext);
    await writer.write(Buffer.alloc(5 << 20, 1));
    await writer.write(Buffer.from('end'));
    assert.equal(await writer.finish(() => Promise.resolve(), {length: (5 << 20) + 3}), (5 << 20) + 3);
    assert.equal(service.aborted, 0);

    const dropped = await toy.write('n', systemContext);
    await dropped.write(Buffer.from('half'));
    await dropped.abort();
    while (service.aborted === 0) await Promise.resolve();
  });

  it('refuses a wrong secret and an unknown key alike, and never sends the secret', async () => {
    const {machine} = await connected();
    for (const [accessKeyId, secretAccessKey] of [['key', 'haddock'], ['nobody', 'swordfish']] as const) {
      const toy = new RpcClient(machine, {address: {host: 'memory', port: 1}, accessKeyId, secretAccessKey}).stub<Toy>('toy', wire);
      await assert.rejects(toy.add(1, 1, systemContext), (error) => isKind(error, 'Unauthenticated') && !error.message.includes(secretAccessKey));
    }
  });
});

describe('frames', () => {
  it('are found however the bytes are split', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({min: 1, max: 8}), fc.nat(), fc.uint8Array({maxLength: 300})), {maxLength: 10}), fc.array(fc.integer({min: 1, max: 50}), {minLength: 1}), (frames, cuts) => {
        const bytes = Buffer.concat(frames.flatMap(([kind, stream, payload]) => [frameHeader(kind as 1, stream, payload.length), payload]));
        const parser = new FrameParser();
        const seen: [number, number, Uint8Array][] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length]!;
          for (const frame of parser.push(bytes.subarray(at, at + size))) seen.push([frame.kind, frame.stream, new Uint8Array(frame.payload)]);
          at += size;
        }
        assert.deepEqual(seen, frames.map(([kind, stream, payload]) => [kind, stream, payload]));
        assert.equal(parser.pendingBytes, 0);
      }),
    );
  });

  it('and values survive any bytes: a clean refusal or a value', () => {
    fc.assert(
      fc.property(fc.uint8Array({maxLength: 400}), (bytes) => {
        try {
          for (const frame of new FrameParser().push(bytes)) decodeValue(frame.payload);
          decodeError(bytes);
        } catch (error) {
          assert.ok(error instanceof WeirError);
        }
      }),
      {numRuns: 2000},
    );
  });

  it('keep numbers, big numbers, bytes and names', () => {
    const value = {small: 1, large: 2 ** 52 + 1, ns: 1_795_000_000_123_456_789n, bytes: Buffer.from([0, 255]), name: 'caf\xc3\xa9\xff', nothing: null};
    assert.deepEqual(decodeValue(encodeValue(value)), value);
    assert.equal(decodeError(encodeError(new WeirError('Busy', 'b'))).kind, 'Busy');
  });
});
