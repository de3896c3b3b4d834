/** Ranges as protocols write them, against the length of a file. */
import {WeirError} from '#base/errors.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {RangeSpec} from '#client/file-system.ts';

/** Undefined = all of it. RangeNotSatisfiable when nothing is left, with the length in the details. */
export function resolveRange(range: RangeSpec | undefined, length: number): ByteRange {
  if (range === undefined) return {offset: 0, length};
  if ('suffix' in range) {
    if (range.suffix === 0 || length === 0) throw unsatisfiable(length);
    const count = Math.min(range.suffix, length);
    return {offset: length - count, length: count};
  }
  // From 0 on, an empty file has an empty answer: nobody can know its length before asking.
  if (range.offset >= length && range.offset > 0) throw unsatisfiable(length);
  return {offset: range.offset, length: Math.min(range.length ?? length, length - range.offset)};
}

/** The same for some bytes at least, or undefined. */
export function satisfiable(range: RangeSpec, length: number): ByteRange | undefined {
  const offset = 'suffix' in range ? Math.max(0, length - range.suffix) : range.offset;
  const count = 'suffix' in range ? length - offset : Math.min(range.length ?? length, length - offset);
  return count > 0 ? {offset, length: count} : undefined;
}

function unsatisfiable(length: number): WeirError {
  return new WeirError('RangeNotSatisfiable', `the range lies outside of the file's ${length} bytes`, {details: {length}});
}
