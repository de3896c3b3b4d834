/**
 * A mount that is a process of its own, and talks to an instance. Where it is kept (runtime/node/fuse/keeper/) it goes on from where a process before it
 * was when that died; and when its instance goes, it leaves the mount as if it died itself, and goes on with the next instance.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import type {FuseOptions} from '#cli/fuse-options.ts';
import type {FileSystem} from '#client/file-system.ts';
import {systemContext} from '#contracts/context.ts';
import {Mount} from '#frontends/fuse/mount.ts';
import {rootOf} from '#frontends/fuse/node-numbers.ts';
import {openInodes} from '#frontends/fuse/take-over.ts';
import {keptMount, type KeptMount} from '#process/kept-mounts.ts';
import type {Fuse, FuseMountOptions} from '#runtime/fuse.ts';
import type {Runtime} from '#runtime/runtime.ts';

const retryMs = 200;

export interface OwnMountParts {
  readonly runtime: Runtime;
  readonly fuse: Fuse;
  readonly options: FuseOptions & Pick<FuseMountOptions, 'directory' | 'source'> & {readonly keeper: string};
  /** Finds the instance anew each time. `onLost`: RpcClientOptions. Unavailable. */
  readonly connect: (onLost: () => void) => Promise<FileSystem & AsyncDisposable>;
  /** The mount is to stay for the next process; asked when this one ends. */
  readonly keepMount: () => boolean;
}

interface Served {
  readonly mount: Mount;
  readonly files: AsyncDisposable;
  /** Resolves when the instance has gone, of a mount that is kept. */
  readonly lost: Promise<void>;
}

export class OwnMount implements AsyncDisposable {
  readonly #parts: OwnMountParts;
  readonly #over = new AbortController();
  #served: Served | undefined;
  /** Resolves when the mount has gone, or this process has nothing to do with it any more. */
  readonly ended: Promise<void>;

  private constructor(parts: OwnMountParts, served: Served) {
    this.#parts = parts;
    this.#served = served;
    this.ended = this.#run(served);
  }

  /** Resolves when it is mounted. Unavailable, Busy, Unsupported, PermissionDenied, NotFound. */
  static async start(parts: OwnMountParts): Promise<OwnMount> {
    const served = await serve(parts, 'kept or new');
    assert(served !== undefined, 'what is not kept is made');
    return new OwnMount(parts, served);
  }

  async #run(first: Served): Promise<void> {
    for (let served: Served | undefined = first; served; served = await this.#return()) {
      this.#served = served;
      const {mount, files, lost} = served;
      const gone = await Promise.race([mount.ended.then(() => true), lost.then(() => false)]);
      if (!gone && !this.#over.signal.aborted) await mount.leave();
      if (gone || this.#over.signal.aborted) return;
      this.#served = undefined;
      await files[Symbol.asyncDispose]();
    }
  }

  /** Undefined when the mount is kept no more. */
  async #return(): Promise<Served | undefined> {
    const {runtime} = this.#parts;
    runtime.log.warn('fuse: the instance has gone; whoever uses the mount waits for the next one');
    const {signal} = this.#over;
    while (!signal.aborted) {
      try {
        return await serve(this.#parts, 'kept');
      } catch (error) {
        if (!(error instanceof WeirError)) throw error;
        await runtime.clock.sleep(retryMs, {signal}).catch(() => undefined);
      }
    }
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const {keepMount, fuse, options} = this.#parts;
    this.#over.abort();
    const served = this.#served;
    if (served) {
      if (keepMount()) await served.mount.leave();
      await served.mount[Symbol.asyncDispose]();
      await served.files[Symbol.asyncDispose]();
      return;
    }
    await this.ended;
    if (!keepMount()) await (await fuse.takeOver(options))?.[Symbol.asyncDispose]();
  }
}

async function serve(parts: OwnMountParts, which: 'kept' | 'kept or new'): Promise<Served | undefined> {
  const {runtime, fuse, options, connect} = parts;
  const lost = Promise.withResolvers<void>();
  let mount: Mount | undefined;
  const files = await connect(() => {
    // One that is not kept waits for the next connection, as any client.
    if (mount && !mount.isKept) return;
    mount?.abandon();
    void files[Symbol.asyncDispose]();
    lost.resolve();
  });
  let kept: KeptMount | undefined;
  try {
    // It answers, before anything is taken over.
    await files.status(systemContext);
    kept = await keptMount(fuse, options, runtime.log);
    const common = {files, runtime, readOnly: options.readOnly, passthrough: options.passthrough, sharedLocks: options.sharedLocks, shownAs: options.shownAs};
    if (kept) mount = await goOn(kept, files, common);
    else if (which === 'kept') {
      await files[Symbol.asyncDispose]();
      return undefined;
    } else mount = Mount.begin({...common, root: await rootOf(files, options.subdirectory, systemContext), device: await fuse.mount(options)});
    return {mount, files, lost: lost.promise};
  } catch (error) {
    await kept?.device.leave(Promise.resolve());
    await files[Symbol.asyncDispose]();
    throw error;
  }
}

async function goOn({device, left}: KeptMount, files: FileSystem, common: Omit<Parameters<typeof Mount.goOn>[0], 'device'>): Promise<Mount> {
  const {origin} = left.kept;
  await files.hold(origin, [...openInodes(left)], systemContext);
  const drafts = await files.handOverDrafts(origin, systemContext);
  return await Mount.goOn({...common, device}, {left, drafts, recovering: {inodes: [], done: Promise.resolve()}});
}
