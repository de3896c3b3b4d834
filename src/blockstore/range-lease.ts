/** The lease of a range of a file of the block store. */
import type {Descriptor, FileLease} from '#model/file-lease.ts';
import {pageBytes} from '#blockstore/block-store.ts';
import type {DiskFile} from '#runtime/disk.ts';

const residentProbes = 8;
const probe = Buffer.alloc(1);

export class RangeLease implements FileLease {
  readonly offset: number;
  readonly length: number;
  readonly #file: DiskFile;
  readonly #unreadable: (error: unknown) => void;
  readonly #lend: (() => Promise<boolean>) | undefined;
  #release: (() => void) | undefined;

  /** `release` is called once, when the lease ends; `unreadable` when the disk does not give the bytes; `lend` as FileLease, where the file may be lent. */
  constructor(file: DiskFile, offset: number, length: number, release: () => void, unreadable: (error: unknown) => void, lend?: () => Promise<boolean>) {
    this.#file = file;
    this.offset = offset;
    this.length = length;
    this.#release = release;
    this.#unreadable = unreadable;
    this.#lend = lend;
  }

  get file(): Descriptor {
    return this.#file.descriptor;
  }

  /** Whether some bytes over the range are in the page cache: looked up when somebody asks. */
  get resident(): boolean {
    const step = Math.max(pageBytes, Math.ceil(this.length / residentProbes));
    for (let at = 0; at < this.length; at += step) if (this.#file.readResident(probe, this.offset + at) !== 1) return false;
    return true;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    try {
      return await this.#file.read(into, position);
    } catch (error) {
      this.#unreadable(error);
      throw error;
    }
  }

  async lend(): Promise<Descriptor | undefined> {
    return (await this.#lend?.()) === true ? this.#file.descriptor : undefined;
  }

  [Symbol.dispose](): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}
