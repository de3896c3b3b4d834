/**
 * File systems of this machine's own media. What they know of an open file is in memory, so that asking waits for nobody; one behind a
 * network may ask its server. Source: statfs(2); other types count as remote, also those that stand over others (overlay, FUSE).
 */
import {statfs} from 'node:fs/promises';

const localTypes: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
  0x01021994, // tmpfs
]);

/** Of an open descriptor; false when it cannot be told. */
export async function isOnLocalFileSystem(fd: number): Promise<boolean> {
  try {
    const {type} = await statfs(`/proc/self/fd/${fd}`);
    return localTypes.has(type);
  } catch {
    return false;
  }
}
