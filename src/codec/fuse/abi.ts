/**
 * The words of the FUSE kernel protocol, 7.31 to 7.45, little-endian. Source: the kernel's include/uapi/linux/fuse.h; the names are its
 * names without the prefix. A flag above bit 31 travels in a second word.
 */

export const protocol = {major: 7, minor: 45, oldestMinor: 31} as const;

export const opcode = {
  lookup: 1, forget: 2, getattr: 3, setattr: 4, readlink: 5, symlink: 6, mknod: 8, mkdir: 9, unlink: 10, rmdir: 11, rename: 12, link: 13, open: 14, read: 15,
  write: 16, statfs: 17, release: 18, fsync: 20, setxattr: 21, getxattr: 22, listxattr: 23, removexattr: 24, flush: 25, init: 26, opendir: 27, readdir: 28,
  releasedir: 29, fsyncdir: 30, getlk: 31, setlk: 32, setlkw: 33, access: 34, create: 35, interrupt: 36, destroy: 38, ioctl: 39, poll: 40, batchForget: 42, fallocate: 43,
  readdirplus: 44, rename2: 45, lseek: 46, copyFileRange: 47, syncfs: 50, tmpfile: 51, statx: 52,
} as const;

/** What kernel and daemon can agree on at INIT, as [word, bit]. */
export const initFlag = {
  asyncRead: [0, 1 << 0], posixLocks: [0, 1 << 1], atomicOpenTruncate: [0, 1 << 3], exportSupport: [0, 1 << 4], bigWrites: [0, 1 << 5], dontMask: [0, 1 << 6], flockLocks: [0, 1 << 10],
  autoInvalidateData: [0, 1 << 12], readdirplus: [0, 1 << 13], readdirplusAuto: [0, 1 << 14], asyncDirectIo: [0, 1 << 15], writebackCache: [0, 1 << 16], parallelDirectoryOperations: [0, 1 << 18],
  posixAcl: [0, 1 << 20], abortError: [0, 1 << 21], maxPages: [0, 1 << 22], cacheSymlinks: [0, 1 << 23], explicitInvalidateData: [0, 1 << 25],
  handleKillPrivileges: [0, 1 << 28], setxattrExtended: [0, 1 << 29], initExtended: [0, 1 << 30],
  passthrough: [1, 1 << 5], hasResend: [1, 1 << 7],
} as const;

export type InitFlag = keyof typeof initFlag;

/** In the answer to OPEN and OPENDIR. */
export const openFlag = {directIo: 1, keepCache: 2, nonSeekable: 4, cacheDirectory: 8, stream: 16, noFlush: 32, parallelDirectWrites: 64, passthrough: 128} as const;

/** Which fields of a SETATTR are meant. */
export const setattrValid = {mode: 1, uid: 2, gid: 4, size: 8, atime: 16, mtime: 32, handle: 64, atimeNow: 128, mtimeNow: 256, lockOwner: 512, ctime: 1024, killSetId: 2048} as const;

/** Of a WRITE: who writes may not keep set-user-id and set-group-id. */
export const writeKillsSetId = 4;
/** Of a WRITE: it comes from the page cache, at its place, whatever the file was opened with. */
export const writeFromCache = 1;
/** Of the flags that a file was opened with, or was given since: all that is written goes to its end (O_APPEND). */
export const appendFlag = 0o2000;
/** Of CREATE: what is there already is not to be opened (O_EXCL). */
export const exclusiveFlag = 0o200;

/** Messages that the daemon sends without having been asked. */
export const notification = {poll: 1, invalidateInode: 2, invalidateEntry: 3, store: 4, retrieve: 5, delete: 6, resend: 7, nextEpoch: 8, prune: 9} as const;

export const inHeaderBytes = 40;
export const outHeaderBytes = 16;

/** Set in the id of a request that the kernel hands out for the second time, because nobody answered the first. */
export const resentBit = 1n << 63n;
