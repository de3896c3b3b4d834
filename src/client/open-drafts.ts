/**
 * Files that are being written in place, one draft each for all mounts of the instance that have the file open: what one of them writes the others
 * read. Whoever opens a file that is being written joins (`join`); whoever begins to write one that others have open tells them to, and begins when they
 * have. A change is answered when the kernels of the others have forgotten what it changed. What is published by one is published for all; what the
 * others have not is theirs to go on with. The draft is put away when the last lets go.
 */
import {assert} from '#base/assert.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {DraftFile, type DraftServices} from '#client/draft-file.ts';
import {closePublished, reopened} from '#client/draft-recovery.ts';
import type {DraftSource} from '#client/file-system.ts';
import {refuseSealed} from '#client/sealed.ts';
import {type DraftHandle, SharedDraft} from '#client/shared-draft.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MasterOnTheSpot, MountsOnTheSpot, WorkerOnTheSpot} from '#contracts/on-the-spot.ts';
import type {DraftInfo} from '#contracts/worker-api.ts';
import type {SealOptions} from '#contracts/writing.ts';
import type {Content} from '#model/content.ts';
import {isSealed} from '#model/seal.ts';

export interface OpenDraftsParts extends DraftServices {
  readonly here: {readonly master: MasterOnTheSpot & MountsOnTheSpot; readonly worker: WorkerOnTheSpot};
}

/** A mount that had the file open in an earlier life of the instance. */
export interface LeftHolder {
  readonly holder: string;
  /** It had changed the draft since it was published last. */
  readonly dirty: boolean;
}

export class OpenDrafts implements DraftSource {
  readonly #parts: OpenDraftsParts;
  /** By what their files are now: where versions are kept, each publication is another. */
  readonly #drafts = new Map<InodeId, SharedDraft>();
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
    return shared.join(id, context.origin);
  }

  openDraftNow(file: FileInfo, options: SealOptions, {origin}: Pick<CallContext, 'origin'>): DraftHandle | undefined {
    const {master, worker} = this.#parts.here;
    const {id, content} = file.inode;
    assert(content !== undefined, 'a file that was found has a content');
    if (content.length > 0 || isSealed(content) || this.isWrittenNow(id) || master.othersWith(id, origin).length > 0) return undefined;
    const seal = master.beginSealNow(file, options);
    const opened = seal === undefined ? undefined : worker.openDraftNow(id, content.id, seal);
    return opened && this.#add(new DraftFile(this.#parts, opened, content.metadata, options)).join(id, origin);
  }

  isWrittenNow(inode: InodeId): boolean {
    return this.#drafts.has(inode) || this.#opening.has(inode);
  }

  async joinDraft(inode: InodeId, {origin}: CallContext): Promise<DraftHandle | undefined> {
    for (let wait = this.#inTheWay(inode); wait; wait = this.#inTheWay(inode)) await wait;
    const shared = this.#drafts.get(inode);
    return shared && shared.join(inode, origin);
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
    for (const {holder} of holders) shared.join(left.inode, holder);
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
    let shared: SharedDraft;
    try {
      shared = this.#add(await opening);
    } finally {
      this.#opening.delete(id);
    }
    const handle = shared.join(id, context.origin);
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

  #add(file: DraftFile): SharedDraft {
    const shared = new SharedDraft(file, this.#parts.here.master, {
      replaced: before => {
        if (this.#drafts.delete(before)) this.#drafts.set(file.inode, shared);
      },
      ended: () => this.#drafts.delete(file.inode),
    });
    this.#drafts.set(file.inode, shared);
    return shared;
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
