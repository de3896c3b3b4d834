/**
 * A file that is open and has been changed, here or on another mount: everybody reads and writes the one draft, until the last of them closes it.
 * A FLUSH, which every close brings, publishes it when this mount has changed it since the last one. Who is killed while he waits for a store, or
 * for others, goes at once; what he has begun goes on.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileDraft} from '#client/file-system.ts';
import type {FuseAttributes} from '#codec/fuse/reply.ts';
import {blockBytes} from '#codec/fuse/reply.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ChangedNow} from '#contracts/on-the-spot.ts';
import type {Unnamed} from '#contracts/writing.ts';
import type {TimeNs} from '#model/content.ts';
import {unlessKilled} from '#frontends/fuse/unless-killed.ts';
import type {Clock} from '#runtime/clock.ts';

export interface InodeDraftState {
  /** It differs from the file already: it was opened empty, or an earlier daemon has left it so. */
  readonly dirty: boolean;
  /** The time that somebody has given the file by hand since it was last written; 0: nobody. */
  readonly touched: TimeNs;
}

/** Where the state of a draft is kept for the next daemon; undefined when there is no draft any more. */
export type KeepDraft = (state: (InodeDraftState & {readonly inode: InodeId}) | undefined) => void;

export class InodeDraft {
  readonly #draft: FileDraft;
  readonly #clock: Pick<Clock, 'nowNs'>;
  readonly #keep: KeepDraft;
  /** Changes by this mount since the last publication. */
  #dirty: boolean;
  #touched: TimeNs;
  #changedAt: TimeNs | undefined;
  /** The kernel was told its attributes since it was changed last: what changes a file lets it forget them. */
  #shown = false;
  /** Counts them. */
  #changes = 0;
  #isShared: boolean;
  #takingBack: Promise<unknown> = Promise.resolve();
  /** How long it was when the kernel was told of it last. */
  #told: number;

  /** `told`: how long the kernel knows that it is. `isShared`: others have begun it. */
  constructor(draft: FileDraft, clock: Pick<Clock, 'nowNs'>, {dirty, touched}: InodeDraftState, keep: KeepDraft, {told = 0, isShared = false}: {readonly told?: number; readonly isShared?: boolean} = {}) {
    this.#draft = draft;
    this.#told = told;
    this.#isShared = isShared;
    this.#clock = clock;
    this.#dirty = dirty;
    this.#touched = touched;
    this.#keep = keep;
    if (touched !== 0n) draft.touch(touched);
    this.#note();
  }

  /** The file's, which is another once it was published where versions are kept. */
  get inode(): InodeId {
    return this.#draft.inode;
  }

  /** This mount has changed it since it was published last, and is to publish it. */
  get isDirty(): boolean {
    return this.#dirty;
  }

  get isShown(): boolean {
    return this.#shown;
  }

  /** Others have changed it, too. */
  get isShared(): boolean {
    return this.#isShared;
  }

  get length(): number {
    return this.#draft.length;
  }

  read(offset: number, size: number, context: CallContext): Promise<Uint8Array> {
    return unlessKilled(this.#draft.read({offset, length: Math.max(0, Math.min(size, this.#draft.length - offset))}, context), context);
  }

  /** At the end without an offset. Answers where. `id`: of FileDraft.write. */
  write(offset: number | undefined, bytes: Uint8Array, context: CallContext, id?: number): Promise<number> {
    this.#changed();
    return unlessKilled(this.#draft.write(offset, bytes, context, id), context);
  }

  /** The same on the spot; false where somebody is before it, or it takes waiting. The bytes may be changed afterwards. */
  writeNow(offset: number, bytes: Uint8Array): boolean {
    if (bytes.length === 0 || !this.#draft.writeNow(offset, bytes)) return false;
    this.#changed();
    return true;
  }

  truncate(length: number, context: CallContext): Promise<void> {
    this.#changed();
    return unlessKilled(this.#draft.truncate(length, context), context);
  }

  /** Zeros, within the file as long as it is. */
  punch(offset: number, length: number, context: CallContext): Promise<void> {
    this.#changed();
    return unlessKilled(this.#draft.punch(offset, length, context), context);
  }

  /** Others have changed it: answers how long it is, where the kernel, which is about to be told, cannot think so. */
  async changedElsewhere(context: CallContext): Promise<number | undefined> {
    this.#isShared = true;
    await this.#draft.refresh(context);
    const {length} = this.#draft;
    const longer = length > this.#told;
    this.#told = length;
    return longer ? length : undefined;
  }

  /** What the kernel is told of its bytes, one after the other: what it is told last is so. */
  takingBack<T>(work: () => Promise<T>): Promise<T> {
    const taken = this.#takingBack.then(work);
    this.#takingBack = taken.catch(() => undefined);
    return taken;
  }

  seek(offset: number, to: 'data' | 'hole', context: CallContext): Promise<number | undefined> {
    return unlessKilled(this.#draft.seek(offset, to, context), context);
  }

  sync(context: CallContext): Promise<void> {
    return unlessKilled(this.#draft.sync(context), context);
  }

  /** The same, begun on the spot, and not given up; undefined where it takes waiting for more than the disk. */
  syncNow(): Promise<void> | undefined {
    return this.#draft.syncNow();
  }

  /** Somebody has set the file's times by hand. */
  touched(mtime: TimeNs): void {
    this.#draft.touch((this.#touched = mtime));
    this.#note();
  }

  /** Its ctime is now. */
  markChanged(): void {
    this.#changedAt = this.#clock.nowNs();
  }

  /** The same on the spot; undefined where somebody is before it, or it takes waiting before anything is published. */
  publishNow(context: CallContext): ChangedNow | 'unchanged' | undefined {
    if (!this.#dirty) return 'unchanged';
    const made = this.#draft.publishNow(context);
    if (!made) return undefined;
    this.#dirty = false;
    this.#note();
    return made;
  }

  /** `close` on the spot, of one that was published; false, and it is open, where that takes waiting. */
  closeNow(): boolean {
    if (this.#dirty || !this.#draft.closeNow()) return false;
    this.#keep(undefined);
    return true;
  }

  /** Undefined when nothing had changed, or nobody can reach the file any more. */
  async publish(context: CallContext): Promise<FileInfo | undefined> {
    if (!this.#dirty) return undefined;
    return await unlessKilled(this.#published(this.#draft.publish(context)), context);
  }

  /** The first name of a file that was made without one. */
  publishAs(path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo> {
    return this.#published(this.#draft.publishAs(path, unnamed, context));
  }

  /** What could not be published stays on disk. */
  async close(context: CallContext): Promise<void> {
    await this.#draft.close({keep: this.#dirty}, context);
    this.#keep(undefined);
  }

  /** What is changed meanwhile waits until that has ended. */
  async #published<T>(publication: Promise<T>): Promise<T> {
    const changes = this.#changes;
    const info = await publication;
    if (changes === this.#changes) {
      this.#dirty = false;
      this.#note();
    }
    return info;
  }

  /** What the file is to those who have it open or look at it. `kept`: as of attributesOf. */
  over(attributes: FuseAttributes, kept: boolean): FuseAttributes {
    this.#shown ||= kept;
    const size = this.#draft.length;
    // A rename or a new mode may be later than the last change of the bytes.
    const ctime = this.#changedAt !== undefined && this.#changedAt > attributes.ctime ? this.#changedAt : attributes.ctime;
    const changed = this.#dirty || this.#draft.dirty ? {mtime: this.#draft.modified, ctime} : {};
    return {...attributes, size, blocks: Math.ceil(size / blockBytes) * (blockBytes / 512), ...changed};
  }

  #changed(): void {
    this.#shown = false;
    this.#changes++;
    this.#changedAt = this.#draft.modified = this.#clock.nowNs();
    if (this.#dirty && this.#touched === 0n) return;
    this.#dirty = true;
    this.#touched = 0n;
    this.#note();
  }

  #note(): void {
    this.#keep({inode: this.#draft.inode, dirty: this.#dirty, touched: this.#touched});
  }
}
