/**
 * Bodies on their way out of an HTTP server.
 *
 * Bytes of a lease leave by sendfile(2), from the page cache to the socket without passing through this process. It is called on a
 * duplicate of the socket's descriptor: the copy stays what it is when the socket is closed and its number is given to somebody else, so
 * bytes can never reach a stranger's connection. Node knows nothing of these bytes, so they go out only when everything that Node had to
 * send has left. When the socket's buffer is full, one ordinary write of the next bytes lets libuv wait for room; then sendfile goes on.
 * What is not in the page cache is read through the thread pool instead, so that the event loop never waits for a disk.
 */
import type {Socket} from 'node:net';
import type {ServerResponse} from 'node:http';
import {WeirError} from '#base/errors.ts';
import type {Body} from '#contracts/worker-api.ts';
import type {FileLease} from '#model/file-lease.ts';
import {descriptorNumber} from '#runtime/node/descriptor.ts';
import {type Libc, libc} from '#runtime/node/native/libc.ts';

const EAGAIN = 11;
const EINTR = 4;
/** Handed to Node when the socket is full: enough to wake up late, little enough to copy. */
const ordinaryWriteBytes = 64 * 1024;
/** Read through the pool when the page cache has not all of it. */
const coldPieceBytes = 512 * 1024;
/** Per call, so that one fast reader cannot hold the loop. */
const sendfileBytesMax = 4 * 1024 * 1024;

/** Sends exactly `body.length` bytes and gives the body back, or throws. */
export async function sendBody(response: ServerResponse, body: Exclude<Body, {kind: 'bytes'}>, secure: boolean): Promise<void> {
  if (body.kind === 'stream') return await sendStream(response, body.stream, body.length);
  using lease = body.lease;
  const native = secure ? undefined : libc();
  const socket = response.socket;
  if (native && socket && ownsSocket(response, socket)) await sendByKernel(native, response, socket, lease);
  else await sendByCopy(response, lease);
}

async function sendStream(response: ServerResponse, stream: AsyncIterable<Uint8Array>, length: number): Promise<void> {
  let sent = 0;
  for await (const chunk of stream) {
    sent += chunk.length;
    if (sent > length) throw new WeirError('Internal', `a body of ${length} bytes held more`);
    if (!response.write(chunk)) await room(response);
    if (response.destroyed) throw new WeirError('Cancelled', 'the client has gone away');
  }
  if (sent < length) throw new WeirError('IncompleteBody', `a body of ${length} bytes ended after ${sent}`);
}

async function sendByCopy(response: ServerResponse, lease: FileLease): Promise<void> {
  for (let sent = 0; sent < lease.length; ) {
    const chunk = await readPiece(lease, sent, Math.min(ordinaryWriteBytes * 4, lease.length - sent));
    sent += chunk.length;
    if (sent === lease.length) await lease.validate?.();
    if (!response.write(chunk)) await room(response);
    if (response.destroyed) throw new WeirError('Cancelled', 'the client has gone away');
  }
}

async function readPiece(lease: FileLease, at: number, length: number): Promise<Buffer> {
  const chunk = Buffer.allocUnsafe(length);
  const count = await lease.read(chunk, lease.offset + at);
  if (count < length) throw new WeirError('ContentChanged', 'a cached file is shorter than it was');
  return chunk;
}

/** With pipelined requests, only the response whose turn it is may touch the socket. */
function ownsSocket(response: ServerResponse, socket: Socket): boolean {
  return (socket as Socket & {_httpMessage?: ServerResponse})._httpMessage === response && socketNumber(socket) !== undefined;
}

function socketNumber(socket: Socket): number | undefined {
  const fd = (socket as Socket & {_handle?: {fd?: number} | null})._handle?.fd;
  return fd !== undefined && fd >= 0 ? fd : undefined;
}

async function sendByKernel(native: Libc, response: ServerResponse, socket: Socket, lease: FileLease): Promise<void> {
  response.flushHeaders();
  if (socket.writableLength > 0) await flushed(socket);
  const number = socketNumber(socket);
  if (number === undefined || socket.destroyed) throw new WeirError('Cancelled', 'the client has gone away');
  const out = native.duplicate(number);
  if (out < 0) return await sendByCopy(response, lease);
  const close = () => {
    native.close(out);
    open = false;
  };
  let open = true;
  const onClose = () => open && close();
  // An abort closes the copy too: while it is open the peer would see no end.
  socket.once('close', onClose);
  // The last piece of a file that others may change is vouched for before it leaves.
  const unchecked = lease.validate ? Math.max(0, lease.length - ordinaryWriteBytes) : lease.length;
  try {
    let resident = lease.resident;
    for (let sent = 0; sent < unchecked; ) {
      if (!open) throw new WeirError('Cancelled', 'the client has gone away');
      const file = descriptorNumber(lease.file);
      const piece = Math.min(sendfileBytesMax, unchecked - sent);
      if (!resident && !inPageCache(native, file, lease.offset + sent, Math.min(piece, coldPieceBytes))) {
        const chunk = await readPiece(lease, sent, Math.min(coldPieceBytes, unchecked - sent));
        await writeAndFlush(socket, chunk);
        sent += chunk.length;
        continue;
      }
      const count = native.sendfile(out, file, lease.offset + sent, resident ? piece : Math.min(piece, coldPieceBytes));
      if (count > 0) {
        sent += count;
        continue;
      }
      if (count === 0) throw new WeirError('ContentChanged', 'a cached file is shorter than it was');
      if (count === -EINTR) continue;
      if (count !== -EAGAIN) throw new WeirError('Unavailable', `sending to the client failed (error ${-count})`);
      const chunk = await readPiece(lease, sent, Math.min(ordinaryWriteBytes, unchecked - sent));
      await writeAndFlush(socket, chunk);
      sent += chunk.length;
      // What waited may have been pushed out of memory meanwhile.
      if (lease.length > coldPieceBytes) resident = false;
    }
  } finally {
    socket.off('close', onClose);
    if (open) close();
  }
  if (lease.validate) {
    const last = await readPiece(lease, unchecked, lease.length - unchecked);
    await lease.validate();
    await writeAndFlush(socket, last);
  }
}

function inPageCache(native: Libc, file: number, position: number, length: number): boolean {
  const state = native.cached(file, position, length);
  return state !== undefined && state.cached >= state.pages;
}

function writeAndFlush(socket: Socket, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}

/** Waits until Node has handed everything to the kernel. */
function flushed(socket: Socket): Promise<void> {
  return writeAndFlush(socket, Buffer.alloc(0));
}

function room(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
    if (response.destroyed) done();
  });
}
