/** The locks that programs on a mount have, of those that it shares with others: what the master was told, and is told again after the connection was lost. */
import type {InodeId} from '#base/ids.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import type {KeptLock} from '#codec/fuse/kept-state.ts';
import type {KeptState} from '#frontends/fuse/kept-state.ts';
import {type FileLock, FileLocks} from '#model/file-locks.ts';
import type {Log} from '#runtime/log.ts';

interface Held {
  readonly inode: InodeId;
  readonly whole: boolean;
  readonly locks: FileLocks;
  /** Where each lock is kept for the next daemon. */
  readonly slots: Map<FileLock, number>;
}

export class MountLocks {
  readonly #files = new Map<string, Held>();
  readonly #kept: KeptState;

  constructor(kept: KeptState) {
    this.#kept = kept;
  }

  /** It was granted, or ended. */
  note({inode, whole, owner, type, pid, start, end}: LockRequest): void {
    const key = `${whole}${inode}`;
    const file = this.#files.get(key) ?? {inode, whole, locks: new FileLocks(), slots: new Map<FileLock, number>()};
    if (type === 'none') file.locks.unlock(owner, {start, end});
    else {
      const granted = {owner, type, pid, start, end};
      // Others of this mount have let go of it, though the answer to that may be lost.
      for (const held of file.locks.conflicts(granted)) file.locks.unlock(held.owner, granted);
      file.locks.set(granted);
    }
    this.#keep(file);
    if (file.locks.held.length > 0) this.#files.set(key, file);
    else this.#files.delete(key);
  }

  /** One that an earlier daemon has kept. */
  restore(slot: number, {node, whole, owner, type, pid, start, end}: KeptLock, holder: string): void {
    this.note({inode: node as InodeId, whole, holder, owner: String(owner), type, pid, start, end});
    this.#kept.remove(slot);
  }

  /** New ones first: at no moment is one missing. */
  #keep({inode, whole, locks, slots}: Held): void {
    for (const lock of locks.held) {
      const {owner, ...range} = lock;
      if (!slots.has(lock)) slots.set(lock, this.#kept.add({kind: 'lock', node: inode, whole, owner: BigInt(owner), ...range}));
    }
    for (const [lock, slot] of slots) {
      if (locks.held.includes(lock)) continue;
      slots.delete(lock);
      this.#kept.remove(slot);
    }
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
