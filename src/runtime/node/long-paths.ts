/**
 * Paths longer than the kernel takes in one call (PATH_MAX, 4096 bytes with the end): a tree may be deeper than that. The beginning is opened
 * as a directory, then one name after the other from there, and the call is made on the last of them by its descriptor. On the way behind the
 * beginning no symbolic link is followed.
 */
import * as fs from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';

const pathBytesMax = 4095;
/** What is opened in one call; room is left for names of the descriptor. */
const beginningBytes = 3072;
const pathOnly = 0o10_000_000;
const slash = 0x2f;

export const isLong = (path: Buffer | string): boolean => (typeof path === 'string' ? path.length * 3 > pathBytesMax && Buffer.byteLength(path) > pathBytesMax : path.length > pathBytesMax);

/** Makes a call by a path that is short enough and names the same. `check` sees the beginning, and closes nothing. */
export async function byShortPath<T>(path: Buffer | string, call: (path: Buffer | string) => Promise<T>, check?: (beginning: FileHandle) => Promise<void>): Promise<T> {
  if (!isLong(path)) return await call(path);
  const bytes = Buffer.from(path);
  let cut = bytes.lastIndexOf(slash, beginningBytes);
  let directory = await open(bytes.subarray(0, cut), pathOnly | fs.constants.O_DIRECTORY);
  try {
    await check?.(directory);
    for (let next = bytes.indexOf(slash, cut + 1); next >= 0 && next < bytes.length - 1; next = bytes.indexOf(slash, cut + 1)) {
      const inner = await open(at(directory, bytes.subarray(cut + 1, next)), pathOnly | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW);
      await directory.close();
      directory = inner;
      cut = next;
    }
    return await call(at(directory, bytes.subarray(cut + 1)));
  } finally {
    await directory.close();
  }
}

function at(directory: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory.fd}/`), name]);
}
