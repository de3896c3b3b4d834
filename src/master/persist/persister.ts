/**
 * Brings pending contents to their stores, behind the answers. The queue is in the metastore (namespace/persists.ts); this is its head in
 * memory: who is next, who waits for what. Of each mount some files are uploaded at once, in the order in which they became pending; of
 * each key one at a time. A failure of a store slows its mount down to one attempt now and then; a failure of a file that file. Nothing is ever
 * given up: what cannot be persisted stays, its bytes in the cache, and people see it. What is done for one file is in persist-attempts.ts.
 */
import {assert} from '#base/assert.ts';
import {WeirError} from '#base/errors.ts';
import {Foreground} from '#base/foreground.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import {GiB} from '#base/units.ts';
import type {PersistInfo} from '#contracts/administration.ts';
import type {UploadRecord} from '#contracts/writing.ts';
import {locate} from '#master/namespace/locate.ts';
import {getPersist, isUnborn, listPersists, pendingFile, putPersist} from '#master/namespace/persists.ts';
import {Backlog, type BacklogLimits, type BacklogEntry as Entry} from '#master/persist/backlog.ts';
import {DropLater} from '#master/persist/drop-later.ts';
import {filesBeforeRest, GivingWay} from '#master/persist/giving-way.ts';
import {noCache, type PendingCache} from '#master/persist/pending-cache.ts';
import {PersistAttempts, type PersistAttemptsParts} from '#master/persist/persist-attempts.ts';
import {type Pace, PersistLane} from '#master/persist/persist-lane.ts';
import {statOf} from '#master/persist/upload-content.ts';
import {Unsynced} from '#master/persist/unsynced.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {isKeptUpload} from '#model/multipart.ts';

export interface PersisterServices extends Omit<PersistAttemptsParts, 'cache' | 'backlog' | 'dropLater' | 'unsynced' | 'givingWay' | 'queue'> {
  /** Absent: nothing can become pending. */
  readonly cache?: PendingCache | undefined;
  readonly limits?: Partial<BacklogLimits> | undefined;
  /** Whom what is done here gives way to. */
  readonly foreground?: Foreground | undefined;
}

/** How long who needs a file in its store waits for that. */
const settleMs = 30_000;
/** Of one mount. */
const uploadsAtOnce = 16;
/** To a store on a disk of this machine, of which small ones share a few syncs. */
const localUploadsAtOnce = 64;

export class Persister {
  readonly #services: PersisterServices & {readonly cache: PendingCache};
  readonly #backlog: Backlog;
  readonly #lanes = new Map<MountId, PersistLane>();
  readonly #attempts: PersistAttempts;
  readonly #dropLater: DropLater;
  readonly #givingWay: GivingWay;
  #closing = false;
  readonly #unsynced: Unsynced;

  constructor(services: PersisterServices) {
    this.#services = {...services, cache: services.cache ?? noCache};
    const {runtime, gate, limits, transactions} = services;
    this.#dropLater = new DropLater((id) => this.#isNeeded(id), (ids) => void this.#drop(ids));
    this.#unsynced = new Unsynced({transactions, cache: this.#services.cache.lasting, runtime, synced: (file, content) => this.#synced(file, content), dropLater: this.#dropLater});
    this.#backlog = new Backlog(runtime.clock, {filesMax: 100_000, bytesMax: 32 * GiB, waitMs: 30_000, ...limits}, (id) => this.#dropLater.letGo(id));
    // Before writers have to wait for room, it goes as fast as it can.
    this.#givingWay = new GivingWay({clock: runtime.clock, foreground: services.foreground ?? new Foreground(), presses: () => this.#closing || this.#backlog.isHalfFull});
    this.#attempts = new PersistAttempts({
      ...this.#services, backlog: this.#backlog, dropLater: this.#dropLater, unsynced: this.#unsynced, givingWay: this.#givingWay,
      queue: {lane: (mount) => this.#lane(mount), forget: (entry, replaced) => this.#forget(entry, replaced), recheck: (id) => this.recheck(id)},
    });
    gate.isIdle = () => this.#backlog.files === 0 && gate.count === 0;
    gate.onFree = (mount) => this.#lanes.get(mount)?.unblock();
    const {metrics, clock} = runtime;
    metrics.gauge('weir_persist_backlog_files', 'Files that their store has not got yet.', () => this.#backlog.files);
    metrics.gauge('weir_persist_backlog_bytes', 'Their bytes.', () => this.#backlog.bytes);
    metrics.gauge('weir_persist_oldest_seconds', 'For how long the oldest of them has been waiting.', () => Math.max(0, (clock.steadyMs() - (this.#backlog.oldestMs ?? clock.steadyMs())) / 1000));
    metrics.gauge('weir_persist_conflicts', 'Of those, files that were changed in their store meanwhile: a person decides.', () => this.#backlog.conflicts);
  }

  /** Takes up what an earlier life has left; nothing is uploaded before `start`. */
  load(): void {
    const {transactions} = this.#services;
    for (const persist of transactions.peek(listPersists)) {
      const {id, mount, content, since, failures, lastError, attempts} = persist;
      const {length = 0, over} = transactions.peek((reader) => pendingFile(reader, id))?.content ?? {};
      const sent = new Set(attempts.map((attempt) => attempt.content));
      const entry: Entry = {id, mount, content, length, over, since, failures, sent, sentBytes: 0, isAwaited: false, conflict: persist.state === 'conflict', ...(lastError === undefined ? {} : {lastError})};
      this.#backlog.add(entry);
    }
  }

  /** Takes back what was written last and lost with the power. Before `load`, and before anything is served. */
  async mend(): Promise<void> {
    if (this.works) await this.#unsynced.mend();
  }

  start(): void {
    for (const id of this.#backlog.ids) {
      const entry = this.#backlog.get(id)!;
      if (!this.#unsynced.has(entry.content)) this.#lane(entry.mount).add(entry);
    }
  }

  /** Whether the file's content may still be lost with the power. */
  isUnsynced(content: ContentId): boolean {
    return this.#unsynced.has(content);
  }

  /** Whether `sync` of the file would wait for nothing. */
  lasts(id: InodeId): boolean {
    const entry = this.#backlog.get(id);
    return !entry || !this.#unsynced.has(entry.content);
  }

  /** Resolves when the file's content survives power loss. Io. */
  async sync(id: InodeId): Promise<void> {
    const entry = this.#backlog.get(id);
    if (entry) await this.#unsynced.sync(entry.content);
  }

  /** Whether contents can become pending: there is a cache to keep them. */
  get works(): boolean {
    return this.#services.cache !== noCache;
  }

  get isIdle(): boolean {
    return this.#backlog.files === 0;
  }

  /** Written, and not committed after all. */
  async abandoned(content: ContentId): Promise<void> {
    await this.#services.cache.drop(this.droppable([content]));
  }

  /** Neither completed nor aborted by a client. */
  uploadEnded(upload: UploadRecord): void {
    if (isKeptUpload(upload)) this.#services.cache.uploadEnded(upload);
  }

  /** Takes the turn of a change before which the store must have the content of the file that `find` answers. */
  async turnWhenPersisted(find: (reader: Reader) => Inode | undefined, begin: () => Promise<Disposable>, signal: AbortSignal): Promise<Disposable> {
    return await this.#turnWhen((reader) => {
      const inode = find(reader);
      return inode?.content?.pending ? inode : undefined;
    }, (id) => this.settle(id, signal), begin);
  }

  /** The same before which the store must have all of the file's content, or, when it has one name, nothing of the file (isUnborn). */
  async turnWhenWhole(find: (reader: Reader) => Inode | undefined, begin: () => Promise<Disposable>, signal: AbortSignal): Promise<Disposable> {
    return await this.#turnWhen((reader) => {
      const inode = find(reader);
      return inode?.content?.pending && (inode.links !== undefined || !isUnborn(reader, inode)) ? inode : undefined;
    }, async (id) => {
      if (!(await this.#look(id, signal))) await this.settle(id, signal);
    }, begin);
  }

  async #turnWhen(find: (reader: Reader) => Inode | undefined, settle: (id: InodeId) => Promise<void>, begin: () => Promise<Disposable>): Promise<Disposable> {
    const {transactions} = this.#services;
    for (;;) {
      // With the turn an upload that has only begun ends, and the store has nothing of it.
      const turn = await begin();
      const inode = this.isIdle ? undefined : transactions.peek(find);
      if (!inode) return turn;
      turn[Symbol.dispose]();
      assert(this.#backlog.get(inode.id), `inode ${inode.id} is pending and not in the backlog`);
      await settle(inode.id);
    }
  }

  /** Of a file of whose key nobody knew what the store has: asks. True when it has nothing. */
  async #look(id: InodeId, signal: AbortSignal): Promise<boolean> {
    const {transactions, mounts, gate} = this.#services;
    const file = transactions.peek((reader) => pendingFile(reader, id));
    if (file?.persist.base !== 'unknown' || file.persist.attempts.length > 0) return false;
    using held = gate.enter(file.content.mount, file.content.storeKey);
    if (!held || (await statOf(mounts.get(file.content.mount), file.content.storeKey, signal))) return false;
    await transactions.changeOwn((tx) => {
      const now = getPersist(tx, id);
      if (now?.base === 'unknown' && now.attempts.length === 0) putPersist(tx, {...now, base: 'absent'});
    });
    return true;
  }

  /** Whether one more may become pending now. */
  get hasRoom(): boolean {
    return !this.#backlog.isFull;
  }

  /** Resolves when one more may become pending. Overloaded. */
  async room(signal: AbortSignal): Promise<void> {
    await this.#backlog.room(signal);
  }

  /**
   * In the turn of the commit. `replaced`: the file whose key it has taken, which need not have been pending; the store is not touched before that is
   * `durable`. `unsynced`: neither before its bytes are, which is seen to here; with what the file had before.
   */
  added(file: Pick<Entry, 'id' | 'mount' | 'content' | 'length' | 'over' | 'since'>, replaced: InodeId | undefined, durable: Promise<unknown>, unsynced?: {readonly before?: ContentId}): void {
    const before = this.#backlog.get(file.id) ?? (replaced === undefined ? undefined : this.#backlog.get(replaced));
    const entry: Entry = {...file, failures: 0, sent: before?.sent ?? new Set(), sentBytes: 0, isAwaited: false, conflict: false};
    if (replaced !== undefined && replaced !== file.id) this.#attempts.succeeded(replaced, file.id);
    // Before what it takes the place of is forgotten, which may be what it needs.
    if (unsynced) this.#unsynced.add({id: file.content, length: file.length}, file.id, unsynced.before, durable);
    if (before) this.#forget(before, true);
    this.#backlog.add(entry);
    this.#givingWay.added();
    if (unsynced) return;
    void durable.then(() => {
      if (this.#backlog.get(file.id) === entry) this.#lane(file.mount).add(entry);
    }, () => undefined);
  }

  #synced(id: InodeId, content: ContentId): void {
    const entry = this.#backlog.get(id);
    if (entry?.content === content) this.#lane(entry.mount).add(entry);
    this.#dropLater.settle();
  }

  /** Who changed or removed pending files looks whether they still are. `now`: their stores are to have them at once. */
  recheck(id: InodeId, now = false): void {
    const entry = this.#backlog.get(id);
    if (!entry) return;
    const persist = this.#services.transactions.peek((reader) => getPersist(reader, id));
    if (persist?.content !== entry.content) return this.#forget(entry, false);
    for (const {content} of persist.attempts) this.#backlog.noteSent(entry, content);
    entry.conflict = persist.state === 'conflict';
    if (now || !this.#unsynced.has(entry.content)) this.#lane(entry.mount).hurry(entry);
  }

  /** Those of the contents that nobody needs here; the others are dropped when that is known. */
  droppable(contents: readonly ContentId[]): readonly ContentId[] {
    if (this.#backlog.files === 0 && this.#attempts.areNone) return contents;
    return contents.filter((id) => {
      if (!this.#isNeeded(id)) return true;
      this.#dropLater.add(id);
      return false;
    });
  }

  countOf(mount: MountId): number {
    return this.#backlog.countOf(mount);
  }

  /** Tries it at once, and resolves when the store has it or nothing is to be done any more. Conflict, Unavailable (not in time). */
  async settle(id: InodeId, signal: AbortSignal): Promise<void> {
    const entry = this.#backlog.get(id);
    if (!entry) return;
    const {clock} = this.#services.runtime;
    this.#lane(entry.mount).hurry(entry);
    const late = clock.monotonicMs() + settleMs;
    for (let now = this.#backlog.get(id); now; now = this.#backlog.get(id)) {
      if (now.conflict) throw new WeirError('Conflict', `the file is in conflict with its store: ${now.lastError ?? 'both have changed'} (weir persist says more)`);
      if (clock.monotonicMs() >= late) throw new WeirError('Unavailable', `the file is not in its store yet${now.lastError === undefined ? '' : `: ${now.lastError}`}`);
      await this.#backlog.changed(now, late - clock.monotonicMs(), signal);
    }
  }

  info(id: InodeId): PersistInfo | undefined {
    const {transactions, runtime, following} = this.#services;
    const entry = this.#backlog.get(id);
    if (!entry) return undefined;
    const path = transactions.peek((reader) => locate(reader, id))?.path;
    // What it waits for may be a tree that is still to get out of the way.
    const content = transactions.peek((reader) => pendingFile(reader, id))?.content;
    const lastError = (content && following.failureAt(content.mount, content.storeKey)) ?? entry.lastError;
    const running = this.#attempts.isSending(entry.content);
    const nextAttemptAt = running || entry.conflict ? undefined : this.#lane(entry.mount).nextAttemptMs(entry);
    return {
      path: path ?? ('' as PersistInfo['path']), inode: id, length: entry.length, state: entry.conflict ? 'conflict' : running ? 'uploading' : 'waiting', since: entry.since, failures: entry.failures,
      uploadedBytes: running ? entry.sentBytes : 0, ...(lastError === undefined ? {} : {lastError}),
      ...(nextAttemptAt === undefined || nextAttemptAt <= runtime.clock.steadyMs() ? {} : {nextAttemptAt}),
    };
  }

  /** Contents whose bytes must stay in the cache. */
  contents(): ReadonlySet<ContentId> {
    const contents = new Set<ContentId>();
    for (const persist of this.#services.transactions.peek(listPersists)) {
      contents.add(persist.content);
      for (const {content} of persist.attempts) contents.add(content);
      if (persist.before?.pending) contents.add(persist.before.id);
    }
    return contents;
  }

  /** Waits for what can be persisted in that time; the rest is journaled and goes on in the next life. */
  async close(waitMs: number): Promise<void> {
    const {clock} = this.#services.runtime;
    this.#closing = true;
    await this.#unsynced.close();
    const late = clock.monotonicMs() + waitMs;
    while (clock.monotonicMs() < late && [...this.#lanes.values()].some((lane) => lane.flows)) await clock.sleep(20);
    this.#attempts.close();
    for (const lane of this.#lanes.values()) lane.close();
    await this.#services.gate.close();
    this.#backlog.close();
  }

  #lane(mount: MountId): PersistLane {
    const {mounts, runtime} = this.#services;
    let lane = this.#lanes.get(mount);
    if (!lane) {
      const here = mounts.has(mount) && mounts.get(mount).capabilities.localFile;
      const pace: Pace = {uploadsAtOnce: here ? localUploadsAtOnce : uploadsAtOnce, largeAtOnce: uploadsAtOnce, beforeRest: filesBeforeRest, restMs: (since) => (here ? this.#givingWay.restMs(since) : 0)};
      this.#lanes.set(mount, (lane = new PersistLane(runtime.clock, pace, (entries, from) => this.#attempts.run(entries, from))));
    }
    return lane;
  }

  /** `replaced`: another entry has taken over what it had sent. */
  #forget(entry: Entry, replaced: boolean): void {
    this.#lane(entry.mount).remove(entry);
    this.#backlog.remove(entry, replaced);
    this.#unsynced.forget(entry.content);
    this.#dropLater.settle();
  }

  /** Not before it survives power loss that nobody needs them; and in the same turn another may have taken over what was sent. */
  async #drop(contents: readonly ContentId[]): Promise<void> {
    const {transactions, cache, runtime: {log}} = this.#services;
    try {
      await transactions.eventually();
      for (const id of contents) if (this.#isNeeded(id)) this.#dropLater.add(id);
      await cache.drop(contents.filter((id) => !this.#isNeeded(id)));
    } catch (error) {
      // The next life sweeps its cache.
      log.warn('contents could not be dropped from the cache', {error: String(error)});
    }
  }

  #isNeeded(id: ContentId): boolean {
    return this.#attempts.isSending(id) || this.#backlog.hasSent(id) || this.#backlog.isBase(id) || this.#unsynced.needs(id);
  }
}
