/**
 * The cached side of multipart uploads: part n is written speculatively at (n − 1) × the length of the first part seen, which
 * is where it belongs when all parts but the last are of one size, as nearly all clients make them. A part that does not fit, comes twice
 * or fails ends the draft: the object is then simply not cached.
 */
import type {ContentId} from '#base/ids.ts';
import type {BlockStore, Draft} from '#blockstore/block-store.ts';

/** Uploads with a draft; the oldest loses it to a new one. */
const draftsMax = 64;

interface UploadDraft {
  readonly draft: Draft;
  readonly partBytes: number;
  /** Of parts that are wholly in the draft: their length, and what the store calls them; undefined while one is on its way. */
  readonly parts: Map<number, {readonly storePart: string; readonly length: number} | undefined>;
}

export interface DraftedPart {
  write(chunk: Uint8Array): Promise<void>;
  done(storePart: string): void;
  abandon(): void;
}

const nowhere: DraftedPart = {write: async () => {}, done: () => {}, abandon: () => {}};

export class UploadDrafts {
  readonly #blocks: BlockStore;
  /** Undefined: the upload is known to be unfit. */
  readonly #uploads = new Map<string, Promise<UploadDraft | undefined>>();

  constructor(blocks: BlockStore) {
    this.#blocks = blocks;
  }

  async part(uploadId: string, partNumber: number, length: number): Promise<DraftedPart> {
    let opening = this.#uploads.get(uploadId);
    if (!opening) {
      if (this.#uploads.size >= draftsMax) this.drop(this.#uploads.keys().next().value!);
      opening = this.#open(length);
      this.#uploads.set(uploadId, opening);
    }
    const upload = await opening;
    if (!upload || this.#uploads.get(uploadId) !== opening) return nowhere;
    if (length > upload.partBytes || upload.parts.has(partNumber) || !upload.draft.alive) {
      this.#spoil(uploadId, opening);
      return nowhere;
    }
    upload.parts.set(partNumber, undefined);
    const start = (partNumber - 1) * upload.partBytes;
    let position = 0;
    return {
      write: async chunk => {
        const at = start + position;
        position += chunk.length;
        if (this.#uploads.get(uploadId) !== opening) return;
        try {
          await upload.draft.write(chunk, at);
        } catch {
          this.#spoil(uploadId, opening);
        }
      },
      done: storePart => void upload.parts.set(partNumber, {storePart, length}),
      abandon: () => this.#spoil(uploadId, opening),
    };
  }

  /** Makes the draft the content if it holds exactly these parts, one after the other. */
  async complete(uploadId: string, id: ContentId, parts: readonly {partNumber: number; storePart: string; length: number}[]): Promise<boolean> {
    const upload = await this.#uploads.get(uploadId);
    if (!upload) return false;
    const fits = parts.every((part, i) => {
      const drafted = upload.parts.get(part.partNumber);
      const isLast = i === parts.length - 1;
      return part.partNumber === i + 1 && drafted?.storePart === part.storePart && drafted.length === part.length && (isLast || part.length === upload.partBytes);
    });
    if (!fits || upload.parts.size !== parts.length || !upload.draft.alive) {
      this.drop(uploadId);
      return false;
    }
    this.#uploads.delete(uploadId);
    try {
      return await upload.draft.seal({id, length: parts.reduce((sum, part) => sum + part.length, 0)});
    } catch {
      return false;
    }
  }

  drop(uploadId: string): void {
    const opening = this.#uploads.get(uploadId);
    this.#uploads.delete(uploadId);
    if (opening) discard(opening);
  }

  close(): void {
    for (const uploadId of this.#uploads.keys()) this.drop(uploadId);
  }

  async #open(partBytes: number): Promise<UploadDraft | undefined> {
    try {
      const draft = await this.#blocks.draft(undefined);
      return draft && {draft, partBytes, parts: new Map()};
    } catch {
      return undefined;
    }
  }

  /** Forgets the bytes but remembers that this upload is unfit. */
  #spoil(uploadId: string, opening: Promise<UploadDraft | undefined>): void {
    if (this.#uploads.get(uploadId) !== opening) return;
    this.#uploads.set(uploadId, Promise.resolve(undefined));
    discard(opening);
  }
}

function discard(opening: Promise<UploadDraft | undefined>): void {
  void opening.then(upload => upload?.draft.discard()).catch(() => {});
}
