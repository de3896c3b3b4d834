/** The locks that programs on a mount have, of those that it shares with others: what the master was told, and is told again after the connection was lost. */
import type {InodeId} from '#base/ids.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import {FileLocks} from '#model/file-locks.ts';
import type {Log} from '#runtime/log.ts';

interface Held {
  readonly inode: InodeId;
  readonly whole: boolean;
  readonly locks: FileLocks;
}

export class MountLocks {
  readonly #files = new Map<string, Held>();

  /** It was granted, or ended. */
  note({inode, whole, owner, type, pid, start, end}: LockRequest): void {
    const key = `${whole}${inode}`;
    const file = this.#files.get(key) ?? {inode, whole, locks: new FileLocks()};
    if (type === 'none') file.locks.unlock(owner, {start, end});
    else file.locks.set({owner, type, pid, start, end});
    if (file.locks.held.length > 0) this.#files.set(key, file);
    else this.#files.delete(key);
  }

  has(inode: InodeId, whole: boolean, owner: string): boolean {
    return this.#files.get(`${whole}${inode}`)?.locks.held.some(lock => lock.owner === owner) === true;
  }

  /** To a master that has forgotten them. What somebody else has taken meanwhile is lost, and said. */
  async sayAgain({files, origin, log}: {readonly files: FileSystem; readonly origin: string; readonly log: Log}, context: CallContext): Promise<void> {
    for (const {inode, whole, locks} of this.#files.values()) {
      for (const lock of locks.held) {
        const taken = await files.lock({...lock, inode, whole, holder: origin}, {wait: false}, context);
        if (taken) log.error('fuse: a lock was lost with the connection, and somebody else has it now', {inode, pid: lock.pid});
      }
    }
  }
}
