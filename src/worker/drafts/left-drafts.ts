/**
 * What earlier lives left of drafts, put together from their log. Where the power failed since, a small draft is what its last sync made of it,
 * and nothing when it was never synced; one with a file of its own may have later changes, as on any disk. A draft that is told anew is until its
 * next sync what it was before: of what is told in one write the power may leave a part. Of what was told after that, and is lost, it is known which
 * contents it was to be sealed as.
 */
import type {ContentId, InodeId} from '#base/ids.ts';
import type {DraftRecord} from '#codec/draft/log-record.ts';
import {OwnPages} from '#model/own-pages.ts';
import type {PartialState} from '#worker/drafts/partial-draft.ts';
import {SmallDraft} from '#worker/drafts/small-draft.ts';

export interface LeftDraft {
  readonly base: ContentId | 0;
  readonly seal: ContentId | 0;
  /** Of what lasts: the contents that it was, or was to be, after this. */
  readonly later?: ReadonlySet<ContentId>;
  /** Its bytes, or the name of the file that has them. */
  readonly bytes: SmallDraft | string;
  readonly synced: boolean;
  /** As it was when it was synced last, where that was before it was told so. */
  readonly lasting?: LeftDraft;
  /** Of one of which the file has a part. */
  readonly partial?: PartialState | undefined;
}

interface Told extends Omit<LeftDraft, 'lasting'> {
  synced: boolean;
  partial: PartialState | undefined;
  later?: ReadonlySet<ContentId>;
  /** Of the same boot. */
  safe: boolean;
  lasting: (LeftDraft & {readonly later: Set<ContentId>}) | undefined;
}

export class LeftDrafts {
  readonly #told = new Map<InodeId, Told>();

  apply(record: DraftRecord, sameBoot: boolean): void {
    if (record.kind === 'boot') return;
    const {inode} = record;
    if (record.kind === 'open' || record.kind === 'file' || record.kind === 'partial') {
      const bytes = record.kind === 'open' ? new SmallDraft(Buffer.from(record.bytes), 0n) : record.name;
      const partial = record.kind === 'partial' ? {end: record.end, own: new OwnPages()} : undefined;
      if (record.kind === 'partial') partial?.own.addEncoded(record.own, record.end);
      const lasting = this.#told.get(inode)?.lasting;
      for (const id of [record.base, record.seal]) if (lasting && id !== 0 && id !== lasting.base) lasting.later.add(id);
      this.#told.set(inode, {base: record.base, seal: record.seal, bytes, synced: false, safe: sameBoot, lasting, partial});
    } else if (record.kind === 'end') this.#told.delete(inode);
    else this.#change(record, sameBoot);
  }

  #change(record: Exclude<DraftRecord, {kind: 'boot' | 'open' | 'file' | 'partial' | 'end'}>, sameBoot: boolean): void {
    const told = this.#told.get(record.inode);
    // What it began with was lost with the power.
    if (!told) return;
    const {bytes} = told;
    told.safe &&= sameBoot;
    if (record.kind === 'synced') {
      const {base, seal, partial} = told;
      told.synced = true;
      delete told.later;
      const copy = typeof bytes === 'string' ? bytes : new SmallDraft(Buffer.from(bytes.bytes), bytes.modified);
      told.lasting = {base, seal, later: new Set(), bytes: copy, synced: true, partial: partial && {end: partial.end, own: partial.own.copy()}};
    } else if (record.kind === 'later') {
      told.later = new Set(record.contents);
      for (const id of record.contents) told.lasting?.later.add(id);
    } else if (record.kind === 'own') {
      if (!told.partial) return;
      told.partial.own.addEncoded(record.own, record.end);
      told.partial = {end: record.end, own: told.partial.own};
      // Of these nobody knows yet that they last.
      told.synced = false;
    } else if (typeof bytes === 'string') return;
    else if (record.kind === 'write') bytes.write(record.bytes, record.position, record.modified);
    else if (record.kind === 'zero') bytes.zero(record.position, record.length, record.modified);
    else bytes.truncate(record.length, record.modified);
  }

  *[Symbol.iterator](): Generator<readonly [InodeId, LeftDraft]> {
    for (const [inode, {base, seal, bytes, synced, partial, later, safe, lasting}] of this.#told) {
      if (safe) yield [inode, {base, seal, bytes, synced, partial, ...(later ? {later} : {}), ...(synced || !lasting ? {} : {lasting})}];
      else if (lasting) yield [inode, lasting];
    }
  }
}
