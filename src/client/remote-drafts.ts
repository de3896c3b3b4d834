/** Drafts that are in an instance, for a mount that is a process of its own: what they are is known from the last answer. */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {DraftSource, FileDraft} from '#client/file-system.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {DraftsApi, DraftState, NumberedDraft} from '#contracts/drafts-api.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {SealOptions, Unnamed} from '#contracts/writing.ts';
import type {TimeNs} from '#model/content.ts';

export class RemoteDrafts implements DraftSource {
  readonly #api: DraftsApi;

  constructor(api: DraftsApi) {
    this.#api = api;
  }

  async openDraft(file: FileInfo, options: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<FileDraft> {
    return new RemoteDraft(this.#api, await this.#api.open(file, options, context));
  }

  openDraftNow(): undefined {
    return undefined;
  }

  isWrittenNow(): boolean {
    return true;
  }

  async joinDraft(inode: InodeId, context: CallContext): Promise<FileDraft | undefined> {
    const joined = await this.#api.join(inode, context);
    return joined ? new RemoteDraft(this.#api, joined) : undefined;
  }

  async handOverDrafts(holder: string, context: CallContext): Promise<readonly FileDraft[]> {
    return (await this.#api.handOver(holder, context)).map((draft) => new RemoteDraft(this.#api, draft));
  }
}

class RemoteDraft implements FileDraft {
  readonly #api: DraftsApi;
  readonly #draft: number;
  #state: DraftState;
  modified: TimeNs;

  constructor(api: DraftsApi, {draft, ...state}: NumberedDraft) {
    this.#api = api;
    this.#draft = draft;
    this.#state = state;
    this.modified = state.modified;
  }

  get inode(): InodeId {
    return this.#state.inode;
  }

  get length(): number {
    return this.#state.length;
  }

  get dirty(): boolean {
    return this.#state.dirty;
  }

  touch(mtime: TimeNs): void {
    this.modified = mtime;
    // What fails is said by whatever comes next.
    void this.#api.touch(this.#draft, mtime, systemContext).catch(() => undefined);
  }

  async refresh(context: CallContext): Promise<void> {
    this.#state = await this.#api.state(this.#draft, context);
    this.modified = this.#state.modified;
  }

  read(range: ByteRange, context: CallContext): Promise<Uint8Array> {
    return this.#api.read(this.#draft, range, context);
  }

  async write(position: number | undefined, bytes: Uint8Array, context: CallContext, id?: number): Promise<number> {
    const {at, ...state} = await this.#api.write(this.#draft, position ?? null, bytes, id ?? null, context);
    this.#state = state;
    return at;
  }

  writeNow(): boolean {
    return false;
  }

  async truncate(length: number, context: CallContext): Promise<void> {
    this.#state = await this.#api.truncate(this.#draft, length, context);
  }

  async punch(position: number, length: number, context: CallContext): Promise<void> {
    this.#state = await this.#api.punch(this.#draft, {offset: position, length}, context);
  }

  async seek(position: number, to: 'data' | 'hole', context: CallContext): Promise<number | undefined> {
    return (await this.#api.seek(this.#draft, position, to, context)) ?? undefined;
  }

  sync(context: CallContext): Promise<void> {
    return this.#api.sync(this.#draft, context);
  }

  syncNow(): undefined {
    return undefined;
  }

  async publish(context: CallContext): Promise<FileInfo | undefined> {
    return this.#published((await this.#api.publish(this.#draft, this.modified, context)) ?? undefined);
  }

  publishNow(): undefined {
    return undefined;
  }

  async publishAs(path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo> {
    return this.#published(await this.#api.publishAs(this.#draft, this.modified, path, unnamed, context));
  }

  close(options: {readonly keep: boolean}, context: CallContext): Promise<void> {
    return this.#api.close(this.#draft, options, context);
  }

  closeNow(): boolean {
    return false;
  }

  #published<T extends FileInfo | undefined>(info: T): T {
    this.#state = {...this.#state, dirty: false, ...(info ? {inode: info.inode.id} : {})};
    return info;
  }
}
