/**
 * Names that are replaced again and again while they are opened. An OPEN of what has lost its name is refused (ESTALE), the kernel looks the name up again,
 * once, and opens what it finds: were that replaced in between, too, the program would fail. So what a refused thread finds is held for it
 * (MasterApi.retain), whatever becomes of its name, until it has opened that, or a moment has passed.
 */
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileSystem} from '#client/file-system.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {LookupResult} from '#contracts/master-api.ts';
import type {Handles} from '#frontends/fuse/handles.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Log} from '#runtime/log.ts';

/** From an answer to the next request of the same system call. */
const heldMs = 1_000;
/** Threads; the others may fail. */
const refusedMax = 1_000;
/** What is found has gone already, so often. */
const looksMax = 8;

export interface HeldNamesParts {
  readonly files: Pick<FileSystem, 'retain' | 'release'>;
  readonly handles: Pick<Handles, 'isHeld' | 'isEnding'>;
  readonly clock: Pick<Clock, 'after'>;
  readonly origin: string;
  readonly log: Pick<Log, 'debug'>;
}

interface Refused {
  readonly timer: Disposable;
  node?: InodeId;
}

export class HeldNames {
  readonly #parts: HeldNamesParts;
  readonly #refused = new Map<number, Refused>();

  constructor(parts: HeldNamesParts) {
    this.#parts = parts;
  }

  /** An OPEN of the thread was answered ESTALE: it looks again. */
  refused(thread: number): void {
    this.opened(thread);
    if (this.#refused.size < refusedMax) this.#refused.set(thread, {timer: this.#parts.clock.after(heldMs, () => this.opened(thread))});
  }

  /** Whether what the thread looks up is to be held for it (`found`). */
  isLooking(thread: number): boolean {
    return this.#refused.size > 0 && this.#refused.has(thread);
  }

  /** Whether that is held for the thread. */
  holds(thread: number, node: InodeId): boolean {
    return this.#refused.get(thread)?.node === node;
  }

  /** What `look` answers, and, of a file, holds for the thread. */
  async found(thread: number, look: () => Promise<LookupResult>, context: CallContext): Promise<LookupResult> {
    const {files, origin} = this.#parts;
    for (let looks = 1; ; looks++) {
      const result = await look();
      const refused = this.#refused.get(thread);
      if (!refused || result.info?.inode.kind !== 'file') return result;
      const {id} = result.info.inode;
      try {
        await files.retain(id, origin, context);
      } catch (error) {
        if (!isKind(error, 'NotFound') || looks === looksMax) throw error;
        continue;
      }
      const before = refused.node;
      // Meanwhile its time may have come.
      if (this.#refused.get(thread) !== refused) this.#release(id);
      else refused.node = id;
      if (before !== undefined && before !== id) this.#release(before);
      return result;
    }
  }

  /** The thread has opened what it looked for, or does not come any more. */
  opened(thread: number): void {
    const refused = this.#refused.get(thread);
    if (!refused) return;
    this.#refused.delete(thread);
    refused.timer[Symbol.dispose]();
    if (refused.node !== undefined) this.#release(refused.node);
  }

  /** Whoever has it open lets go of it himself. */
  #release(node: InodeId): void {
    const {files, handles, origin, log} = this.#parts;
    if (handles.isHeld(node) || handles.isEnding(node) || this.#isHeldForAnother(node)) return;
    files.release(node, origin, systemContext).catch((error: unknown) => log.debug('fuse: what was held to be opened could not be let go', {error, inode: node}));
  }

  #isHeldForAnother(node: InodeId): boolean {
    for (const refused of this.#refused.values()) if (refused.node === node) return true;
    return false;
  }
}
