/**
 * Advisory locks of one file, as fcntl(2) has them: ranges of bytes, each held by an owner, shared (`read`) or alone (`write`). What an
 * owner sets takes the place of what it held there; neighbours of one kind are one lock. A lock of the whole file (flock) is a range of everything.
 *
 * Invariant: locks of one owner do not overlap, and of two owners only shared ones do.
 */

export interface LockRange {
  /** Bytes; `end` is the last one. */
  readonly start: number;
  readonly end: number;
}

export interface FileLock extends LockRange {
  readonly owner: string;
  readonly type: 'read' | 'write';
  /** The process that set it, for those who ask. */
  readonly pid: number;
}

/** The end of a lock to the end of the file, however long that gets. */
export const endOfFile = Number.MAX_SAFE_INTEGER;

const overlap = (a: LockRange, b: LockRange): boolean => a.start <= b.end && b.start <= a.end;

export class FileLocks {
  #locks: FileLock[] = [];

  get held(): readonly FileLock[] {
    return this.#locks;
  }

  /** Locks of others that forbid this one. */
  conflicts(wanted: FileLock): readonly FileLock[] {
    return this.#locks.filter(held => held.owner !== wanted.owner && overlap(held, wanted) && (held.type === 'write' || wanted.type === 'write'));
  }

  /** The caller has seen that nothing forbids it. */
  set(lock: FileLock): void {
    this.unlock(lock.owner, lock);
    let {start, end} = lock;
    const joined = (held: FileLock): boolean => held.owner === lock.owner && held.type === lock.type && held.start <= end + 1 && start <= held.end + 1;
    for (const held of this.#locks.filter(joined)) [start, end] = [Math.min(start, held.start), Math.max(end, held.end)];
    this.#locks = [...this.#locks.filter(held => !joined(held)), {...lock, start, end}];
  }

  /** What lies within the range is let go; of what reaches beyond the rest stays. */
  unlock(owner: string, range: LockRange = {start: 0, end: endOfFile}): void {
    this.#locks = this.#locks.flatMap(held => {
      if (held.owner !== owner || !overlap(held, range)) return [held];
      const before = held.start < range.start ? [{...held, end: range.start - 1}] : [];
      return held.end > range.end ? [...before, {...held, start: range.end + 1}] : before;
    });
  }
}
