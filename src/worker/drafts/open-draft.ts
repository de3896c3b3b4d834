/** A file that is being written: where its bytes are, and what the log of drafts has told of it. */
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import type {NamedDraft} from '#blockstore/block-store.ts';
import type {TimeNs} from '#model/content.ts';
import type {LogPlace} from '#worker/drafts/draft-log.ts';
import {LeftFile} from '#worker/drafts/left-file.ts';
import type {PartialDraft} from '#worker/drafts/partial-draft.ts';
import type {SmallDraft} from '#worker/drafts/small-draft.ts';

/** With a file of the cache. */
export type LargeDraft = NamedDraft | PartialDraft;

export interface OpenDraft {
  inode: InodeId;
  base: ContentId | 0;
  seal: ContentId | 0;
  /** Of an earlier life: what it told to be sealed as after this. */
  laterSeals?: readonly ContentId[];
  bytes: SmallDraft | LargeDraft | LeftFile;
  /** The file that lasts, where what came after it does not yet. */
  former?: LargeDraft | LeftFile | undefined;
  /** Where the log began to tell of it; undefined: it does not, or not any more. */
  place: LogPlace | undefined;
  /** The bytes are a content's, which perhaps does not last yet, and the log tells of them as that. Those of a large one must not change. */
  sealed: boolean;
  /** Of a large one: it lasts as a draft. */
  synced: boolean;
  /** It was synced since it began: what comes after takes the place of that only when it lasts. */
  lasts: boolean;
  /** It was left by an earlier life, and is to become another content than that told. */
  again?: true;
  modified: TimeNs;
}

/** Conflict where nobody has opened it again. */
export function bytesOf({inode, bytes}: OpenDraft): SmallDraft | LargeDraft {
  if (bytes instanceof LeftFile) throw new WeirError('Conflict', `what an earlier life has written to inode ${inode} was not opened again`);
  return bytes;
}
