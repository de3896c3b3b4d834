/**
 * Contents that are safe and do not last yet: what a mount's close made. They are synced together a few seconds later, or when somebody waits
 * for one; only then their stores get them. Until then their rows name what the file had before (Persist.before), and that content's bytes stay:
 * where the power fails first, the file has it again (`mend`).
 */
import type {ContentId, InodeId} from '#base/ids.ts';
import {WeirError} from '#base/errors.ts';
import type {DropLater} from '#master/persist/drop-later.ts';
import {listPersists, noteSynced, pendingFile} from '#master/namespace/persists.ts';
import {takeBack} from '#master/namespace/take-back.ts';
import type {Transactions} from '#master/transactions.ts';
import type {ReadableContent} from '#model/content.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** The cache, as far as it makes contents last. */
export interface LastingCache {
  /** The contents survive power loss of which this answers true, in order. */
  readonly makeDurable: (contents: readonly ContentId[]) => Promise<readonly boolean[]>;
  /** Keeps a small content, dirty: true when it survives power loss. */
  readonly keep: (content: ContentId, bytes: Uint8Array) => Promise<boolean>;
  /** All of its bytes are there, as they were written. */
  readonly isSound: (content: ReadableContent) => Promise<boolean>;
}

export interface UnsyncedServices {
  readonly transactions: Transactions;
  readonly cache: LastingCache;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'crashPoint'>;
  /** It lasts: its store may have it. */
  readonly synced: (file: InodeId, content: ContentId) => void;
  /** Told when a file need not have its content from before again; takes those that nobody else refers to. */
  readonly dropLater: Pick<DropLater, 'add' | 'letGo'>;
}

interface Waiting {
  readonly file: InodeId;
  /** Nothing is to be synced. */
  readonly empty: boolean;
  readonly before: ContentId | undefined;
  /** The commit that made it visible is durable. */
  readonly committed: Promise<unknown>;
}

/** With this and the sync itself, what is closed lasts within five seconds. */
const delayMs = 3_000;
const retryMs = 5_000;
const atOnce = 64;

export class Unsynced {
  readonly #services: UnsyncedServices;
  readonly #waiting = new Map<ContentId, Waiting>();
  /** What their files had before: how many need it. */
  readonly #before = new Map<ContentId, number>();
  #timer: Disposable | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(services: UnsyncedServices) {
    this.#services = services;
  }

  add(content: {readonly id: ContentId; readonly length: number}, file: InodeId, before: ContentId | undefined, committed: Promise<unknown>): void {
    committed.catch(() => undefined);
    this.#waiting.set(content.id, {file, empty: content.length === 0, before, committed});
    if (before !== undefined) this.#before.set(before, (this.#before.get(before) ?? 0) + 1);
    this.#later(delayMs);
  }

  has(content: ContentId): boolean {
    return this.#waiting.has(content);
  }

  /** Whether a file may need it again. */
  needs(content: ContentId): boolean {
    return this.#before.has(content);
  }

  /** Its file has got another one, or has gone. */
  forget(content: ContentId): void {
    const waiting = this.#waiting.get(content);
    if (!waiting) return;
    this.#waiting.delete(content);
    const {before} = waiting;
    const left = before === undefined ? 0 : this.#before.get(before)! - 1;
    if (before !== undefined && left > 0) this.#before.set(before, left);
    else if (before !== undefined) {
      this.#before.delete(before);
      this.#services.dropLater.letGo(before);
    }
  }

  /** Resolves when the content lasts. Io when its disk does not take it: it stays here and is tried again. */
  async sync(content: ContentId): Promise<void> {
    const waiting = this.#waiting.get(content);
    if (waiting && !(await this.#sync([[content, waiting]]))) throw new WeirError('Io', 'what was written could not be synced: the disk of the cache does not take it; it is tried again');
  }

  /** Rows of an earlier life: what the power has taken is what it was before, all else is synced soon. Before anything is served. */
  async mend(): Promise<void> {
    const {transactions, cache, runtime} = this.#services;
    const left = transactions.peek((reader) => listPersists(reader).flatMap((row) => {
      const content = row.before && pendingFile(reader, row.id)?.content;
      return content ? [{file: row.id, content, before: row.before!}] : [];
    }));
    for (const {file, content, before} of left) {
      runtime.crashPoint('master.unsynced.mend');
      if (await cache.isSound(content)) {
        this.add(content, file, before.id, Promise.resolve());
        if (before.pending) this.#services.dropLater.add(before.id);
        continue;
      }
      await transactions.changeOwn((tx) => void takeBack(tx, file, content.id));
      runtime.log.warn('what was written to a file and not synced was lost with the power; the file has the content from before', {inode: file, lost: content.length, kept: before.length});
    }
  }

  /** The end: all that can be synced is. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#running;
    await this.#all();
  }

  #later(ms: number): void {
    if (this.#closed || this.#running) return;
    this.#timer ??= this.#services.runtime.clock.after(ms, () => {
      this.#timer = undefined;
      this.#running = this.#all().then((well) => {
        this.#running = undefined;
        if (this.#waiting.size > 0) this.#later(well ? delayMs : retryMs);
      });
    });
  }

  async #all(): Promise<boolean> {
    let well = true;
    const waiting = [...this.#waiting];
    for (let at = 0; at < waiting.length; at += atOnce) well = (await this.#sync(waiting.slice(at, at + atOnce))) && well;
    return well;
  }

  /** True when all of them last. */
  async #sync(group: readonly (readonly [ContentId, Waiting])[]): Promise<boolean> {
    const durable = await this.#makeDurable(group);
    const isWaiting = ([content, waiting]: readonly [ContentId, Waiting]): boolean => this.#waiting.get(content) === waiting;
    try {
      this.#lasts(group.filter((each, i) => durable[i] && isWaiting(each)));
    } catch (error) {
      this.#services.runtime.log.warn('that contents are synced could not be noted; they will be again', {error: String(error)});
    }
    return !group.some(isWaiting);
  }

  #lasts(group: readonly (readonly [ContentId, Waiting])[]): void {
    if (group.length === 0) return;
    const {transactions, runtime, synced} = this.#services;
    for (const _ of group) runtime.crashPoint('master.unsynced.synced');
    // Nobody waits for this note: without it the bytes are only looked at once more. But it comes before what they had before may go.
    transactions.changeLater((tx) => {
      for (const [content, {file, before}] of group) if (before !== undefined) noteSynced(tx, file, content);
    });
    for (const [content, {file}] of group) {
      this.forget(content);
      synced(file, content);
    }
  }

  async #makeDurable(group: readonly (readonly [ContentId, Waiting])[]): Promise<readonly boolean[]> {
    const {cache, runtime} = this.#services;
    try {
      for (const _ of group) runtime.crashPoint('master.unsynced.sync');
      const durable = await cache.makeDurable(group.flatMap(([content, {empty}]) => (empty ? [] : [content])));
      const answers = durable.values();
      return await Promise.all(group.map(([, {empty, committed}]) => {
        const lasts = empty || answers.next().value === true;
        return committed.then(() => lasts);
      }));
    } catch (error) {
      runtime.log.warn('contents could not be synced and will be tried again', {contents: group.length, error: String(error)});
      return group.map(() => false);
    }
  }
}
