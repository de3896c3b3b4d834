/**
 * The C library, where koffi is installed: a handful of named calls that Node lacks. We only call out, never register callbacks.
 * Everything works without it, more slowly; callers ask `libc()` and take another way when it is undefined.
 *
 * Sources: preadv2(2), send(2), sendfile(2), flock(2), fallocate(2), sync_file_range(2), copy_file_range(2), lseek(2), dup(2), close(2); cachestat is system call 451 since Linux 6.5.
 */
import {assert} from '#base/assert.ts';
import {type Koffi, native} from '#runtime/node/native/koffi.ts';

export interface Libc {
  /** Bytes read, `count` from `at` on (default: to the end), only if the page cache has them all the way; -errno otherwise (-11 EAGAIN: it would wait). */
  preadResident(fd: number, into: Uint8Array, position: number, at?: number, count?: number): number;
  /** Bytes of the beginning of `from` that the socket took without waiting; -errno. */
  send(socket: number, from: Uint8Array, count: number): number;
  /** Bytes that the socket took; -errno. */
  sendfile(socket: number, file: number, position: number, count: number): number;
  /** Pages of the range in the page cache, and pages in the range; undefined on kernels without cachestat. */
  cached(fd: number, position: number, length: number): {readonly cached: number; readonly pages: number} | undefined;
  /** 0 or -errno. */
  lockExclusive(fd: number): number;
  punchHole(fd: number, position: number, length: number): number;
  /** Begins to write what was written to the file to its medium, and waits for nothing; 0 or -errno. */
  startWriteBack(fd: number): number;
  /** As startWriteBack, of a range, in a thread of the pool; nobody hears how it went. */
  beginWriteBack(fd: number, position: number, length: number): void;
  /** Bytes that were copied from one file to the other, in a thread of the pool; a piece of some MiB at most. Negative where it failed. */
  copyRange(from: number, fromPosition: number, to: number, toPosition: number, length: number): Promise<number>;
  /** Where data or a hole begins; -errno (-6 ENXIO: no data follows). Moves the descriptor's own position, which nothing of Weir's uses. */
  seek(fd: number, position: number, to: 'data' | 'hole'): number;
  /** A new descriptor of the same open file, closed on exec; -errno. */
  duplicate(fd: number): number;
  close(fd: number): void;
}

const RWF_NOWAIT = 8;
const EOPNOTSUPP = -95;
const LOCK_EX_NB = 2 | 4;
const FALLOC_FL_PUNCH_HOLE_KEEP_SIZE = 2 | 1;
/** So that a copy holds a thread for some tens of ms, not for seconds. */
const copyRangeBytesMax = 16 * 1024 * 1024;
const SYNC_FILE_RANGE_WRITE = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const F_DUPFD_CLOEXEC = 1030;
const SYS_cachestat = 451;
const pageBytes = 4096;

/** Undefined where koffi or a call is missing. */
export const libc = native(bind);

function bind(koffi: Koffi): Libc {
  const library = koffi.load(null);
  const preadv2 = library.func('int64 preadv2(int fd, uint64 iov, int count, int64 offset, int flags)');
  const send = library.func('int64 send(int socket, uint64 from, uint64 count, int flags)');
  const sendfile = library.func('int64 sendfile(int out, int in, void *offset, uint64 count)');
  const copyFileRange = library.func('int64 copy_file_range(int from, void *from_offset, int to, void *to_offset, uint64 count, uint32 flags)');
  const flock = library.func('int flock(int fd, int operation)');
  const fallocate = library.func('int fallocate(int fd, int mode, int64 offset, int64 length)');
  const syncFileRange = library.func('int sync_file_range(int fd, int64 offset, int64 count, uint32 flags)');
  const lseek = library.func('int64 lseek(int fd, int64 offset, int whence)');
  const fcntl = library.func('int fcntl(int fd, int command, int argument)');
  const close = library.func('int close(int fd)');
  const syscall = library.func('int64 syscall(int64 number, int fd, void *range, void *result, uint32 flags)');
  const answer = (value: number): number => (value < 0 ? -koffi.errno() : value);

  // One of each is enough: calls are synchronous, on one thread.
  const vector = Buffer.alloc(16);
  const words = new Uint32Array(vector.buffer, vector.byteOffset, 4);
  const offset = Buffer.alloc(8);
  const range = Buffer.alloc(16);
  const statistics = Buffer.alloc(40);
  let cachestat = true;

  const cached: Libc['cached'] = (fd, position, length) => {
    if (!cachestat) return undefined;
    range.writeBigUInt64LE(BigInt(position), 0);
    range.writeBigUInt64LE(BigInt(length), 8);
    if (syscall(SYS_cachestat, fd, range, statistics, 0) < 0) {
      cachestat = false;
      return undefined;
    }
    const pages = Math.ceil((position + length) / pageBytes) - Math.floor(position / pageBytes);
    return {cached: Number(statistics.readBigUInt64LE(0)), pages};
  };

  // Memory that buffers are views of stays where it is, and the same few are used again and again: an address as a number is the cheapest argument, asking for it makes a bigint.
  const addresses = new WeakMap<ArrayBufferLike, number>();
  let last: Uint8Array | undefined;
  let lastAddress = 0;
  const addressOf = (buffer: Uint8Array): number => {
    // To ask a view for its memory costs a call; the same view is asked again and again.
    if (buffer === last) return lastAddress;
    const memory = buffer.buffer;
    let start = addresses.get(memory);
    if (start === undefined) addresses.set(memory, (start = Number(koffi.address(buffer)) - buffer.byteOffset));
    last = buffer;
    return (lastAddress = start + buffer.byteOffset);
  };

  const vectorAddress = addressOf(vector);

  return {
    preadResident: (fd, into, position, at = 0, count = into.length - at) => {
      assert(at >= 0 && count >= 0 && at + count <= into.length, 'what is read has room');
      const address = addressOf(into) + at;
      words[0] = address % 2 ** 32;
      words[1] = address / 2 ** 32;
      words[2] = count;
      const read = answer(preadv2(fd, vectorAddress, 1, position, RWF_NOWAIT));
      if (read !== EOPNOTSUPP) return read;
      // tmpfs does not know the flag. What is in the page cache whole needs no waiting there either.
      const found = cached(fd, position, count);
      return found && found.cached >= found.pages ? answer(preadv2(fd, vectorAddress, 1, position, 0)) : EOPNOTSUPP;
    },
    send: (socket, from, count) => {
      assert(count <= from.length, 'what is sent is there');
      return answer(send(socket, addressOf(from), count, MSG_DONTWAIT_NOSIGNAL));
    },
    sendfile: (socket, file, position, count) => {
      offset.writeBigInt64LE(BigInt(position), 0);
      return answer(sendfile(socket, file, offset, count));
    },
    cached,
    lockExclusive: (fd) => answer(flock(fd, LOCK_EX_NB)),
    seek: (fd, position, to) => answer(lseek(fd, position, to === 'data' ? SEEK_DATA : SEEK_HOLE)),
    punchHole: (fd, position, length) => answer(fallocate(fd, FALLOC_FL_PUNCH_HOLE_KEEP_SIZE, position, length)),
    startWriteBack: (fd) => answer(syncFileRange(fd, 0, 0, SYNC_FILE_RANGE_WRITE)),
    // Of a number that is another file's by then it does no harm.
    beginWriteBack: (fd, position, length) => syncFileRange.async(fd, position, length, SYNC_FILE_RANGE_WRITE, () => undefined),
    copyRange: async (from, fromPosition, to, toPosition, length) => {
      const positions = new BigInt64Array([BigInt(fromPosition), BigInt(toPosition)]);
      const [source, target] = [new Uint8Array(positions.buffer, 0, 8), new Uint8Array(positions.buffer, 8, 8)];
      // errno is of the thread that made the call: it cannot be told here.
      return await new Promise(resolve => copyFileRange.async(from, source, to, target, Math.min(length, copyRangeBytesMax), 0, (error: unknown, count: number) => resolve(error ? -1 : count)));
    },
    duplicate: (fd) => answer(fcntl(fd, F_DUPFD_CLOEXEC, 0)),
    close: (fd) => void close(fd),
  };
}
