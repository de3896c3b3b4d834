/** CPU that a thread used: what it had of a core, not what it waited for one. */

/** Of the calling thread since it began, user and system. */
export function threadCpuMs(): number {
  const {user, system} = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Shares of the time between two looks at a growing number of milliseconds. */
export class CpuShare {
  #usedMs = 0;
  #atMs = 0;

  /** `atMs`: when it was so much. The share of the first look is nothing. */
  look(usedMs: number, atMs: number): number {
    const share = this.#atMs === 0 || atMs <= this.#atMs ? 0 : (usedMs - this.#usedMs) / (atMs - this.#atMs);
    this.#usedMs = usedMs;
    this.#atMs = atMs;
    return share;
  }
}
