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
import {JointNotes} from '#master/persist/joint-notes.ts';
import type {PendingCache} from '#master/persist/pending-cache.ts';
import type {PersistLane} from '#master/persist/persist-lane.ts';
import type {Unsynced} from '#master/persist/unsynced.ts';
import {ContentConflict, uploadContent} from '#master/persist/upload-content.ts';
import type {GatedUpload, UploadGate} from '#master/persist/upload-gate.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Transaction} from '#metastore/metastore.ts';
import type {Runtime} from '#runtime/runtime.ts';
import type {StoreObject} from '#understore/under-store.ts';

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
  readonly queue: PersistQueue;
}

/** A pending file that lies nowhere just now (its tree is being removed) is looked for again. */
const lostMs = 1_000;
const faultMs = 60_000;

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

  /** Never fails: what goes wrong in here itself stops one file for a while, and no other. */
  async run(entry: Entry, lane: PersistLane): Promise<void> {
    try {
      await this.#attempt(entry, lane);
    } catch (error) {
      if (this.#closed) return;
      this.#parts.runtime.log.error('a file could not be persisted because of a fault of Weir itself', {inode: entry.id, error: String(error)});
      void this.#parts.runtime.clock.sleep(faultMs, {unref: true}).then(() => lane.add(entry));
    }
  }

  async #attempt(entry: Entry, lane: PersistLane): Promise<void> {
    const {transactions, mounts, gate, following, backlog, unsynced, dropLater, queue} = this.#parts;
    if (this.#closed) return;
    if (unsynced.has(entry.content)) {
      // Whoever made us hurry waits for the sync, too.
      const synced = await unsynced.sync(entry.content).then(() => true, (error: unknown) => void (entry.lastError = String(error)));
      if (!synced) return void lane.delay(entry, lostMs);
      if (backlog.get(entry.id) !== entry) return;
    }
    const file = transactions.peek((reader) => pendingFile(reader, entry.id));
    if (!file) {
      if (transactions.peek((reader) => getPersist(reader, entry.id))) lane.delay(entry, lostMs);
      else queue.forget(entry, false);
      return;
    }
    const {mount, storeKey} = file.content;
    if (!mounts.has(mount)) return void lane.delay(entry, lostMs);
    if (following.busy(mount, storeKey)) {
      lane.block(entry);
      void following.atLast(mount, storeKey).then(() => lane.unblock());
      return;
    }
    const upload = gate.enter(mount, storeKey);
    if (!upload) return lane.block(entry);
    // In this very turn, so that who replaces the content is told apart.
    const running: Running = {successor: entry.id, first: false};
    this.#running.set(file.content.id, running);
    entry.sentBytes = 0;
    try {
      const object = await this.#send(entry, file, upload, running);
      if (object) await this.#arrived(entry, file, object, running);
      else if (backlog.get(entry.id) === entry) queue.recheck(entry.id);
      lane.succeeded();
    } catch (error) {
      this.#notArrived(entry, file, error, {lane, upload, running});
    } finally {
      this.#running.delete(file.content.id);
      upload[Symbol.dispose]();
      dropLater.letGo(file.content.id);
      dropLater.settle();
      const now = backlog.get(entry.id);
      if (now === entry) backlog.tell(entry);
    }
  }

  async #send(entry: Entry, {content, persist}: PendingFile, upload: GatedUpload, running: Running): Promise<StoreObject | undefined> {
    const {transactions, mounts, written, runtime, cache, backlog} = this.#parts;
    await written.mark(content.mount);
    const {id, length, etag} = content;
    let noted: ReturnType<typeof noteAttempt>;
    await this.#notes.note((tx) => noteAttempt(tx, entry.id, {content: id, length, etag}), (result) => (noted = result));
    if (!noted) return undefined;
    running.first = noted === 'first';
    backlog.noteSent(entry, id);
    runtime.crashPoint('master.persist.noted');
    const parts = content.upload && transactions.peek((reader) => partLengths(reader, content.upload!.id));
    const object = await uploadContent({
      store: mounts.get(content.mount), content, persist, bytes: cache.bytes, file: cache.file, parts, signal: upload.signal, finishing: () => upload.finishing(), sent: (bytes) => void (entry.sentBytes = bytes),
      expected: (expected) => transactions.changeOwn((tx) => noteExpected(tx, running.successor, id, expected)),
    });
    runtime.crashPoint('master.persist.sent');
    return object;
  }

  async #arrived(entry: Entry, {content}: PendingFile, {fingerprint}: StoreObject, running: Running): Promise<void> {
    const {transactions, recent, beliefs, runtime, cache, backlog, queue} = this.#parts;
    const {id, mount, storeKey} = content;
    let isShown = false;
    // What a file shows is what it was: nobody has to forget what he remembers of it.
    const show = (tx: Transaction): boolean => {
      if (showPersisted(tx, entry.id, id, fingerprint, transactions.now())) return true;
      settleAttempt(tx, running.successor, id, fingerprint);
      return false;
    };
    await this.#notes.note(show, (shown) => {
      recent.note(mount, storeKey);
      beliefs.exists(mount, storeKey);
      this.#uploaded.add(1);
      isShown = shown;
      if (shown) return queue.forget(entry, false);
      backlog.forgetSent(backlog.get(running.successor), id);
      if (backlog.get(entry.id) === entry) queue.lane(mount).delay(entry, lostMs);
    });
    if (!isShown) return;
    runtime.crashPoint('master.persist.shown');
    cache.persisted(id, mount);
  }

  #notArrived(entry: Entry, {content}: PendingFile, error: unknown, {lane, upload, running}: {readonly lane: PersistLane; readonly upload: GatedUpload; readonly running: Running}): void {
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
