/**
 * What the log of drafts is told of one: that it begins, its bytes or the file that has them, each change of a small one, that it lasts, and its end.
 * What is told anew takes the place of what was told before only when it lasts as that did.
 */
import type {ContentId, InodeId} from '#base/ids.ts';
import type {DraftRecord} from '#codec/draft/log-record.ts';
import {encodeRuns} from '#model/own-pages.ts';
import type {DraftLog, LogPlace} from '#worker/drafts/draft-log.ts';
import type {LeftDraft} from '#worker/drafts/left-drafts.ts';
import type {LargeDraft, OpenDraft} from '#worker/drafts/open-draft.ts';
import {type OwnChange, PartialDraft, partialRecord} from '#worker/drafts/partial-draft.ts';
import {SmallDraft} from '#worker/drafts/small-draft.ts';

export class DraftNotes {
  readonly #log: DraftLog;

  constructor(log: DraftLog) {
    this.#log = log;
  }

  /** A file has its bytes. */
  async file(draft: OpenDraft, large: LargeDraft): Promise<void> {
    const {inode, base, seal, place} = draft;
    const file = large instanceof PartialDraft ? large.file : large;
    draft.place = await this.#log.append([large instanceof PartialDraft ? partialRecord({inode, base, seal, name: file.name}, large.snapshot()) : {kind: 'file', inode, base, seal, name: file.name}], true);
    await this.#anew(draft, place, large);
  }

  /** Of a partial one. */
  async own(draft: OpenDraft, {end, own}: OwnChange): Promise<void> {
    draft.synced = false;
    // Where the log does not tell of it, it will, of all.
    if (draft.place) await this.#log.append([{kind: 'own', inode: draft.inode, end, own: encodeRuns(own)}]);
  }

  /** It is to be another content than was told. */
  async sealAs(draft: OpenDraft, bytes: SmallDraft | LargeDraft, seal: ContentId): Promise<void> {
    draft.seal = seal;
    if (bytes instanceof SmallDraft) await this.#open(draft, bytes);
    else await this.file(draft, bytes);
    // What lasts of it does not say so. Power loss would bring that back as a draft of a file that seems to be replaced, once the cache has given up the content, or another has taken its place.
    if (draft.lasts) await this.#log.sync();
  }

  async #open(draft: OpenDraft, small: SmallDraft, ...then: readonly DraftRecord[]): Promise<void> {
    const {inode, base, seal, place} = draft;
    draft.sealed = false;
    draft.place = await this.#log.append([{kind: 'open', inode, base, seal, bytes: small.bytes}, ...then], true);
    await this.#anew(draft, place);
  }

  /** What the log told before goes with its file: what lasts must do without that. */
  async #anew(draft: OpenDraft, before: LogPlace | undefined, file?: LargeDraft): Promise<void> {
    if (!before) return;
    if (draft.lasts && before.number !== draft.place!.number) {
      await file?.sync();
      await this.synced(draft);
    }
    await this.#log.ended(before);
  }

  /** What was told up to now lasts, and makes the draft what it is. */
  async synced({inode}: OpenDraft): Promise<void> {
    await this.#log.append([{kind: 'synced', inode}]);
    await this.#log.sync();
  }

  /** The same, begun on the spot; undefined, and nothing is told, where that takes waiting before. */
  syncedNow({inode}: OpenDraft): Promise<void> | undefined {
    return this.#log.appendNow([{kind: 'synced', inode}]) && this.#log.sync();
  }

  /** Before a small one is changed. */
  async change(draft: OpenDraft, small: SmallDraft, record: DraftRecord): Promise<void> {
    if (draft.place && !draft.sealed) await this.#log.append([record]);
    else await this.#open(draft, small, record);
  }

  /** The same on the spot; false, and nothing is told, where that takes waiting. */
  changeNow(draft: OpenDraft, small: SmallDraft, record: DraftRecord): boolean {
    if (draft.sealed) return false;
    if (draft.place) return this.#log.appendNow([record]) !== undefined;
    const {inode, base, seal} = draft;
    draft.place = this.#log.appendNow([{kind: 'open', inode, base, seal, bytes: small.bytes}, record], true);
    return draft.place !== undefined;
  }

  /**
   * The log has nothing more to tell of it. Nobody waits for that: without it the next start finds out by itself, as the file has the content that was told. But where that was
   * not told (`published`: by way of the store), or an earlier life has told of another one, power loss would bring back a draft of a file that seems to be replaced.
   */
  async ended(draft: OpenDraft, published = false): Promise<void> {
    const {place, inode, lasts, again} = draft;
    if (!place) return;
    draft.place = undefined;
    draft.lasts = draft.synced = false;
    if (lasts && (again || published)) {
      await this.#log.append([{kind: 'end', inode}]);
      await this.#log.sync();
    } else this.#log.note({kind: 'end', inode});
    await this.#log.ended(place);
  }

  /** The same on the spot, of one that was not synced; false, and nothing is told, where that takes waiting. */
  endedNow(draft: OpenDraft): boolean {
    const {place, inode} = draft;
    if (!place) return true;
    if (draft.lasts || !this.#log.endedNow(place)) return false;
    draft.place = undefined;
    this.#log.note({kind: 'end', inode});
    return true;
  }
}

/** What makes a draft of an earlier life again what it was. */
export function retold(inode: InodeId, {base, seal, bytes, synced, partial, later}: LeftDraft): DraftRecord[] {
  const told: DraftRecord[] =
    bytes instanceof SmallDraft
      ? [{kind: 'open', inode, base, seal, bytes: bytes.bytes}, {kind: 'truncate', inode, modified: bytes.modified, length: bytes.length}]
      : [partial ? partialRecord({inode, base, seal, name: bytes}, partial) : {kind: 'file', inode, base, seal, name: bytes}];
  if (synced) told.push({kind: 'synced', inode});
  if (later && later.size > 0) told.push({kind: 'later', inode, contents: [...later]});
  return told;
}
