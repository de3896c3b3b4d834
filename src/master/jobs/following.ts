/**
 * Where stores are following the namespace. *Trees*: prefixes whose objects a job is moving or removing, for seconds or
 * hours; who wants to change something there waits for the job, but not for one that goes on failing. *Keys*: single objects between the store's change and the
 * commit, for the length of one request. For both, the namespace alone is right and the store is not believed.
 */
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId, MountId} from '#base/ids.ts';
import type {Clock} from '#runtime/clock.ts';

interface FollowedTree {
  readonly mount: MountId;
  /** Each ends in `/`. */
  readonly prefixes: readonly ByteString[];
  /** The namespace may never have heard of all that lies there. */
  readonly unloaded: boolean;
  readonly done: Promise<void>;
  readonly finish: () => void;
  /** Resolves when it has failed for so long that nobody waits any more. */
  stuck: PromiseWithResolvers<void>;
  /** Why it has failed, since it did anything last. */
  failure?: {message: string; isLasting: boolean; readonly timer: Disposable} | undefined;
}

/** Who needs a job that fails again and again waits so long for it. */
const stuckMs = 30_000;

export class Following {
  /** By the id of the directory that was moved or removed. */
  readonly #trees = new Map<InodeId, FollowedTree>();
  readonly #keys = new Map<string, number>();
  readonly #clock: Pick<Clock, 'after'>;

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /** `unloaded`: the store moves the tree by itself, whatever is in it. */
  beginTree(id: InodeId, mount: MountId, prefixes: readonly ByteString[], unloaded = false): void {
    const {promise, resolve} = Promise.withResolvers<void>();
    this.endTree(id);
    this.#trees.set(id, {mount, prefixes, unloaded, done: promise, finish: resolve, stuck: Promise.withResolvers()});
  }

  endTree(id: InodeId): void {
    this.progressed(id);
    this.#trees.get(id)?.finish();
    this.#trees.delete(id);
  }

  /** The job of a tree has failed, and is tried again. */
  failed(id: InodeId, message: string): void {
    const tree = this.#trees.get(id);
    if (!tree) return;
    if (tree.failure) return void (tree.failure.message = message);
    const timer = this.#clock.after(stuckMs, () => {
      if (tree.failure) tree.failure.isLasting = true;
      tree.stuck.resolve();
    });
    tree.failure = {message, isLasting: false, timer};
  }

  /** It has done something, or ended. */
  progressed(id: InodeId): void {
    const tree = this.#trees.get(id);
    if (!tree?.failure) return;
    tree.failure.timer[Symbol.dispose]();
    if (tree.failure.isLasting) tree.stuck = Promise.withResolvers();
    tree.failure = undefined;
  }

  /** Why the job that follows at, above or below the key has failed last; undefined while it goes on. */
  failureAt(mount: MountId, key: ByteString): string | undefined {
    return this.#treeAt(mount, key)?.failure?.message;
  }

  /** Until disposed, what the store says about these keys is not believed. */
  keys(mount: MountId, keys: readonly ByteString[]): Disposable {
    for (const key of keys) this.#keys.set(`${mount}:${key}`, (this.#keys.get(`${mount}:${key}`) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        for (const key of keys) {
          const name = `${mount}:${key}`;
          const count = this.#keys.get(name)! - 1;
          if (count === 0) this.#keys.delete(name);
          else this.#keys.set(name, count);
        }
      },
    };
  }

  /** Whether a request is about to change what the store has under this very key. */
  changes(mount: MountId, key: ByteString): boolean {
    return this.#keys.size > 0 && this.#keys.has(`${mount}:${key}`);
  }

  covers(mount: MountId, key: ByteString): boolean {
    return this.changes(mount, key) || this.#treeOver(mount, key) !== undefined;
  }

  /** Whether a key lies in a tree that is being moved and of which the namespace may not know all. */
  hides(mount: MountId, key: ByteString): boolean {
    return this.#treeOver(mount, key)?.unloaded === true;
  }

  /** Whether a directory is between a request's look at the store and its commit: what lies below is not changed, and not known for that. */
  holdsTree(mount: MountId, key: ByteString): boolean {
    return key.endsWith('/') && this.#keys.has(`${mount}:${key}`);
  }

  /** A prefix of a tree below `prefix` that is being moved and of which the namespace may not know all. */
  hiddenBelow(mount: MountId, prefix: ByteString): ByteString | undefined {
    for (const tree of this.#trees.values()) {
      const found = tree.unloaded && tree.mount === mount ? tree.prefixes.find(each => each.startsWith(prefix)) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Whether single objects below a directory are between the store's change and the commit. */
  changesBelow(mount: MountId, prefix: ByteString): boolean {
    const start = `${mount}:${prefix}`;
    for (const name of this.#keys.keys()) if (name.length > start.length && name.startsWith(start)) return true;
    return false;
  }

  /** True when a job follows at, above or below a key. */
  busy(mount: MountId, key: ByteString): boolean {
    return this.#treeAt(mount, key) !== undefined;
  }

  /** Resolves when no job follows at, above or below the key any more, however long that takes. */
  async atLast(mount: MountId, key: ByteString): Promise<void> {
    for (let tree = this.#treeAt(mount, key); tree; tree = this.#treeAt(mount, key)) await tree.done;
  }

  /** The same for those who can be told that it goes on failing (Unavailable); rejects with the signal's reason, too. */
  async quiet(mount: MountId, key: ByteString, signal: AbortSignal): Promise<void> {
    for (let tree = this.#treeAt(mount, key); tree; tree = this.#treeAt(mount, key)) {
      const {promise: aborted, reject} = Promise.withResolvers<never>();
      const onAbort = (): void => reject(signal.reason as Error);
      signal.throwIfAborted();
      signal.addEventListener('abort', onAbort, {once: true});
      try {
        await Promise.race([tree.done, tree.stuck.promise, aborted]);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
      if (!tree.failure?.isLasting) continue;
      const {failure: {message}, prefixes} = tree;
      throw new WeirError('Unavailable', `the store is still to follow a change of ${prefixes.map(toText).join(' to ')}, which fails and is tried again (weir job ls): ${message}`);
    }
  }

  async ended(id: InodeId): Promise<void> {
    await this.#trees.get(id)?.done;
  }

  #treeOver(mount: MountId, key: ByteString): FollowedTree | undefined {
    for (const tree of this.#trees.values()) if (tree.mount === mount && tree.prefixes.some(prefix => key.startsWith(prefix))) return tree;
    return undefined;
  }

  #treeAt(mount: MountId, key: ByteString): FollowedTree | undefined {
    const inside = this.#treeOver(mount, key);
    if (inside || !(key === '' || key.endsWith('/'))) return inside;
    for (const tree of this.#trees.values()) if (tree.mount === mount && tree.prefixes.some(prefix => prefix.startsWith(key))) return tree;
    return undefined;
  }
}
