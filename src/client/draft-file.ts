/**
 * A draft of a worker, and how it becomes its file's content: under ASYNC_THROUGH sealed, in the cache, and committed; else published by the steps of
 * every write, its bytes going to the store. It is one for all mounts that write the file (open-drafts.ts): changes and publications take turns.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import {publish} from '#client/publish.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import type {ChangedNow, MasterOnTheSpot, WorkerOnTheSpot} from '#contracts/on-the-spot.ts';
import type {ByteRange, DraftInfo, WorkerDrafts} from '#contracts/worker-api.ts';
import type {BeginWriteOptions, SealOptions, Unnamed} from '#contracts/writing.ts';
import type {Content, ContentMetadata, TimeNs} from '#model/content.ts';
import type {WriteType} from '#model/mount.ts';
import {withoutSeal} from '#model/seal.ts';

/** Renames of the file that may come between finding it and publishing. */
const movesMax = 8;

export interface DraftServices {
  readonly master: MasterApi;
  readonly worker: WorkerDrafts;
  /** In this process. */
  readonly here?: {
    readonly master: Pick<MasterOnTheSpot, 'commitSealNow'>;
    readonly worker: Pick<WorkerOnTheSpot, 'writeDraftNow' | 'syncDraftNow' | 'sealDraftNow' | 'rebaseDraftNow' | 'closeDraftNow'>;
  };
}

export class DraftFile {
  readonly #services: DraftServices;
  readonly #draft: number;
  readonly #metadata: ContentMetadata;
  readonly #options: SealOptions;
  #inode: InodeId;
  #length: number;
  /** The id that its next content is to have. */
  #seal: ContentId | undefined;
  /** It was synced: then it stays until what it became lasts. */
  #synced: boolean;
  /** It was published, and that may not last yet. */
  #unsettled = false;
  /** As what it was published last; undefined when it has been changed since. */
  #published: FileInfo | undefined;
  #dirty = false;
  /** Changes wait for it, and publications for changes. */
  #last: Promise<unknown> = Promise.resolve();
  /** Steps that have not ended. */
  #waiting = 0;
  /** Of the last change: the file's mtime when it is published. */
  modified: TimeNs;

  /** `left`: by an earlier process, which may have synced it. */
  constructor(services: DraftServices, {draft, inode, seal, length, modified}: DraftInfo, metadata: ContentMetadata, options: SealOptions, left = false) {
    this.#services = services;
    this.#draft = draft;
    this.#inode = inode;
    this.#seal = seal;
    this.#length = length;
    this.#options = options;
    this.#synced = left;
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

  /** It was changed since it was opened, or published. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** Of an earlier life. */
  markDirty(): void {
    this.#dirty = true;
  }

  read(range: ByteRange, context: CallContext): Promise<Uint8Array> {
    return this.#found(() => this.#services.worker.readDraft(this.#draft, range, context), context);
  }

  /** At the end without a position. Answers where. */
  write(position: number | undefined, bytes: Uint8Array, context: CallContext): Promise<number> {
    return this.#inTurn(async () => {
      const at = position ?? this.#length;
      this.#changed();
      await this.#found(() => this.#services.worker.writeDraft(this.#draft, at, bytes, context), context);
      this.#length = Math.max(this.#length, at + bytes.length);
      return at;
    });
  }

  writeNow(position: number, bytes: Uint8Array): boolean {
    if (this.#waiting > 0 || !this.#services.here?.worker.writeDraftNow(this.#draft, position, bytes)) return false;
    this.#changed();
    this.#length = Math.max(this.#length, position + bytes.length);
    return true;
  }

  truncate(length: number, context: CallContext): Promise<void> {
    return this.#inTurn(async () => {
      this.#changed();
      await this.#found(() => this.#services.worker.truncateDraft(this.#draft, length, context), context);
      this.#length = length;
    });
  }

  /** As far as it reaches. */
  punch(position: number, bytes: number, context: CallContext): Promise<void> {
    return this.#inTurn(async () => {
      const length = Math.min(bytes, this.#length - position);
      if (length <= 0) return;
      this.#changed();
      await this.#found(() => this.#services.worker.punchDraft(this.#draft, {offset: position, length}, context), context);
    });
  }

  seek(position: number, to: 'data' | 'hole', context: CallContext): Promise<number | undefined> {
    return this.#services.worker.seekDraft(this.#draft, position, to, context);
  }

  sync(context: CallContext): Promise<void> {
    return this.#inTurn(async () => {
      const {master, worker} = this.#services;
      this.#synced = true;
      // First what it is a change of, which power loss could take back.
      if (this.#unsettled) await master.sync(this.#inode, context);
      this.#unsettled = false;
      await worker.syncDraft(this.#draft, context);
    });
  }

  /** The same, begun on the spot; undefined where somebody is before it, or it takes waiting before. */
  syncNow(): Promise<void> | undefined {
    if (this.#waiting > 0 || this.#unsettled || !this.#synced) return undefined;
    const synced = this.#services.here?.worker.syncDraftNow(this.#draft);
    return synced && this.#inTurn(() => synced);
  }

  /** What nobody has changed since it was published is answered again. */
  publish(context: CallContext): Promise<FileInfo | undefined> {
    return this.#inTurn(async () => {
      const published = this.#published ?? (await this.#publish(context));
      this.#published = published;
      this.#dirty = false;
      return published;
    });
  }

  close(options: {readonly keep: boolean}, context: CallContext): Promise<void> {
    return this.#inTurn(async () => {
      const {master, worker} = this.#services;
      // What was synced stays until what it became lasts; where that fails, for the next start.
      const keep = options.keep || (this.#synced && !(await master.sync(this.#inode, context).then(() => true, () => false)));
      await worker.closeDraft(this.#draft, {keep}, context);
    });
  }

  async #publish(context: CallContext): Promise<FileInfo | undefined> {
    try {
      const sealed = await this.#publishSealed(context);
      if (sealed !== 'not') return sealed;
    } catch (error) {
      if (isKind(error, 'NotFound')) return undefined;
      throw error;
    }
    return await this.#publishThrough(undefined, context);
  }

  /** On the spot; undefined where somebody is before it, or it takes waiting before anything is published. */
  publishNow(context: CallContext): ChangedNow | undefined {
    const {here, worker} = this.#services;
    if (this.#waiting > 0) return undefined;
    const content = this.#seal;
    const bytes = content === undefined ? undefined : here?.worker.sealDraftNow(this.#draft, content);
    if (content === undefined || !bytes) return undefined;
    const made = here!.master.commitSealNow(this.#inode, {content, ...bytes, metadata: this.#metadata, mtime: this.modified}, context);
    if (!made) return undefined;
    const {info, safe} = made;
    this.#seal = undefined;
    this.#unsettled = true;
    this.#published = info;
    this.#dirty = false;
    if (!here!.worker.rebaseDraftNow(this.#draft, content)) return {info, safe: this.#inTurn(() => Promise.all([safe, worker.rebaseDraft(this.#draft, info.inode.id, content, context)]).then(() => undefined))};
    // Nothing is changed before it is done.
    return safe ? {info, safe: this.#inTurn(() => safe)} : made;
  }

  closeNow(): boolean {
    return this.#waiting === 0 && !this.#synced && (this.#services.here?.worker.closeDraftNow(this.#draft) ?? false);
  }

  #changed(): void {
    this.#published = undefined;
    this.#dirty = true;
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const done = this.#last.then(step, step).finally(() => this.#waiting--);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** In the cache alone; `not` where that is not how the file is written. NotFound. */
  async #publishSealed(context: CallContext): Promise<FileInfo | 'not' | undefined> {
    const {master, worker} = this.#services;
    const content = this.#seal ?? (await master.beginSeal(this.#inode, this.#options, context)) ?? undefined;
    if (content === undefined) return 'not';
    const bytes = await this.#found(() => worker.sealDraft(this.#draft, content, context), context);
    // It has no room: the store has.
    if (!bytes) return await this.#publishThrough('CACHE_THROUGH', context);
    this.#seal = undefined;
    const sealed = {content, ...bytes, metadata: this.#metadata, mtime: this.modified};
    // Whoever has gone meanwhile.
    const info = await master.commitSeal(this.#inode, sealed, {...context, signal: systemContext.signal}).catch(async (error: unknown) => {
      await master.abandonSeal(this.#inode, content, systemContext).catch(() => undefined);
      throw error;
    });
    if (!info) return 'not';
    this.#unsettled = true;
    await worker.rebaseDraft(this.#draft, info.inode.id, content, context);
    return info;
  }

  /** What was not changed may have moved since the draft looked: where it is now, the file says. */
  async #found<T>(step: () => Promise<T>, context: CallContext): Promise<T> {
    for (let moves = 0; ; moves++) {
      try {
        return await step();
      } catch (error) {
        // NotFound says a store of what it is to copy.
        if (!isKind(error, 'ContentChanged', 'NotFound') || moves >= movesMax) throw error;
        const content = await this.#content(context);
        if (!content || !(await this.#services.worker.moveDraft(this.#draft, content, context))) throw error;
      }
    }
  }

  /** Also of a file that has no name any more, and is open. */
  async #content(context: CallContext): Promise<Content | undefined> {
    const {master} = this.#services;
    try {
      return (await master.stat(await master.pathOf(this.#inode, context), {kind: 'file'}, context)).inode.content;
    } catch (error) {
      if (!isKind(error, 'NotFound', 'NotADirectory') || context.origin === undefined) return undefined;
      return (await master.retain(this.#inode, context.origin, context).catch(() => undefined))?.inode.content;
    }
  }

  async #publishThrough(writeType: WriteType | undefined, context: CallContext): Promise<FileInfo | undefined> {
    for (let moves = 0; ; moves++) {
      let path;
      try {
        path = await this.#services.master.pathOf(this.#inode, context);
        const at = path;
        return await this.#found(() => this.#publishAt(at, {inode: this.#inode, ...(writeType ? {writeType} : {})}, context), context);
      } catch (error) {
        if (path === undefined && isKind(error, 'NotFound')) return undefined;
        if (moves >= movesMax || !isKind(error, 'Conflict', 'NotFound')) throw error;
      }
    }
  }

  publishAs(path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo> {
    return this.#inTurn(async () => {
      const info = await this.#publishAt(path, {unnamed, precondition: {ifNoneMatch: '*'}}, context);
      this.#dirty = false;
      return info;
    });
  }

  async #publishAt(path: ByteString, which: Pick<BeginWriteOptions, 'inode' | 'unnamed' | 'precondition' | 'writeType'>, context: CallContext): Promise<FileInfo> {
    const {master, worker} = this.#services;
    const ticket = await master.beginWrite(path, {kind: 'file', parents: 'none', length: this.#length, mtime: this.modified, metadata: this.#metadata, ...this.#options, ...which}, context);
    const info = await publish(master, ticket, (ready) => worker.publishDraft(this.#draft, ticket, ready, context), context);
    const {id, content} = info.inode;
    this.#inode = id;
    await worker.rebaseDraft(this.#draft, id, content!.id, context);
    // What was not changed is this version's from now on.
    await worker.moveDraft(this.#draft, content!, context);
    return info;
  }
}
