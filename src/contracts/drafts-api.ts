/**
 * Files that are written in place, by a mount that is a process of its own: the drafts are in the instance, one for all mounts that write a file, and
 * named here by numbers. The mount is CallContext.origin.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {InodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ByteRange} from '#contracts/worker-api.ts';
import type {SealOptions, Unnamed} from '#contracts/writing.ts';
import type {TimeNs} from '#model/content.ts';

/** What a draft is by now. */
export interface DraftState {
  /** Its file's, which is another once it was published where versions are kept. */
  readonly inode: InodeId;
  /** Bytes. */
  readonly length: number;
  /** Of the last change. */
  readonly modified: TimeNs;
  /** It was changed since it was opened or published. */
  readonly dirty: boolean;
}

export interface NumberedDraft extends DraftState {
  readonly draft: number;
}

export interface DraftsApi {
  /** DraftSource.openDraft. */
  open(file: FileInfo, options: {readonly empty: boolean} & SealOptions, context: CallContext): Promise<NumberedDraft>;
  /** DraftSource.joinDraft; null when nobody writes the file. */
  join(inode: InodeId, context: CallContext): Promise<NumberedDraft | null>;
  /** DraftSource.handOverDrafts: by other numbers, so that the process before can do no more. */
  handOver(holder: string, context: CallContext): Promise<readonly NumberedDraft[]>;
  state(draft: number, context: CallContext): Promise<DraftState>;
  /** Somebody has given the file this mtime by hand. */
  touch(draft: number, mtime: TimeNs, context: CallContext): Promise<void>;
  /** Up to the draft's end. */
  read(draft: number, range: ByteRange, context: CallContext): Promise<Uint8Array>;
  /** `position` null: at the end. Answers where. `id`, or null: of FileDraft.write. */
  write(draft: number, position: number | null, bytes: Uint8Array, id: number | null, context: CallContext): Promise<DraftState & {readonly at: number}>;
  truncate(draft: number, length: number, context: CallContext): Promise<DraftState>;
  punch(draft: number, range: ByteRange, context: CallContext): Promise<DraftState>;
  /** Null: only holes follow. */
  seek(draft: number, position: number, to: 'data' | 'hole', context: CallContext): Promise<number | null>;
  sync(draft: number, context: CallContext): Promise<void>;
  /** `modified`: the file's mtime. Null when it has no name any more. */
  publish(draft: number, modified: TimeNs, context: CallContext): Promise<FileInfo | null>;
  publishAs(draft: number, modified: TimeNs, path: ByteString, unnamed: Unnamed, context: CallContext): Promise<FileInfo>;
  close(draft: number, options: {readonly keep: boolean}, context: CallContext): Promise<void>;
}
