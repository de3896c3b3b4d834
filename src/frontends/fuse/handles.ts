/**
 * What is open on a mount. An inode that is open is open in one way (design 4.8): by the kernel itself, with one registered file for all
 * that open it meanwhile, or through the daemon; once it is changed, by its draft for everybody. Handles are numbers that never repeat.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {OpenFile} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ListEntry} from '#contracts/listings.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {KeptState} from '#frontends/fuse/kept-state.ts';
import type {Listing} from '#frontends/fuse/remembered.ts';
import type {InodeDraft} from '#frontends/fuse/inode-draft.ts';
import type {FuseDevice} from '#runtime/fuse.ts';

/** A file that the kernel reads by itself. */
export interface Backing {
  readonly id: number;
  readonly lease?: FileLease;
}

export interface OpenInode {
  handles: number;
  /** As it was when it was opened first; without a name, as whoever has it open made it since. */
  info: FileInfo;
  readonly backing: Backing | undefined;
  /** Bytes up to which its quotas were asked. */
  lengthMax?: number;
  /** It was made without a name and has not got one yet: nobody but this mount knows of it. */
  unnamed?: true;
  /** Being made, or there; undefined where it turns out that nobody writes the file. */
  drafting?: Promise<InodeDraft | undefined>;
  draft?: InodeDraft | undefined;
  /** WRITEs that have come and are not done; never rejects. */
  changing?: Promise<unknown>;
}

export interface FileHandle {
  readonly node: InodeId;
  /** One version of the file; absent where it was opened only to be written, or by an earlier daemon and not read since. */
  file?: OpenFile;
  /** Of OPEN. */
  readonly flags: number;
  /** The request that opened it. */
  readonly unique: bigint;
}

const accessMode = 3;
const readOnly = 0;
const writeOnly = 1;
export const isReadable = (flags: number): boolean => (flags & accessMode) !== writeOnly;
export const isWritable = (flags: number): boolean => (flags & accessMode) !== readOnly;

/** Where reading a directory has got to. */
export interface DirectoryHandle {
  readonly node: InodeId;
  /** What was read and not yet taken, and where it goes on: undefined at the end. */
  rest: readonly ListEntry[];
  after: ByteString | undefined;
  ended: boolean;
  /** What the kernel keeps of it, since it was opened (Remembered); undefined where it may keep nothing. */
  readonly listing: Listing | undefined;
  /** Of `rest`, Infinity before there is any: ListPage.validUntil; and Remembered.turn when it was asked for. */
  validUntil: number;
  turn: number;
  /** Listing.changes at that time. */
  changes: number | undefined;
  /** Entries that were answered, in this order: their keys by their cookies. Bounded by who answers. */
  readonly passed: Map<bigint, ByteString>;
  /** Of one that an earlier daemon has opened: a key that was passed, before whatever it answered last. */
  atLeast?: ByteString;
  /** The cookie behind which `rest` begins. */
  cookie: bigint;
  /** The request that opened it. */
  readonly unique: bigint;
}

interface Ending {
  readonly end: Promise<unknown>;
  readonly drafts: readonly Pick<InodeDraft, 'inode'>[];
}

/** A handle, and where it is kept for the next daemon. */
type Kept<T> = T & {readonly slot: number};

export class Handles {
  readonly #device: Pick<FuseDevice, 'releaseBacking'>;
  readonly #kept: KeptState;
  readonly #files = new Map<number, Kept<FileHandle>>();
  readonly #directories = new Map<number, Kept<DirectoryHandle>>();
  readonly #inodes = new Map<InodeId, OpenInode>();
  /** How many are about to open an inode; no more than there are requests. */
  readonly #opening = new Map<InodeId, number>();
  /** Of inodes that nobody has open any more, until their drafts are put away; no more than there are requests. */
  readonly #ending = new Map<InodeId, Ending>();
  /** Handles by the requests that opened them, for those that the kernel sends again. Empty once nothing can come again. */
  readonly #opened = new Map<bigint, number>();

  constructor(device: Pick<FuseDevice, 'releaseBacking'>, kept: KeptState) {
    this.#device = device;
    this.#kept = kept;
  }

  get count(): number {
    return this.#files.size + this.#directories.size;
  }

  get openInodes(): readonly InodeId[] {
    return [...this.#inodes.keys()];
  }

  /** Undefined when it is not open. */
  inode(node: InodeId): OpenInode | undefined {
    return this.#inodes.get(node);
  }

  /** `backing`: what was registered for it, which is let go when another was quicker to open the inode: that one says how it is open. */
  addFile(handle: FileHandle, info: FileInfo, backing: Backing | undefined): number {
    const number = this.#kept.nextHandle();
    const {node, flags, unique} = handle;
    const known = this.#inodes.get(node);
    const kept = known ? known.backing : backing;
    this.#restoreFile(number, {...handle, slot: this.#kept.add({kind: 'file', handle: number, node, flags, unique, backing: kept?.id ?? 0})}, info, backing);
    return number;
  }

  /** One that an earlier daemon has given out. */
  restoreFile(number: number, slot: number, handle: FileHandle, info: FileInfo, backing: Backing | undefined): void {
    this.#restoreFile(number, {...handle, slot}, info, backing);
    this.#opened.set(handle.unique, number);
  }

  #restoreFile(number: number, handle: Kept<FileHandle>, info: FileInfo, backing: Backing | undefined): void {
    this.#files.set(number, handle);
    const open = this.#inodes.get(handle.node);
    if (open) {
      open.handles++;
      if (backing && backing !== open.backing) this.#letGo(backing);
    } else this.#inodes.set(handle.node, {handles: 1, backing, info});
  }

  /** The handle that an earlier daemon has opened for this very request and perhaps not answered. */
  openedBy(unique: bigint): number | undefined {
    return this.#opened.get(unique);
  }

  file(number: number): FileHandle | undefined {
    return this.#files.get(number);
  }

  /** Answers the inode that nobody has open any more, if this was the last. */
  closeFile(number: number): OpenInode | undefined {
    const handle = this.#files.get(number);
    if (!handle) return undefined;
    this.#files.delete(number);
    this.#kept.remove(handle.slot);
    this.#opened.delete(handle.unique);
    const open = this.#inodes.get(handle.node)!;
    const last = --open.handles === 0;
    if (last) {
      this.#inodes.delete(handle.node);
      if (open.backing) this.#letGo(open.backing);
    }
    // What was read ahead for it goes by itself.
    void handle.file?.[Symbol.asyncDispose]();
    return last ? open : undefined;
  }

  /** Somebody is about to open it: until disposed, it is not let go of. */
  opening(node: InodeId): Disposable {
    this.#opening.set(node, (this.#opening.get(node) ?? 0) + 1);
    return {[Symbol.dispose]: () => {
      const left = this.#opening.get(node)! - 1;
      if (left > 0) this.#opening.set(node, left);
      else this.#opening.delete(node);
    }};
  }

  isOpening(node: InodeId): boolean {
    return this.#opening.has(node);
  }

  /** Whether somebody has it open, or is about to. */
  isHeld(node: InodeId): boolean {
    return this.#inodes.has(node) || this.#opening.has(node);
  }

  /** Whether something of an inode that nobody has open any more is still put away. */
  isEnding(node: InodeId): boolean {
    return this.#ending.has(node);
  }

  /** Nobody waits for a RELEASE: the file may be opened, and changed, before it is done. */
  async ending(node: InodeId, last: Promise<void>, draft?: Pick<InodeDraft, 'inode'>): Promise<void> {
    // One that was opened and closed again meanwhile ends sooner than the one before.
    const before = this.#ending.get(node);
    const end = before ? Promise.allSettled([before.end]).then(() => last) : last;
    const ending: Ending = {end, drafts: [...(before?.drafts ?? []), ...(draft ? [draft] : [])]};
    this.#ending.set(node, ending);
    try {
      await end;
    } finally {
      if (this.#ending.get(node) === ending) this.#ending.delete(node);
    }
  }

  /** Until the draft of those who had the file open before is put away. */
  async ended(node: InodeId): Promise<void> {
    await this.#ending.get(node)?.end.catch(() => undefined);
  }

  /** The end of a draft that became `inode`, which its file was not when it was opened; undefined when none is being put away. Never rejects. */
  endingAs(inode: InodeId): Promise<unknown> | undefined {
    for (const {end, drafts} of this.#ending.values()) if (drafts.some(draft => draft.inode === inode)) return end.catch(() => undefined);
    return undefined;
  }

  addDirectory(node: InodeId, unique: bigint, listing: Listing | undefined): number {
    const number = this.#kept.nextHandle();
    this.#directories.set(number, {...freshDirectory(node, unique, listing), slot: this.#kept.add({kind: 'directory', handle: number, node, unique})});
    return number;
  }

  /** One that an earlier daemon has given out, at the place that it had got to. */
  restoreDirectory(number: number, slot: number, node: InodeId, unique: bigint): void {
    const handle = {...freshDirectory(node, unique, undefined), slot};
    const position = this.#kept.position(slot, number);
    if (position) {
      handle.passed.set(position.cookie, position.key);
      // Whatever the kernel comes back for lies behind this, at worst.
      handle.atLeast = position.from;
    }
    this.#directories.set(number, handle);
    this.#opened.set(unique, number);
  }

  /** Before an answer: it began behind `from` and ends with `key`, which the cookie names. */
  directoryRead(number: number, from: ByteString, cookie: bigint, key: ByteString): void {
    const handle = this.#directories.get(number);
    if (handle) this.#kept.setPosition(handle.slot, {handle: number, cookie, from, key});
  }

  directory(number: number): DirectoryHandle | undefined {
    return this.#directories.get(number);
  }

  closeDirectory(number: number): void {
    const handle = this.#directories.get(number);
    if (!handle) return;
    this.#directories.delete(number);
    this.#kept.remove(handle.slot);
    this.#opened.delete(handle.unique);
  }

  #letGo({id, lease}: Backing): void {
    this.#device.releaseBacking(id);
    lease?.[Symbol.dispose]();
  }

  /** The mount has gone: nobody will release what is open. Answers the inodes that were. */
  closeAll(): readonly OpenInode[] {
    this.#directories.clear();
    const left: OpenInode[] = [];
    for (const number of this.#files.keys()) {
      const open = this.closeFile(number);
      if (open) left.push(open);
    }
    return left;
  }
}

function freshDirectory(node: InodeId, unique: bigint, listing: Listing | undefined): DirectoryHandle {
  return {node, listing, rest: [], after: undefined, ended: false, validUntil: Infinity, turn: 0, changes: undefined, passed: new Map(), cookie: 0n, unique};
}
