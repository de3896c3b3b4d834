/** Linux's error numbers (asm-generic/errno), by name: the ones that Weir answers with. The same on every architecture that Weir runs on. */
export const errno = {
  EPERM: 1, ENOENT: 2, EINTR: 4, EIO: 5, ENXIO: 6, EBADF: 9, EAGAIN: 11, EACCES: 13, EBUSY: 16, EEXIST: 17, EXDEV: 18, ENOTDIR: 20, EISDIR: 21, EINVAL: 22, ETXTBSY: 26, EFBIG: 27, ENOSPC: 28,
  EROFS: 30, ERANGE: 34, EDEADLK: 35, ENAMETOOLONG: 36, ENOSYS: 38, ENOTEMPTY: 39, ENODATA: 61, ENOTSUP: 95, ETIMEDOUT: 110, ESTALE: 116, EDQUOT: 122, ECANCELED: 125,
} as const;

export type ErrnoName = keyof typeof errno;
