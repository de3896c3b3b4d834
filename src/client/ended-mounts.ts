/**
 * A mount that is a process of its own may die while the instance lives: what it was writing would be busy for all others, and unpublished,
 * until the next start. So when it does not come back within moments (only its connection was lost), its drafts are published as a start would.
 */
import type {DraftServices} from '#client/draft-file.ts';
import {recoverDrafts} from '#client/draft-recovery.ts';
import type {CallContext} from '#contracts/context.ts';
import type {DraftInfo} from '#contracts/worker-api.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Log} from '#runtime/log.ts';

/** A mount that lives and was cut off is back within a second or two; what waits meanwhile are others who want to write the same file. */
const returnMs = 5_000;

export interface EndedMountsParts extends DraftServices {
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
  readonly draftsOf: (holder: string) => readonly DraftInfo[];
  readonly isBack: (holder: string) => boolean;
}

export class EndedMounts implements AsyncDisposable {
  readonly #parts: EndedMountsParts;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #context: CallContext;

  constructor(parts: EndedMountsParts, context: Omit<CallContext, 'signal'>) {
    this.#parts = parts;
    this.#context = {...context, signal: this.#stop.signal};
  }

  /** It listens no more. */
  ended(holder: string): void {
    if (this.#stop.signal.aborted || this.#parts.draftsOf(holder).length === 0) return;
    const running = this.#recover(holder).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #recover(holder: string): Promise<void> {
    const {clock, log, draftsOf, isBack} = this.#parts;
    await clock.sleep(returnMs, {signal: this.#stop.signal}).catch(() => undefined);
    if (this.#stop.signal.aborted || isBack(holder)) return;
    const drafts = draftsOf(holder);
    log.warn('drafts: a mount has ended without closing what it was writing; that is published', {drafts: drafts.length});
    await recoverDrafts(this.#parts, drafts, log, this.#context);
  }

  /** What was not published is found by the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }
}
