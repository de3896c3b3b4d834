/**
 * Paths of the namespace. `/bucket/dir/name`, bytes, each component any bytes but NUL and `/`, up to 1024 of them; empty,
 * `.` and `..` are ordinary names here, because S3 keys have them (front ends for people may interpret them first).
 * A trailing `/` asks for the directory: a file `a` and a directory `a/` may stand side by side. So the text is
 * unambiguous: take away one leading `/`, note and take away one trailing `/`, split the rest at every `/`.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';

export const nameBytesMax = 1024;
export const pathBytesMax = 10_000;

/** Which of `a` and `a/` a path without a trailing slash means: S3 keys mean the file; people mean the directory first. */
export type PathKind = 'file' | 'directory' | 'either';

export interface Path {
  /** Components from the root down; empty for the root itself. */
  readonly names: readonly ByteString[];
  readonly kind: PathKind;
}

export const rootPath: Path = {names: [], kind: 'directory'};

/** Reads a path; `kind` is what it means when it has no trailing slash. Throws InvalidPath, NameTooLong. */
export function parsePath(text: ByteString, kind: PathKind = 'either'): Path {
  if (text.charCodeAt(0) !== 0x2f) throw new WeirError('InvalidPath', `a path starts with "/": ${JSON.stringify(toText(text).slice(0, 200))}`);
  if (text.length > pathBytesMax) throw new WeirError('NameTooLong', `the path has ${text.length} bytes; ${pathBytesMax} are the limit`);
  if (text.includes('\0')) throw new WeirError('InvalidPath', 'a path cannot hold a NUL byte');
  if (text.length === 1) return rootPath;
  const trailing = text.charCodeAt(text.length - 1) === 0x2f;
  const names = text.slice(1, trailing ? -1 : undefined).split('/') as ByteString[];
  for (const name of names) {
    if (name.length > nameBytesMax) throw new WeirError('NameTooLong', `a name has ${name.length} bytes; ${nameBytesMax} are the limit`);
  }
  return {names, kind: trailing ? 'directory' : kind};
}

/** The text of a path, with a trailing slash where it asks for the directory. */
export function formatPath(path: Path): ByteString {
  if (path.names.length === 0) return '/' as ByteString;
  return `/${path.names.join('/')}${path.kind === 'directory' ? '/' : ''}` as ByteString;
}

/** True when `inner` is `outer` or lies below it, as directories. */
export function isWithin(outer: readonly ByteString[], inner: readonly ByteString[]): boolean {
  return inner.length >= outer.length && outer.every((name, i) => name === inner[i]);
}
