/** Small files of the home: read whole, replaced whole; and trees that are no longer wanted. */
import {isKind, WeirError} from '#base/errors.ts';
import type {Disk} from '#runtime/disk.ts';

const smallBytesMax = 1024 * 1024;

/** Undefined when there is no such file. */
export async function readWhole(disk: Disk, path: string): Promise<string | undefined> {
  try {
    await using file = await disk.open(path, {mode: 'read'});
    const {size} = await file.stat();
    if (size > smallBytesMax) throw new WeirError('Corrupt', `${path} has ${size} bytes; it was never written so`);
    const bytes = Buffer.alloc(size);
    const count = await file.read(bytes, 0);
    return bytes.subarray(0, count).toString('utf8');
  } catch (error) {
    if (isKind(error, 'NotFound')) return undefined;
    throw error;
  }
}

/** Readable by the owner only; after a crash either the old text or the new one is there. */
export async function writeWhole(disk: Disk, path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await removeFile(disk, temporary);
  {
    await using file = await disk.open(temporary, {mode: 'exclusive', permissions: 0o600});
    await file.write([Buffer.from(text)], 0);
    await file.datasync();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(path.slice(0, path.lastIndexOf('/')) || '/');
}

export async function exists(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.stat(path);
    return true;
  } catch (error) {
    if (isKind(error, 'NotFound')) return false;
    throw error;
  }
}

/** Harmless when it is not there. */
export async function removeFile(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path);
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
  }
}

/** Everything below, then the directory. Harmless when it is not there. Symbolic links are removed, not followed. */
export async function removeTree(disk: Disk, directory: string): Promise<void> {
  try {
    for (const name of await disk.readDirectory(directory)) {
      const path = `${directory}/${name}`;
      if ((await disk.stat(path)).kind === 'directory') await removeTree(disk, path);
      else await removeFile(disk, path);
    }
    await disk.removeDirectory(directory);
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
  }
}
