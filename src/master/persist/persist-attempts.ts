/**
 * One attempt to bring a pending file to its store, from the note that it is sent to the note of what became of that; upload-content.ts does
 * the sending. The row says that a content was sent before the store could have it, so that whatever a crash leaves behind is recognised. Until
 * it is known what became of what was sent, its bytes stay in the cache, also when another content has taken its place.
 */
import {toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {Beliefs} from '#master/freshness/beliefs.ts';
import type {RecentChanges} from '#master/freshness/recent-changes.ts';
import type {Following} from '#master/jobs/following.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import type {WrittenMounts} from '#master/mounts/written-mounts.ts';
import {locate} from '#master/namespace/locate.ts';
import {getPersist, noteAttempt, noteExpected, pendingFile, type PendingFile, putPersist, setPersistState, settleAttempt, showPersisted} from '#master/namespace/persists.ts';
import {partLengths} from '#master/namespace/uploads.ts';
import type {Backlog, BacklogEntry as Entry} from '#master/persist/backlog.ts';
import type {DropLater} from '#master/persist/drop-later.ts';
import type {GivingWay} from '#master/persist/giving-way.ts';
import {JointNotes} from '#master/persist/joint-notes.ts';
import type {PendingCache} from '#master/persist/pending-cache.ts';
import type {PersistLane} from '#master/persist/persist-lane.ts';
import type {Unsynced} from '#master/persist/unsynced.ts';
import {conditionOf, ContentConflict, uploadContent} from '#master/persist/upload-content.ts';
import type {GatedUpload, UploadGate} from '#master/persist/upload-gate.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {SmallWrite, StoreObject} from '#understore/under-store.ts';

/** A file that is being sent. */
interface Begun {
  readonly entry: Entry;
  readonly file: PendingFile;
  readonly upload: GatedUpload;
  readonly running: Running;
}

interface Arrived {
  readonly begun: Begun;
  readonly object: StoreObject;
}

/** An upload under way. */
interface Running {
  /** The file that has got another content for the key meanwhile; else the same. */
  successor: InodeId;
  /** This content was not sent before. */
  first: boolean;
}

/** What the attempts are made for. */
export interface PersistQueue {
  readonly lane: (mount: MountId) => PersistLane;
  /** Nothing is to be done for it any more. `replaced`: another entry has taken over what it had sent. */
  readonly forget: (entry: Entry, replaced: boolean) => void;
  readonly recheck: (id: InodeId) => void;
}

export interface PersistAttemptsParts {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly gate: UploadGate;
  readonly following: Following;
  readonly recent: RecentChanges;
  readonly beliefs: Beliefs;
  readonly written: WrittenMounts;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'metrics' | 'crashPoint'>;
  readonly cache: PendingCache;
  readonly backlog: Backlog;
  readonly dropLater: DropLater;
  readonly unsynced: Unsynced;
  readonly givingWay: GivingWay;
  readonly queue: PersistQueue;
}

/** A pending file that lies nowhere just now (its tree is being removed) is looked for again. */
const lostMs = 1_000;
const faultMs = 60_000;

const noBytes = new Uint8Array(0);
/** Of what the store may already be making visible. */
const {signal: never} = new AbortController();

export class PersistAttempts {
  readonly #parts: PersistAttemptsParts;
  /** By the content that is sent. */
  readonly #running = new Map<ContentId, Running>();
  readonly #notes: JointNotes;
  readonly #uploaded;
  readonly #failed;
  #closed = false;

  constructor(parts: PersistAttemptsParts) {
    this.#parts = parts;
    this.#notes = new JointNotes(parts.transactions);
    const {metrics} = parts.runtime;
    this.#uploaded = metrics.counter('weir_persist_uploads_total', 'Contents brought to their store behind the answer.');
    this.#failed = metrics.counter('weir_persist_failures_total', 'Attempts at that which failed, and are made again.');
  }

  get areNone(): boolean {
    return this.#running.size === 0;
  }

  isSending(content: ContentId): boolean {
    return this.#running.has(content);
  }

  /** The key of a file, or the file itself, has got another content; its file is `by`. */
  succeeded(file: InodeId, by: InodeId): void {
    for (const running of this.#running.values()) if (running.successor === file) running.successor = by;
  }

  /** Those under way end, and note what can still be noted. */
  close(): void {
    this.#closed = true;
  }

  /**
   * Attempts for some files at once, of which small ones go together to a store that takes them so; the lane is told of the end of each. Never fails: what
   * goes wrong in here itself stops one file for a while, and no other.
   */
  run(entries: readonly Entry[], lane: PersistLane): void {
    const together: Begun[] = [];
    for (const entry of entries) void this.#guarded(entry, lane, () => this.#run(entry, lane, together)).then((joins) => joins !== true && lane.ended([entry]));
    if (together.length > 0) void this.#together(together, lane).finally(() => lane.ended(together.map(({entry}) => entry)));
  }

  /** True, in this very turn, of one that has joined those that go together. */
  async #run(entry: Entry, lane: PersistLane, together: Begun[]): Promise<boolean> {
    if (this.#closed) return false;
    const {unsynced, backlog} = this.#parts;
    const wasUnsynced = unsynced.has(entry.content);
    if (wasUnsynced) {
      // Whoever made us hurry waits for the sync, too.
      const synced = await unsynced.sync(entry.content).then(() => true, (error: unknown) => void (entry.lastError = String(error)));
      if (!synced) lane.delay(entry, lostMs);
      if (!synced || backlog.get(entry.id) !== entry) return false;
    }
    const begun = this.#begin(entry, lane);
    if (!begun) return false;
    if (!wasUnsynced && this.#goesTogether(begun)) return together.push(begun) > 0;
    await this.#alone(begun, lane);
    return false;
  }

  async #guarded<T>(entry: Entry, lane: PersistLane, attempt: () => Promise<T>): Promise<T | undefined> {
    try {
      return await attempt();
    } catch (error) {
      if (this.#closed) return undefined;
      const {clock, log} = this.#parts.runtime;
      log.error('a file could not be persisted because of a fault of Weir itself', {inode: entry.id, error: String(error)});
      void clock.sleep(faultMs, {unref: true}).then(() => lane.add(entry));
      return undefined;
    }
  }

  /** On the spot; undefined where it cannot be sent now: the lane knows when it is to be tried again. */
  #begin(entry: Entry, lane: PersistLane): Begun | undefined {
    const {transactions, mounts, gate, following, queue} = this.#parts;
    const file = transactions.peek((reader) => pendingFile(reader, entry.id));
    if (!file) {
      if (transactions.peek((reader) => getPersist(reader, entry.id))) lane.delay(entry, lostMs);
      else queue.forget(entry, false);
      return undefined;
    }
    const {mount, storeKey} = file.content;
    if (!mounts.has(mount)) {
      lane.delay(entry, lostMs);
      return undefined;
    }
    if (following.busy(mount, storeKey)) {
      lane.block(entry);
      void following.atLast(mount, storeKey).then(() => lane.unblock());
      return undefined;
    }
    const upload = gate.enter(mount, storeKey);
    if (!upload) {
      lane.block(entry);
      return undefined;
    }
    // In this very turn, so that who replaces the content is told apart.
    const running: Running = {successor: entry.id, first: false};
    this.#running.set(file.content.id, running);
    entry.sentBytes = 0;
    return {entry, file, upload, running};
  }

  async #alone(begun: Begun, lane: PersistLane): Promise<void> {
    const {entry} = begun;
    const {backlog, queue} = this.#parts;
    try {
      const object = await this.#send(begun);
      if (object) await this.#arrived([{begun, object}]);
      else if (backlog.get(entry.id) === entry) queue.recheck(entry.id);
      lane.succeeded();
    } catch (error) {
      this.#notArrived(begun, error, lane);
    } finally {
      this.#end(begun);
    }
  }

  #end({entry, file, upload}: Begun): void {
    const {backlog, dropLater} = this.#parts;
    this.#running.delete(file.content.id);
    upload[Symbol.dispose]();
    dropLater.letGo(file.content.id);
    dropLater.settle();
    if (backlog.get(entry.id) === entry) backlog.tell(entry);
  }

  #goesTogether({file: {content: {mount, storeKey, length, upload, over}}}: Begun): boolean {
    const {togetherBytesMax = -1, conditionalWrite} = this.#parts.mounts.get(mount).capabilities;
    return conditionalWrite && length <= togetherBytesMax && !upload && !over && !storeKey.endsWith('/');
  }

  async #together(all: readonly Begun[], lane: PersistLane): Promise<void> {
    const left = new Set(all);
    try {
      const answers = await this.#sendTogether(all);
      const arrived: Arrived[] = [];
      for (const [i, begun] of all.entries()) {
        const object = answers[i];
        if (object instanceof WeirError && !isKind(object, 'PreconditionFailed')) {
          left.delete(begun);
          this.#notArrived(begun, object, lane);
          this.#end(begun);
        } else if (object && !(object instanceof WeirError)) arrived.push({begun, object});
      }
      if (arrived.length > 0) {
        await this.#arrived(arrived);
        lane.succeeded();
      }
      for (const {begun} of arrived) {
        left.delete(begun);
        this.#end(begun);
      }
    } catch {
      // Each finds it out by itself.
    }
    // What stands in the way of one, or is wrong with it, is no matter of the others.
    await Promise.all(Array.from(left, (begun) => this.#guarded(begun.entry, lane, () => this.#alone(begun, lane))));
  }

  /** To a store that takes them so, all of one mount. Undefined of those that are to go by themselves. */
  async #sendTogether(all: readonly Begun[]): Promise<readonly (StoreObject | WeirError | undefined)[]> {
    const {mounts, written, runtime, cache, backlog} = this.#parts;
    const {mount} = all[0]!.file.content;
    await written.mark(mount);
    let noted: readonly ReturnType<typeof noteAttempt>[] = [];
    const note = (tx: Transaction): typeof noted => all.map(({entry, file: {content: {id, length, etag}}}) => noteAttempt(tx, entry.id, {content: id, length, etag}));
    await this.#notes.note(note, (results) => (noted = results));
    runtime.crashPoint('master.persist.noted');
    const answers: (StoreObject | WeirError | undefined)[] = all.map(() => undefined);
    const files: SmallWrite[] = [];
    const going: number[] = [];
    for (const [i, {entry, file: {content, persist}, upload, running}] of all.entries()) {
      if (!noted[i]) continue;
      running.first = noted[i] === 'first';
      backlog.noteSent(entry, content.id);
      const bytes = content.length === 0 ? noBytes : cache.bytesNow(content);
      if (bytes?.length !== content.length || upload.signal.aborted) continue;
      upload.finishing();
      files.push({key: content.storeKey, bytes, condition: conditionOf(persist.base)});
      going.push(i);
    }
    if (files.length === 0) return answers;
    const made = await mounts.get(mount).writeTogether!(files, {signal: never}).catch((error: unknown) => {
      if (!(error instanceof WeirError)) throw error;
      return files.map(() => error);
    });
    runtime.crashPoint('master.persist.sent');
    for (const [at, i] of going.entries()) {
      const object = made[at]!;
      const {length} = files[at]!.bytes;
      answers[i] = object instanceof WeirError || object.length === length ? object : new WeirError('Io', `the store keeps ${object.length} of ${length} bytes that it was given`);
    }
    return answers;
  }

  async #send({entry, file: {content, persist}, upload, running}: Begun): Promise<StoreObject | undefined> {
    const {transactions, mounts, written, runtime, cache, backlog, givingWay} = this.#parts;
    await written.mark(content.mount);
    const {id, length, etag} = content;
    let noted: ReturnType<typeof noteAttempt>;
    await this.#notes.note((tx) => noteAttempt(tx, entry.id, {content: id, length, etag}), (result) => (noted = result));
    if (!noted) return undefined;
    running.first ||= noted === 'first';
    backlog.noteSent(entry, id);
    runtime.crashPoint('master.persist.noted');
    const parts = content.upload && transactions.peek((reader) => partLengths(reader, content.upload!.id));
    const store = mounts.get(content.mount);
    const object = await uploadContent({
      store, content, persist, bytes: cache.bytes, file: cache.file, parts, signal: upload.signal, finishing: () => upload.finishing(), sent: (bytes) => void (entry.sentBytes = bytes),
      ...(store.capabilities.localFile ? {turn: () => givingWay.turn(entry, upload.signal)} : {}),
      expected: (expected) => transactions.changeOwn((tx) => noteExpected(tx, running.successor, id, expected)),
    });
    runtime.crashPoint('master.persist.sent');
    return object;
  }

  async #arrived(all: readonly Arrived[]): Promise<void> {
    const {transactions, recent, beliefs, runtime, cache, backlog, queue} = this.#parts;
    // What a file shows is what it was: nobody has to forget what he remembers of it.
    const show = (tx: Transaction): readonly boolean[] => all.map(({begun: {entry, file: {content: {id}}, running}, object: {fingerprint}}) => {
      if (showPersisted(tx, entry.id, id, fingerprint, transactions.now())) return true;
      settleAttempt(tx, running.successor, id, fingerprint);
      return false;
    });
    let shown: readonly boolean[] = [];
    await this.#notes.note(show, (results) => {
      shown = results;
      for (const [i, {begun: {entry, file: {content: {id, mount, storeKey}}, running}}] of all.entries()) {
        recent.note(mount, storeKey);
        beliefs.exists(mount, storeKey);
        this.#uploaded.add(1);
        if (results[i]) {
          queue.forget(entry, false);
          continue;
        }
        backlog.forgetSent(backlog.get(running.successor), id);
        if (backlog.get(entry.id) === entry) queue.lane(mount).delay(entry, lostMs);
      }
    });
    for (const [i, {begun: {file: {content: {id, mount}}}}] of all.entries()) {
      if (!shown[i]) continue;
      runtime.crashPoint('master.persist.shown');
      cache.persisted(id, mount);
    }
  }

  #notArrived({entry, file: {content}, upload, running}: Begun, error: unknown, lane: PersistLane): void {
    const {transactions, backlog, runtime: {log}} = this.#parts;
    const {successor} = running;
    // Then the store has not got it, and will not. Of what was sent before that says nothing.
    const certain = running.first && (!upload.isFinishing || isRefusal(error));
    if (certain) {
      transactions.changeNow(undefined, (tx) => settleAttempt(tx, successor, content.id, undefined)).durable.catch(() => undefined);
      backlog.forgetSent(backlog.get(successor), content.id);
    }
    if (backlog.get(entry.id) !== entry || this.#closed) return;
    // Stopped for the sake of who changes the key: told when that is done.
    if (upload.signal.aborted) return lane.block(entry);
    const conflict = error instanceof ContentConflict;
    const message = (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
    entry.failures++;
    entry.lastError = message;
    entry.conflict = conflict;
    this.#failed.add(1);
    const {durable} = transactions.changeNow(undefined, (tx) => {
      const file = pendingFile(tx, entry.id);
      if (file?.content.id !== content.id) return;
      if (conflict) setPersistState(tx, file, 'conflict', {failures: entry.failures, lastError: message});
      else putPersist(tx, {...file.persist, failures: entry.failures, lastError: message});
    });
    // What has not become durable is tried again all the same.
    durable.catch(() => undefined);
    const path = transactions.peek((reader) => locate(reader, entry.id))?.path;
    const about = {path: path === undefined ? '' : toText(path), error: message};
    if (conflict) {
      backlog.conflict(entry);
      lane.remove(entry);
      log.warn('a file was changed in its store while it waited to be persisted; weir persist PATH --overwrite or --discard decides', about);
      return;
    }
    const forMount = error instanceof WeirError && error.retry === 'later' && error.kind !== 'Conflict';
    const retryMs = forMount ? lane.failed(entry) : lane.delay(entry, undefined);
    log.warn('a file could not be persisted and will be tried again', {...about, retryMs});
  }
}

function isRefusal(error: unknown): boolean {
  return isKind(error, 'PreconditionFailed', 'Conflict', 'PermissionDenied', 'Unauthenticated', 'NoSpace', 'InvalidArgument', 'Unsupported', 'TooLarge', 'NotFound');
}
