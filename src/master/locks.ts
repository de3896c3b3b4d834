/**
 * Locks that programs on several mounts have on files. In memory: they are released when their holder ends, and a holder that was taken for
 * ended says them again. Who waits is served in the order of asking, as far as nothing forbids it; of locks of ranges, one whose waiting would
 * never end is refused (Deadlock).
 */
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {LockRequest} from '#contracts/master-api.ts';
import {type FileLock, FileLocks} from '#model/file-locks.ts';

/** Of all files, held or waited for: 200 bytes each. */
const locksMax = 100_000;

interface Waiter {
  readonly lock: FileLock;
  readonly grant: () => void;
}

/** Locks of ranges and of whole files do not see each other. */
interface Table {
  readonly locks: FileLocks;
  readonly waiting: Set<Waiter>;
}

export class Locks {
  readonly #tables = new Map<string, Table>();

  /** Answers the lock that is in the way; undefined when it was granted. With `wait` it is, sooner or later. Deadlock, Cancelled, Overloaded. */
  async lock(request: LockRequest, wait: boolean, signal: AbortSignal): Promise<FileLock | undefined> {
    const key = keyOf(request);
    const {type, owner: _, holder: _holder, ...rest} = request;
    const owner = ownerOf(request);
    if (type === 'none') return this.#unlock(key, owner, request);
    const lock: FileLock = {...rest, owner, type};
    const table = this.#tables.get(key) ?? this.#make(key);
    const [conflict] = table.locks.conflicts(lock);
    if (!conflict) {
      table.locks.set(lock);
      // A lock that became a shared one may be what somebody waits for.
      this.#serve(key, table);
      return undefined;
    }
    if (!wait) return conflict;
    // Who changes a lock of a whole file gives up the one that it has before it waits, as in Linux: two such would wait for each other.
    if (request.whole) this.#unlock(key, owner, request);
    else if (this.#endsAt(owner, table.locks.conflicts(lock))) throw new WeirError('Deadlock', 'who holds the lock waits for the one who asks for it');
    await this.#wait(this.#tables.get(key) ?? this.#make(key), key, lock, signal);
    return undefined;
  }

  /** The lock that would be in the way. */
  test(request: LockRequest): FileLock | undefined {
    const {type, ...rest} = request;
    return type === 'none' ? undefined : this.#tables.get(keyOf(request))?.locks.conflicts({...rest, type, owner: ownerOf(request)})[0];
  }

  /** The holder has ended. */
  releaseHolder(holder: string): void {
    for (const [key, table] of this.#tables) {
      for (const {owner} of table.locks.held) if (isOf(owner, holder)) table.locks.unlock(owner);
      this.#serve(key, table);
    }
  }

  get count(): number {
    let count = 0;
    for (const {locks, waiting} of this.#tables.values()) count += locks.held.length + waiting.size;
    return count;
  }

  async #wait(table: Table, key: string, lock: FileLock, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const {promise, resolve, reject} = Promise.withResolvers<void>();
    const waiter: Waiter = {lock, grant: resolve};
    const onAbort = (): void => {
      if (!table.waiting.delete(waiter)) return;
      this.#forget(key, table);
      reject(new WeirError('Cancelled', 'who waited for a lock has gone'));
    };
    table.waiting.add(waiter);
    signal.addEventListener('abort', onAbort, {once: true});
    this.#serve(key, table);
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #unlock(key: string, owner: string, range: LockRequest): undefined {
    const table = this.#tables.get(key);
    if (!table) return;
    table.locks.unlock(owner, range);
    this.#serve(key, table);
  }

  #serve(key: string, table: Table): void {
    for (const waiter of table.waiting) {
      if (table.locks.conflicts(waiter.lock).length > 0) continue;
      table.locks.set(waiter.lock);
      table.waiting.delete(waiter);
      waiter.grant();
    }
    this.#forget(key, table);
  }

  /** Whether somebody whom these wait for, or whom those wait for, is `owner`. */
  #endsAt(owner: string, blocking: readonly FileLock[]): boolean {
    const seen = new Set<string>();
    const next = [...blocking];
    for (let lock = next.pop(); lock; lock = next.pop()) {
      if (lock.owner === owner) return true;
      if (seen.has(lock.owner)) continue;
      seen.add(lock.owner);
      for (const {locks, waiting} of this.#tables.values()) for (const waiter of waiting) if (waiter.lock.owner === lock.owner) next.push(...locks.conflicts(waiter.lock));
    }
    return false;
  }

  #make(key: string): Table {
    if (this.#tables.size >= locksMax || this.count >= locksMax) throw new WeirError('Overloaded', `${locksMax} locks are held`);
    const table = {locks: new FileLocks(), waiting: new Set<Waiter>()};
    this.#tables.set(key, table);
    return table;
  }

  #forget(key: string, table: Table): void {
    if (table.locks.held.length === 0 && table.waiting.size === 0 && this.#tables.get(key) === table) this.#tables.delete(key);
  }
}

const keyOf = ({inode, whole}: {readonly inode: InodeId; readonly whole: boolean}): string => `${whole ? 'w' : 'r'}${inode}`;
const ownerOf = ({holder, owner}: LockRequest): string => `${holder}\n${owner}`;
const isOf = (owner: string, holder: string): boolean => owner.startsWith(`${holder}\n`);
