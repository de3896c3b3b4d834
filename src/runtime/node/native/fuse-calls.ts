/**
 * What the FUSE device needs of the C library: a pipe's descriptor number to put the device under, and the ioctls that register a file
 * with the kernel. Sources: pipe2(2), dup2(2), ioctl(2); FUSE_DEV_IOC_BACKING_OPEN and _CLOSE of the kernel's include/uapi/linux/fuse.h.
 */
import {type Koffi, native} from '#runtime/node/native/koffi.ts';

export interface FuseCalls {
  /** A pipe of which only the reading end is open; -errno. */
  readingEnd(): number;
  /** Lets `target` name the open file of `source`, with `target`'s number, to be read without waiting; 0 or -errno. */
  replace(target: number, source: number): number;
  /** What is there to be read; bytes, or -errno. */
  readNow(file: number, into: Uint8Array): number;
  /** An id, or -errno. */
  registerBacking(device: number, file: number): number;
  releaseBacking(device: number, id: number): number;
}

const O_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const backingOpen = 0x4010_e501;
const backingClose = 0x4004_e502;

function bind(koffi: Koffi): FuseCalls {
  const library = koffi.load(null);
  const pipe2 = library.func('int pipe2(void *descriptors, int flags)');
  const dup3 = library.func('int dup3(int from, int to, int flags)');
  const fcntl = library.func('int fcntl(int fd, int command, int64 argument)');
  const read = library.func('int64 read(int fd, void *into, uint64 bytes)');
  const close = library.func('int close(int fd)');
  const ioctl = library.func('int ioctl(int fd, uint64 request, void *argument)');
  const answer = (value: number): number => (value < 0 ? -koffi.errno() : value);
  const pair = Buffer.alloc(8);
  const map = Buffer.alloc(16);
  const word = Buffer.alloc(4);
  return {
    readingEnd: () => {
      const made = answer(pipe2(pair, O_NONBLOCK_CLOEXEC));
      if (made < 0) return made;
      close(pair.readInt32LE(4));
      return pair.readInt32LE(0);
    },
    replace: (target, source) => Math.min(0, answer(dup3(source, target, 0o2000000)), answer(fcntl(target, F_SETFL, O_NONBLOCK))),
    readNow: (file, into) => Number(answer(read(file, into, into.length))),
    registerBacking: (device, file) => {
      map.fill(0);
      map.writeInt32LE(file, 0);
      return answer(ioctl(device, backingOpen, map));
    },
    releaseBacking: (device, id) => {
      word.writeInt32LE(id, 0);
      return answer(ioctl(device, backingClose, word));
    },
  };
}

/** Undefined where koffi or a call is missing. */
export const fuseCalls = native(bind);
