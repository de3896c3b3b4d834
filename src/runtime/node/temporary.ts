import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';

/** A new, empty directory that only this user can read. */
export function makeTemporaryDirectory(prefix: string): Promise<string> {
  return mkdtemp(path.join(tmpdir(), prefix));
}

/** With everything below. */
export function removeTree(directory: string): Promise<void> {
  return rm(directory, {recursive: true, force: true});
}
