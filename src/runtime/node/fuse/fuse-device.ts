/**
 * The FUSE device on the event loop, without a thread and without a wait: /dev/fuse can be polled like a socket, so it is put under the
 * descriptor number of a pipe that node:net reads. Every read brings exactly one request; every write is exactly one answer. What is there
 * behind a request is read in the same turn: another round of the loop costs as much as many a request.
 *
 * Tried beside it: a blocking read in the pool (a slot of four is lost, and every request costs a hop between threads) and threads of our
 * own (the same hop). This way one request at a time costs a poll, a read and a write.
 */
import fs from 'node:fs';
import net from 'node:net';
import {notificationHead} from '#codec/fuse/reply.ts';
import {WeirError} from '#base/errors.ts';
import {KiB, MiB} from '#base/units.ts';
import type {Descriptor} from '#model/file-lease.ts';
import type {FuseDevice, KeptMemory} from '#runtime/fuse.ts';
import {descriptorNumber} from '#runtime/node/descriptor.ts';
import type {Keeper} from '#runtime/node/fuse/keeper/keeper.ts';
import type {FuseCalls} from '#runtime/node/native/fuse-calls.ts';
import {systemError} from '#runtime/node/system-errors.ts';

/** What the kernel may send in one WRITE: 256 pages of 4 KiB, its limit unless an administrator raised it. */
const writeBytesMax = MiB;
/** A request has one page of header and names before its data. */
const messageBytesMax = writeBytesMax + 4096;

/** The mount went away under us: unmounted, or aborted by an administrator. */
const endings = new Set(['ENODEV', 'ECONNABORTED', 'EOF']);
/** What an answer meets when its request was interrupted or its mount has gone. */
const unwanted = new Set(['ENOENT', 'ENODEV', 'ECONNABORTED']);

/** Read in one turn of the event loop, which others wait for: so many, and nothing behind one with data. */
const messagesAtOnce = 8;
const briefBytesMax = 16 * KiB;

const sigkillBit = 1n << 8n;

/** Who keeps the mount, and its memory, a descriptor; owned by the device. */
export interface DeviceKeeper {
  readonly keeper: Keeper;
  readonly memory: number;
}

export interface MountedBy {
  readonly user: FuseDevice['user'];
  readonly keeper: DeviceKeeper | undefined;
  readonly unmount: () => Promise<void>;
  /** Somebody else may serve the mount, or mount there. */
  readonly release: () => void;
}

export class NodeFuseDevice implements FuseDevice {
  readonly writeBytesMax = writeBytesMax;
  readonly #device: number;
  readonly #calls: FuseCalls;
  readonly #unmount: () => Promise<void>;
  readonly #release: () => void;
  readonly #message = Buffer.alloc(messageBytesMax);
  readonly #ended = Promise.withResolvers<void>();
  #socket: net.Socket | undefined;
  #mayPassThrough = true;
  #notified: Promise<void> = Promise.resolve();
  #gone = false;
  #leaving = false;
  /** Its descriptors may be other files' by now. */
  #closed = false;
  #paused = false;
  readonly #keeper: DeviceKeeper | undefined;
  readonly kept: KeptMemory | undefined;

  readonly user: FuseDevice['user'];

  /** `device`: /dev/fuse, mounted; owned from now on. */
  constructor(device: number, calls: FuseCalls, {unmount, user, keeper, release}: MountedBy) {
    this.#release = release;
    this.user = user;
    this.#device = device;
    this.#calls = calls;
    this.#unmount = unmount;
    this.#keeper = keeper;
    this.kept = keeper && keptMemory(keeper.memory, () => !this.#closed);
  }

  start(handler: (message: Buffer) => void, ended: (failure?: Error) => void): void {
    const number = this.#calls.readingEnd();
    if (number < 0) throw new WeirError('Overloaded', `no descriptor for the FUSE device (errno ${-number})`);
    const onread = {
      buffer: this.#message,
      callback: (length: number, bytes: Uint8Array) => {
        handler((bytes as Buffer).subarray(0, length));
        this.#readOn(length, handler);
        return true;
      },
    };
    // The types of node:net leave out that a socket on a descriptor takes `onread` as well.
    const socket = new net.Socket({fd: number, readable: true, writable: false, onread} as net.SocketConstructorOpts);
    this.#socket = socket;
    let failure: Error | undefined;
    socket.once('error', (error) => {
      if (!endings.has((error as NodeJS.ErrnoException).code ?? '')) failure = systemError(error, 'the FUSE device failed');
    });
    socket.once('close', () => {
      this.#gone = true;
      // The number must not be another file's while a notification is being written.
      void this.#notified.then(async () => {
        if (!this.#leaving) await this.#keeper?.keeper.end();
        this.#close();
        this.#ended.resolve();
        if (!this.#leaving) ended(failure);
      });
    });
    const replaced = this.#calls.replace(number, this.#device);
    if (replaced < 0) socket.destroy(new Error(`dup3 failed with errno ${-replaced}`));
    else socket.resume();
  }

  /** Whatever is wrong with the device is said to node:net, too. */
  #readOn(first: number, handler: (message: Buffer) => void): void {
    for (let count = 1, length = first; count < messagesAtOnce && length <= briefBytesMax && !this.#paused; count++) {
      length = this.#calls.readNow(this.#device, this.#message);
      if (length <= 0) return;
      handler(this.#message.subarray(0, length));
    }
  }

  send(head: Uint8Array, body?: Uint8Array): boolean {
    if (this.#closed) return false;
    try {
      fs.writevSync(this.#device, body ? [head, body] : [head]);
      return true;
    } catch (error) {
      if (unwanted.has((error as NodeJS.ErrnoException).code ?? '')) return false;
      throw systemError(error, 'the FUSE device refused an answer');
    }
  }

  /**
   * The kernel may hold up who writes it until we have answered a request. So the keeper does, for a process cannot be killed while one of its
   * threads waits there; else a thread of the pool, one only, so that the others go on and let it free.
   */
  notify(code: number, body: Uint8Array): Promise<void> {
    const message = Buffer.concat([notificationHead(code, body.length), body]);
    const sent = this.#notified.then(async () => {
      if (this.#gone || (await this.#keeper?.keeper.tell(message))) return;
      if (this.#gone || this.#leaving) return;
      // What the kernel does not know, or a kind of notification that it does not know, is nothing to be taken back.
      await new Promise<void>(resolve => fs.write(this.#device, message, () => resolve()));
    });
    this.#notified = sent;
    return sent;
  }

  registerBacking(file: Descriptor): number | undefined {
    if (!this.#mayPassThrough || this.#closed) return undefined;
    const id = this.#calls.registerBacking(this.#device, descriptorNumber(file));
    if (id > 0) return id;
    // Not a matter of this file: the kernel is too old, or we may not (CAP_SYS_ADMIN).
    this.#mayPassThrough = false;
    return undefined;
  }

  releaseBacking(id: number): void {
    if (!this.#closed) this.#calls.releaseBacking(this.#device, id);
  }

  isKilled(thread: number): boolean {
    try {
      // Whatever a signal is that ends a process, the kernel leaves SIGKILL with each of its threads. procfs waits for no disk.
      const pending = /^SigPnd:\s*([\da-f]+)$/m.exec(fs.readFileSync(`/proc/${thread}/status`, 'latin1'))?.[1];
      return pending === undefined || (BigInt(`0x${pending}`) & sigkillBit) !== 0n;
    } catch {
      return true;
    }
  }

  endWithProcess(): void {
    void this.#keeper?.keeper.end();
  }

  async leave(settled: Promise<void>): Promise<void> {
    this.#paused = true;
    this.#socket?.pause();
    await settled;
    this.#leaving = true;
    this.#keeper?.keeper.leave();
    if (this.#socket) {
      this.#socket.destroy();
      await this.#ended.promise;
    } else this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#leaving) return;
    if (this.#socket) {
      await this.#unmount();
      await this.#ended.promise;
    } else {
      await this.#keeper?.keeper.end();
      this.#close();
      await this.#unmount();
    }
  }

  #close(): void {
    this.#closed = true;
    fs.closeSync(this.#device);
    if (this.#keeper) fs.closeSync(this.#keeper.memory);
    this.#release();
  }
}

export function keptMemory(file: number, isOpen: () => boolean): KeptMemory {
  return {
    read: (into, position) => void into.fill(0, fs.readSync(file, into, 0, into.length, position)),
    write: (bytes, position) => void (isOpen() && fs.writeSync(file, bytes, 0, bytes.length, position)),
  };
}
