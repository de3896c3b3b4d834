/**
 * A mount that is a process of its own may die, or lose its connection, while the instance lives. As long as it is kept (runtime/node/fuse/keeper/) whoever
 * uses it waits, and the next process goes on with it: what it has open, its locks and what it was writing stay as they are. Otherwise what
 * it was writing would be busy for all others, and unpublished, until the next start: so when it does not come back within moments (only its
 * connection was lost), its drafts are published, and go on with the other mounts that have them.
 */
import {isForLater, retryMsMax, retryMsMin} from '#client/draft-recovery.ts';
import type {FileDraft} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Log} from '#runtime/log.ts';

/** A mount that lives and was cut off is back within a second or two; what waits meanwhile are others who want to write the same file. */
const returnMs = 5_000;
/** How soon it is known that a mount is kept no more. */
const keptCheckMs = 1_000;

export interface EndedMountsParts {
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
  readonly draftsOf: (holder: string) => readonly FileDraft[];
  readonly isBack: (holder: string) => boolean;
  readonly isKept: (holder: string) => Promise<boolean>;
  /** What it had open and locked is let go. */
  readonly letGo: (holder: string) => Promise<void>;
  /** Its drafts are closed. */
  readonly ended: (holder: string) => void;
}

export class EndedMounts implements AsyncDisposable {
  readonly #parts: EndedMountsParts;
  readonly #stop = new AbortController();
  readonly #waiting = new Map<string, Promise<void>>();
  readonly #publishing = new Set<Promise<void>>();
  readonly #context: CallContext;

  constructor(parts: EndedMountsParts, context: Omit<CallContext, 'signal'>) {
    this.#parts = parts;
    this.#context = {...context, signal: this.#stop.signal};
  }

  /** It does not listen (any more). */
  gone(holder: string): void {
    if (this.#stop.signal.aborted || this.#waiting.has(holder)) return;
    const ending = this.#end(holder).finally(() => {
      if (this.#waiting.get(holder) === ending) this.#waiting.delete(holder);
    });
    this.#waiting.set(holder, ending);
  }

  async #end(holder: string): Promise<void> {
    const {draftsOf, ended, letGo, log} = this.#parts;
    if (await this.#returns(holder)) return;
    await letGo(holder);
    if (draftsOf(holder).length === 0) return;
    await this.#sleep(returnMs);
    // Its keeper may have died when its connection was lost, and it has another one.
    if (await this.#returns(holder)) return;
    const drafts = draftsOf(holder);
    log.warn('drafts: a mount has ended without closing what it was writing; that is published', {drafts: drafts.length});
    for (const draft of drafts) {
      const publishing = this.#publish(draft).finally(() => this.#publishing.delete(publishing));
      this.#publishing.add(publishing);
    }
    ended(holder);
  }

  /** Never fails: what cannot be published is logged and kept. While its store is down it is tried again, and others go on with it. */
  async #publish(draft: FileDraft): Promise<void> {
    const {log} = this.#parts;
    const {inode} = draft;
    for (let ms = retryMsMin; draft.dirty; ms = Math.min(2 * ms, retryMsMax)) {
      try {
        await draft.publish(this.#context);
        break;
      } catch (error) {
        // The next start finds it.
        if (this.#stop.signal.aborted) return;
        if (!isForLater(error)) {
          log.error('drafts: what a mount that has ended was writing could not be published; it is kept for the next start', {error, inode});
          break;
        }
        log.warn('drafts: what a mount that has ended was writing could not be published, and is tried again', {error, inode});
        await this.#sleep(ms);
      }
    }
    await draft.close({keep: draft.dirty}, this.#context).catch((error: unknown) => log.error('drafts: what a mount that has ended was writing could not be put away', {error, inode}));
  }

  /** Waits while it is kept. True: it is back, or that is the next start's business. */
  async #returns(holder: string): Promise<boolean> {
    const {isBack, isKept} = this.#parts;
    const over = (): boolean => this.#stop.signal.aborted || isBack(holder);
    while (!over() && (await isKept(holder))) await this.#sleep(keptCheckMs);
    const is = over();
    // In this turn: from now on it may be gone again.
    if (is) this.#waiting.delete(holder);
    return is;
  }

  async #sleep(ms: number): Promise<void> {
    await this.#parts.clock.sleep(ms, {signal: this.#stop.signal}).catch(() => undefined);
  }

  /** What was not published is found by the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#waiting.values());
    await Promise.all(this.#publishing);
  }
}
