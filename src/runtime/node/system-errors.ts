/** What the system's error numbers mean in the catalogue. */
import {type ErrorKind, WeirError} from '#base/errors.ts';

const kinds: Readonly<Record<string, ErrorKind>> = {
  ENOENT: 'NotFound',
  EEXIST: 'AlreadyExists',
  ENOTDIR: 'NotADirectory',
  EISDIR: 'IsADirectory',
  ENOTEMPTY: 'DirectoryNotEmpty',
  EACCES: 'PermissionDenied',
  EPERM: 'PermissionDenied',
  EROFS: 'ReadOnly',
  ENOSPC: 'NoSpace',
  EDQUOT: 'NoSpace',
  EFBIG: 'TooLarge',
  ENAMETOOLONG: 'NameTooLong',
  EINVAL: 'InvalidArgument',
  EXDEV: 'CrossMount',
  ELOOP: 'InvalidPath',
  EBUSY: 'Busy',
  EMFILE: 'Overloaded',
  ENFILE: 'Overloaded',
  EOPNOTSUPP: 'Unsupported',
  ENOTSUP: 'Unsupported',
  EADDRINUSE: 'AlreadyExists',
  EADDRNOTAVAIL: 'InvalidArgument',
  ECONNREFUSED: 'Unavailable',
  ECONNRESET: 'Unavailable',
  ECONNABORTED: 'Unavailable',
  EPIPE: 'Unavailable',
  EHOSTUNREACH: 'Unavailable',
  ENETUNREACH: 'Unavailable',
  ETIMEDOUT: 'Timeout',
  ENOTFOUND: 'Unavailable',
  EAI_AGAIN: 'Unavailable',
  ABORT_ERR: 'Cancelled',
};

/** `what` says what was tried, on which thing. WeirErrors pass through; numbers that are not listed become `otherwise`. */
export function systemError(cause: unknown, what: string, otherwise: ErrorKind = 'Io'): WeirError {
  if (cause instanceof WeirError) return cause;
  const {code, message} = cause as {code?: string; message?: string};
  return new WeirError(kinds[code ?? ''] ?? otherwise, `${what}: ${code ?? message ?? String(cause)}`, {cause});
}
