/**
 * The keeper of a mount: a small process that holds the FUSE device and the mount's memory, so that the mount survives its daemon. It never
 * reads the device: while no daemon serves, requests wait in the kernel. It holds no file of the mount, no port and no lock.
 *
 * It ends when the daemon says that the mount has gone; when nobody has served for `patienceMs`; when the mount is taken away while nobody
 * serves; and by SIGTERM as soon as nobody serves. Without it the kernel ends the mount (ENOTCONN), unless a daemon holds the device.
 */
import fs from 'node:fs';
import net from 'node:net';
import {deviceDescriptor, type KeeperArguments, memoryDescriptor, tellWord, whoseWord} from '#runtime/node/fuse/keeper/protocol.ts';
import {keptHeadBytes} from '#runtime/fuse.ts';
import {keeperCalls} from '#runtime/node/native/keeper-calls.ts';

const checkMs = 1_000;
const wordsBytesMax = 1_000;

const {directory, name, mount, patienceMs} = JSON.parse(process.argv[2]!) as KeeperArguments;
const calls = keeperCalls();
process.title = `weir-keeper ${mount.directory}`;
process.umask(0o177);
process.chdir('/');
// By its descriptor: the path of a socket has 107 bytes at most.
const place = `/proc/self/fd/${fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)}/${name}`;

const serving = new Set<net.Socket>();
let unservedSince = performance.now();
let asked = false;

function end(): never {
  fs.rmSync(place, {force: true});
  process.exit(0);
}

function whose(socket: net.Socket): void {
  const head = Buffer.alloc(keptHeadBytes);
  fs.readSync(memoryDescriptor, head, 0, head.length, 0);
  socket.write(`${head.toString('base64')}\n`);
}

function hear(socket: net.Socket, word: string): void {
  if (word === 'end') end();
  if (word === 'serve') serving.add(socket);
  if (word.startsWith(tellWord)) fs.write(deviceDescriptor, Buffer.from(word.slice(tellWord.length), 'base64'), () => socket.write('told\n'));
  if (word === whoseWord) whose(socket);
  if (word !== 'take') return;
  const fd = (socket as unknown as {readonly _handle?: {readonly fd?: number} | null})._handle?.fd ?? -1;
  const sent = calls?.sendDescriptors(fd, Buffer.from(`${JSON.stringify(mount)}\n`), [deviceDescriptor, memoryDescriptor]) ?? -1;
  if (sent < 0) socket.destroy();
}

function left(socket: net.Socket): void {
  if (!serving.delete(socket) || serving.size > 0) return;
  unservedSince = performance.now();
  if (asked) end();
}

const server = net.createServer((socket) => {
  let words = '';
  socket.on('data', (bytes) => {
    const lines = (words + bytes.toString('latin1')).split('\n');
    words = lines.pop()!;
    if (words.length > wordsBytesMax) return void socket.destroy();
    for (const line of lines) hear(socket, line);
  });
  socket.on('error', () => undefined);
  socket.on('close', () => left(socket));
});
server.on('error', () => process.exit(1));
fs.rmSync(place, {force: true});
server.listen(place, () => {
  // Whoever has started it waits for this.
  fs.writeSync(1, 'ready\n');
  fs.closeSync(1);
});

setInterval(() => {
  if (serving.size > 0) return;
  if (performance.now() - unservedSince > patienceMs || calls?.hasEnded(deviceDescriptor)) end();
}, checkMs);

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    asked ||= signal === 'SIGTERM';
    if (asked && serving.size === 0) end();
  });
}
