/**
 * Values on the wire: msgpack. Numbers are numbers (integers beyond 32 bits travel as float64, exact to 2^53), bigints are 64-bit
 * integers, bytes are bytes, ByteStrings are strings. No functions, no classes.
 */
import {Packr} from 'msgpackr';
import {type ErrorKind, errorCatalogue, WeirError} from '#base/errors.ts';

const packr = new Packr({useRecords: false, int64AsType: 'bigint', variableMapSize: true, copyBuffers: true});

export function encodeValue(value: unknown): Buffer {
  return packr.pack(value);
}

/** InvalidArgument when the bytes are not one whole value. */
export function decodeValue(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes) as unknown;
  } catch (cause) {
    throw new WeirError('InvalidArgument', `not a msgpack value of ${bytes.length} bytes`, {cause});
  }
}

/** Errors keep their kind, message and details; a bug on the other side arrives as Internal, without its message. */
export function encodeError(error: unknown): Buffer {
  if (error instanceof WeirError) return encodeValue([error.kind, error.message, error.details]);
  return encodeValue(['Internal', 'an internal error; see the log of the other side', {}]);
}

export function decodeError(bytes: Uint8Array): WeirError {
  const value = decodeValue(bytes);
  if (!Array.isArray(value)) return new WeirError('Internal', 'an unreadable error came from the other side');
  const [kind, message, details] = value as unknown[];
  const known = typeof kind === 'string' && Object.hasOwn(errorCatalogue, kind) ? (kind as ErrorKind) : 'Internal';
  return new WeirError(known, String(message), {details: typeof details === 'object' && details !== null ? (details as Record<string, string | number>) : {}});
}
