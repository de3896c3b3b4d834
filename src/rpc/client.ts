/** The calling side: a connection that is made when it is first needed, authenticated, and stubs of contracts over it. */
import {WeirError} from '#base/errors.ts';
import {FrameKind} from '#codec/rpc/frames.ts';
import {decodeValue, encodeValue} from '#codec/rpc/values.ts';
import {type Wire, wireVersion} from '#contracts/wire.ts';
import {Calls, plainTravelling} from '#rpc/calls.ts';
import {Channel} from '#rpc/channel.ts';
import {proof, sameProof} from '#rpc/handshake.ts';
import type {Address} from '#runtime/net.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface RpcClientOptions {
  readonly address: Address;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** A connection that was made is lost: before the calls under way fail of it. The next call makes another one, unless the client is closed. */
  readonly onLost?: () => void;
}

export class RpcClient implements AsyncDisposable {
  readonly #runtime: Pick<Runtime, 'net' | 'random'>;
  readonly #options: RpcClientOptions;
  readonly #calls: Calls = new Calls((signal) => this.#connected(signal), plainTravelling);
  #channel: Promise<Channel> | undefined;
  #closed = false;

  constructor(runtime: Pick<Runtime, 'net' | 'random'>, options: RpcClientOptions) {
    this.#runtime = runtime;
    this.#options = options;
  }

  /** A stub: the contract's type, each method a call to `name` on the other side. */
  stub<T>(name: string, wire: Wire<T>): T {
    return this.#calls.stub(name, wire);
  }

  /** Nothing is called any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const channel = await this.#channel?.catch(() => undefined);
    channel?.destroy(new WeirError('Cancelled', 'the client was closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #connected(signal: AbortSignal): Promise<Channel> {
    if (this.#closed) return Promise.reject(new WeirError('Unavailable', 'the client was closed'));
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
        if (!this.#closed) this.#options.onLost?.();
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
