/**
 * What a simulated disk holds: a tree as programs see it, and beside it what power loss cannot take. Between the two are the
 * changes that no sync has named yet. A crash keeps any subset of them: of a write any of its 512-byte sectors, of a rename both
 * sides or none, of anything else the whole or nothing.
 *
 * Invariants: what was synced is never lost; what a sync does not name stays pending; replaying all pending changes over the kept state gives
 * the seen state.
 */
import type {FileStat} from '#runtime/disk.ts';
import type {SimRandom} from '#runtime/sim/sim-random.ts';
import {type Change, SparseBytes} from '#runtime/sim/sparse-bytes.ts';

export const sectorBytes = 512;

export class SimFile {
  readonly kind = 'file';
  readonly inode: bigint;
  mode: number;
  mtimeNs: bigint;
  seen = new SparseBytes();
  #kept = new SparseBytes();
  #pending: Change[] = [];

  constructor(inode: bigint, mode: number, nowNs: bigint) {
    this.inode = inode;
    this.mode = mode;
    this.mtimeNs = nowNs;
  }

  change(change: Change): void {
    this.seen.apply(change);
    this.#pending.push(change);
  }

  /** Names the changes made so far, or only the last of them; calling the answer keeps them. */
  prepareSync(last = this.#pending.length): () => void {
    const named = this.#pending.slice(this.#pending.length - last);
    return () => {
      // Another sync that was quicker may have kept some of them already.
      const still = new Set(this.#pending);
      for (const change of named) if (still.has(change)) this.#kept.apply(change);
      const done = new Set(named);
      this.#pending = this.#pending.filter((change) => !done.has(change));
    };
  }

  crash(random: SimRandom, keepChance: number): void {
    for (const change of this.#pending) {
      if (change.kind !== 'write') {
        if (random.chance(keepChance)) this.#kept.apply(change);
        continue;
      }
      for (let start = 0; start < change.bytes.length; ) {
        const end = Math.min(change.bytes.length, start + sectorBytes - ((change.position + start) % sectorBytes));
        if (random.chance(keepChance)) this.#kept.apply({kind: 'write', position: change.position + start, bytes: change.bytes.subarray(start, end)});
        start = end;
      }
    }
    this.#pending = [];
    this.seen = this.#kept.copy();
  }
}

export class SimDirectory {
  readonly kind = 'directory';
  readonly inode: bigint;
  mode: number;
  mtimeNs: bigint;
  readonly seen = new Map<string, SimNode>();
  readonly kept = new Map<string, SimNode>();

  constructor(inode: bigint, mode: number, nowNs: bigint) {
    this.inode = inode;
    this.mode = mode;
    this.mtimeNs = nowNs;
  }
}

export type SimNode = SimFile | SimDirectory;

/** A name that begins to mean something, or nothing. */
export interface NameChange {
  readonly directory: SimDirectory;
  readonly name: string;
  readonly node: SimNode | undefined;
}

export class Platter {
  readonly root = new SimDirectory(1n, 0o755, 0n);
  #nextInode = 2n;
  /** Each is kept whole or not at all; in the order made. */
  #pending: NameChange[][] = [];

  newFile(mode: number, nowNs: bigint): SimFile {
    return new SimFile(this.#nextInode++, mode, nowNs);
  }

  newDirectory(mode: number, nowNs: bigint): SimDirectory {
    return new SimDirectory(this.#nextInode++, mode, nowNs);
  }

  /** Makes changes of names that belong together. */
  link(changes: NameChange[], nowNs: bigint): void {
    for (const {directory, name, node} of changes) {
      if (node) directory.seen.set(name, node);
      else directory.seen.delete(name);
      directory.mtimeNs = nowNs;
    }
    this.#pending.push(changes);
  }

  /** Names the changes of names in this directory so far; calling the answer keeps them. */
  prepareSync(directory: SimDirectory): () => void {
    const named = new Set(this.#pending.filter((changes) => changes.some((change) => change.directory === directory)));
    return () => {
      const earlier: NameChange[][] = [];
      for (const changes of this.#pending) {
        if (!named.has(changes)) {
          earlier.push(changes);
          continue;
        }
        this.#keep(changes);
        // What came before for the same names is past, also where it waits for another directory.
        // In place: a sync of another directory that is under way knows these changes by identity.
        for (const old of earlier) {
          const rest = old.filter((a) => !changes.some((b) => a.directory === b.directory && a.name === b.name));
          old.splice(0, old.length, ...rest);
        }
      }
      this.#pending = earlier.filter((changes) => changes.length > 0);
    };
  }

  crash(random: SimRandom): void {
    // From "nothing was written back" to "everything but a little": each crash has its own luck.
    const keepChance = [0, 0.1, 0.5, 0.9, 1][Math.floor(random.number() * 5)]!;
    for (const changes of this.#pending) if (random.chance(keepChance)) this.#keep(changes);
    this.#pending = [];
    const settle = (directory: SimDirectory): void => {
      directory.seen.clear();
      for (const [name, node] of directory.kept) {
        directory.seen.set(name, node);
        if (node.kind === 'directory') settle(node);
        else node.crash(random, keepChance);
      }
    };
    settle(this.root);
  }

  #keep(changes: readonly NameChange[]): void {
    for (const {directory, name, node} of changes) {
      if (node) directory.kept.set(name, node);
      else directory.kept.delete(name);
    }
  }
}

export function statOf(node: SimNode): FileStat {
  const size = node.kind === 'file' ? node.seen.size : 4096;
  const allocated = node.kind === 'file' ? node.seen.allocated : 4096;
  return {kind: node.kind, size, allocated, mode: node.mode, uid: 0, gid: 0, mtimeNs: node.mtimeNs, ctimeNs: node.mtimeNs, device: 1n, inode: node.inode};
}
