/** A draft of a worker, and its publication by the steps of every write. */
import type {ByteString} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {MiB} from '#base/units.ts';
import type {FileDraft} from '#client/file-system.ts';
import {TicketWriter} from '#client/file-writer.ts';
import type {CallContext} from '#contracts/context.ts';
import type {BeginWriteOptions, FileInfo, MasterApi, Unnamed} from '#contracts/master-api.ts';
import type {ByteRange, DraftInfo, WorkerApi} from '#contracts/worker-api.ts';
import type {ContentMetadata, TimeNs} from '#model/content.ts';
import {withoutSeal} from '#model/seal.ts';

const chunkBytes = MiB;
/** Renames of the file that may come between finding it and publishing. */
const movesMax = 8;

export interface DraftServices {
  readonly master: MasterApi;
  readonly worker: WorkerApi;
}

export class DraftFile implements FileDraft {
  readonly #services: DraftServices;
  readonly #draft: number;
  readonly #metadata: ContentMetadata;
  #inode: InodeId;
  #length: number;
  modified: TimeNs;

  constructor(services: DraftServices, {draft, inode, length, modified}: DraftInfo, metadata: ContentMetadata) {
    this.#services = services;
    this.#draft = draft;
    this.#inode = inode;
    this.#length = length;
    // Whatever the file was, what is written here is plain.
    this.#metadata = withoutSeal(metadata);
    this.modified = modified;
  }

  get inode(): InodeId {
    return this.#inode;
  }

  get length(): number {
    return this.#length;
  }

  read(range: ByteRange, context: CallContext): Promise<Uint8Array> {
    return this.#services.worker.readDraft(this.#draft, range, context);
  }

  async write(position: number, bytes: Uint8Array, context: CallContext): Promise<void> {
    await this.#services.worker.writeDraft(this.#draft, position, bytes, context);
    this.#length = Math.max(this.#length, position + bytes.length);
  }

  async truncate(length: number, context: CallContext): Promise<void> {
    await this.#services.worker.truncateDraft(this.#draft, length, context);
    this.#length = length;
  }

  async punch(position: number, length: number, context: CallContext): Promise<void> {
    if (length > 0) await this.#services.worker.punchDraft(this.#draft, {offset: position, length}, context);
  }

  seek(position: number, to: 'data' | 'hole', context: CallContext): Promise<number | undefined> {
    return this.#services.worker.seekDraft(this.#draft, position, to, context);
  }

  async sync(context: CallContext): Promise<void> {
    await this.#services.worker.syncDraft(this.#draft, context);
  }

  async publish(context: CallContext): Promise<FileInfo | undefined> {
    for (let moves = 0; ; moves++) {
      let path;
      try {
        path = await this.#services.master.pathOf(this.#inode, context);
        const info = await this.#publishAt(path, {inode: this.#inode}, context);
        this.#inode = info.inode.id;
        await this.#services.worker.rebaseDraft(this.#draft, info.inode.id, info.inode.content!.id, context);
        return info;
      } catch (error) {
        if (path === undefined && isKind(error, 'NotFound')) return undefined;
        if (moves >= movesMax || !isKind(error, 'Conflict', 'NotFound')) throw error;
      }
    }
  }

  async publishAs(path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo> {
    const info = await this.#publishAt(path, {unnamed, precondition: {ifNoneMatch: '*'}}, context);
    await this.#services.worker.rebaseDraft(this.#draft, info.inode.id, info.inode.content!.id, context);
    return info;
  }

  async close(options: {readonly keep: boolean}, context: CallContext): Promise<void> {
    await this.#services.worker.closeDraft(this.#draft, options, context);
  }

  async #publishAt(path: ByteString, which: Pick<BeginWriteOptions, 'inode' | 'unnamed' | 'precondition'>, context: CallContext): Promise<FileInfo> {
    const {master, worker} = this.#services;
    const ticket = await master.beginWrite(path, {kind: 'file', parents: 'none', length: this.#length, ...which, mtime: this.modified, metadata: this.#metadata}, context);
    const length = this.#length;
    let writer: TicketWriter;
    try {
      writer = new TicketWriter(master, ticket, await worker.write(ticket, {length}, context), context);
    } catch (error) {
      await master.abandonWrite(ticket, context);
      throw error;
    }
    try {
      for (let at = 0; at < length; ) {
        const bytes = await this.read({offset: at, length: Math.min(chunkBytes, length - at)}, context);
        if (bytes.length === 0) throw new WeirError('Io', `the draft of ${path} is shorter than it was`);
        await writer.write(bytes);
        at += bytes.length;
      }
      return await writer.commit({length});
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }
}
