/**
 * The error catalogue: every failure that can cross a boundary has a kind here, with what each protocol calls it.
 * A new kind does not compile until every column has an answer.
 */

/** Whether sending the same request again may help: `never`, `now` (after a refresh), or `later` (back off first). */
export type RetryClass = 'never' | 'now' | 'later';

interface ErrorRow {
  readonly retry: RetryClass;
  readonly http: number;
  readonly errno: string;
  readonly s3: string;
  readonly hadoop: string;
}

const row = <Errno extends string>(retry: RetryClass, http: number, errno: Errno, s3: string, hadoop: string): ErrorRow & {readonly errno: Errno} => ({retry, http, errno, s3, hadoop});

const io = 'java.io.IOException';
const access = 'org.apache.hadoop.security.AccessControlException';

export const errorCatalogue = {
  NotFound: row('never', 404, 'ENOENT', 'NoSuchKey', 'java.io.FileNotFoundException'),
  AlreadyExists: row('never', 409, 'EEXIST', 'OperationAborted', 'org.apache.hadoop.fs.FileAlreadyExistsException'),
  NotADirectory: row('never', 409, 'ENOTDIR', 'InvalidRequest', 'org.apache.hadoop.fs.ParentNotDirectoryException'),
  IsADirectory: row('never', 409, 'EISDIR', 'InvalidRequest', 'org.apache.hadoop.fs.PathIsDirectoryException'),
  DirectoryNotEmpty: row('never', 409, 'ENOTEMPTY', 'BucketNotEmpty', 'org.apache.hadoop.fs.PathIsNotEmptyDirectoryException'),
  InvalidArgument: row('never', 400, 'EINVAL', 'InvalidArgument', 'org.apache.hadoop.HadoopIllegalArgumentException'),
  InvalidPath: row('never', 400, 'EINVAL', 'InvalidArgument', 'org.apache.hadoop.fs.InvalidPathException'),
  NameTooLong: row('never', 400, 'ENAMETOOLONG', 'KeyTooLongError', 'org.apache.hadoop.fs.InvalidPathException'),
  RangeNotSatisfiable: row('never', 416, 'EINVAL', 'InvalidRange', io),
  TooLarge: row('never', 400, 'EFBIG', 'EntityTooLarge', io),
  IncompleteBody: row('never', 400, 'EIO', 'IncompleteBody', io),
  BadDigest: row('never', 400, 'EIO', 'BadDigest', io),
  PreconditionFailed: row('never', 412, 'ESTALE', 'PreconditionFailed', io),
  Conflict: row('later', 409, 'EAGAIN', 'ConditionalRequestConflict', io),
  ContentChanged: row('now', 503, 'ESTALE', 'SlowDown', io),
  Unauthenticated: row('never', 401, 'EACCES', 'AccessDenied', access),
  PermissionDenied: row('never', 403, 'EACCES', 'AccessDenied', access),
  ReadOnly: row('never', 403, 'EROFS', 'AccessDenied', io),
  CrossMount: row('never', 400, 'EXDEV', 'InvalidRequest', io),
  Unsupported: row('never', 501, 'ENOTSUP', 'NotImplemented', 'java.lang.UnsupportedOperationException'),
  Busy: row('later', 409, 'EBUSY', 'OperationAborted', io),
  Overloaded: row('later', 503, 'EAGAIN', 'SlowDown', 'org.apache.hadoop.ipc.RetriableException'),
  Unavailable: row('later', 503, 'EIO', 'ServiceUnavailable', 'org.apache.hadoop.ipc.RetriableException'),
  Timeout: row('later', 503, 'ETIMEDOUT', 'SlowDown', 'java.net.SocketTimeoutException'),
  Cancelled: row('never', 499, 'ECANCELED', 'RequestTimeout', 'java.io.InterruptedIOException'),
  NoSpace: row('later', 507, 'ENOSPC', 'ServiceUnavailable', 'org.apache.hadoop.hdfs.protocol.DSQuotaExceededException'),
  Deadlock: row('never', 409, 'EDEADLK', 'OperationAborted', io),
  QuotaExceeded: row('never', 403, 'EDQUOT', 'QuotaExceeded', 'org.apache.hadoop.hdfs.protocol.DSQuotaExceededException'),
  Io: row('later', 500, 'EIO', 'InternalError', io),
  Corrupt: row('never', 500, 'EIO', 'InternalError', 'org.apache.hadoop.fs.ChecksumException'),
  AlreadyRunning: row('never', 409, 'EBUSY', 'OperationAborted', io),
  Internal: row('never', 500, 'EIO', 'InternalError', io),
} as const satisfies Record<string, ErrorRow>;

export type ErrorKind = keyof typeof errorCatalogue;

/**
 * A failure of the world or of the request, as opposed to a bug. `message` is shown to users: it says what happened and
 * to which thing, and never holds a secret. `details` are machine-readable facts (also shown).
 */
export class WeirError extends Error {
  override name = 'WeirError';
  readonly kind: ErrorKind;
  readonly details: Readonly<Record<string, string | number>>;

  constructor(kind: ErrorKind, message: string, options?: {cause?: unknown; details?: Record<string, string | number>}) {
    super(message, options?.cause === undefined ? undefined : {cause: options.cause});
    this.kind = kind;
    this.details = options?.details ?? {};
  }

  get retry(): RetryClass {
    return errorCatalogue[this.kind].retry;
  }
}

/** True when `error` is a WeirError of one of `kinds`. */
export function isKind(error: unknown, ...kinds: ErrorKind[]): error is WeirError {
  return error instanceof WeirError && kinds.includes(error.kind);
}
