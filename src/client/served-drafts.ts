/** Drafts of the instance, for mounts that are processes of their own: by numbers, which end with the process that was given them. */
import {WeirError} from '#base/errors.ts';
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {OpenDrafts} from '#client/open-drafts.ts';
import type {DraftHandle} from '#client/shared-draft.ts';
import {UnderWay} from '#client/under-way.ts';
import type {CallContext} from '#contracts/context.ts';
import type {DraftsApi, DraftState, NumberedDraft} from '#contracts/drafts-api.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {SealOptions, Unnamed} from '#contracts/writing.ts';
import type {TimeNs} from '#model/content.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Random} from '#runtime/random.ts';

const firstNumberMax = 2 ** 48;

export interface ServedDraftsParts {
  readonly drafts: OpenDrafts;
  readonly clock: Pick<Clock, 'nowNs'>;
  readonly random: Pick<Random, 'number'>;
}

export class ServedDrafts implements DraftsApi {
  readonly #drafts: OpenDrafts;
  readonly #clock: Pick<Clock, 'nowNs'>;
  readonly #numbered = new Map<number, DraftHandle>();
  /** Of drafts, by their number; those that are being opened by their holder. */
  readonly #calls = new UnderWay<number | string>();
  #next: number;

  constructor({drafts, clock, random}: ServedDraftsParts) {
    this.#drafts = drafts;
    this.#clock = clock;
    // So that what a mount remembers of an earlier life is nobody's.
    this.#next = 1 + Math.floor(random.number() * firstNumberMax);
  }

  open(file: FileInfo, options: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<NumberedDraft> {
    return this.#opened(this.#drafts.openDraft(file, options, context), context);
  }

  async join(inode: InodeId, context: CallContext): Promise<NumberedDraft | null> {
    return await this.#calls.note(context.origin ?? '', this.#drafts.joinDraft(inode, context).then((handle) => (handle ? this.#number(handle) : null)));
  }

  async handOver(holder: string, context: CallContext): Promise<readonly NumberedDraft[]> {
    await this.#calls.settled([holder]);
    const before = Array.from(this.#numbered).flatMap(([number, handle]) => (handle.holder === holder ? [number] : []));
    for (const number of before) this.#numbered.delete(number);
    await this.#calls.settled(before);
    return (await this.#drafts.handOverDrafts(holder, context)).map((handle) => this.#number(handle));
  }

  async state(draft: number): Promise<DraftState> {
    return stateOf(this.#get(draft));
  }

  async touch(draft: number, mtime: TimeNs): Promise<void> {
    this.#get(draft).touch(mtime);
  }

  read(draft: number, range: ByteRange, context: CallContext): Promise<Uint8Array> {
    return this.#get(draft).read(range, context);
  }

  async write(draft: number, position: number | null, bytes: Uint8Array, id: number | null, context: CallContext): Promise<DraftState & {readonly at: number}> {
    const handle = this.#get(draft);
    handle.modified = this.#clock.nowNs();
    const at = await this.#calls.note(draft, handle.write(position ?? undefined, bytes, context, id ?? undefined));
    return {...stateOf(handle), at};
  }

  async truncate(draft: number, length: number, context: CallContext): Promise<DraftState> {
    const handle = this.#get(draft);
    handle.modified = this.#clock.nowNs();
    await this.#calls.note(draft, handle.truncate(length, context));
    return stateOf(handle);
  }

  async punch(draft: number, {offset, length}: ByteRange, context: CallContext): Promise<DraftState> {
    const handle = this.#get(draft);
    handle.modified = this.#clock.nowNs();
    await this.#calls.note(draft, handle.punch(offset, length, context));
    return stateOf(handle);
  }

  async seek(draft: number, position: number, to: 'data' | 'hole', context: CallContext): Promise<number | null> {
    return (await this.#get(draft).seek(position, to, context)) ?? null;
  }

  sync(draft: number, context: CallContext): Promise<void> {
    return this.#calls.note(draft, this.#get(draft).sync(context));
  }

  async publish(draft: number, modified: TimeNs, context: CallContext): Promise<FileInfo | null> {
    const handle = this.#get(draft);
    handle.modified = modified;
    return (await this.#calls.note(draft, handle.publish(context))) ?? null;
  }

  publishAs(draft: number, modified: TimeNs, path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo> {
    const handle = this.#get(draft);
    handle.modified = modified;
    return this.#calls.note(draft, handle.publishAs(path, unnamed, context));
  }

  async close(draft: number, options: {readonly keep: boolean}, context: CallContext): Promise<void> {
    const handle = this.#get(draft);
    this.#numbered.delete(draft);
    await this.#calls.note(draft, handle.close(options, context));
  }

  /** It does not come back: what it had is closed by who knows that. */
  ended(holder: string): void {
    for (const [number, handle] of this.#numbered) if (handle.holder === holder) this.#numbered.delete(number);
  }

  #opened(opening: Promise<DraftHandle>, {origin = ''}: CallContext): Promise<NumberedDraft> {
    return this.#calls.note(origin, opening.then((handle) => this.#number(handle)));
  }

  #number(handle: DraftHandle): NumberedDraft {
    const draft = this.#next++;
    this.#numbered.set(draft, handle);
    return {draft, ...stateOf(handle)};
  }

  #get(draft: number): DraftHandle {
    const handle = this.#numbered.get(draft);
    if (!handle) throw new WeirError('NotFound', `draft ${draft} is not open (any more)`);
    return handle;
  }
}

const stateOf = ({inode, length, modified, dirty}: DraftHandle): DraftState => ({inode, length, modified, dirty});
