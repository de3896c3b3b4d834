/**
 * Makes names durable, together: while one sync of a directory runs, all who ask for the same directory wait for one more,
 * which covers them all. So a burst of writes into one directory costs two syncs, not one each.
 */
import {KeyedMutex} from '#base/keyed-mutex.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {Disk} from '#runtime/disk.ts';
import {diskPath} from '#connectors/file/names.ts';

export class DirectorySync {
  readonly #disk: Disk;
  readonly #running = new KeyedMutex();
  /** The sync that will start next, per directory; it covers whoever joins before it starts. */
  readonly #next = new Map<ByteString, Promise<void>>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Names changed in this directory before the call survive power loss after it. */
  sync(path: ByteString): Promise<void> {
    const joined = this.#next.get(path);
    if (joined) return joined;
    const next = this.#run(path);
    this.#next.set(path, next);
    return next;
  }

  async #run(path: ByteString): Promise<void> {
    using _turn = await this.#running.acquire(path);
    this.#next.delete(path);
    await this.#disk.syncDirectory(diskPath(path));
  }
}
