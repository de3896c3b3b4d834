/**
 * What many files look like that were found in one directory: asked on the spot, through the directory held open, as long as the medium holds up
 * nobody. The call takes a few microseconds, and its trip to another thread ten times as much.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {diskPath, parentOf} from '#connectors/file/names.ts';
import type {Found} from '#connectors/file/walk.ts';
import type {Disk, DiskDirectory, DiskPath, FileStat} from '#runtime/disk.ts';

/** Fewer are not worth opening their directory. */
const togetherMin = 16;
/** So many in one turn of the event loop: a fraction of a millisecond. */
const turnNames = 64;

/** Of what was found, in order, one for each; undefined where it is to be asked by its path: what may wait, what is gone, directories. */
export async function lookTogether(disk: Disk, found: readonly Found[]): Promise<readonly (FileStat | undefined)[]> {
  const stats = new Array<FileStat | undefined>(found.length).fill(undefined);
  for (let from = 0, to; from < found.length; from = to) {
    const path = parentOf(found[from]!.path);
    const at = diskPath(path === '' ? ('/' as ByteString) : path);
    for (to = from + 1; to < found.length && isIn(path, found[to]!.path); ) to++;
    if (to - from < togetherMin) continue;
    await using directory = await opened(disk, at);
    if (!directory) continue;
    for (let i = from; i < to; i++) {
      const {kind, path: of} = found[i]!;
      if ((i - from) % turnNames === turnNames - 1) await disk.stat(at);
      // A mount point may be somebody else's, who is far away.
      if (kind === 'file') stats[i] = directory.statNow(of.slice(path.length + 1) as ByteString);
    }
  }
  return stats;
}

const isIn = (directory: ByteString, path: ByteString): boolean => path.lastIndexOf('/') === directory.length && path.startsWith(directory);

async function opened(disk: Disk, path: DiskPath): Promise<DiskDirectory | undefined> {
  try {
    return await disk.openDirectory(path);
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory', 'PermissionDenied', 'Io')) return undefined;
    throw error;
  }
}
