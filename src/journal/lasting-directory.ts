/** Directories that survive power loss: a name lasts only when the directory that holds it has been synced, all the way up. */
import {isKind} from '#base/errors.ts';
import type {Disk} from '#runtime/disk.ts';

/** Makes an absolute directory and what is missing above it, and syncs every name that it made, and its own in any case. */
export async function makeLastingDirectory(disk: Disk, directory: string): Promise<void> {
  const parent = directory.slice(0, directory.lastIndexOf('/')) || '/';
  if (parent !== directory && !(await exists(disk, parent))) await makeLastingDirectory(disk, parent);
  await disk.makeDirectory(directory, {recursive: true});
  if (parent !== directory) await disk.syncDirectory(parent);
}

async function exists(disk: Disk, path: string): Promise<boolean> {
  try {
    await disk.stat(path);
    return true;
  } catch (error) {
    if (isKind(error, 'NotFound')) return false;
    throw error;
  }
}
