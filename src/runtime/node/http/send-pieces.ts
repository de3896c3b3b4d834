/**
 * An answer whose bytes are still coming: what a local file has by now leaves by the kernel, what is lent in memory is written and given
 * back when the system has it.
 */
import type {Socket} from 'node:net';
import {WeirError} from '#base/errors.ts';
import type {FileLease} from '#model/file-lease.ts';
import {sendLease} from '#runtime/node/http/send-lease.ts';

/** `begin` writes the head, just before the first bytes. Returns early when the client is gone. */
export async function sendPieces(socket: Socket, pieces: AsyncIterable<Uint8Array | FileLease>, length: number, begin: () => void): Promise<void> {
  let sent = 0;
  for await (const piece of pieces) {
    if (socket.destroyed || sent + piece.length > length) {
      if (!(piece instanceof Uint8Array)) piece[Symbol.dispose]();
      if (socket.destroyed) return;
      throw wrongLength(length, sent + piece.length);
    }
    const isFirst = sent === 0;
    sent += piece.length;
    if (piece instanceof Uint8Array) {
      if (isFirst) socket.cork();
      if (isFirst) begin();
      const written = write(socket, piece);
      if (isFirst) socket.uncork();
      if (!(await written)) return;
    } else {
      if (isFirst) begin();
      if (!(await sendLease(socket, piece, piece.length))) return;
    }
  }
  if (sent !== length) throw wrongLength(length, sent);
}

/** True when the system has the bytes, false when the client is gone. */
function write(socket: Socket, bytes: Uint8Array): Promise<boolean> {
  return new Promise(resolve => void socket.write(bytes, error => resolve(!error)));
}

const wrongLength = (promised: number, had: number): WeirError => new WeirError('Internal', `an answer of ${promised} bytes had ${had}`);
