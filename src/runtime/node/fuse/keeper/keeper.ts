/** A daemon's side of a keeper: finds the one that a daemon before it has left, or starts one; and another one when it dies. */
import {spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {once} from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import {WeirError} from '#base/errors.ts';
import {deviceDescriptor, type KeeperArguments, type KeptMount, memoryDescriptor, tellWord, whoseWord} from '#runtime/node/fuse/keeper/protocol.ts';
import {type KeeperCalls, keeperCalls} from '#runtime/node/native/keeper-calls.ts';
import type {Log} from '#runtime/log.ts';

/** A keeper answers at once; one that does not has been stopped. */
const answerMs = 5_000;
const startMs = 20_000;
const restartMs = 1_000;
const heapMegabytes = 16;
const lineEnd = 0x0a;
const socketEnding = '.sock';

export interface KeeperPlace {
  /** Absolute; made when it is missing, for its owner alone. */
  readonly directory: string;
  readonly patienceMs: number;
}

export interface Kept {
  readonly mount: KeptMount;
  readonly device: number;
  readonly memory: number;
  readonly socket: net.Socket;
}

/** One name a mounted directory. */
const nameOf = (directory: string): string => createHash('sha256').update(directory).digest('hex').slice(0, 16);
const socketName = (directory: string): string => nameOf(directory) + socketEnding;
/** Locked by who serves a mount; stays. */
export const lockName = (directory: string): string => `${nameOf(directory)}.lock`;

/** The names of all keepers that have been in a place. */
export function keeperNames(directory: string): readonly string[] {
  try {
    return fs.readdirSync(directory).filter(name => name.endsWith(socketEnding));
  } catch {
    return [];
  }
}

/** What the keeper of this name holds; undefined when there is none. Its descriptors are the caller's from now on. */
export function takeFrom(calls: KeeperCalls, directory: string, name: string): Kept | undefined {
  let place: number;
  try {
    place = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  } catch {
    return undefined;
  }
  const socket = calls.connect(`/proc/self/fd/${place}/${name}`, answerMs);
  fs.closeSync(place);
  if (socket < 0) return undefined;
  const into = Buffer.alloc(16 * 1024);
  let received;
  try {
    fs.writeSync(socket, 'take\n');
    received = calls.receiveDescriptors(socket, into);
  } catch {
    received = -1;
  }
  if (typeof received === 'number' || received.descriptors.length < 2) {
    for (const descriptor of typeof received === 'number' ? [] : received.descriptors) fs.closeSync(descriptor);
    fs.closeSync(socket);
    return undefined;
  }
  const [device, memory] = received.descriptors as readonly [number, number];
  return {mount: JSON.parse(into.toString('utf8', 0, received.bytes)) as KeptMount, device, memory, socket: new net.Socket({fd: socket, readable: true, writable: true})};
}

/** The beginning of the memory of the keeper of this name; undefined when there is none, or it does not say so. */
export async function askWhose(directory: string, name: string): Promise<Uint8Array | undefined> {
  const place = await fs.promises.open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  const socket = net.connect(`/proc/self/fd/${place.fd}/${name}`);
  const {promise, resolve} = Promise.withResolvers<string | undefined>();
  let said = '';
  socket.on('connect', () => socket.write(`${whoseWord}\n`));
  socket.on('data', bytes => {
    said += bytes.toString('latin1');
    if (said.includes('\n')) resolve(said);
  });
  socket.on('error', () => resolve(undefined));
  socket.on('close', () => resolve(undefined));
  const timer = setTimeout(() => resolve(undefined), answerMs);
  const line = await promise;
  clearTimeout(timer);
  socket.destroy();
  await place.close();
  return line === undefined ? undefined : Buffer.from(line, 'base64');
}

export function findKept(calls: KeeperCalls, {directory}: KeeperPlace, mounted: string): Kept | undefined {
  return takeFrom(calls, directory, socketName(mounted));
}

/** Only looked at. */
export function closeKept({device, memory, socket}: Kept): void {
  fs.closeSync(device);
  fs.closeSync(memory);
  socket.destroy();
}

/** The mount goes; resolves when its keeper has gone, or at once where that cannot be seen. */
export async function endKept({device, memory, socket}: Kept): Promise<void> {
  fs.closeSync(device);
  fs.closeSync(memory);
  await said(socket, 'end\n');
}

async function said(socket: net.Socket, word: string): Promise<void> {
  if (socket.destroyed) return;
  const gone = once(socket, 'close').catch(() => undefined);
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(word);
  const timer = setTimeout(() => socket.destroy(), answerMs);
  await gone;
  clearTimeout(timer);
}

export class Keeper {
  readonly #calls: KeeperCalls;
  readonly #place: KeeperPlace;
  readonly #mount: KeptMount;
  readonly #device: number;
  readonly #memory: number;
  readonly #log: Log;
  #socket: net.Socket | undefined;
  #over = false;
  /** Who waits for `told`, in order; false when the keeper is gone. */
  #telling: ((told: boolean) => void)[] = [];

  private constructor(place: KeeperPlace, {mount, device, memory}: Omit<Kept, 'socket'>, log: Log) {
    this.#calls = keeperCalls()!;
    this.#place = place;
    this.#mount = mount;
    this.#device = device;
    this.#memory = memory;
    this.#log = log;
  }

  /** For a mount that was just made. The descriptors stay the caller's, and must be open for as long as this is. Unavailable. */
  static async start(place: KeeperPlace, kept: Omit<Kept, 'socket'>, log: Log): Promise<Keeper> {
    const keeper = new Keeper(place, kept, log);
    await keeper.#start();
    return keeper;
  }

  /** For a mount that was taken over. */
  static on(place: KeeperPlace, kept: Kept, log: Log): Keeper {
    const keeper = new Keeper(place, kept, log);
    keeper.#serve(kept.socket);
    return keeper;
  }

  /** A notification for the kernel. False when it was not, or may not have been, written: there is no keeper now. */
  async tell(notification: Uint8Array): Promise<boolean> {
    const socket = this.#socket;
    if (!socket || this.#over) return false;
    const {promise, resolve} = Promise.withResolvers<boolean>();
    this.#telling.push(resolve);
    socket.write(`${tellWord}${Buffer.from(notification.buffer, notification.byteOffset, notification.length).toString('base64')}\n`);
    return await promise;
  }

  /** The mount has gone. */
  async end(): Promise<void> {
    this.#over = true;
    if (this.#socket) await said(this.#socket, 'end\n');
  }

  /** The mount stays for the next daemon. */
  leave(): void {
    this.#over = true;
    this.#socket?.destroy();
  }

  async #start(): Promise<void> {
    const {directory, patienceMs} = this.#place;
    fs.mkdirSync(directory, {recursive: true, mode: 0o700});
    const name = socketName(this.#mount.directory);
    const given: KeeperArguments = {directory, name, mount: this.#mount, patienceMs};
    const flags = process.execArgv.filter(flag => flag.startsWith('--conditions='));
    const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', 'pipe', 'ignore'];
    stdio[deviceDescriptor] = this.#device;
    stdio[memoryDescriptor] = this.#memory;
    const module = new URL(import.meta.resolve('#runtime/node/fuse/keeper/keeper-main.ts')).pathname;
    const child = spawn(process.execPath, [...flags, `--max-old-space-size=${heapMegabytes}`, module, JSON.stringify(given)], {stdio, detached: true, cwd: '/', env: {}});
    child.unref();
    const {promise, resolve, reject} = Promise.withResolvers<void>();
    child.once('error', reject);
    child.once('exit', status => reject(new Error(`it ended with status ${status}`)));
    child.stdout!.once('data', () => resolve());
    const timer = setTimeout(() => reject(new Error('it does not answer')), startMs);
    try {
      await promise;
    } catch (cause) {
      throw new WeirError('Unavailable', `the keeper of the mount could not be started: ${(cause as Error).message}`, {cause});
    } finally {
      clearTimeout(timer);
      child.stdout!.destroy();
      child.removeAllListeners();
      child.on('error', () => undefined);
    }
    const place = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    const socket = this.#calls.connect(`/proc/self/fd/${place}/${name}`, answerMs);
    fs.closeSync(place);
    if (socket < 0) throw new WeirError('Unavailable', `the keeper of the mount cannot be reached (errno ${-socket})`);
    this.#serve(new net.Socket({fd: socket, readable: true, writable: true}));
  }

  #serve(socket: net.Socket): void {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => void this.#lost());
    // The keeper says nothing but `told`, a line each.
    socket.on('data', bytes => {
      for (const byte of bytes) if (byte === lineEnd) this.#telling.shift()?.(true);
    });
    socket.unref();
    socket.write('serve\n');
  }

  /** Killed, perhaps: until there is another one the mount goes with this process. */
  async #lost(): Promise<void> {
    this.#socket = undefined;
    for (const resolve of this.#telling.splice(0)) resolve(false);
    if (this.#over) return;
    this.#log.warn('fuse: the keeper of the mount has ended; another one is started');
    for (;;) {
      await new Promise(resolve => setTimeout(resolve, restartMs).unref());
      if (this.#over) return;
      try {
        return await this.#start();
      } catch (error) {
        this.#log.warn('fuse: the mount has no keeper, and would end with this process', {error});
      }
    }
  }
}

