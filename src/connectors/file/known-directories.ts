/**
 * Directories that are written to again and again, kept open. That one is still where it was, within the root and reached through no symbolic
 * link, is then known on the spot; names are changed in the very directory that was looked at, and it need not be opened to be synced.
 * Where a directory cannot be known (a link on the way, a network file system), callers go by paths.
 */
import type {ByteString} from '#base/byte-string.ts';
import {CoveringRun} from '#base/covering-run.ts';
import {isKind} from '#base/errors.ts';
import type {Disk, DiskDirectory} from '#runtime/disk.ts';
import {diskPath} from '#connectors/file/names.ts';

/** A descriptor each. */
const knownMax = 128;
/** Directories that were written to once: the second time makes them known. Most are never met again. As many that cannot become known. */
const metMax = 1024;
/** A known directory that was passed over so often makes room for another. */
const passedOverMin = 4 * knownMax;

interface Known {
  readonly directory: DiskDirectory;
  readonly sync: CoveringRun;
  usedAt: number;
  users: number;
  forgotten: boolean;
}

/** Stays open until disposed of. */
export interface EnteredDirectory extends Disposable {
  readonly directory: Pick<DiskDirectory, 'isThere'>;
  readonly open: DiskDirectory['open'];
  readonly at: DiskDirectory['at'];
  /** Names changed in it before the call survive power loss after it. */
  readonly sync: () => Promise<void>;
}

export class KnownDirectories {
  readonly #disk: Disk;
  /** By absolute path, the one used longest ago first. */
  readonly #known = new Map<ByteString, Known>();
  readonly #met = new Set<ByteString>();
  readonly #refused = new Set<ByteString>();
  #uses = 0;
  /** That are becoming known, and have their room. */
  #opening = 0;
  #closed = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Undefined when it is not known, or no longer there. */
  enter(path: ByteString): EnteredDirectory | undefined {
    const known = this.#known.get(path);
    if (!known) return undefined;
    if (known.directory.isThere()) return this.hold(path);
    this.forget(path);
    return undefined;
  }

  /** Undefined when it is not known. Whether it is there is seen to by the caller, at the last moment. */
  hold(path: ByteString): EnteredDirectory | undefined {
    const known = this.#known.get(path);
    if (!known) return undefined;
    known.usedAt = ++this.#uses;
    this.#known.delete(path);
    this.#known.set(path, known);
    known.users++;
    return {
      directory: known.directory,
      open: (name, options) => known.directory.open(name, options),
      at: name => known.directory.at(name),
      sync: () => known.sync.run(),
      [Symbol.dispose]: () => {
        known.users--;
        this.#closeUnused(known);
      },
    };
  }

  /** Written to just now. `lasts`: asked when it is open, whether its name survives power loss, and those above; else it does not become known. */
  async met(path: ByteString, lasts: () => boolean): Promise<void> {
    if (this.#closed || this.#known.has(path) || this.#refused.has(path)) return;
    if (!this.#met.delete(path)) {
      remember(this.#met, path);
      return;
    }
    await this.know(path, lasts);
  }

  /** The same at once: something is about to be written to it. */
  async know(path: ByteString, lasts: () => boolean): Promise<void> {
    if (this.#closed || this.#known.has(path) || this.#refused.has(path) || !this.#makeRoom()) return;
    this.#opening++;
    try {
      await this.#open(path, lasts);
    } finally {
      this.#opening--;
    }
  }

  async #open(path: ByteString, lasts: () => boolean): Promise<void> {
    let directory: DiskDirectory | undefined;
    try {
      directory = await this.#disk.openDirectory(diskPath(path));
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory', 'PermissionDenied')) return;
      throw error;
    }
    if (!directory) return remember(this.#refused, path);
    if (this.#closed || this.#known.has(path) || !lasts()) return await directory.close();
    const open = directory;
    this.#known.set(path, {directory: open, sync: new CoveringRun(() => open.sync()), usedAt: ++this.#uses, users: 0, forgotten: false});
  }

  forget(path: ByteString): void {
    const known = this.#known.get(path);
    if (!known) return;
    this.#known.delete(path);
    known.forgotten = true;
    this.#closeUnused(known);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const path of this.#known.keys()) this.forget(path);
  }

  #makeRoom(): boolean {
    if (this.#known.size + this.#opening < knownMax) return true;
    const oldest = this.#known.entries().next().value;
    if (!oldest || this.#uses - oldest[1].usedAt < passedOverMin) return false;
    this.forget(oldest[0]);
    return true;
  }

  #closeUnused(known: Known): void {
    if (!known.forgotten || known.users > 0) return;
    // Nothing was written through it that its closing could lose.
    known.directory.close().catch(() => undefined);
  }
}

function remember(paths: Set<ByteString>, path: ByteString): void {
  paths.add(path);
  if (paths.size > metMax) paths.delete(paths.values().next().value!);
}
