/**
 * A network from a seed. Bytes of one direction of one connection arrive in order, in other pieces than they were sent, after random
 * delays. Connections can be broken, and machines parted: what is sent then arrives after they are joined again.
 */
import {WeirError} from '#base/errors.ts';
import type {Address, Connection, Listener, Net} from '#runtime/net.ts';
import type {Life} from '#runtime/sim/life.ts';

const windowBytes = 256 * 1024;
const firstFreePort = 40_000;
/** How long somebody waits who connects to a machine that does not answer, virtual ms. */
const connectTimeoutMs = 5_000;
const delayMs = [0.02, 1] as const;

interface Listening {
  readonly life: Life;
  readonly accept: (connection: Connection) => void;
}

/** The network of a whole simulation. Tests hold this; programs hold what `attach` answers. */
export class SimNet {
  /** How likely each write breaks its connection. */
  breakChance = 0;
  readonly #listeners = new Map<string, Listening>();
  readonly #pairs = new Set<Pair>();
  readonly #parted = new Set<string>();
  #nextPort = firstFreePort;

  /** Nothing passes between the two machines until they are joined. */
  part(a: string, b: string): void {
    this.#parted.add(link(a, b));
  }

  join(a: string, b: string): void {
    this.#parted.delete(link(a, b));
    for (const pair of this.#pairs) pair.pump();
  }

  /** Breaks every connection that is open now. */
  breakAll(): void {
    for (const pair of this.#pairs) pair.breakOff();
  }

  isParted(a: string, b: string): boolean {
    return this.#parted.has(link(a, b));
  }

  attach(life: Life): Net {
    life.onEnd(() => {
      for (const [key, listening] of this.#listeners) if (listening.life === life) this.#listeners.delete(key);
      for (const pair of this.#pairs) if (pair.belongsTo(life)) pair.breakOff();
    });
    return {
      connect: (address, options) => this.#connect(life, address, options?.signal),
      listen: (address, accept) => this.#listen(life, address, accept),
    };
  }

  async #connect(life: Life, address: Address, signal?: AbortSignal): Promise<Connection> {
    const aborted = () => new WeirError('Unavailable', `connecting to ${show(address)}: given up`, {cause: signal?.reason});
    if (signal?.aborted) throw aborted();
    const giveUp = Promise.withResolvers<never>();
    const onAbort = (): void => {
      if (life.alive) giveUp.reject(aborted());
    };
    signal?.addEventListener('abort', onAbort, {once: true});
    try {
      return await Promise.race([this.#dial(life, address), giveUp.promise]);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async #dial(life: Life, address: Address): Promise<Connection> {
    await life.pause(...delayMs);
    const listening = this.#listeners.get(show(address)) ?? this.#listeners.get(show({host: '0.0.0.0', port: address.port}));
    if (listening && this.isParted(life.machine, listening.life.machine)) {
      await life.pause(connectTimeoutMs, connectTimeoutMs);
      throw new WeirError('Unavailable', `connecting to ${show(address)}: no answer`);
    }
    if (!listening?.life.alive) throw new WeirError('Unavailable', `connecting to ${show(address)}: nobody listens`);
    const pair = new Pair(this, life, {host: life.machine, port: this.#nextPort++}, listening.life, address, () => this.#pairs.delete(pair));
    this.#pairs.add(pair);
    life.note(`connect ${show(address)}`);
    listening.accept(pair.back);
    return pair.front;
  }

  async #listen(life: Life, address: Address, accept: (connection: Connection) => void): Promise<Listener> {
    await life.pause(0, 0);
    const bound = address.port === 0 ? {host: address.host, port: this.#nextPort++} : address;
    const key = show(bound);
    if (this.#listeners.has(key)) throw new WeirError('AlreadyExists', `listening on ${key}: the port is taken`);
    const listening: Listening = {life, accept};
    this.#listeners.set(key, listening);
    return {
      address: bound,
      [Symbol.asyncDispose]: () => {
        if (this.#listeners.get(key) === listening) this.#listeners.delete(key);
        for (const pair of this.#pairs) if (pair.acceptedBy(listening.life, bound)) pair.breakOff();
        return Promise.resolve();
      },
    };
  }
}

const show = ({host, port}: Address): string => `${host}:${port}`;
const link = (a: string, b: string): string => [a, b].sort().join('|');

/** Both ends of one connection. */
class Pair {
  readonly front: Connection;
  readonly back: Connection;
  readonly #net: SimNet;
  readonly #dialer: Life;
  readonly #acceptor: Life;
  readonly #acceptedAt: Address;
  readonly #gone: () => void;
  readonly #up: Flow;
  readonly #down: Flow;
  #broken = false;

  constructor(net: SimNet, dialer: Life, dialerAddress: Address, acceptor: Life, acceptorAddress: Address, gone: () => void) {
    this.#net = net;
    this.#dialer = dialer;
    this.#acceptor = acceptor;
    this.#acceptedAt = acceptorAddress;
    this.#gone = gone;
    const passes = (): boolean => !net.isParted(dialer.machine, acceptor.machine);
    this.#up = new Flow(dialer, acceptor, acceptorAddress, passes, () => this.#flowEnded());
    this.#down = new Flow(acceptor, dialer, dialerAddress, passes, () => this.#flowEnded());
    this.front = this.#end(acceptorAddress, this.#down, this.#up);
    this.back = this.#end(dialerAddress, this.#up, this.#down);
  }

  belongsTo(life: Life): boolean {
    return this.#dialer === life || this.#acceptor === life;
  }

  acceptedBy(life: Life, address: Address): boolean {
    return this.#acceptor === life && this.#acceptedAt.port === address.port;
  }

  pump(): void {
    this.#up.pump();
    this.#down.pump();
  }

  breakOff(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#up.break();
    this.#down.break();
    this.#gone();
  }

  #flowEnded(): void {
    if (this.#up.ended && this.#down.ended) this.#gone();
  }

  #end(remote: Address, incoming: Flow, outgoing: Flow): Connection {
    return {
      remote,
      incoming: incoming.read(),
      write: async (buffers) => {
        if (this.#net.breakChance > 0 && this.#dialer.random.chance(this.#net.breakChance)) this.breakOff();
        await outgoing.write(buffers);
      },
      end: () => outgoing.end(),
      destroy: () => this.breakOff(),
      [Symbol.asyncDispose]: () => Promise.resolve(this.breakOff()),
    };
  }
}

/** One direction of a connection. */
class Flow {
  ended = false;
  readonly #sender: Life;
  readonly #receiver: Life;
  readonly #to: Address;
  readonly #passes: () => boolean;
  readonly #onEnd: () => void;
  /** Sent and not yet arrived; undefined is the end. */
  readonly #underWay: (Uint8Array | undefined)[] = [];
  /** Arrived and not yet read. */
  readonly #arrived: (Uint8Array | undefined)[] = [];
  #bytes = 0;
  #delivering = false;
  #closed = false;
  #broken = false;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];

  constructor(sender: Life, receiver: Life, to: Address, passes: () => boolean, onEnd: () => void) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#to = to;
    this.#passes = passes;
    this.#onEnd = onEnd;
  }

  async write(buffers: readonly Uint8Array[]): Promise<void> {
    if (!this.#sender.alive) return new Promise(() => {});
    this.#checkOpen();
    for (const buffer of buffers) {
      if (buffer.length === 0) continue;
      // Copied, and cut where the seed says: whoever parses must not rely on how it was sent.
      const cut = buffer.length > 1 && this.#sender.random.chance(0.3) ? 1 + Math.floor(this.#sender.random.number() * (buffer.length - 1)) : buffer.length;
      this.#underWay.push(buffer.slice(0, cut));
      if (cut < buffer.length) this.#underWay.push(buffer.slice(cut));
      this.#bytes += buffer.length;
    }
    this.pump();
    while (this.#bytes > windowBytes && !this.#broken) await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
    if (!this.#sender.alive) return new Promise(() => {});
    if (this.#broken) this.#checkOpen();
  }

  async end(): Promise<void> {
    if (this.#closed || this.#broken) return;
    this.#closed = true;
    this.#underWay.push(undefined);
    this.pump();
    await this.#sender.pause(0, 0);
  }

  break(): void {
    this.#broken = true;
    this.#underWay.length = 0;
    this.#arrived.length = 0;
    this.#wakeReader?.();
    this.#releaseWriters();
  }

  /** Lets the next piece travel. */
  pump(): void {
    if (this.#delivering || this.#underWay.length === 0 || !this.#passes()) return;
    this.#delivering = true;
    this.#receiver.after(this.#sender.random.between(...delayMs), () => {
      this.#delivering = false;
      if (this.#broken || !this.#passes()) return;
      this.#arrived.push(...this.#underWay.splice(0, 1 + Math.floor(this.#sender.random.number() * 4)));
      this.#wakeReader?.();
      this.pump();
    });
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#arrived.length === 0 && !this.#broken) {
        await new Promise<void>((resolve) => (this.#wakeReader = resolve));
        this.#wakeReader = undefined;
      }
      if (!this.#receiver.alive) await new Promise(() => {});
      if (this.#broken) throw new WeirError('Unavailable', `the connection to ${show(this.#to)} broke`);
      const chunk = this.#arrived.shift();
      if (chunk === undefined) {
        this.ended = true;
        this.#onEnd();
        return;
      }
      this.#bytes -= chunk.length;
      this.#releaseWriters();
      yield chunk;
    }
  }

  #releaseWriters(): void {
    const waiting = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of waiting) wake();
  }

  #checkOpen(): void {
    if (this.#closed || this.#broken) throw new WeirError('Unavailable', `the connection to ${show(this.#to)} is closed`);
  }
}
