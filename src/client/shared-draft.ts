/**
 * A draft and all who have it: what one of them changes the others' kernels forget, what one publishes is published for all, and the last who lets go
 * puts it away. A change does not wait for another mount that is changing the file itself: that one's kernel may hold the very pages until it is answered.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {DraftFile} from '#client/draft-file.ts';
import type {FileDraft} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ChangedNow, MountsOnTheSpot} from '#contracts/on-the-spot.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {Unnamed} from '#contracts/writing.ts';
import type {TimeNs} from '#model/content.ts';

/** As many as a kernel has under way. */
const appendedMax = 256;

/** Told to who keeps it by its file's inode. */
export interface SharedDraftEvents {
  /** Its file is another inode from now on: where versions are kept, each publication is one. */
  replaced(before: InodeId): void;
  /** It is put away. */
  ended(): void;
}

export class SharedDraft {
  readonly handles = new Set<DraftHandle>();
  readonly #file: DraftFile;
  readonly #master: MountsOnTheSpot;
  readonly #events: SharedDraftEvents;
  /** Somebody could not publish it, and nobody has since. */
  #unpublished = false;
  /** It is being put away. */
  #ending: Promise<void> | undefined;

  constructor(file: DraftFile, master: MountsOnTheSpot, events: SharedDraftEvents) {
    this.#file = file;
    this.#master = master;
    this.#events = events;
  }

  /** When it will be put away; undefined while nobody does that. */
  get ending(): Promise<void> | undefined {
    return this.#ending;
  }

  /** `node`: the file as the holder knows it. */
  join(node: InodeId, holder: string | undefined): DraftHandle {
    const handle = new DraftHandle(this, this.#file, node, holder);
    this.handles.add(handle);
    return handle;
  }

  /** Tells all others who have it open that a range of it has changed. */
  async changed(by: DraftHandle, from: number, to: number): Promise<void> {
    let waits = true;
    for (const {node, holder, changing} of this.handles) {
      if (holder === undefined || holder === by.holder) continue;
      this.#master.tellWritten(node, {from, to}, [holder]);
      waits &&= changing === 0;
    }
    if (waits) await this.#master.told(by.holder);
  }

  async publish(publication: (file: DraftFile) => Promise<FileInfo | undefined>): Promise<FileInfo | undefined> {
    const before = this.#file.inode;
    const info = await publication(this.#file);
    this.#unpublished = false;
    if (this.#file.inode !== before) this.#events.replaced(before);
    return info;
  }

  publishNow(context: CallContext): ChangedNow | undefined {
    const made = this.handles.size === 1 ? this.#file.publishNow(context) : undefined;
    if (made) this.#unpublished = false;
    return made;
  }

  async close(handle: DraftHandle, {keep}: {readonly keep: boolean}, context: CallContext): Promise<void> {
    if (!this.handles.delete(handle)) return;
    this.#unpublished ||= keep;
    if (this.handles.size > 0) return;
    this.#ending = this.#file.close({keep: this.#unpublished}, context).finally(() => this.#events.ended());
    await this.#ending;
  }

  closeNow(handle: DraftHandle): boolean {
    if (this.handles.size > 1) return this.handles.delete(handle);
    if (this.#unpublished || !this.#file.closeNow()) return false;
    this.handles.delete(handle);
    this.#events.ended();
    return true;
  }
}

/** What one mount has of a draft. */
export class DraftHandle implements FileDraft {
  readonly #shared: SharedDraft;
  readonly #file: DraftFile;
  /** As the mount knows the file. */
  readonly node: InodeId;
  readonly holder: string | undefined;
  /** Where what was appended lately went, by who may send it again. */
  readonly #appended = new Map<number, number>();
  /** Changes that are not answered. */
  changing = 0;

  constructor(shared: SharedDraft, file: DraftFile, node: InodeId, holder: string | undefined) {
    this.#shared = shared;
    this.#file = file;
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

  syncNow(): Promise<void> | undefined {
    return this.#file.syncNow();
  }

  publish(context: CallContext): Promise<FileInfo | undefined> {
    return this.#shared.publish((file) => file.publish(context));
  }

  publishNow(context: CallContext): ChangedNow | undefined {
    return this.#shared.publishNow(context);
  }

  async publishAs(path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo> {
    return (await this.#shared.publish((file) => file.publishAs(path, unnamed, context)))!;
  }

  close(options: {readonly keep: boolean}, context: CallContext): Promise<void> {
    return this.#shared.close(this, options, context);
  }

  closeNow(): boolean {
    return this.#shared.closeNow(this);
  }

  /** `step` answers the range that it has changed. Of one that fails nobody knows. */
  async #change(step: () => Promise<readonly [from: number, to: number]>): Promise<void> {
    let [from, to] = [0, Infinity];
    this.changing++;
    try {
      [from, to] = await step();
    } finally {
      try {
        if (this.#shared.handles.size > 1) await this.#shared.changed(this, from, to);
      } finally {
        this.changing--;
      }
    }
  }
}
