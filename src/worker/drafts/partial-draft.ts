/**
 * A large draft that begins with the bytes of another version without having them: what was changed is in its own file, page by page, and all else
 * is read from that version (the base), where that is. A page that is changed in part is brought whole first, so that a page is the draft's own or the
 * base's; a page becomes its own only when it is written and the log of drafts says so (`note`).
 *
 * Invariants: pages of the base that are not the draft's own are as long in both, so whoever makes the file longer or shorter brings the last page.
 * Behind `end`, how far the base reaches, all is the draft's own.
 */
import {assert} from '#base/assert.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import {type ContentHandle, type NamedDraft, pageBytes, segmentContentBytesMax} from '#blockstore/block-store.ts';
import type {DraftRecord} from '#codec/draft/log-record.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import {baseOf, type ContentBase, type ReadableContent} from '#model/content.ts';
import {encodeRuns, OwnPages, type PageRun, type Piece, piecesOf} from '#model/own-pages.ts';
import {copyBytes} from '#worker/drafts/pieces.ts';

/** What the log says of a draft: how far its base reaches, and pages that are its own from now on. */
export interface OwnChange {
  readonly end: number;
  readonly own: readonly PageRun[];
}

export interface PartialState {
  readonly end: number;
  readonly own: OwnPages;
}

export interface PartialParts {
  readonly base: ReadableContent | undefined;
  readonly state: PartialState;
  readonly readBase: ReadBase;
  readonly note: (change: OwnChange) => Promise<void>;
}

export type ReadBase = (content: ReadableContent, range: ByteRange) => AsyncIterable<Uint8Array>;

/** More than these are not kept with a content: the smallest gaps between them are brought. */
const runsMax = 4096;

export class PartialDraft {
  readonly file: NamedDraft;
  readonly #readBase: ReadBase;
  readonly #note: (change: OwnChange) => Promise<void>;
  readonly #own: OwnPages;
  #base: ReadableContent | undefined;
  #end: number;
  /** Changes of what is whose, one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** `file` is as long as the draft. Without a base what is not its own cannot be read. */
  constructor(file: NamedDraft, {base, state, readBase, note}: PartialParts) {
    this.file = file;
    this.#base = base;
    this.#own = state.own;
    this.#end = state.end;
    this.#readBase = readBase;
    this.#note = note;
  }

  get length(): number {
    return this.file.length;
  }

  get base(): ReadableContent | undefined {
    return this.#base;
  }

  /** What is known of who has what, for a draft of its own. */
  snapshot(): PartialState {
    return {end: this.#end, own: this.#own.copy()};
  }

  /** The base lies elsewhere, or another version has all that was not changed. False: nothing new. */
  move(base: ReadableContent): boolean {
    const before = this.#base;
    if (before && before.id === base.id && before.storeKey === base.storeKey && before.fingerprint === base.fingerprint && before.pending === base.pending) return false;
    this.#base = base;
    return true;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const length = Math.max(0, Math.min(into.length, this.length - position));
    for (const {own, offset, length: count} of this.#pieces(position, length)) {
      const part = into.subarray(offset - position, offset - position + count);
      if (own) await this.#readOwn(part, offset);
      else await this.#readOther(part, offset);
    }
    return length;
  }

  /** What is its own, in order. */
  ownRanges(): readonly ByteRange[] {
    return [...this.#pieces(0, this.length)].filter(({own}) => own);
  }

  /** Bytes of its own, in pieces, as they lie in the file: for who copies them. */
  async *ownPieces(): AsyncGenerator<{readonly position: number; readonly bytes: Uint8Array}> {
    for (const {own, offset, length} of this.#pieces(0, this.length)) {
      if (!own) continue;
      for (let at = 0; at < length; ) {
        const bytes = Buffer.allocUnsafe(Math.min(copyBytes, length - at));
        await this.#readOwn(bytes, offset + at);
        yield {position: offset + at, bytes};
        at += bytes.length;
      }
    }
  }

  write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    if (this.#isOwn(position, length) && this.#isLastOwn(position + length)) return this.file.write(buffers, position);
    return this.#alone(async () => {
      await this.#reach(position + length);
      await this.#bringEdges(position, length);
      await this.file.write(buffers, position);
      await this.#claim(position, length);
    });
  }

  /** On the spot, to what is its own already, beside no other change. */
  writeNow(bytes: Uint8Array, position: number): boolean {
    return this.#isOwn(position, bytes.length) && this.#isLastOwn(position + bytes.length) && this.file.writeNow(bytes, position);
  }

  truncate(length: number): Promise<void> {
    return this.#alone(async () => {
      await this.#reach(length);
      if (length < this.#end && length % pageBytes !== 0) await this.#bring(Math.floor(length / pageBytes));
      await this.file.truncate(length);
      if (length < this.#end) await this.#tell([], length);
    });
  }

  punch(position: number, length: number): Promise<void> {
    return this.#alone(async () => {
      await this.#bringEdges(position, length);
      // What is not its own is a hole here already.
      await this.file.punch(position, length);
      await this.#claim(position, length);
    });
  }

  /** Of what is not its own nobody knows: it is data. */
  async seek(position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    for (const {own, offset, length} of this.#pieces(position, this.length - position)) {
      const found = own ? await this.file.seek(offset, to) : to === 'data' ? offset : undefined;
      if (found !== undefined && found < offset + length) return found;
    }
    return to === 'hole' && position < this.length ? this.length : undefined;
  }

  modified(): Promise<bigint> {
    return this.file.modified();
  }

  sync(): Promise<void> {
    return this.#alone(() => this.file.sync());
  }

  /** Answers what the content is over; `whole`: nothing, all of it is the draft's own by now. False: it could not be kept. */
  async seal(content: ContentHandle, options: {readonly durable: boolean}): Promise<ContentBase | 'whole' | false> {
    return await this.#alone(async () => {
      const {length} = content;
      assert(length === this.length, 'all of a draft is sealed');
      if (length <= segmentContentBytesMax) await this.#bringAll([...this.#pieces(0, length)]);
      else await this.#bringAll(this.#surplus());
      const pages = Math.ceil(length / pageBytes);
      const own = this.#runs(0, pages);
      const base = this.#base;
      if (length <= segmentContentBytesMax || (own[0]?.first === 0 && own[0].count === pages)) return (await this.file.seal(content, options)) && 'whole';
      if (!base) throw this.#gone();
      if (!(await this.file.seal(content, {...options, own}))) return false;
      return {id: base.id, length: base.length, fingerprint: base.fingerprint, storeKey: base.storeKey, own: encodeRuns(own)};
    });
  }

  discard(): Promise<void> {
    return this.file.discard();
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /** Pages within [first, end) that are its own: by the log, or because the base does not reach there. */
  #runs(first: number, end: number): PageRun[] {
    const behind = Math.ceil(this.#end / pageBytes);
    const runs = [...this.#own.runs(first, Math.min(end, behind))];
    if (end <= behind) return runs;
    const from = Math.max(first, behind);
    const last = runs.at(-1);
    if (last && last.first + last.count === from) runs.splice(-1, 1, {first: last.first, count: end - last.first});
    else runs.push({first: from, count: end - from});
    return runs;
  }

  #pieces(offset: number, length: number): Generator<Piece> {
    return piecesOf(this.#runs(Math.floor(offset / pageBytes), Math.ceil((offset + length) / pageBytes)), offset, Math.max(0, length));
  }

  /** Of every write: nothing is made for it. */
  #isOwn(offset: number, length: number): boolean {
    const end = offset + length;
    for (let page = Math.floor(offset / pageBytes); page * pageBytes < end; page++) if (!this.#has(page)) return false;
    return true;
  }

  /** Whether the file may end there without the base's last page becoming longer. */
  #isLastOwn(end: number): boolean {
    return end <= this.length || this.#has(Math.floor(Math.max(0, this.length - 1) / pageBytes));
  }

  #has(page: number): boolean {
    return page * pageBytes >= this.#end || this.#own.has(page);
  }

  /** The file is to end at `end` or later: its last page, if the base's, is not longer there. */
  async #reach(end: number): Promise<void> {
    if (end > this.length && this.length % pageBytes !== 0) await this.#bring(Math.floor(this.length / pageBytes));
  }

  /** Pages of which a part is changed. */
  async #bringEdges(position: number, length: number): Promise<void> {
    if (length === 0) return;
    const end = position + length;
    if (position % pageBytes !== 0) await this.#bring(Math.floor(position / pageBytes));
    if (end % pageBytes !== 0 && end < this.length) await this.#bring(Math.floor(end / pageBytes));
  }

  /** The page becomes the draft's own as it is. */
  async #bring(page: number): Promise<void> {
    if (this.#has(page) || page * pageBytes >= this.length) return;
    const bytes = Buffer.allocUnsafe(Math.min(pageBytes, this.length - page * pageBytes));
    await this.#readOther(bytes, page * pageBytes);
    await this.file.write([bytes], page * pageBytes);
    await this.#claim(page * pageBytes, bytes.length);
  }

  async #bringAll(pieces: Iterable<Piece>): Promise<void> {
    for (const {own, offset, length} of pieces) {
      if (own) continue;
      const {length: whole} = this;
      let at = offset;
      for await (const chunk of this.#other(offset, length)) {
        await this.file.write([chunk], at);
        at += chunk.length;
      }
      assert(at === offset + length && (at % pageBytes === 0 || at === whole), 'what is brought are whole pages');
      await this.#claim(offset, length);
    }
  }

  /** Gaps between its pages, the smallest first, so many that few enough runs are left. */
  #surplus(): Piece[] {
    const pieces = [...this.#pieces(0, this.length)];
    const runs = pieces.filter(({own}) => own).length;
    if (runs <= runsMax) return [];
    return pieces.filter(({own}) => !own).toSorted((a, b) => a.length - b.length).slice(0, runs - runsMax + 1);
  }

  /** The pages of a range are written, and the draft's own. */
  async #claim(position: number, length: number): Promise<void> {
    if (length === 0) return;
    const [first, end] = [Math.floor(position / pageBytes), Math.ceil(Math.min(position + length, this.#end) / pageBytes)];
    const runs: PageRun[] = [];
    for (let page = first; page < end; page++) {
      if (this.#own.has(page)) continue;
      const run = runs.at(-1);
      if (run && run.first + run.count === page) runs.splice(-1, 1, {first: run.first, count: run.count + 1});
      else runs.push({first: page, count: 1});
    }
    if (runs.length > 0) await this.#tell(runs, this.#end);
  }

  async #tell(own: readonly PageRun[], end: number): Promise<void> {
    await this.#note({end, own});
    for (const {first, count} of own) this.#own.add(first, count);
    this.#end = end;
  }

  async #readOwn(into: Uint8Array, position: number): Promise<void> {
    const count = await this.file.read(into, position);
    if (count < into.length) throw new WeirError('Io', `the draft ended ${into.length - count} bytes early`);
  }

  async #readOther(into: Uint8Array, position: number): Promise<void> {
    let at = 0;
    for await (const chunk of this.#other(position, into.length)) {
      into.set(chunk, at);
      at += chunk.length;
    }
    assert(at === into.length, 'a read gives what it was asked for');
  }

  async *#other(offset: number, length: number): AsyncGenerator<Uint8Array> {
    if (!this.#base) throw this.#gone();
    try {
      yield* this.#readBase(this.#base, {offset, length});
    } catch (error) {
      if (!isKind(error, 'NotFound', 'ContentChanged')) throw error;
      throw this.#gone(error);
    }
  }

  #gone(cause?: unknown): WeirError {
    return new WeirError('ContentChanged', 'what was not changed of the file is not where it was: its store has another version', {cause});
  }

  #alone<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(step);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** What is to be read where a content's own pages are not: what it is over, or it itself. */
export function underOf(content: ReadableContent): ReadableContent {
  return content.over ? baseOf(content, content.over) : content;
}

export function partialRecord({inode, base, seal, name}: {readonly inode: InodeId; readonly base: ContentId | 0; readonly seal: ContentId | 0; readonly name: string}, {end, own}: PartialState): DraftRecord {
  return {kind: 'partial', inode, base: base as ContentId, seal, end, name, own: encodeRuns(own.runs(0, Math.ceil(end / pageBytes)))};
}
