/**
 * Drafts on disk: one plain file each, named `INODE-BASE` after what is being written and the content that it began with (0: nothing).
 * So a draft that outlives its process can be told from one whose bytes were published, and from one whose file was replaced meanwhile.
 */
import {isKind, WeirError} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import type {ByteRange, DraftInfo} from '#contracts/worker-api.ts';
import {makeLastingDirectory} from '#journal/lasting-directory.ts';
import type {Disk, DiskFile} from '#runtime/disk.ts';

const draftsMax = 4096;
const zeros = new Uint8Array(64 * 1024);
const namePattern = /^([1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})$/;

interface OpenDraft {
  readonly file: DiskFile;
  inode: InodeId;
  base: ContentId | undefined;
  /** The name is on disk for good. */
  lasting: boolean;
}

export class Drafts {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #open = new Map<number, OpenDraft>();
  #made: Promise<void> | undefined;
  #next = 1;

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  /** `bytes`: of the base. */
  async open(inode: InodeId, base: ContentId | undefined, bytes: AsyncIterable<Uint8Array> | undefined): Promise<DraftInfo> {
    if (this.#open.size >= draftsMax) throw new WeirError('Overloaded', `${draftsMax} files are being written`);
    await (this.#made ??= makeLastingDirectory(this.#disk, this.#directory));
    const name = this.#path(inode, base);
    const file = await this.#disk.open(name, {mode: 'exclusive', permissions: 0o600});
    try {
      let position = 0;
      for await (const chunk of bytes ?? []) {
        await file.write([chunk], position);
        position += chunk.length;
      }
      return await this.#add({file, inode, base, lasting: false});
    } catch (error) {
      await file.close();
      await this.#disk.unlink(name);
      throw error;
    }
  }

  async left(): Promise<readonly DraftInfo[]> {
    const names = await this.#disk.readDirectory(this.#directory).catch(absentIsEmpty);
    const found: DraftInfo[] = [];
    for (const name of names.toSorted()) {
      const parts = namePattern.exec(name);
      if (!parts) continue;
      const [inode, base] = [Number(parts[1]) as InodeId, (Number(parts[2]) || undefined) as ContentId | undefined];
      if (this.#has(inode, base)) continue;
      found.push(await this.#add({file: await this.#disk.open(`${this.#directory}/${name}`, {mode: 'write'}), inode, base, lasting: true}));
    }
    return found;
  }

  async read(draft: number, {offset, length}: ByteRange): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, await this.#get(draft).file.read(bytes, offset));
  }

  async write(draft: number, position: number, bytes: Uint8Array): Promise<void> {
    await this.#get(draft).file.write([bytes], position);
  }

  async truncate(draft: number, length: number): Promise<void> {
    await this.#get(draft).file.truncate(length);
  }

  async punch(draft: number, {offset, length}: ByteRange): Promise<void> {
    const {file} = this.#get(draft);
    try {
      await file.punch(offset, length);
    } catch (error) {
      if (!isKind(error, 'Unsupported')) throw error;
      for (let done = 0; done < length; done += zeros.length) await file.write([zeros.subarray(0, Math.min(zeros.length, length - done))], offset + done);
    }
  }

  seek(draft: number, position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    return this.#get(draft).file.seek(position, to);
  }

  async sync(draft: number): Promise<void> {
    const open = this.#get(draft);
    await open.file.datasync();
    if (!open.lasting) await this.#disk.syncDirectory(this.#directory);
    open.lasting = true;
  }

  async rebase(draft: number, inode: InodeId, base: ContentId): Promise<void> {
    const open = this.#get(draft);
    await this.#disk.rename(this.#path(open.inode, open.base), this.#path(inode, base));
    open.inode = inode;
    open.base = base;
    open.lasting = false;
  }

  async close(draft: number, keep: boolean): Promise<void> {
    const open = this.#get(draft);
    this.#open.delete(draft);
    await open.file.close();
    if (!keep) await this.#disk.unlink(this.#path(open.inode, open.base));
  }

  /** What is open stays on disk. */
  async closeAll(): Promise<void> {
    for (const draft of this.#open.keys()) await this.close(draft, true);
  }

  async #add(open: OpenDraft): Promise<DraftInfo> {
    const {size, mtimeNs} = await open.file.stat();
    const draft = this.#next++;
    this.#open.set(draft, open);
    const {inode, base} = open;
    return {draft, inode, length: size, modified: mtimeNs, ...(base === undefined ? {} : {base})};
  }

  #has(inode: InodeId, base: ContentId | undefined): boolean {
    return [...this.#open.values()].some(open => open.inode === inode && open.base === base);
  }

  #get(draft: number): OpenDraft {
    const open = this.#open.get(draft);
    if (!open) throw new WeirError('NotFound', `draft ${draft} is not open (any more)`);
    return open;
  }

  #path(inode: InodeId, base: ContentId | undefined): string {
    return `${this.#directory}/${inode}-${base ?? 0}`;
  }
}

function absentIsEmpty(error: unknown): string[] {
  if (isKind(error, 'NotFound')) return [];
  throw error;
}
