/**
 * One multipart upload whose parts the cache keeps (ASYNC_THROUGH). Part n is written at (n − 1) × the length of the first part seen, into the
 * upload's draft, where it belongs when all parts but the last are of one size: its *cell*. A part that does not fit its cell, or comes
 * again, gets a draft of its own. When the upload is completed, the draft becomes the content if its parts lie one behind the other; those
 * that do not are copied: into the draft, where nothing else is in the way, or all of them into a new one. When there is no room for a part, it and
 * all that come after it go to an upload in the store, to which completion brings those that were kept.
 *
 * Invariant: a place that a part's record names is not written to again, nor taken away before a later record of the part is durable; and
 * never while a completion is under way.
 */
import {WeirError} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import {MiB, TiB} from '#base/units.ts';
import {type BlockStore, type NamedDraft, pageBytes} from '#blockstore/block-store.ts';
import {spilledIn} from '#model/multipart.ts';

const copyBytes = 1 * MiB;
/** A first part shorter than this is the last of its upload, if it is not the only one, and says nothing of the others' length. */
const partBytesMin = 5 * MiB;
/** Where files of some file systems end. */
const cellsEnd = 8 * TiB;

/** Where a part is: `@OFFSET` in the upload's draft, `+NUMBER` in a draft of its own. What its record says as `storePart`. */
export type Place = string;

export interface KeptPart {
  readonly partNumber: number;
  readonly length: number;
  readonly place: Place;
}

/** Room for one part. */
export interface PartRoom {
  readonly draft: NamedDraft;
  readonly offset: number;
  readonly place: Place;
  /** What was written is durable, and stays. */
  done(): Promise<void>;
  /** It goes; nothing is being written any more. */
  abandon(): Promise<void>;
}

const noRoom = () => new WeirError('Overloaded', 'the cache has no room for this part now; send it again');

export class KeptUpload {
  readonly #blocks: BlockStore;
  readonly #name: string;
  /** Open since it was last needed. */
  #draft: Promise<NamedDraft> | undefined;
  /** Its file is being closed, or was. */
  #resting: Promise<void> = Promise.resolve();
  #partBytes: number | undefined;
  /** Of parts that are written, or being written. */
  readonly #cells = new Map<number, {readonly offset: number; readonly length: number}>();
  readonly #kept = new Map<Place, {readonly partNumber: number; readonly length: number}>();
  readonly #total: {bytes: number};
  /** Of its parts. */
  #bytes = 0;
  #nextNumber = 1;
  #writers = 0;
  /** The content that a completion under way makes of it. */
  #claimant: ContentId | undefined;
  /** What was sealed and is not known to be committed. */
  #sealed: {readonly content: ContentId; readonly whole: NamedDraft | undefined} | undefined;
  /** Taken away when no completion uses them any more. */
  readonly #unneeded: Place[] = [];
  /** The upload in the store, of parts for which there was no room. */
  #spilled: Promise<string> | undefined;
  #ended = false;

  /** `draft`: just made; else one that is on disk. `total`: counts the bytes of the parts of all uploads. */
  constructor(blocks: BlockStore, total: {bytes: number}, name: string, draft: NamedDraft | undefined) {
    this.#total = total;
    this.#blocks = blocks;
    this.#name = name;
    this.#draft = draft && Promise.resolve(draft);
  }

  /** Nothing is under way, so that its file may be closed. */
  get idle(): boolean {
    return this.#writers === 0 && !this.#completing;
  }

  /** What an earlier life has left: takes away all that no record names. `others`: numbers of further drafts of this upload. */
  async restore(parts: readonly KeptPart[], others: readonly number[]): Promise<void> {
    const draft = await this.#open();
    this.#nextNumber = Math.max(0, ...others) + 1;
    const there = new Set(others);
    for (const {partNumber, length, place} of parts) {
      const spilled = spilledIn(place);
      if (spilled) this.#spilled = Promise.resolve(spilled.storeUploadId);
      if (spilled) continue;
      const offset = offsetOf(place);
      const found = offset === undefined ? there.delete(Number(place.slice(1))) : offset + length <= draft.length;
      if (!found) continue;
      this.#keep(place, {partNumber, length});
      if (offset === undefined) continue;
      this.#cells.set(partNumber, {offset, length});
      if (partNumber > 1) this.#partBytes = offset / (partNumber - 1);
      else this.#partBytes ??= length;
    }
    for (const number of there) await this.#blocks.drafts.discard(this.#nameOf(number));
    let end = 0;
    for (const {offset, length} of [...this.#cells.values()].sort((a, b) => a.offset - b.offset)) {
      await draft.punch(end, offset - end);
      end = offset + length;
    }
    await draft.truncate(end);
    await this.rest();
  }

  /** The store's upload for what is not kept; `open` opens it when there is none yet. */
  spill(open: () => Promise<string>): Promise<string> {
    this.#spilled ??= open().catch((error: unknown) => {
      this.#spilled = undefined;
      throw error;
    });
    return this.#spilled;
  }

  /** Parts go to the store from now on. */
  get spilled(): Promise<string> | undefined {
    return this.#spilled;
  }

  /** Closes the file; what is known of its pages is forgotten. */
  async rest(): Promise<void> {
    const opening = this.#draft;
    this.#draft = undefined;
    if (opening) this.#resting = opening.then((draft) => draft.close()).catch(() => undefined);
    await this.#resting;
  }

  /** Overloaded, NotFound (it has ended). */
  async room(partNumber: number, length: number): Promise<PartRoom> {
    this.#mustBeOpen();
    this.#writers++;
    try {
      const offset = this.#cellFor(partNumber, length);
      if (offset === undefined) return await this.#ownRoom(partNumber, length);
      const cell = {offset, length};
      this.#cells.set(partNumber, cell);
      try {
        return await this.#cellRoom(partNumber, cell);
      } catch (error) {
        this.#cells.delete(partNumber);
        throw error;
      }
    } catch (error) {
      this.#writers--;
      throw error;
    }
  }

  /** A later record has taken the place of the one that names this. */
  async replaced(place: Place): Promise<void> {
    if (!this.#kept.has(place)) return;
    if (this.#completing) this.#unneeded.push(place);
    else await this.#take(place);
  }

  /** Until `reopen` or `end`, the places of these parts stay what they are. ContentChanged: one of them was replaced. */
  claim(id: ContentId, parts: readonly KeptPart[]): void {
    this.#mustBeOpen();
    if (this.#completing) throw new WeirError('Conflict', 'this upload is being completed already');
    const missing = parts.find(({place}) => !this.#kept.has(place));
    if (missing) throw new WeirError('ContentChanged', `part ${missing.partNumber} of the upload is not where it was any more`);
    this.#claimant = id;
  }

  /** Of a part that was claimed. */
  async *read({place, length}: KeptPart): AsyncGenerator<Uint8Array, void, undefined> {
    const offset = offsetOf(place);
    const from = offset === undefined ? await this.#blocks.drafts.open(this.#nameOf(numberOf(place))) : await this.#open();
    try {
      for (let done = 0; done < length; ) {
        const bytes = Buffer.allocUnsafe(Math.min(copyBytes, length - done));
        if ((await from.read(bytes, (offset ?? 0) + done)) !== bytes.length) throw new WeirError('Corrupt', 'a part in the cache is shorter than it was');
        yield bytes;
        done += bytes.length;
      }
    } finally {
      if (offset === undefined) await from.close();
    }
  }

  /** The content is these parts, one behind the other, dirty and durable. ContentChanged: one of them was replaced. Overloaded. */
  async seal(id: ContentId, parts: readonly KeptPart[]): Promise<void> {
    this.claim(id, parts);
    try {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      const draft = await this.#open();
      const whole = await this.#gather(draft, parts);
      this.#sealed = {content: id, whole};
      if (!(await (whole ?? draft).seal({id, length}, {durable: true}))) throw new WeirError('Overloaded', 'the cache could not keep the parts as one object; try again');
    } catch (error) {
      await this.reopen(id);
      throw error;
    }
  }

  /** That completion was not committed: the upload goes on. Does nothing when it has ended, or is another's. */
  async reopen(id: ContentId): Promise<void> {
    if (this.#claimant !== id) return;
    const sealed = this.#sealed;
    this.#sealed = undefined;
    if (sealed) await this.#blocks.drop(sealed.content);
    await sealed?.whole?.discard();
    if (!this.#ended) for (const place of this.#unneeded.splice(0)) await this.#take(place);
    this.#claimant = undefined;
    if (this.#ended) await this.end();
  }

  /** It is aborted: when no completion is under way, all goes now. */
  async abort(): Promise<void> {
    this.#ended = true;
    if (!this.#completing) await this.end();
  }

  /** It is over, committed or not; what was committed has its own name by now. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#count(-this.#bytes);
    await this.#sealed?.whole?.discard();
    for (const place of this.#kept.keys()) if (offsetOf(place) === undefined) await this.#blocks.drafts.discard(this.#nameOf(numberOf(place)));
    const opening = this.#draft;
    this.#draft = undefined;
    await this.#resting;
    if (opening) await (await opening).discard();
    else await this.#blocks.drafts.discard(this.#name);
  }

  get #completing(): boolean {
    return this.#claimant !== undefined;
  }

  #cellFor(partNumber: number, length: number): number | undefined {
    if (this.#completing || this.#cells.has(partNumber)) return undefined;
    if (this.#partBytes === undefined && (partNumber === 1 || length >= partBytesMin)) this.#partBytes = length;
    if (this.#partBytes === undefined || length > this.#partBytes) return undefined;
    const offset = (partNumber - 1) * this.#partBytes;
    return offset + length <= cellsEnd ? offset : undefined;
  }

  async #cellRoom(partNumber: number, {offset, length}: {readonly offset: number; readonly length: number}): Promise<PartRoom> {
    const draft = await this.#open();
    if (!(await draft.reserve(wholePages(length)))) throw noRoom();
    const place = `@${offset}`;
    const over = () => {
      if (--this.#writers === 0) draft.unreserve();
    };
    return {
      draft, offset, place,
      done: async () => {
        over();
        this.#keep(place, {partNumber, length});
      },
      abandon: async () => {
        over();
        if (this.#ended) return;
        await draft.punch(offset, length);
        this.#cells.delete(partNumber);
      },
    };
  }

  async #ownRoom(partNumber: number, length: number): Promise<PartRoom> {
    const number = this.#nextNumber++;
    const draft = await this.#blocks.drafts.make(this.#nameOf(number), wholePages(length));
    if (!draft) throw noRoom();
    const place = `+${number}`;
    return {
      draft, offset: 0, place,
      done: async () => {
        this.#writers--;
        await draft.close();
        if (this.#ended) await this.#blocks.drafts.discard(draft.name);
        else this.#keep(place, {partNumber, length});
      },
      abandon: async () => {
        this.#writers--;
        await draft.discard();
      },
    };
  }

  /** Brings the parts one behind the other: undefined when they are so in the upload's draft, else the new one. */
  async #gather(draft: NamedDraft, parts: readonly KeptPart[]): Promise<NamedDraft | undefined> {
    const moves: {readonly part: KeptPart; readonly to: number}[] = [];
    let end = 0;
    for (const part of parts) {
      if (offsetOf(part.place) !== end && part.length > 0) moves.push({part, to: end});
      end += part.length;
    }
    if (moves.length === 0) return undefined;
    const cells = [...this.#cells.values()];
    const free = moves.every(({part, to}) => cells.every(({offset, length}) => to + part.length <= offset || offset + length <= to));
    if (free) {
      for (const {part, to} of moves) await this.#copy(part, draft, to);
      return undefined;
    }
    const whole = await this.#blocks.drafts.make(this.#nameOf(this.#nextNumber++), wholePages(end));
    if (!whole) throw noRoom();
    try {
      let to = 0;
      for (const part of parts) {
        await this.#copy(part, whole, to);
        to += part.length;
      }
    } catch (error) {
      await whole.discard();
      throw error;
    }
    return whole;
  }

  async #copy(part: KeptPart, to: NamedDraft, position: number): Promise<void> {
    for await (const bytes of this.read(part)) {
      await to.write([bytes], position);
      position += bytes.length;
    }
  }

  #keep(place: Place, part: {readonly partNumber: number; readonly length: number}): void {
    this.#kept.set(place, part);
    this.#count(part.length);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#total.bytes += bytes;
  }

  async #take(place: Place): Promise<void> {
    const part = this.#kept.get(place);
    if (!part) return;
    this.#kept.delete(place);
    this.#count(-part.length);
    const offset = offsetOf(place);
    if (offset === undefined) return await this.#blocks.drafts.discard(this.#nameOf(numberOf(place)));
    await (await this.#open()).punch(offset, part.length);
    this.#cells.delete(part.partNumber);
  }

  #open(): Promise<NamedDraft> {
    this.#draft ??= this.#resting.then(() => this.#blocks.drafts.open(this.#name)).catch((error: unknown) => {
      this.#draft = undefined;
      throw error;
    });
    return this.#draft;
  }

  #nameOf(number: number): string {
    return `${this.#name}-${number}`;
  }

  #mustBeOpen(): void {
    if (this.#ended) throw new WeirError('NotFound', 'this upload was completed or aborted');
  }
}

const wholePages = (length: number): number => Math.ceil(length / pageBytes) * pageBytes;
const offsetOf = (place: Place): number | undefined => (place.startsWith('@') ? Number(place.slice(1)) : undefined);
const numberOf = (place: Place): number => Number(place.slice(1));
