/**
 * Files that are being written in place, one draft each for all mounts of the instance that have the file open: what one of them writes the others
 * read. Whoever opens a file that is being written joins (`join`); whoever begins to write one that others have open tells them to, and begins when they
 * have. A change is answered when the kernels of the others have forgotten what it changed. What is published by one is published for all; what the
 * others have not is theirs to go on with. The draft is put away when the last lets go.
 *
 * A change does not wait for another mount that is changing the file itself: that one's kernel may hold the very pages until it is answered.
 */
import {assert} from '#base/assert.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import {DraftFile, type DraftServices} from '#client/draft-file.ts';
import {closePublished, reopened} from '#client/draft-recovery.ts';
import type {DraftSource, FileDraft} from '#client/file-system.ts';
import {refuseSealed} from '#client/sealed.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ChangedNow, MasterOnTheSpot, MountsOnTheSpot, WorkerOnTheSpot} from '#contracts/on-the-spot.ts';
import type {ByteRange, DraftInfo} from '#contracts/worker-api.ts';
import type {SealOptions, Unnamed} from '#contracts/writing.ts';
import type {Content, TimeNs} from '#model/content.ts';
import {isSealed} from '#model/seal.ts';

export interface OpenDraftsParts extends DraftServices {
  readonly here: {readonly master: MasterOnTheSpot & MountsOnTheSpot; readonly worker: WorkerOnTheSpot};
}

/** As many as a kernel has under way. */
const appendedMax = 256;

/** A mount that had the file open in an earlier life of the instance. */
export interface LeftHolder {
  readonly holder: string;
  /** It had changed the draft since it was published last. */
  readonly dirty: boolean;
}

/** A draft, and who has it. */
class Shared {
  readonly file: DraftFile;
  readonly handles = new Set<DraftHandle>();
  /** Somebody could not publish it, and nobody has since. */
  unpublished = false;
  /** It is being put away. */
  ending: Promise<void> | undefined;

  constructor(file: DraftFile) {
    this.file = file;
  }
}

export class OpenDrafts implements DraftSource {
  readonly #parts: OpenDraftsParts;
  /** By what their files are now: where versions are kept, each publication is another. */
  readonly #drafts = new Map<InodeId, Shared>();
  readonly #opening = new Map<InodeId, Promise<unknown>>();

  constructor(parts: OpenDraftsParts) {
    this.#parts = parts;
  }

  async openDraft(file: FileInfo, options: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<DraftHandle> {
    const {id} = file.inode;
    for (let wait = this.#inTheWay(id); wait; wait = this.#inTheWay(id)) await wait;
    const shared = this.#drafts.get(id);
    if (!shared) return await this.#open(file, options, context);
    if (Array.from(shared.handles).some(({holder}) => holder === context.origin)) throw new WeirError('AlreadyExists', `inode ${id} is being written already`);
    return this.#join(shared, id, context.origin);
  }

  openDraftNow(file: FileInfo, options: SealOptions, {origin}: Pick<CallContext, 'origin'>): DraftHandle | undefined {
    const {master, worker} = this.#parts.here;
    const {id, content} = file.inode;
    assert(content !== undefined, 'a file that was found has a content');
    if (content.length > 0 || isSealed(content) || this.isWrittenNow(id) || master.othersWith(id, origin).length > 0) return undefined;
    const seal = master.beginSealNow(file, options);
    const opened = seal === undefined ? undefined : worker.openDraftNow(id, content.id, seal);
    return opened && this.#join(this.#add(new DraftFile(this.#parts, opened, content.metadata, options)), id, origin);
  }

  isWrittenNow(inode: InodeId): boolean {
    return this.#drafts.has(inode) || this.#opening.has(inode);
  }

  async joinDraft(inode: InodeId, {origin}: CallContext): Promise<DraftHandle | undefined> {
    for (let wait = this.#inTheWay(inode); wait; wait = this.#inTheWay(inode)) await wait;
    const shared = this.#drafts.get(inode);
    return shared && this.#join(shared, inode, origin);
  }

  async handOverDrafts(holder: string, context: CallContext): Promise<readonly DraftHandle[]> {
    const held = this.of(holder);
    const known = new Set(held.map(({node}) => node));
    const joined = await Promise.all(this.#parts.here.master.openBy(holder).filter((inode) => !known.has(inode) && this.isWrittenNow(inode)).map((inode) => this.joinDraft(inode, {...context, origin: holder})));
    return [...held, ...joined.filter((handle) => handle !== undefined)];
  }

  /** What a mount is writing, or reads while others write it. */
  of(holder: string): readonly DraftHandle[] {
    return Array.from(this.#drafts.values(), ({handles}) => Array.from(handles).filter((handle) => handle.holder === holder)).flat();
  }

  /** A draft that an earlier life has left, to be gone on with by those who have its file open. */
  async adopt(left: DraftInfo, holders: readonly LeftHolder[], options: SealOptions, context: CallContext): Promise<void> {
    const content = await this.#contentOf(left.inode, holders, context);
    if (content && content.id === left.seal) return await closePublished(this.#parts, left, true, context);
    const file = await reopened(this.#parts, left, content, options, context);
    if (holders.some(({dirty}) => dirty)) file.markDirty();
    const shared = this.#add(file);
    for (const {holder} of holders) this.#join(shared, left.inode, holder);
  }

  /** Tells all others who have it open that a range of it has changed. */
  async changed(shared: Shared, by: DraftHandle, from: number, to: number): Promise<void> {
    const {master} = this.#parts.here;
    let waits = true;
    for (const {node, holder, changing} of shared.handles) {
      if (holder === undefined || holder === by.holder) continue;
      master.tellWritten(node, {from, to}, [holder]);
      waits &&= changing === 0;
    }
    if (waits) await master.told(by.holder);
  }

  async close(shared: Shared, handle: DraftHandle, {keep}: {readonly keep: boolean}, context: CallContext): Promise<void> {
    if (!shared.handles.delete(handle)) return;
    shared.unpublished ||= keep;
    if (shared.handles.size > 0) return;
    const {file} = shared;
    shared.ending = file.close({keep: shared.unpublished}, context).finally(() => this.#drafts.delete(file.inode));
    await shared.ending;
  }

  closeNow(shared: Shared, handle: DraftHandle): boolean {
    if (shared.handles.size > 1) return shared.handles.delete(handle);
    if (shared.unpublished || !shared.file.closeNow()) return false;
    shared.handles.delete(handle);
    this.#drafts.delete(shared.file.inode);
    return true;
  }

  async published(shared: Shared, publication: (file: DraftFile) => Promise<FileInfo | undefined>): Promise<FileInfo | undefined> {
    const {file} = shared;
    const before = file.inode;
    const info = await publication(file);
    shared.unpublished = false;
    if (file.inode !== before && this.#drafts.delete(before)) this.#drafts.set(file.inode, shared);
    return info;
  }

  /** Somebody is about to open a draft of the inode, or to put it away: when that is done. It may be so again by then. Never rejects. */
  #inTheWay(inode: InodeId): Promise<unknown> | undefined {
    return (this.#opening.get(inode) ?? this.#drafts.get(inode)?.ending)?.catch(() => undefined);
  }

  async #open(file: FileInfo, options: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<DraftHandle> {
    const {master} = this.#parts.here;
    const {id} = file.inode;
    const opening = this.#begin(file, options, context);
    this.#opening.set(id, opening);
    let shared: Shared;
    try {
      shared = this.#add(await opening);
    } finally {
      this.#opening.delete(id);
    }
    const handle = this.#join(shared, id, context.origin);
    const others = master.othersWith(id, context.origin);
    if (others.length > 0) {
      master.tellWritten(id, {from: 0, to: Infinity}, others);
      await master.told(context.origin);
    }
    return handle;
  }

  async #begin(file: FileInfo, {empty, ...options}: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<DraftFile> {
    const {master, worker} = this.#parts;
    const {content, id, kind} = file.inode;
    if (!empty && !content) throw new WeirError(kind === 'directory' ? 'IsADirectory' : 'InvalidArgument', 'it has no content to write');
    if (!empty && content) refuseSealed(content);
    const base = empty && content ? {...content, length: 0} : content;
    // What has no name is sealed when it has got one, or never.
    const seal = file.path === '' ? undefined : ((await master.beginSeal(id, options, context)) ?? undefined);
    return new DraftFile(this.#parts, await worker.openDraft(id, base, seal === undefined ? {} : {seal}, context), content?.metadata ?? {}, options);
  }

  #add(file: DraftFile): Shared {
    const shared = new Shared(file);
    this.#drafts.set(file.inode, shared);
    return shared;
  }

  #join(shared: Shared, node: InodeId, holder: string | undefined): DraftHandle {
    const handle = new DraftHandle(this, shared, node, holder);
    shared.handles.add(handle);
    return handle;
  }

  /** Also of a file that has no name any more, and is open. */
  async #contentOf(inode: InodeId, holders: readonly LeftHolder[], context: CallContext): Promise<Content | undefined> {
    const {master} = this.#parts;
    try {
      return (await master.stat(await master.pathOf(inode, context), {kind: 'file'}, context)).inode.content;
    } catch (error) {
      if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
      return (await master.retain(inode, holders[0]!.holder, context).catch(() => undefined))?.inode.content;
    }
  }
}

/** What one mount has of a draft. */
export class DraftHandle implements FileDraft {
  readonly #drafts: OpenDrafts;
  readonly #shared: Shared;
  readonly #file: DraftFile;
  /** As the mount knows the file. */
  readonly node: InodeId;
  readonly holder: string | undefined;
  /** Where what was appended lately went, by who may send it again. */
  readonly #appended = new Map<number, number>();
  /** Changes that are not answered. */
  changing = 0;

  constructor(drafts: OpenDrafts, shared: Shared, node: InodeId, holder: string | undefined) {
    this.#drafts = drafts;
    this.#shared = shared;
    this.#file = shared.file;
    this.node = node;
    this.holder = holder;
  }

  get inode(): InodeId {
    return this.#file.inode;
  }

  get length(): number {
    return this.#file.length;
  }

  get dirty(): boolean {
    return this.#file.dirty;
  }

  get modified(): TimeNs {
    return this.#file.modified;
  }

  set modified(value: TimeNs) {
    this.#file.modified = value;
  }

  touch(mtime: TimeNs): void {
    this.#file.modified = mtime;
  }

  async refresh(): Promise<void> {
    // It is the draft itself.
  }

  read(range: ByteRange, context: CallContext): Promise<Uint8Array> {
    return this.#file.read(range, context);
  }

  async write(position: number | undefined, bytes: Uint8Array, context: CallContext, id?: number): Promise<number> {
    const before = id === undefined ? undefined : this.#appended.get(id);
    if (before !== undefined) return before;
    let at = position ?? 0;
    await this.#change(async () => {
      at = await this.#file.write(position, bytes, context);
      if (id !== undefined) this.#remember(id, at);
      return [at, at + bytes.length];
    });
    return at;
  }

  #remember(id: number, at: number): void {
    this.#appended.set(id, at);
    if (this.#appended.size > appendedMax) this.#appended.delete(this.#appended.keys().next().value!);
  }

  writeNow(position: number, bytes: Uint8Array): boolean {
    return this.#shared.handles.size === 1 && this.#file.writeNow(position, bytes);
  }

  truncate(length: number, context: CallContext): Promise<void> {
    return this.#change(async () => {
      await this.#file.truncate(length, context);
      return [0, Infinity];
    });
  }

  punch(position: number, length: number, context: CallContext): Promise<void> {
    return this.#change(async () => {
      await this.#file.punch(position, length, context);
      return [position, position + length];
    });
  }

  seek(position: number, to: 'data' | 'hole', context: CallContext): Promise<number | undefined> {
    return this.#file.seek(position, to, context);
  }

  sync(context: CallContext): Promise<void> {
    return this.#file.sync(context);
  }

  publish(context: CallContext): Promise<FileInfo | undefined> {
    return this.#drafts.published(this.#shared, (file) => file.publish(context, this.#shared.handles.size > 1 ? 'changed' : undefined));
  }

  publishNow(context: CallContext): ChangedNow | undefined {
    const made = this.#shared.handles.size === 1 ? this.#file.publishNow(context) : undefined;
    if (made) this.#shared.unpublished = false;
    return made;
  }

  async publishAs(path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo> {
    return (await this.#drafts.published(this.#shared, (file) => file.publishAs(path, unnamed, context)))!;
  }

  close(options: {readonly keep: boolean}, context: CallContext): Promise<void> {
    return this.#drafts.close(this.#shared, this, options, context);
  }

  closeNow(): boolean {
    return this.#drafts.closeNow(this.#shared, this);
  }

  /** `step` answers the range that it has changed. Of one that fails nobody knows. */
  async #change(step: () => Promise<readonly [from: number, to: number]>): Promise<void> {
    let [from, to] = [0, Infinity];
    this.changing++;
    try {
      [from, to] = await step();
    } finally {
      try {
        if (this.#shared.handles.size > 1) await this.#drafts.changed(this.#shared, this, from, to);
      } finally {
        this.changing--;
      }
    }
  }
}
