/**
 * `weir fuse`: a mount beside a running instance, which serves it where it can, else this process does. When whoever serves it has lost its
 * instance, the mount stays, where it is kept (runtime/node/fuse/keeper/), and this goes on with it by the next instance.
 */
import {assert} from '#base/assert.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {Fuse} from '#runtime/fuse.ts';
import type {Runtime} from '#runtime/runtime.ts';

const retryMs = 200;

/** A mount that somebody serves. */
export interface Served {
  /** The mount has gone, or only the instance. */
  readonly over: Promise<'gone' | 'lost'>;
  /** It is to stay when this process ends. */
  leave(): Promise<void>;
  /** Takes it away. Unavailable when who serves it has just gone. */
  unmount(): Promise<void>;
  /** When it is over. */
  close(): Promise<void>;
}

export interface SupervisedMountParts {
  readonly runtime: Pick<Runtime, 'clock' | 'log'>;
  /** Finds the instance anew each time, and whoever serves the mount. `goOn`: ServeOptions. Unavailable. */
  readonly serve: (how: {readonly goOn: boolean}) => Promise<Served | undefined>;
  /** Of this process, for a mount that nobody serves any more. */
  readonly takeOver: () => ReturnType<Fuse['takeOver']>;
  /** The mount is to stay for the next process; asked when this one ends. */
  readonly keepMount: () => boolean;
}

export class SupervisedMount implements AsyncDisposable {
  readonly #parts: SupervisedMountParts;
  readonly #over = new AbortController();
  #served: Served | undefined;
  #gone = false;
  /** Resolves when the mount has gone, or this process has nothing to do with it any more. NotFound, NotADirectory. */
  readonly ended: Promise<void>;

  private constructor(parts: SupervisedMountParts, served: Served) {
    this.#parts = parts;
    this.#served = served;
    this.ended = this.#run(served);
  }

  /** Resolves when it is mounted. Unavailable, Busy, Unsupported, PermissionDenied, NotFound. */
  static async start(parts: SupervisedMountParts): Promise<SupervisedMount> {
    const served = await parts.serve({goOn: false});
    assert(served !== undefined, 'what is not kept is made');
    return new SupervisedMount(parts, served);
  }

  async #run(first: Served): Promise<void> {
    for (let served: Served | undefined = first; served; served = await this.#return()) {
      this.#served = served;
      if (this.#over.signal.aborted) return await this.#end(served);
      this.#gone = (await served.over) === 'gone';
      if (this.#over.signal.aborted) return;
      this.#served = undefined;
      await served.close();
      if (this.#gone) return;
    }
    this.#gone = true;
  }

  /** Undefined when the mount has been taken away meanwhile. NotFound, NotADirectory: its directory has gone, too. */
  async #return(): Promise<Served | undefined> {
    const {runtime, serve} = this.#parts;
    runtime.log.warn('fuse: the instance has gone; whoever uses the mount waits for the next one');
    const {signal} = this.#over;
    while (!signal.aborted) {
      try {
        return await serve({goOn: true});
      } catch (error) {
        if (!(error instanceof WeirError) || isKind(error, 'NotFound', 'NotADirectory')) throw error;
        await runtime.clock.sleep(retryMs, {signal}).catch(() => undefined);
      }
    }
    return undefined;
  }

  async #end(served: Served): Promise<void> {
    try {
      if (this.#parts.keepMount()) await served.leave();
      else await served.unmount();
    } catch (error) {
      if (!isKind(error, 'Unavailable')) throw error;
      await this.#endLeft();
    }
    await served.close();
  }

  async #endLeft(): Promise<void> {
    await (await this.#parts.takeOver())?.[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    if (this.#served) return await this.#end(this.#served);
    await this.ended.catch(() => undefined);
    if (!this.#gone && !this.#parts.keepMount()) await this.#endLeft();
  }
}
