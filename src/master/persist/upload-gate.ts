/**
 * Between uploads that go on behind and changes of the same keys: at most one upload a key, and none while somebody changes the key or a
 * tree above it. Who is about to change something pauses uploads there: one that is still being sent is aborted, one that its store may be
 * making visible is waited for, because nothing could take it back in order. A new content of a file does not pause: its upload comes after.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';

export interface Pause extends Disposable {
  /** Resolves when no upload is under way there; undefined when none is. */
  readonly quiet: Promise<unknown> | undefined;
}

export interface GatedUpload extends Disposable {
  readonly mount: MountId;
  readonly key: ByteString;
  /** Fires while it may still be aborted. */
  readonly signal: AbortSignal;
  readonly isFinishing: boolean;
  /** The store may make the object visible from now on. Throws when it was aborted before. */
  finishing(): void;
}

interface Paused {
  readonly mount: MountId;
  readonly keys: readonly ByteString[];
}

const nothing: Pause = {quiet: undefined, [Symbol.dispose]: () => undefined};

export class UploadGate {
  readonly #uploads = new Map<string, GatedUpload & {readonly abort: AbortController; readonly done: Promise<void>}>();
  readonly #paused = new Set<Paused>();
  /** Whether there is anything to pause; told by who uploads. */
  isIdle: () => boolean = () => true;
  /** Told when a key, or what lies below a prefix, is free again. */
  onFree: (mount: MountId, keys: readonly ByteString[]) => void = () => undefined;

  /** Keys that end in `/` (or are empty) stand for all below them. Until disposed, nothing is uploaded there. */
  pause(mount: MountId, keys: readonly ByteString[]): Pause {
    // What becomes pending meanwhile does so in a turn that excludes this one.
    if (this.isIdle()) return nothing;
    const paused: Paused = {mount, keys};
    this.#paused.add(paused);
    const ends: Promise<void>[] = [];
    for (const upload of this.#uploads.values()) {
      if (!covers(paused, upload.mount, upload.key)) continue;
      if (!upload.isFinishing) upload.abort.abort(new WeirError('Cancelled', 'the file is being changed'));
      ends.push(upload.done);
    }
    return {
      quiet: ends.length > 0 ? Promise.all(ends) : undefined,
      [Symbol.dispose]: () => {
        if (this.#paused.delete(paused)) this.onFree(mount, keys);
      },
    };
  }

  /** Undefined while the key is paused or another upload of it is under way; `onFree` tells when to ask again. Disposed of at the upload's end. */
  enter(mount: MountId, key: ByteString): GatedUpload | undefined {
    const name = `${mount}:${key}`;
    if (this.#uploads.has(name)) return undefined;
    for (const paused of this.#paused) if (covers(paused, mount, key)) return undefined;
    const {promise: done, resolve} = Promise.withResolvers<void>();
    const abort = new AbortController();
    const upload = {
      mount, key, abort, done, signal: abort.signal, isFinishing: false,
      finishing: () => {
        abort.signal.throwIfAborted();
        upload.isFinishing = true;
      },
      [Symbol.dispose]: () => {
        if (!this.#uploads.delete(name)) return;
        resolve();
        this.onFree(mount, [key]);
      },
    };
    this.#uploads.set(name, upload);
    return upload;
  }

  get count(): number {
    return this.#uploads.size;
  }

  /** The process ends: what is still being sent stops, what is nearly done is waited for. */
  async close(): Promise<void> {
    for (const upload of this.#uploads.values()) if (!upload.isFinishing) upload.abort.abort(new WeirError('Cancelled', 'this process is ending'));
    await Promise.all(Array.from(this.#uploads.values(), ({done}) => done));
  }
}

function covers({mount, keys}: Paused, of: MountId, key: ByteString): boolean {
  return mount === of && keys.some((each) => each === key || ((each === '' || each.endsWith('/')) && key.startsWith(each)));
}
