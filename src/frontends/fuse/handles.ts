/**
 * What is open on a mount. An inode that is open is open in one way (design 4.8): by the kernel itself, with one registered file for all
 * that open it meanwhile, or through the daemon. Handles are numbers that never repeat.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {OpenFile} from '#client/file-system.ts';
import type {FileInfo, ListEntry} from '#contracts/master-api.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {FuseDevice} from '#runtime/fuse.ts';

/** A file that the kernel reads by itself. */
export interface Backing {
  readonly id: number;
  readonly lease: FileLease;
}

export interface OpenInode {
  handles: number;
  /** As it was when it was opened first. */
  readonly info: FileInfo;
  readonly backing: Backing | undefined;
}

export interface FileHandle {
  readonly node: InodeId;
  readonly file: OpenFile;
}

/** Where reading a directory has got to. */
export interface DirectoryHandle {
  readonly node: InodeId;
  /** What was read and not yet taken, and where it goes on: undefined at the end. */
  rest: readonly ListEntry[];
  after: ByteString | undefined;
  ended: boolean;
  /** The cookie behind which `rest` begins. */
  cookie: bigint;
}

export class Handles {
  readonly #device: Pick<FuseDevice, 'releaseBacking'>;
  readonly #files = new Map<number, FileHandle>();
  readonly #directories = new Map<number, DirectoryHandle>();
  readonly #inodes = new Map<InodeId, OpenInode>();
  #next = 1;

  constructor(device: Pick<FuseDevice, 'releaseBacking'>) {
    this.#device = device;
  }

  get count(): number {
    return this.#files.size + this.#directories.size;
  }

  /** How the inode is open now: undefined when it is not. */
  openWay(node: InodeId): Readonly<OpenInode> | undefined {
    return this.#inodes.get(node);
  }

  /** `backing`: what openWay said or, for the first, what was registered. */
  addFile(handle: FileHandle, backing: Backing | undefined): number {
    const number = this.#next++;
    this.#files.set(number, handle);
    const open = this.#inodes.get(handle.node);
    if (open) open.handles++;
    else this.#inodes.set(handle.node, {handles: 1, backing, info: handle.file.info});
    return number;
  }

  file(number: number): FileHandle | undefined {
    return this.#files.get(number);
  }

  async closeFile(number: number): Promise<void> {
    const handle = this.#files.get(number);
    if (!handle) return;
    this.#files.delete(number);
    const open = this.#inodes.get(handle.node)!;
    if (--open.handles === 0) {
      this.#inodes.delete(handle.node);
      if (open.backing) {
        this.#device.releaseBacking(open.backing.id);
        open.backing.lease[Symbol.dispose]();
      }
    }
    await handle.file[Symbol.asyncDispose]();
  }

  addDirectory(node: InodeId): number {
    const number = this.#next++;
    this.#directories.set(number, {node, rest: [], after: undefined, ended: false, cookie: 0n});
    return number;
  }

  directory(number: number): DirectoryHandle | undefined {
    return this.#directories.get(number);
  }

  closeDirectory(number: number): void {
    this.#directories.delete(number);
  }

  /** The mount has gone: nobody will release what is open. */
  async closeAll(): Promise<void> {
    this.#directories.clear();
    for (const number of this.#files.keys()) await this.closeFile(number);
  }
}
