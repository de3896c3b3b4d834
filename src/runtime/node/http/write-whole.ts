/**
 * A small answer in one piece: head and body side by side in one buffer and handed to the system by one write. The buffer is used again for
 * the next answer when the system took all of it at once, which it nearly always does; otherwise it belongs to the socket. TLS encrypts at
 * its own pace, so it gets buffers of its own (`writeOwnLease`).
 */
import type {Socket} from 'node:net';
import {WeirError} from '#base/errors.ts';
import type {FileLease} from '#model/file-lease.ts';
import {descriptorNumber} from '#runtime/node/descriptor.ts';
import {type Libc, libc} from '#runtime/node/native/libc.ts';

/** Up to this a body is sent in one piece with its head. */
export const wholeBodyBytesMax = 64 * 1024;
/** Beside such a body. */
const headBytesMax = 16 * 1024;
const sharedBytes = headBytesMax + wholeBodyBytesMax;

let shared = Buffer.allocUnsafeSlow(sharedBytes);

/** Where the head of an answer is put that is sent whole without TLS: before any other call of this module, with the body following in the same turn. */
export function headRoom(): Buffer {
  return shared;
}

/** Head and body without TLS; the head is the first so many bytes in `headRoom`. */
export function writeWhole(socket: Socket, headBytes: number, body: Uint8Array): void {
  shared.set(body, headBytes);
  writeShared(socket, headBytes + body.length);
}

/**
 * The same with the bytes of a lease, which is used up. Undefined: done. Otherwise a promise, which rejects with ContentChanged, and with
 * what the lease throws, before anything is sent.
 */
export function writeWholeLease(socket: Socket, headBytes: number, lease: FileLease, length: number): Promise<void> | undefined {
  const native = libc();
  const canShare = !lease.validate;
  if (native && canShare && native.preadResident(descriptorNumber(lease.file), shared, lease.offset, headBytes, length) === length) {
    lease[Symbol.dispose]();
    writeShared(socket, headBytes + length);
    return undefined;
  }
  return writeReadLease(socket, shared.toString('latin1', 0, headBytes), lease, length, canShare ? undefined : native);
}

/** The same, where there is no sharing. */
export function writeOwnLease(socket: Socket, head: string, lease: FileLease, length: number): Promise<void> {
  return writeReadLease(socket, head, lease, length, libc());
}

/** The slower way, for what is not in memory or not vouched for. */
async function writeReadLease(socket: Socket, head: string, lease: FileLease, length: number, native: Libc | undefined): Promise<void> {
  using held = lease;
  const total = head.length + length;
  const own = Buffer.allocUnsafe(total);
  const into = own.subarray(head.length);
  const resident = native?.preadResident(descriptorNumber(held.file), into, held.offset);
  if (resident !== length && (await held.read(into, held.offset)) !== length) throw new WeirError('ContentChanged', `a file ended before the ${held.length} bytes that were promised`);
  if (held.validate) await held.validate();
  own.write(head, 'latin1');
  socket.write(own);
}

/** Straight to the system where nothing waits before it: the way through the stream and libuv costs several times the call. */
function writeShared(socket: Socket, length: number): void {
  const fd = socket.writable && socket.writableLength === 0 ? ((socket as unknown as {readonly _handle?: {readonly fd?: number} | null})._handle?.fd ?? -1) : -1;
  const sent = fd < 0 ? 0 : Math.max(0, libc()?.send(fd, shared, length) ?? 0);
  if (sent === length) return;
  socket.write(shared.subarray(sent, length));
  if (socket.writableLength > 0) shared = Buffer.allocUnsafeSlow(sharedBytes);
}
