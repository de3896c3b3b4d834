/**
 * Connections that read into one buffer which they share: what is read is used up, or copied by who wants to keep it, before the next read of any of
 * them. Node makes a buffer for each read of a connection that a server has accepted, and pushes it through a stream; only connections that a program
 * opens itself may bring their own. So an accepted one is opened again on a duplicate of its descriptor.
 */
import {Socket} from 'node:net';
import {KiB} from '#base/units.ts';
import {libc} from '#runtime/node/native/libc.ts';

const receiveBytes = 64 * KiB;
let receiving: Buffer | undefined;

/**
 * `accepted` is one of a server with pauseOnConnect and without TLS, and is used up. `received` is called with bytes that are good for that call only.
 * Undefined where there is no way to: the accepted connection is as it was.
 */
export function reopen(accepted: Socket, received: (bytes: Buffer) => void): Socket | undefined {
  const duplicate = duplicateOf(accepted);
  if (duplicate < 0) return undefined;
  const socket = openReceiving(duplicate, received);
  accepted.destroy();
  return socket;
}

/** A second descriptor of a socket's connection; negative where there is no way to. */
export function duplicateOf(socket: Socket): number {
  const fd = (socket as unknown as {readonly _handle?: {readonly fd?: number} | null})._handle?.fd ?? -1;
  return fd < 0 ? -1 : (libc()?.duplicate(fd) ?? -1);
}

/** A connection by its descriptor, which is used up. Without `received` its bytes come as those of a stream. */
export function openReceiving(fd: number, received?: (bytes: Buffer) => void): Socket {
  const settings = {fd, readable: true, writable: true, allowHalfOpen: true};
  if (!received) return new Socket(settings);
  const buffer = (receiving ??= Buffer.allocUnsafeSlow(receiveBytes));
  const callback = (count: number): boolean => {
    received(buffer.subarray(0, count));
    return true;
  };
  return new Socket({...settings, onread: {buffer, callback}});
}
