/** The serving side: takes connections, checks who is there, and calls the implementations of contracts. */
import {WeirError} from '#base/errors.ts';
import type {Foreground} from '#base/foreground.ts';
import {type Frame, FrameKind} from '#codec/rpc/frames.ts';
import {decodeValue, encodeValue} from '#codec/rpc/values.ts';
import type {CallContext, Principal} from '#contracts/context.ts';
import {wireVersion} from '#contracts/wire.ts';
import {Channel} from '#rpc/channel.ts';
import {nonceBytes, proof, sameProof} from '#rpc/handshake.ts';
import {type RpcService, ServedCalls, type Services, servicesByName, type Travelled} from '#rpc/served-calls.ts';
import type {Address, Connection, Listener} from '#runtime/net.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface RpcServerOptions {
  readonly address: Address;
  readonly services: readonly RpcService[];
  readonly lookup: (accessKeyId: string) => {readonly secret: string; readonly principal: Principal} | undefined;
  /** Where calls are counted. */
  readonly foreground?: Foreground;
}

/** A connection that has not said who it is by then is closed. */
const handshakeMs = 10_000;

/** Listens until disposed; then open connections are broken off. AlreadyExists when the port is taken. */
export async function serveRpc(runtime: Runtime, options: RpcServerOptions): Promise<Listener> {
  const channels = new Set<Channel>();
  const services = servicesByName(options.services);
  const listener = await runtime.net.listen(options.address, (connection) => {
    const channel = new Channel(connection);
    channels.add(channel);
    new Session(runtime, channel, connection, services, options).run(() => channels.delete(channel));
  });
  return {
    address: listener.address,
    [Symbol.asyncDispose]: async () => {
      for (const channel of channels) channel.destroy(new WeirError('Unavailable', 'the instance is stopping'));
      await listener[Symbol.asyncDispose]();
    },
  };
}

class Session {
  readonly #runtime: Runtime;
  readonly #channel: Channel;
  readonly #remote: Connection['remote'];
  readonly #calls: ServedCalls;
  readonly #options: Pick<RpcServerOptions, 'lookup' | 'foreground'>;
  #awaited: {readonly proof: Buffer; readonly principal: Principal} | undefined;
  #principal: Principal | undefined;

  constructor(runtime: Runtime, channel: Channel, connection: Connection, services: Services, options: Pick<RpcServerOptions, 'lookup' | 'foreground'>) {
    this.#runtime = runtime;
    this.#channel = channel;
    this.#remote = connection.remote;
    this.#calls = new ServedCalls(channel, {services, log: runtime.log});
    this.#options = options;
  }

  run(onClose: () => void): void {
    const deadline = this.#runtime.clock.after(handshakeMs, () => {
      if (!this.#principal) this.#channel.destroy(new WeirError('Timeout', 'no handshake'));
    });
    void this.#channel.run({
      onFrame: (frame) => {
        const principal = this.#principal;
        if (this.#options.foreground) this.#options.foreground.requests++;
        if (principal) this.#calls.onCall(frame, (travelled, signal) => contextOf(principal, travelled, signal));
        else this.#onHello(frame);
      },
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
    const known = typeof hello.accessKeyId === 'string' ? this.#options.lookup(hello.accessKeyId) : undefined;
    const secret = known?.secret ?? this.#runtime.random.id();
    this.#channel.post(FrameKind.hello, 0, encodeValue({version: wireVersion, nonce, proof: proof(secret, 'server', hello.nonce, nonce)}));
    const principal = known?.principal ?? {name: 'nobody', uid: 65_534, gids: []};
    this.#awaited = {proof: known ? proof(secret, 'client', hello.nonce, nonce) : Buffer.from(this.#runtime.random.bytes(32)), principal};
  }
}

/** Who is connected is known; a caller that says who it acts for is not believed. */
function contextOf(principal: Principal, travelled: Travelled | null, signal: AbortSignal): CallContext {
  if (!travelled) return {principal, signal};
  return {
    principal,
    signal,
    ...(travelled.request ? {request: travelled.request} : {}),
    ...(Array.isArray(travelled.expects) ? {expects: travelled.expects as NonNullable<CallContext['expects']>} : {}),
    ...(typeof travelled.origin === 'string' ? {origin: travelled.origin} : {}),
    ...(travelled.moment === 'safe' ? {moment: 'safe'} : {}),
    ...(travelled.owner ? {owner: travelled.owner} : {}),
    ...(travelled.trace ? {trace: travelled.trace} : {}),
  };
}
