/** What went wrong, as a number that programs understand. */
import {errorCatalogue, WeirError} from '#base/errors.ts';
import {errno, type ErrnoName} from '#codec/fuse/errno.ts';

/** An answer that is only a number; nothing of the world failed, so nobody asks where: the stack, most of what an error costs, is left out. */
export class Errno extends Error {
  readonly number: number;
  constructor(name: ErrnoName) {
    const frames = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(name);
    Error.stackTraceLimit = frames;
    this.number = errno[name];
  }
}

/** Undefined for a bug. */
export function errnoOf(error: unknown): number | undefined {
  if (error instanceof Errno) return error.number;
  if (!(error instanceof WeirError)) return undefined;
  // A request that the kernel took back: the program got a signal.
  return error.kind === 'Cancelled' ? errno.EINTR : errno[errorCatalogue[error.kind].errno];
}
