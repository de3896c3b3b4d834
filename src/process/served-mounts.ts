/**
 * The mounts that an instance serves: its own (`weir up --fuse`), and those of whoever asks on the same machine (`weir fuse`), each for one who
 * supervises it. A supervisor that dies leaves its mount served, until another one comes for it, or it is unmounted.
 */
import {WeirError} from '#base/errors.ts';
import type {Foreground} from '#base/foreground.ts';
import type {FileSystem} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {DirectoryOptions, MountsApi, ServedMountInfo, ServeNews, ServeOptions, Whereabouts} from '#contracts/mounts-api.ts';
import type {LeftToServe, Mount} from '#frontends/fuse/mount.ts';
import {heard} from '#process/heard-log.ts';
import {serveMount} from '#process/serve-mount.ts';
import {whyElsewhere} from '#process/whereabouts.ts';
import type {Fuse} from '#runtime/fuse.ts';
import type {Log} from '#runtime/log.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** Each has 2 MB of buffers, and a keeper beside it. */
const mountsMax = 64;
/** A supervisor that was killed may not have been noticed yet. */
const noticeMs = 2_000;

export interface ServedMountsParts {
  readonly files: FileSystem;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'metrics' | 'random'>;
  /** What it has to say of a mount goes to its log. */
  readonly fuse: (log: Log) => Fuse;
  readonly foreground: Foreground;
  readonly whereabouts: Whereabouts | undefined;
  readonly keeper: string;
  readonly recovering: LeftToServe['recovering'];
}

interface Served {
  readonly asked: string;
  readonly options: DirectoryOptions;
  readonly said: readonly string[];
  /** Undefined: there was a mount to go on with, which has been taken away. */
  readonly starting: Promise<Mount | undefined>;
  mount?: Mount;
  /** Resolves when its supervisor has gone; undefined while there is none. */
  supervised?: Promise<void> | undefined;
}

export class ServedMounts implements MountsApi, AsyncDisposable {
  readonly #parts: ServedMountsParts;
  /** By directory. */
  readonly #served = new Map<string, Served>();
  #leaving = false;
  #stopping = false;

  constructor(parts: ServedMountsParts) {
    this.#parts = parts;
    const {metrics} = parts.runtime;
    const each = <T>(rows: (mount: Mount, labels: {readonly mount: string}) => T[]): T[] => this.#mounts.flatMap(({mount, options}) => rows(mount, {mount: options.directory}));
    metrics.gauge('weir_fuse_open', 'Files and directories that are open on a mount.', () => each((mount, labels) => [{labels, value: mount.openCount}]), ['mount']);
    metrics.gauge('weir_fuse_nodes', 'Files and directories that the kernel remembers of a mount.', () => each((mount, labels) => [{labels, value: mount.nodeCount}]), ['mount']);
    const requests = () => each((mount, labels) => [...mount.requests].map(([operation, value]) => ({labels: {operation, ...labels}, value})));
    metrics.counterFrom('weir_fuse_requests_total', 'Requests of the kernel.', requests, ['operation', 'mount']);
  }

  get #mounts(): readonly (Served & {readonly mount: Mount})[] {
    return [...this.#served.values()].filter((served): served is Served & {mount: Mount} => served.mount !== undefined);
  }

  /** Whether a mount of this name (CallContext.origin) is served here. */
  serves(origin: string): boolean {
    return this.#mounts.some(({mount}) => mount.origin === origin);
  }

  /** The instance's own mount, until both end. As serveMount. */
  async serveOwn(options: DirectoryOptions): Promise<void> {
    const served = this.#begin(options, {goOn: false});
    served.supervised = served.starting.then(mount => mount?.ended, () => undefined);
    await served.starting;
  }

  async *serve(options: DirectoryOptions, {from, goOn}: ServeOptions, {signal}: CallContext): AsyncGenerator<ServeNews> {
    const why = whyElsewhere(this.#parts.whereabouts, from);
    if (why !== undefined) throw new WeirError('PermissionDenied', `a mount is made for who runs where the instance does; ${why}`);
    const supervising = Promise.withResolvers<void>();
    const served = await this.#attached(options, {goOn}, supervising.promise);
    try {
      const mount = await served.starting;
      for (const line of served.said) yield {said: line};
      if (!mount) return;
      yield {mounted: true};
      await Promise.race([mount.ended, aborted(signal)]);
      if (this.#leaving) throw new WeirError('Unavailable', 'the instance goes, and leaves the mount to the next one');
    } finally {
      served.supervised = undefined;
      supervising.resolve();
    }
  }

  /** The mount that is there as it is asked for, or a new one. Busy. */
  async #attached(options: DirectoryOptions, how: {readonly goOn: boolean}, supervised: Promise<void>): Promise<Served> {
    const {directory} = options;
    for (;;) {
      if (this.#stopping) throw new WeirError('Unavailable', 'the instance is stopping');
      const before = this.#served.get(directory);
      if (before?.supervised) {
        const late = this.#parts.runtime.clock.sleep(noticeMs, {unref: true}).then(() => true);
        const busy = await Promise.race([before.supervised.then(() => false), late]);
        if (busy) throw new WeirError('Busy', `${directory} is a mount of another process, which lives`);
        continue;
      }
      if (before && before.asked !== JSON.stringify(options)) {
        await this.#end(before);
        continue;
      }
      const served = before ?? this.#begin(options, how);
      served.supervised = supervised;
      return served;
    }
  }

  #begin(options: DirectoryOptions, how: {readonly goOn: boolean}): Served {
    if (this.#served.size >= mountsMax) throw new WeirError('Overloaded', `the instance serves ${mountsMax} mounts`);
    const {files, fuse, runtime, foreground, keeper, recovering} = this.#parts;
    const said: string[] = [];
    let started = false;
    const log = heard(runtime.log, line => void (started || said.push(line)));
    const starting = serveMount({files, fuse: fuse(log), runtime, foreground, options, keeper, recovering}, how).finally(() => (started = true));
    const served: Served = {options, asked: JSON.stringify(options), said, starting};
    this.#served.set(options.directory, served);
    void this.#follow(served);
    return served;
  }

  async #follow(served: Served): Promise<void> {
    try {
      const mount = await served.starting;
      if (mount) served.mount = mount;
      await mount?.ended;
    } catch {
      // Whoever has asked for it is told.
    }
    this.#served.delete(served.options.directory);
  }

  async unmount(directory: string): Promise<void> {
    const served = this.#served.get(directory);
    if (served) await this.#end(served);
  }

  async #end({starting}: Served): Promise<void> {
    const mount = await starting.catch(() => undefined);
    await mount?.[Symbol.asyncDispose]();
    await mount?.ended;
  }

  listServed(): Promise<readonly ServedMountInfo[]> {
    const infos = this.#mounts.map(({mount, options: {directory, readOnly, subdirectory}}) => ({
      directory, readOnly, ...(subdirectory === undefined ? {} : {subdirectory}), open: mount.openCount, requests: [...mount.requests.values()].reduce((sum, count) => sum + count, 0),
    }));
    return Promise.resolve(infos);
  }

  /** Before disposing: all stay for the next instance. */
  async leave(): Promise<void> {
    this.#leaving = this.#stopping = true;
    await Promise.all(this.#mounts.map(({mount}) => mount.leave()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    const ends = await Promise.allSettled([...this.#served.values()].map(served => this.#end(served)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>(resolve => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), {once: true})));
}
