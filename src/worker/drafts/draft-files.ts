/**
 * Files of the cache that drafts have: made when a draft becomes large, or when what it was sealed as is left to the content; gone with what
 * was in them. The log names a file only when it has all of the draft's bytes.
 */
import {WeirError} from '#base/errors.ts';
import type {BlockStore, NamedDraft} from '#blockstore/block-store.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Random} from '#runtime/random.ts';
import type {DraftNotes} from '#worker/drafts/draft-notes.ts';
import {LeftFile} from '#worker/drafts/left-file.ts';
import type {LargeDraft, OpenDraft} from '#worker/drafts/open-draft.ts';
import {PartialDraft, type PartialState, type ReadBase, underOf} from '#worker/drafts/partial-draft.ts';
import {pieces} from '#worker/drafts/pieces.ts';

/** Names of our files in the cache. */
export const namePrefix = 'mount-';

export interface DraftFilesParts {
  readonly blocks: Pick<BlockStore, 'drafts'>;
  readonly random: Random;
  readonly read: ReadBase;
  readonly notes: DraftNotes;
}

export class DraftFiles {
  readonly #parts: DraftFilesParts;

  constructor(parts: DraftFilesParts) {
    this.#parts = parts;
  }

  /** The bytes go to a file of the cache, and the log says so. `partial`: those that are its own. */
  async make(draft: OpenDraft, fill: (file: NamedDraft) => Promise<void>, partial?: PartialState & {readonly base: ReadableContent | undefined}): Promise<void> {
    const {blocks, random, notes} = this.#parts;
    const file = await blocks.drafts.make(`${namePrefix}${random.id()}`);
    if (!file) throw new WeirError('NoSpace', 'the cache takes no more of what is being written');
    let large: LargeDraft;
    try {
      await fill(file);
      large = partial ? this.#partial(draft, file, partial.base, partial) : file;
      await notes.file(draft, large);
    } catch (error) {
      await file.discard();
      throw error;
    }
    draft.bytes = large;
    draft.sealed = false;
    draft.synced = false;
  }

  async copy(file: NamedDraft, position: number, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    let at = position;
    for await (const chunk of bytes) {
      await file.write([chunk], at);
      at += chunk.length;
    }
  }

  #partial(draft: OpenDraft, file: NamedDraft, base: ReadableContent | undefined, state: PartialState): PartialDraft {
    return new PartialDraft(file, {
      base, state, readBase: this.#parts.read,
      note: (change) => this.#parts.notes.own(draft, change),
    });
  }

  /** What is a content by now is left to it. */
  async anew(draft: OpenDraft, sealed: LargeDraft): Promise<void> {
    // Of a partial one what was synced may be less than what there is, in the same file.
    const lasting = draft.synced || (sealed instanceof PartialDraft && draft.lasts && !draft.former);
    if (sealed instanceof PartialDraft) {
      const bring = async (file: NamedDraft): Promise<void> => {
        await file.truncate(sealed.length);
        for await (const {position, bytes} of sealed.ownPieces()) await file.write([bytes], position);
      };
      await this.make(draft, bring, {...sealed.snapshot(), base: sealed.base});
    } else await this.make(draft, (file) => this.copy(file, 0, pieces(sealed)));
    if (lasting) draft.former = sealed;
    else await sealed.discard();
  }

  async dropFormer(draft: OpenDraft): Promise<void> {
    const {former} = draft;
    draft.former = undefined;
    if (former) await this.discard(former);
  }

  async discard(file: LargeDraft | LeftFile): Promise<void> {
    if (file instanceof LeftFile) await this.#parts.blocks.drafts.discard(file.name);
    else await file.discard();
  }

  /** Of an earlier life. `content`: what its file has now. */
  async open(draft: OpenDraft, {name, length, partial}: LeftFile, content: ReadableContent | undefined): Promise<LargeDraft> {
    const file = await this.#parts.blocks.drafts.open(name);
    if (file.length > length) await file.truncate(length);
    return partial ? this.#partial(draft, file, content?.id === draft.base ? underOf(content) : undefined, partial) : file;
  }
}
