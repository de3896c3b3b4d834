/**
 * Files that are being written: one draft an inode. The bytes of small ones are in memory and in the log of drafts, those of large ones in a file of
 * the cache (BlockStore.drafts) that the log names. So what was written survives the process when it is answered, power loss after `sync`, and is
 * found again by its inode. Sealed, a draft's bytes are kept as a content: of a large one its file becomes the content's, and nothing is copied. One
 * that begins with a large content does so without its bytes (partial-draft.ts), and is sealed with what is its own. What the log is told is in
 * draft-notes.ts, where files come from in draft-files.ts.
 */
import {hash} from 'node:crypto';
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import {KiB, MiB} from '#base/units.ts';
import {type BlockStore, type NamedDraft, pageBytes, segmentContentBytesMax} from '#blockstore/block-store.ts';
import type {ByteRange, DraftInfo, SealedBytes} from '#contracts/worker-api.ts';
import type {ReadableContent, TimeNs} from '#model/content.ts';
import {decodeRuns, OwnPages, piecesOf} from '#model/own-pages.ts';
import type {Runtime} from '#runtime/runtime.ts';
import {DraftFiles, namePrefix} from '#worker/drafts/draft-files.ts';
import {DraftLog} from '#worker/drafts/draft-log.ts';
import {DraftNotes, retold} from '#worker/drafts/draft-notes.ts';
import {LeftDrafts} from '#worker/drafts/left-drafts.ts';
import {LeftFile} from '#worker/drafts/left-file.ts';
import {bytesOf, type LargeDraft, type OpenDraft} from '#worker/drafts/open-draft.ts';
import {PartialDraft, type ReadBase, underOf} from '#worker/drafts/partial-draft.ts';
import {collect} from '#worker/drafts/pieces.ts';
import {SmallDraft} from '#worker/drafts/small-draft.ts';

const draftsMax = 4096;
/** Memory of small drafts together; beyond it those that grow get files. */
const memoryBytesMax = 64 * MiB;
/** A first write of so many bytes is taken for the beginning of a large file. */
const firstBytesMax = 128 * KiB;
const firstNumberMax = 2 ** 48;

export interface Begun {
  readonly inode: InodeId;
  readonly base: ContentId | undefined;
  readonly seal: ContentId | undefined;
}

export interface DraftsParts {
  readonly runtime: Pick<Runtime, 'disk' | 'clock' | 'random' | 'crashPoint' | 'boot'>;
  readonly blocks: Pick<BlockStore, 'drafts' | 'keep' | 'keepNow' | 'succeed'>;
  /** Of the log. Absolute. */
  readonly directory: string;
  /** Bytes of contents, wherever they are. */
  readonly read: ReadBase;
}

export class Drafts {
  readonly #parts: DraftsParts;
  readonly #log: DraftLog;
  readonly #notes: DraftNotes;
  readonly #files: DraftFiles;
  readonly #open = new Map<number, OpenDraft>();
  readonly #inodes = new Set<InodeId>();
  /** Of earlier lives. */
  readonly #left: number[] = [];
  #replayed: Promise<void> | undefined;
  /** It is done. */
  #isReady = false;
  #memory = 0;
  #next: number;

  constructor(parts: DraftsParts) {
    this.#parts = parts;
    this.#log = new DraftLog(parts.runtime, parts.directory);
    this.#notes = new DraftNotes(this.#log);
    this.#files = new DraftFiles({blocks: parts.blocks, random: parts.runtime.random, read: parts.read, notes: this.#notes});
    // So that what a mount remembers of an earlier life is nobody's.
    this.#next = 1 + Math.floor(parts.runtime.random.number() * firstNumberMax);
  }

  /** `base`: with its bytes, `length` of them. `seal`: the content that it is to be. */
  async open(inode: InodeId, base: ContentId | undefined, seal: ContentId | undefined, length: number, bytes: AsyncIterable<Uint8Array> | undefined): Promise<DraftInfo> {
    return await this.#begin({inode, base, seal}, async (draft) => {
      if (length <= segmentContentBytesMax && this.#memory < memoryBytesMax) {
        draft.bytes = new SmallDraft(await collect(bytes, length), draft.modified);
        this.#memory += length;
      } else await this.#files.make(draft, (file) => this.#files.copy(file, 0, bytes ?? []));
    });
  }

  /** The same of one without bytes, on the spot; undefined where it must wait, or `open` would fail. */
  openNow(begun: Begun): DraftInfo | undefined {
    if (!this.#isReady || this.#open.size >= draftsMax || this.#memory >= memoryBytesMax || this.#inodes.has(begun.inode)) return undefined;
    this.#inodes.add(begun.inode);
    return this.#add(this.#empty(begun));
  }

  /** One over a large content, of which only is read what must be: it was changed itself and no store has it, or lies around what is changed. */
  async openOver(inode: InodeId, content: ReadableContent, seal: ContentId | undefined): Promise<DraftInfo> {
    return await this.#begin({inode, base: content.id, seal}, async (draft) => {
      const {id, length, over} = content;
      const own = new OwnPages();
      const pieces = piecesOf(over ? decodeRuns(over.own) : [], 0, length);
      const bring = async (file: NamedDraft): Promise<void> => {
        await file.truncate(length);
        for (const piece of pieces) {
          if (!piece.own) continue;
          own.add(Math.floor(piece.offset / pageBytes), Math.ceil(piece.length / pageBytes));
          await this.#files.copy(file, piece.offset, this.#parts.read(content, piece));
        }
      };
      assert(id === draft.base, 'a draft begins with the content of its file');
      await this.#files.make(draft, bring, {base: underOf(content), end: Math.min(length, over?.length ?? length), own});
    });
  }

  /** Of one over a content: that is here now, or is what the store has made of it. False: nothing new, or another content. */
  move(number: number, content: ReadableContent): boolean {
    const {base, bytes} = this.#get(number);
    return bytes instanceof PartialDraft && content.id === base && bytes.move(underOf(content));
  }

  /** Bytes. */
  length(number: number): number {
    return this.#get(number).bytes.length;
  }

  /** What it is over, and the ranges of it that are its own; undefined where it has all of its bytes. */
  changes(number: number): {readonly base: ReadableContent | undefined; readonly changed: readonly ByteRange[]; readonly length: number} | undefined {
    const {bytes} = this.#get(number);
    return bytes instanceof PartialDraft ? {base: bytes.base, changed: bytes.ownRanges(), length: bytes.length} : undefined;
  }

  /** Those of earlier lives that nobody has asked for yet: theirs to close, or to `reopen`. */
  async left(): Promise<readonly DraftInfo[]> {
    await (this.#replayed ??= this.#replay());
    return this.#left.splice(0).map((number) => this.#info(number));
  }

  /** One of `left` goes on: what it was to be sealed as it has not become. `content`: what its file has now. */
  async reopen(number: number, content: ReadableContent | undefined): Promise<DraftInfo> {
    const draft = this.#get(number);
    if (draft.bytes instanceof LeftFile) {
      const large = await this.#files.open(draft, draft.bytes, content);
      draft.bytes = large;
      draft.modified = await large.modified();
    }
    draft.seal = 0;
    draft.again = true;
    return this.#info(number);
  }

  async read(number: number, {offset, length}: ByteRange): Promise<Uint8Array> {
    const bytes = bytesOf(this.#get(number));
    if (bytes instanceof SmallDraft) return bytes.read(offset, length);
    const into = Buffer.allocUnsafe(Math.max(0, Math.min(length, bytes.length - offset)));
    return into.length === 0 ? into : into.subarray(0, await bytes.read(into, offset));
  }

  async write(number: number, position: number, chunk: Uint8Array): Promise<void> {
    const draft = this.#get(number);
    if (chunk.length === 0) return;
    const small = await this.#changing(draft, position + chunk.length, draft.place ? undefined : chunk.length);
    const modified = this.#touch(draft);
    if (!small) return await (draft.bytes as LargeDraft).write([chunk], position);
    await this.#notes.change(draft, small, {kind: 'write', inode: draft.inode, modified, position, bytes: chunk});
    this.#grown(small, () => small.write(chunk, position, modified));
  }

  /** The same on the spot; false where that takes any waiting: then `write`. */
  writeNow(number: number, position: number, chunk: Uint8Array): boolean {
    const draft = this.#open.get(number);
    if (!draft || draft.sealed || draft.bytes instanceof LeftFile) return false;
    if (draft.bytes instanceof SmallDraft) return this.#writeSmallNow(draft, draft.bytes, position, chunk);
    if (!draft.place || !draft.bytes.writeNow(chunk, position)) return false;
    this.#touch(draft);
    return true;
  }

  #writeSmallNow(draft: OpenDraft, small: SmallDraft, position: number, chunk: Uint8Array): boolean {
    if (!this.#staysSmall(small, position + chunk.length, draft.place ? 0 : chunk.length)) return false;
    const modified = this.#parts.runtime.clock.nowNs();
    if (!this.#notes.changeNow(draft, small, {kind: 'write', inode: draft.inode, modified, position, bytes: chunk})) return false;
    draft.modified = modified;
    this.#grown(small, () => small.write(chunk, position, modified));
    return true;
  }

  async truncate(number: number, length: number): Promise<void> {
    const draft = this.#get(number);
    const small = await this.#changing(draft, length);
    const modified = this.#touch(draft);
    if (!small) return await (draft.bytes as LargeDraft).truncate(length);
    await this.#notes.change(draft, small, {kind: 'truncate', inode: draft.inode, modified, length});
    this.#grown(small, () => small.truncate(length, modified));
  }

  async punch(number: number, {offset, length}: ByteRange): Promise<void> {
    const draft = this.#get(number);
    const small = await this.#changing(draft, draft.bytes.length);
    const modified = this.#touch(draft);
    if (!small) return await (draft.bytes as LargeDraft).punch(offset, length);
    await this.#notes.change(draft, small, {kind: 'zero', inode: draft.inode, modified, position: offset, length});
    small.zero(offset, length, modified);
  }

  async seek(number: number, position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    const bytes = bytesOf(this.#get(number));
    if (!(bytes instanceof SmallDraft)) return await bytes.seek(position, to);
    if (to === 'data') return position < bytes.length ? position : undefined;
    return bytes.length;
  }

  async sync(number: number): Promise<void> {
    const draft = this.#get(number);
    const bytes = bytesOf(draft);
    if (bytes instanceof SmallDraft) {
      // Nothing was changed.
      if (!draft.place || draft.sealed) return;
      draft.lasts = true;
      return await this.#notes.synced(draft);
    }
    if (!draft.place || draft.sealed) return;
    await bytes.sync();
    if (draft.synced) return;
    draft.lasts = true;
    await this.#notes.synced(draft);
    draft.synced = true;
    await this.#files.dropFormer(draft);
  }

  /** The same, begun on the spot, of one of which nothing is to be told anew; undefined where that takes waiting before. */
  syncNow(number: number): Promise<void> | undefined {
    const draft = this.#open.get(number);
    if (!draft?.place || draft.sealed || draft.bytes instanceof LeftFile) return undefined;
    if (!(draft.bytes instanceof SmallDraft)) return draft.synced ? draft.bytes.sync() : undefined;
    const synced = this.#notes.syncedNow(draft);
    if (synced) draft.lasts = true;
    return synced;
  }

  /** Its bytes are kept as that content, safe; undefined when the cache could not. */
  async seal(number: number, id: ContentId): Promise<SealedBytes | undefined> {
    const draft = this.#get(number);
    // Sealed again as it is.
    const before = bytesOf(draft);
    if (draft.sealed && !(before instanceof SmallDraft)) await this.#files.anew(draft, before);
    const bytes = bytesOf(draft);
    const {length} = bytes;
    if (draft.place && draft.seal !== id) await this.#notes.sealAs(draft, bytes, id);
    if (bytes instanceof SmallDraft) {
      const kept = await this.#parts.blocks.keep({id, length}, [bytes.bytes], {durable: false});
      return kept ? {length, etag: hash('md5', bytes.bytes, 'hex'), durable: length === 0} : undefined;
    }
    // A content of segment size is copied out of its file.
    const sealed = await bytes.seal({id, length}, {durable: false});
    if (sealed === false) return undefined;
    if (typeof sealed === 'object') this.#parts.blocks.succeed({id, length}, sealed, decodeRuns(sealed.own));
    const over = typeof sealed === 'object' ? {over: {base: sealed, after: draft.base as ContentId}} : {};
    return {length, etag: `${id.toString(16).padStart(32, '0')}-1`, durable: false, ...over};
  }

  /** The same on the spot, of a small one that was to be that content; undefined, and nothing is kept, where that takes waiting. */
  sealNow(number: number, id: ContentId): SealedBytes | undefined {
    const {bytes: small, place, seal} = this.#get(number);
    if (!(small instanceof SmallDraft) || !place || seal !== id) return undefined;
    const {bytes} = small;
    return this.#parts.blocks.keepNow(id, bytes) ? {length: bytes.length, etag: hash('md5', bytes, 'hex'), durable: false} : undefined;
  }

  /** It was sealed as `base`, or published so: what comes next changes that. */
  async rebase(number: number, inode: InodeId, base: ContentId): Promise<void> {
    const draft = this.#get(number);
    const bytes = bytesOf(draft);
    // Published by way of the store its file is no content's, nor was it where it is copied to a segment. What was synced stays until whoever closes the draft knows that the content lasts.
    const told = draft.seal === base;
    const sealed = told && (bytes.length > segmentContentBytesMax || (draft.lasts && draft.place !== undefined));
    draft.base = base;
    draft.seal = 0;
    if (sealed) draft.sealed = true;
    else {
      await this.#notes.ended(draft, !told);
      await this.#files.dropFormer(draft);
    }
    // Where versions are kept, each has an inode of its own.
    this.#inodes.delete(draft.inode);
    this.#inodes.add((draft.inode = inode));
  }

  /** The same of one that was sealed on the spot, of the same inode; false, and nothing has changed, where that takes waiting. */
  rebaseNow(number: number, base: ContentId): boolean {
    const draft = this.#get(number);
    if (draft.former || !this.#notes.endedNow(draft)) return false;
    draft.base = base;
    draft.seal = 0;
    return true;
  }

  /** The bytes are not needed any more, or (`keep`) stay for the next start. */
  async close(number: number, keep: boolean): Promise<void> {
    const draft = this.#get(number);
    const {bytes} = draft;
    this.#open.delete(number);
    try {
      if (!keep) {
        await this.#notes.ended(draft);
        await this.#files.dropFormer(draft);
        if (!(bytes instanceof SmallDraft)) await this.#files.discard(bytes);
      } else for (const each of [draft.former, bytes]) if (each && !(each instanceof SmallDraft || each instanceof LeftFile)) await each.close();
    } finally {
      if (bytes instanceof SmallDraft) this.#memory -= bytes.room;
      this.#inodes.delete(draft.inode);
    }
  }

  /** Of a small one, whose bytes are not needed any more, on the spot; false, and it is open, where that takes waiting. */
  closeNow(number: number): boolean {
    const draft = this.#get(number);
    const {bytes, former, inode} = draft;
    if (!(bytes instanceof SmallDraft) || former || !this.#notes.endedNow(draft)) return false;
    this.#open.delete(number);
    this.#memory -= bytes.room;
    bytes.letGo();
    this.#inodes.delete(inode);
    return true;
  }

  /** What is open stays on disk. */
  async closeAll(): Promise<void> {
    for (const [number, draft] of this.#open) await this.close(number, draft.place !== undefined);
    await this.#log.close();
  }

  async #begin(begun: Begun, fill: (draft: OpenDraft) => Promise<void>): Promise<DraftInfo> {
    const {inode} = begun;
    if (this.#open.size >= draftsMax) throw new WeirError('Overloaded', `${draftsMax} files are being written`);
    if (this.#inodes.has(inode)) throw new WeirError('AlreadyExists', `inode ${inode} is being written already`);
    this.#inodes.add(inode);
    try {
      await (this.#replayed ??= this.#replay());
      const draft = this.#empty(begun);
      await fill(draft);
      return this.#add(draft);
    } catch (error) {
      this.#inodes.delete(inode);
      throw error;
    }
  }

  #empty({inode, base, seal}: Begun): OpenDraft {
    const modified = this.#parts.runtime.clock.nowNs();
    return {inode, base: base ?? 0, seal: seal ?? 0, bytes: new SmallDraft(undefined, modified), place: undefined, sealed: false, synced: false, lasts: false, modified};
  }

  /** Resolves before the draft is changed: to the small draft, when it is one still and fits `end`. */
  async #changing(draft: OpenDraft, end: number, firstBytes = 0): Promise<SmallDraft | undefined> {
    const bytes = bytesOf(draft);
    if (!(bytes instanceof SmallDraft)) {
      if (draft.sealed) await this.#files.anew(draft, bytes);
      else if (!draft.place) await this.#notes.file(draft, bytes);
      return undefined;
    }
    if (this.#staysSmall(bytes, end, firstBytes)) return bytes;
    await this.#files.make(draft, (file) => this.#files.copy(file, 0, bytes.length > 0 ? [bytes.bytes] : []));
    this.#memory -= bytes.room;
    return undefined;
  }

  /** `firstBytes`: of the first write. */
  #staysSmall(small: SmallDraft, end: number, firstBytes: number): boolean {
    return end <= segmentContentBytesMax && (end <= small.room || this.#memory < memoryBytesMax) && (small.length > 0 || firstBytes <= firstBytesMax);
  }

  #touch(draft: OpenDraft): TimeNs {
    return (draft.modified = this.#parts.runtime.clock.nowNs());
  }

  #grown(small: SmallDraft, change: () => void): void {
    const before = small.room;
    change();
    this.#memory += small.room - before;
  }

  async #replay(): Promise<void> {
    const {blocks} = this.#parts;
    const told = new LeftDrafts();
    await this.#log.replay((record, sameBoot) => told.apply(record, sameBoot));
    const files = new Map((await blocks.drafts.left()).filter(({name}) => name.startsWith(namePrefix)).map((file) => [file.name, file]));
    for (const [inode, {base, seal: toldSeal, later, bytes, synced, lasting, partial}] of told) {
      const file = typeof bytes === 'string' ? files.get(bytes) : undefined;
      if (typeof bytes === 'string' && !file) continue;
      // The cache knows better: what the log says of a seal need not last, and the content that has the file's bytes may be committed.
      const seal = file?.sealed ?? toldSeal;
      const left = bytes instanceof SmallDraft ? bytes : new LeftFile(file!.name, file!.length, partial);
      const former = typeof lasting?.bytes === 'string' && lasting.bytes !== bytes ? files.get(lasting.bytes) : undefined;
      const draft: OpenDraft = {
        inode, base, seal, laterSeals: [...(later ?? [])], bytes: left, former: former && new LeftFile(former.name, former.length, lasting!.partial), place: undefined, sealed: false, synced,
        lasts: synced || lasting !== undefined, modified: bytes instanceof SmallDraft ? bytes.modified : 0n,
      };
      // Until it is synced again, power loss makes it what it was when it was synced before.
      const now = {base, seal, bytes, synced, partial: left instanceof LeftFile ? left.partial : undefined, ...(later ? {later} : {})};
      draft.place = await this.#log.append([...(lasting ? retold(inode, lasting) : []), ...retold(inode, now)], true);
      if (bytes instanceof SmallDraft) this.#memory += bytes.room;
      for (const each of [bytes, lasting?.bytes]) if (typeof each === 'string') files.delete(each);
      this.#inodes.add(inode);
      this.#left.push(this.#add(draft).draft);
    }
    if (this.#left.length > 0) await this.#log.sync();
    await this.#log.forgetReplayed();
    for (const name of files.keys()) await blocks.drafts.discard(name);
    this.#isReady = true;
  }

  #add(draft: OpenDraft): DraftInfo {
    const number = this.#next++;
    this.#open.set(number, draft);
    return this.#info(number);
  }

  #info(number: number): DraftInfo {
    const {inode, base, seal, laterSeals = [], bytes, modified} = this.#get(number);
    return {draft: number, inode, length: bytes.length, modified, ...(base === 0 ? {} : {base}), ...(seal === 0 ? {} : {seal}), ...(laterSeals.length === 0 ? {} : {laterSeals})};
  }

  #get(number: number): OpenDraft {
    const open = this.#open.get(number);
    if (!open) throw new WeirError('NotFound', `draft ${number} is not open (any more)`);
    return open;
  }
}
