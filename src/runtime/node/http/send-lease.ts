/**
 * Bytes of a local file into a socket, by the kernel where possible: sendfile(2) on a duplicate of the socket's descriptor. The duplicate
 * outlives a closed socket, so the bytes cannot reach a stranger who got the same number; it is closed when the sending ends in any way,
 * for the peer sees no end of the connection while it is open.
 *
 * sendfile runs on the event loop, so only for ranges that are in the page cache; others are read in the pool and written in the ordinary
 * way (after which the kernel's own read-ahead has usually brought the next ones). When the socket is full, an ordinary write of the next
 * piece lets libuv wait for room. Nothing is sent before what libuv still holds of this connection has left.
 */
import type {Socket} from 'node:net';
import {WeirError} from '#base/errors.ts';
import type {FileLease} from '#model/file-lease.ts';
import {descriptorNumber} from '#runtime/node/descriptor.ts';
import {openDuplicate} from '#runtime/node/http/duplicates.ts';
import {type Libc, libc} from '#runtime/node/native/libc.ts';

const EAGAIN = -11;
const EINTR = -4;
/** Written in the ordinary way when the socket is full. */
const pieceBytes = 64 * 1024;
/** Looked up in the page cache at a time, and read at a time when it is not there. */
const windowBytes = 1024 * 1024;
/** Sent by the kernel before other connections get their turn. */
const turnBytes = 4 * 1024 * 1024;

/** Sends the whole range after what was written to the socket before; true when it has left, false when the client is gone. The lease is used up. */
export async function sendLease(socket: Socket, lease: FileLease, length: number): Promise<boolean> {
  using held = lease;
  const out = new Outlet(socket);
  using _end = out;
  const last = held.validate ? Math.min(pieceBytes, length) : 0;
  if (!(await out.send(held, held.offset, length - last))) return false;
  if (held.validate) {
    await held.validate();
    if (!(await out.send(held, held.offset + length - last, last))) return false;
  }
  return true;
}

/** A socket to which files are sent. */
class Outlet implements Disposable {
  readonly #socket: Socket;
  readonly #libc: Libc | undefined;
  /** Undefined without a way to call the kernel. */
  readonly #duplicate: ReturnType<typeof openDuplicate>;
  #piece: Buffer | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const fd = (socket as unknown as {readonly _handle?: {readonly fd?: number} | null})._handle?.fd ?? -1;
    this.#libc = fd >= 0 ? libc() : undefined;
    this.#duplicate = fd >= 0 ? openDuplicate(fd) : undefined;
  }

  [Symbol.dispose](): void {
    this.#duplicate?.close();
  }

  /** False when the client is gone. */
  async send(lease: FileLease, start: number, length: number): Promise<boolean> {
    const end = start + length;
    let turn = turnBytes;
    for (let position = start; position < end; ) {
      if (this.#socket.destroyed) return false;
      const window = Math.min(windowBytes, end - position);
      if (!this.#mayCall(lease, position, window)) {
        if (!(await this.#write(lease, position, window, Buffer.allocUnsafe(window)))) return false;
        position += window;
        continue;
      }
      if (this.#socket.writableLength > 0 && !(await this.#flushed())) return false;
      const sent = this.#libc!.sendfile(this.#duplicate!.fd, descriptorNumber(lease.file), position, window);
      if (sent > 0) {
        position += sent;
        turn -= sent;
        if (turn > 0) continue;
        turn = turnBytes;
        await new Promise((resolve) => void setImmediate(resolve));
      } else if (sent === 0) throw shorter(lease);
      else if (sent === EAGAIN) {
        const piece = Math.min(pieceBytes, end - position);
        this.#piece ??= Buffer.allocUnsafe(pieceBytes);
        if (!(await this.#write(lease, position, piece, this.#piece.subarray(0, piece)))) return false;
        position += piece;
      } else if (sent !== EINTR) return false; // the connection broke; the socket will say so
    }
    return true;
  }

  #mayCall(lease: FileLease, position: number, length: number): boolean {
    if (!this.#duplicate) return false;
    if (lease.resident) return true;
    const found = this.#libc!.cached(descriptorNumber(lease.file), position, length);
    return found !== undefined && found.cached >= found.pages;
  }

  /** The ordinary way: read, write, and wait until the system has it. `into` is free again afterwards. */
  async #write(lease: FileLease, position: number, length: number, into: Buffer): Promise<boolean> {
    const resident = this.#libc?.preadResident(descriptorNumber(lease.file), into, position);
    if (resident !== length && (await lease.read(into, position)) !== length) throw shorter(lease);
    if (this.#socket.destroyed) return false;
    return await new Promise((resolve) => void this.#socket.write(into, (error) => resolve(!error)));
  }

  /** Everything that was written before is with the system. */
  #flushed(): Promise<boolean> {
    return new Promise((resolve) => void this.#socket.write('', (error) => resolve(!error)));
  }
}

const shorter = (lease: FileLease): WeirError => new WeirError('ContentChanged', `a file ended before the ${lease.length} bytes that were promised`);
