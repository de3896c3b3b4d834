/**
 * Contents of stores whose files are on this host (capability `localFile`): read in place, never cached, because the kernel
 * does that already. Others may change such a file at any time, so its fingerprint is compared before the first byte and again
 * after the last one was taken; only then are the bytes vouched for. Descriptors are kept open, a bounded number of them.
 */
import {WeirError, isKind} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {systemContext} from '#contracts/context.ts';
import type {Body, ByteRange} from '#contracts/worker-api.ts';
import type {ReadableContent} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';
import type {DiskFile, FileStat} from '#runtime/disk.ts';
import type {UnderStore} from '#understore/under-store.ts';

/** Where nobody says how many descriptors there are. */
const openFilesDefault = 512;

interface OpenFile {
  readonly file: DiskFile;
  /** What the open file was when its version was last compared by name. */
  readonly stat: FileStat;
  readonly isOurs: boolean;
  /** Reads and leases under way; closed by the last of them once evicted. */
  users: number;
  evicted: boolean;
}

export interface InPlaceOptions {
  /** Up to so many come as bytes, more as a lease. */
  readonly inlineBytesMax: number;
  /** StoreProvider.isOurs: a file that has its name stays as it is, so that the kernel may have it. */
  readonly isOurs: boolean;
}

export class InPlaceReads {
  readonly #openFilesMax: number;
  readonly #files = new Map<ContentId, Promise<OpenFile>>();
  /** Of those, the ones that are open by now. */
  readonly #ready = new Map<ContentId, OpenFile>();

  /** `openFilesMax`: descriptors that are kept. Opening and comparing a small file costs several times what reading an open one does. */
  constructor(openFilesMax = openFilesDefault) {
    this.#openFilesMax = openFilesMax;
  }

  /** ContentChanged when the file is not (or no longer) this version. */
  async read(store: UnderStore, content: ReadableContent, range: ByteRange, {inlineBytesMax, isOurs}: InPlaceOptions, signal: AbortSignal): Promise<Body> {
    const known = this.#files.has(content.id);
    try {
      return await this.#read(store, content, range, {inlineBytesMax, isOurs}, signal);
    } catch (error) {
      // Renaming a file of ours changes its times too: what was open before is compared with the version as it is known now.
      if (!known || !isKind(error, 'ContentChanged')) throw error;
      return await this.#read(store, content, range, {inlineBytesMax, isOurs}, signal);
    }
  }

  /** On the spot, of a file that is open, unchanged and in memory; undefined otherwise. */
  readNow(content: ReadableContent, range: ByteRange, inlineBytesMax: number): Body | undefined {
    const open = this.#ready.get(content.id);
    if (!open) return undefined;
    if (range.length > inlineBytesMax) {
      if (!isUnchanged(open, open.file.statNow())) return undefined;
      open.users++;
      return this.#lease(open, content, range, systemContext.signal);
    }
    const bytes = Buffer.allocUnsafe(range.length);
    return this.readInto(content, range.offset, bytes) ? {kind: 'bytes', length: range.length, bytes} : undefined;
  }

  /** The same, as many bytes as `into` has. False: not now. */
  readInto(content: ReadableContent, offset: number, into: Uint8Array): boolean {
    const open = this.#ready.get(content.id);
    return open !== undefined && open.file.readResident(into, offset) === into.length && isUnchanged(open, open.file.statNow());
  }

  async #read(store: UnderStore, content: ReadableContent, range: ByteRange, {inlineBytesMax, isOurs}: InPlaceOptions, signal: AbortSignal): Promise<Body> {
    const open = await this.#acquire(store, content, isOurs);
    try {
      if (range.length <= inlineBytesMax) {
        const bytes = Buffer.allocUnsafe(range.length);
        const count = open.file.readResident(bytes, range.offset) ?? (await open.file.read(bytes, range.offset));
        await validate(open, content, signal);
        if (count < range.length) throw changed(content);
        this.#release(open);
        return {kind: 'bytes', length: range.length, bytes};
      }
      await validate(open, content, signal);
    } catch (error) {
      this.#forget(content.id);
      this.#release(open);
      throw error;
    }
    return this.#lease(open, content, range, signal);
  }

  /** `open` is in use by the lease until that ends. */
  #lease(open: OpenFile, content: ReadableContent, range: ByteRange, signal: AbortSignal): Body {
    let disposed = false;
    const lease: FileLease = {
      file: open.file.descriptor,
      offset: range.offset,
      length: range.length,
      resident: false,
      read: (into, position) => open.file.read(into, position),
      validate: () => validate(open, content, signal),
      ...(open.isOurs ? {lend: () => Promise.resolve(open.file.descriptor)} : {}),
      [Symbol.dispose]: () => {
        if (disposed) return;
        disposed = true;
        this.#release(open);
      },
    };
    return {kind: 'lease', length: range.length, lease};
  }

  get openFiles(): number {
    return this.#files.size;
  }

  /** Nothing refers to the content any more: an open descriptor would keep its file's room. */
  drop(id: ContentId): void {
    if (this.#files.has(id)) this.#forget(id);
  }

  async close(): Promise<void> {
    for (const id of this.#files.keys()) this.#forget(id);
  }

  async #acquire(store: UnderStore, content: ReadableContent, isOurs: boolean): Promise<OpenFile> {
    for (;;) {
      let opening = this.#files.get(content.id);
      if (opening) {
        // Moved to the end: the map's order is the order of use.
        this.#files.delete(content.id);
      } else {
        opening = openChecked(store, content, isOurs);
        if (this.#files.size >= this.#openFilesMax) this.#forget(this.#files.keys().next().value!);
      }
      this.#files.set(content.id, opening);
      let open: OpenFile;
      try {
        open = await opening;
      } catch (error) {
        if (this.#files.get(content.id) === opening) this.#files.delete(content.id);
        throw error;
      }
      if (open.evicted) continue;
      if (this.#files.get(content.id) === opening) this.#ready.set(content.id, open);
      open.users++;
      return open;
    }
  }

  #release(open: OpenFile): void {
    open.users--;
    if (open.evicted && open.users === 0) void open.file.close().catch(() => {});
  }

  #forget(id: ContentId): void {
    const opening = this.#files.get(id);
    this.#files.delete(id);
    this.#ready.delete(id);
    void opening?.then(
      open => {
        if (open.evicted) return;
        open.evicted = true;
        open.users++;
        this.#release(open);
      },
      () => {},
    );
  }
}

async function openChecked(store: UnderStore, content: ReadableContent, isOurs: boolean): Promise<OpenFile> {
  const {signal} = systemContext;
  try {
    const {file} = await store.openLocal(content.storeKey, {signal});
    try {
      // First what is open, then what the name has: so a change between the two is seen.
      const stat = await file.stat();
      const object = await store.stat(content.storeKey, {signal});
      if (object?.fingerprint === content.fingerprint) return {file, stat, isOurs, users: 0, evicted: false};
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
  } catch (error) {
    if (!isKind(error, 'NotFound')) throw error;
  }
  throw changed(content);
}

/**
 * Asks the open file alone, which costs one call: a write changes its times, and so does another file taking its name, which
 * unlinks it. A file of ours is written by nobody once it has its name, and the time of its inode changes when we rename it, as when
 * the version before becomes the current one: who reads it then reads on.
 */
async function validate(open: OpenFile, content: ReadableContent, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (!isUnchanged(open, open.file.statNow() ?? (await open.file.stat()))) throw changed(content);
}

function isUnchanged({stat, isOurs}: OpenFile, now: FileStat | undefined): boolean {
  return now !== undefined && now.inode === stat.inode && now.size === stat.size && now.mtimeNs === stat.mtimeNs && (isOurs || now.ctimeNs === stat.ctimeNs);
}

function changed(content: ReadableContent): WeirError {
  return new WeirError('ContentChanged', `the file of content ${content.id} is another version now`, {details: {content: content.id}});
}
