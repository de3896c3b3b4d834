/**
 * What the keeper of a mount, its daemon and fusermount3 need of the C library: memory that is a file, descriptors that travel over a Unix
 * socket, and whether a device still has its mount. Sources: memfd_create(2), socketpair(2), unix(7), recvmsg(2), cmsg(3), poll(2); the layouts are those of 64-bit Linux.
 */
import {type Koffi, native} from '#runtime/node/native/koffi.ts';

export interface KeeperCalls {
  /** A file in memory, without a name, closed on exec; -errno. */
  memoryFile(): number;
  /** Two ends of a stream, closed on exec; -errno. */
  socketPair(): readonly [number, number] | number;
  /** A connected stream socket on which nothing waits longer than `patienceMs`; -errno. `path` has at most 107 bytes. */
  connect(path: string, patienceMs: number): number;
  /** Bytes sent, or -errno. The descriptors stay the sender's too. */
  sendDescriptors(socket: number, bytes: Uint8Array, descriptors: readonly number[]): number;
  /** One message: how many bytes, and the descriptors that came with it, closed on exec. -errno. */
  receiveDescriptors(socket: number, into: Uint8Array): {readonly bytes: number; readonly descriptors: readonly number[]} | number;
  /** Whether the mount of a FUSE device has gone. */
  hasEnded(device: number): boolean;
}

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const MFD_CLOEXEC = 1;
const POLLERR_HUP_NVAL = 8 | 16 | 32;

const cmsgHeadBytes = 16;
const descriptorsMax = 8;

/** Undefined where koffi or a call is missing. */
export const keeperCalls = native(bind);

function bind(koffi: Koffi): KeeperCalls {
  const library = koffi.load(null);
  const memfdCreate = library.func('int memfd_create(const char *name, uint32 flags)');
  const socketCall = library.func('int socket(int domain, int type, int protocol)');
  const socketpair = library.func('int socketpair(int domain, int type, int protocol, void *pair)');
  const connectCall = library.func('int connect(int socket, void *address, uint32 length)');
  const setsockopt = library.func('int setsockopt(int socket, int level, int option, void *value, uint32 length)');
  const sendmsg = library.func('int64 sendmsg(int socket, void *message, int flags)');
  const recvmsg = library.func('int64 recvmsg(int socket, void *message, int flags)');
  const poll = library.func('int poll(void *descriptors, uint64 count, int timeoutMs)');
  const close = library.func('int close(int fd)');
  const answer = (value: number): number => (value < 0 ? -koffi.errno() : value);

  /** A msghdr with one piece of bytes and room for descriptors; the buffers must be held until the call has returned. */
  const message = (bytes: Uint8Array, control: Buffer): {readonly head: Buffer; readonly vector: Buffer} => {
    const vector = Buffer.alloc(16);
    vector.writeBigUInt64LE(koffi.address(bytes), 0);
    vector.writeBigUInt64LE(BigInt(bytes.length), 8);
    const head = Buffer.alloc(56);
    head.writeBigUInt64LE(koffi.address(vector), 16);
    head.writeBigUInt64LE(1n, 24);
    head.writeBigUInt64LE(koffi.address(control), 32);
    head.writeBigUInt64LE(BigInt(control.length), 40);
    return {head, vector};
  };

  return {
    memoryFile: () => answer(memfdCreate('weir-mount', MFD_CLOEXEC)),
    socketPair: () => {
      const pair = Buffer.alloc(8);
      const made = answer(socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair));
      return made < 0 ? made : [pair.readInt32LE(0), pair.readInt32LE(4)];
    },
    connect: (path, patienceMs) => {
      const socket = answer(socketCall(AF_UNIX, SOCK_STREAM_CLOEXEC, 0));
      if (socket < 0) return socket;
      const patience = Buffer.alloc(16);
      patience.writeBigInt64LE(BigInt(Math.floor(patienceMs / 1000)), 0);
      patience.writeBigInt64LE(BigInt((patienceMs % 1000) * 1000), 8);
      for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) setsockopt(socket, SOL_SOCKET, option, patience, patience.length);
      const address = Buffer.alloc(110);
      address.writeUInt16LE(AF_UNIX, 0);
      address.write(path, 2, 107, 'latin1');
      const connected = answer(connectCall(socket, address, 2 + Math.min(path.length, 107) + 1));
      if (connected >= 0) return socket;
      close(socket);
      return connected;
    },
    sendDescriptors: (socket, bytes, descriptors) => {
      const control = Buffer.alloc(Math.ceil((cmsgHeadBytes + descriptors.length * 4) / 8) * 8);
      control.writeBigUInt64LE(BigInt(cmsgHeadBytes + descriptors.length * 4), 0);
      control.writeInt32LE(SOL_SOCKET, 8);
      control.writeInt32LE(SCM_RIGHTS, 12);
      for (const [i, descriptor] of descriptors.entries()) control.writeInt32LE(descriptor, cmsgHeadBytes + i * 4);
      const {head, vector} = message(bytes, control);
      const sent = answer(sendmsg(socket, head, MSG_NOSIGNAL));
      return vector.length > 0 ? sent : 0;
    },
    receiveDescriptors: (socket, into) => {
      const control = Buffer.alloc(cmsgHeadBytes + descriptorsMax * 4);
      const {head, vector} = message(into, control);
      const bytes = answer(recvmsg(socket, head, MSG_CMSG_CLOEXEC));
      if (bytes < 0) return bytes;
      const controlBytes = Number(head.readBigUInt64LE(40));
      const descriptors: number[] = [];
      if (vector.length > 0 && controlBytes >= cmsgHeadBytes && control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS) {
        for (let at = cmsgHeadBytes; at + 4 <= Math.min(controlBytes, Number(control.readBigUInt64LE(0))); at += 4) descriptors.push(control.readInt32LE(at));
      }
      return {bytes, descriptors};
    },
    hasEnded: device => {
      const polled = Buffer.alloc(8);
      polled.writeInt32LE(device, 0);
      return poll(polled, 1, 0) > 0 && (polled.readUInt16LE(6) & POLLERR_HUP_NVAL) !== 0;
    },
  };
}
