/**
 * New contents: a ticket reserves the content's id and key; the worker streams to the store; when the
 * store is about to make the object visible, the key's turn is taken (`prepare`), and the commit gives it back. So the
 * store's order of versions is the namespace's. Under ASYNC_THROUGH the worker streams to the cache alone, the turn is taken when that is
 * durable, and the commit notes what the store is to get (persist/). Tickets live in memory: a restart forgets them, and with them nothing
 * that anybody was told.
 *
 * Invariants: at most one prepared ticket a key; a ticket commits once; a turn ends by commit, abandon or time.
 */
import {assert} from '#base/assert.ts';
import {type ByteString, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {isUnchecked} from '#master/namespace/access.ts';
import type {ContentId} from '#base/ids.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo, PathOptions} from '#contracts/file-info.ts';
import type {BeginWriteOptions, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {Loader} from '#master/loader/loader.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {inheritedFrom, nothingThere, notePending} from '#master/namespace/persists.ts';
import {isFurther} from '#master/namespace/links.ts';
import {checkExpected} from '#master/namespace/locate.ts';
import {millisecondsOf, type Operation} from '#master/namespace/operation.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {checkPut, putFile, type PutFileOptions, versionAt} from '#master/namespace/put-file.ts';
import {type Resolution, resolve, shown, storeKeyOfPath} from '#master/namespace/resolve.ts';
import {noteCreated} from '#master/namespace/object-events.ts';
import {setContent} from '#master/namespace/set-content.ts';
import {keepingOf} from '#master/namespace/versioning.ts';
import {forgetPublication, notePublication} from '#master/namespace/publications.ts';
import {completeUpload} from '#master/namespace/uploads.ts';
import {carriedName} from '#master/persist/carried-bytes.ts';
import type {Persister} from '#master/persist/persister.ts';
import {lasting, type Transactions} from '#master/transactions.ts';
import type {Quotas} from '#master/quotas.ts';
import type {Commit, Reader, Transaction} from '#metastore/metastore.ts';
import type {Archived, Archives} from '#master/writes/archives.ts';
import type {Ownership} from '#master/writes/ownership.ts';
import {beginStoreChange, type StoreChangeServices, takeKey} from '#master/writes/store-change.ts';
import type {WriteTypes} from '#master/writes/write-types.ts';
import type {Content} from '#model/content.ts';
import {type Inode, s3XattrPrefix} from '#model/inode.ts';
import {parsePath, type Path} from '#model/path.ts';
import type {Clock} from '#runtime/clock.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface WriteServices extends StoreChangeServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly loader: Loader;
  readonly runtime: Pick<Runtime, 'crashPoint' | 'log'> & {readonly clock: Clock};
  readonly archives: Archives;
  readonly ownership: Ownership;
  readonly persister: Persister;
  readonly quotas: Quotas;
  readonly types: WriteTypes;
}

const ticketsMax = 100_000;
/** A ticket that nobody has touched for so long is forgotten; longer than any upload of one object takes. */
const ticketMs = 24 * 3_600_000;
/** A store that was told to finish has answered by then; later the turn goes to the next. */
const preparedMs = 10 * 60_000;

/** What becomes a file with the commit. */
export interface CompletedUpload {
  readonly uploadId: string;
  /** Absent: a new one. */
  readonly content?: ContentId;
  readonly parts: number;
  readonly unused: readonly number[];
  readonly checked: boolean;
}

interface TicketState {
  readonly ticket: WriteTicket;
  readonly path: Path;
  readonly options: BeginWriteOptions;
  /** The upload that ends with the commit. */
  readonly upload: CompletedUpload | undefined;
  /** What the store has at the key, when the namespace has nothing there; for ASYNC_THROUGH. */
  readonly otherwise: 'absent' | 'unknown';
  turn: Disposable | undefined;
  /** Bytes below a quota. */
  room?: Disposable | undefined;
  /** What is there and has to be kept, out of the way for the new content. */
  archived?: Archived | undefined;
  timer: Disposable;
  committed?: true;
}

export class Writes {
  readonly #services: WriteServices;
  readonly #tickets = new Map<number, TicketState>();

  constructor(services: WriteServices) {
    this.#services = services;
  }

  async begin(text: ByteString, options: BeginWriteOptions & PathOptions, context: CallContext, upload?: CompletedUpload): Promise<WriteTicket> {
    const {transactions, mounts, following, loader, persister} = this.#services;
    const parsed = parsePath(text, options.kind ?? 'file');
    const path: Path = {names: parsed.names, kind: parsed.kind === 'directory' ? 'directory' : 'file'};
    if (options.unnamed && !isUnchecked(context.principal)) throw new WeirError('PermissionDenied', 'only who may do everything gives a name to what had none');
    if (this.#tickets.size >= ticketsMax) throw new WeirError('Overloaded', `${ticketsMax} writes are under way`);
    await this.#load(path, options, context);
    for (;;) {
      const {mount, storeKey, inPlace} = transactions.peek(reader => {
        const resolution = checkTarget(reader, path, options, context);
        const stays = options.inode !== undefined && keepingOf(reader, path, resolution.top) === undefined;
        return {mount: (resolution.place ?? resolution.parent).mount, storeKey: storeKeyOfPath({...resolution, path}), inPlace: stays ? {inPlace: true as const} : {}};
      });
      mounts.writable(mount);
      if (following.busy(mount, storeKey)) {
        await following.quiet(mount, storeKey, context.signal);
        await loader.freshen(path, {askedAt: transactions.now(), signal: context.signal});
        continue;
      }
      const writeType = this.#services.types.of(path, mount, options);
      if (writeType === 'ASYNC_THROUGH') await persister.room(context.signal);
      const otherwise = writeType === 'ASYNC_THROUGH' && loader.questions(path, {askedAt: transactions.now()}).length === 0 ? 'absent' : 'unknown';
      transactions.ids.ensure(transactions.metastore);
      const room = this.#services.quotas.setAside(path, options.length ?? 1);
      const ticket: WriteTicket = {
        writeId: transactions.ids.next<ContentId>(), path: text, content: upload?.content ?? transactions.ids.next<ContentId>(), mount, storeKey, metadata: options.metadata ?? {}, writeType, ...inPlace,
      };
      this.#keep({ticket, path, options, upload, otherwise, turn: undefined, room, timer: nothing}, ticketMs);
      return ticket;
    }
  }

  /**
   * The same on the spot, of a plain new object under ASYNC_THROUGH, or that its store takes whole, whose bytes are all at hand; undefined where anybody has to be asked, or waited
   * for. Such a ticket has no time: whoever has it commits or abandons it.
   */
  beginNow(text: ByteString, options: BeginWriteOptions & PathOptions, context: CallContext): WriteTicket | undefined {
    const {transactions, mounts, following, loader, persister, quotas, types} = this.#services;
    const path = parsePath(text, 'file');
    const isPlain = options.precondition === undefined && options.inode === undefined && !options.unnamed && (options.parents ?? 'implied') === 'implied';
    if (!isPlain || path.kind === 'directory' || this.#tickets.size >= ticketsMax) return undefined;
    const resolution = transactions.peek(reader => checkTarget(reader, path, options, context));
    const {place, parent} = resolution;
    const {mount} = place ?? parent;
    const storeKey = storeKeyOfPath(resolution);
    mounts.writable(mount);
    const writeType = types.of(path, mount, options);
    if (following.busy(mount, storeKey)) return undefined;
    const {togetherBytesMax, directories} = mounts.get(mount).capabilities;
    if (writeType === 'ASYNC_THROUGH' ? !persister.hasRoom : togetherBytesMax === undefined || options.length === undefined || options.length > togetherBytesMax) return undefined;
    const askedAt = transactions.now();
    const above: Path = {names: path.names.slice(0, -1), kind: 'directory'};
    if (!place && above.names.length > 0 && directories && loader.questions(above, {askedAt}).length > 0) return undefined;
    const otherwise = loader.questionsAt(resolution, {askedAt}).length === 0 ? 'absent' : 'unknown';
    transactions.ids.ensure(transactions.metastore);
    const room = quotas.setAside(path, options.length ?? 1);
    const ticket: WriteTicket = {
      writeId: transactions.ids.next<ContentId>(), path: text, content: transactions.ids.next<ContentId>(), mount, storeKey, metadata: options.metadata ?? {}, writeType,
    };
    this.#tickets.set(ticket.writeId, {ticket, path, options, upload: undefined, otherwise, turn: undefined, room, timer: nothing});
    return ticket;
  }

  async prepare({writeId, writeType}: WriteTicket, context: CallContext): Promise<void> {
    const {transactions, mounts, persister} = this.#services;
    const state = this.#state(writeId);
    const {ticket, path, options} = state;
    if (state.turn) return;
    // Written in place, all names of the file stay what they are.
    const alone = writeType !== 'ASYNC_THROUGH';
    const turn = await persister.turnWhenPersisted(reader => versionAt(reader, path), async () => (options.inode === undefined
      ? await this.#services.ownership.turnOf(path, ticket.mount, [ticket.storeKey], context.signal, alone)
      : await beginStoreChange(this.#services, ticket.mount, [ticket.storeKey], context.signal, alone)), context.signal);
    let keeping = false;
    try {
      await this.#load(path, options, context, true);
      transactions.peek(reader => {
        keeping = keepingOf(reader, path, checkPlace(reader, state, context).top) !== undefined;
      });
      // Who has open what is written in place sees that.
      keeping ||= options.inode === undefined && this.#services.archives.isOpen(path);
      mounts.writable(ticket.mount);
      // The ticket may have been given back while we waited.
      this.#state(writeId);
      assert(!state.turn, `write ${writeId} was prepared twice at once`);
    } catch (error) {
      turn[Symbol.dispose]();
      throw error;
    }
    if (keeping) await this.#makeRoom(state, turn, context);
    else if (ticket.inPlace && alone) await this.#note(state, turn);
    state.turn = turn;
    this.#keep(state, preparedMs);
    this.#services.runtime.crashPoint('master.write.prepared');
  }

  /** The process may end when the store has the content, and the namespace does not. Fails without the turn. */
  async #note({ticket: {mount, storeKey, content}, options}: TicketState, turn: Disposable): Promise<void> {
    try {
      await this.#services.transactions.changeSafely(tx => notePublication(tx, {id: options.inode!, mount, storeKey, content, length: options.length ?? 0}));
    } catch (error) {
      turn[Symbol.dispose]();
      throw error;
    }
  }

  /** Moves what is at the key out of the way, when its version is kept or somebody has it open. Fails without the turn. */
  async #makeRoom(state: TicketState, turn: Disposable, {signal}: CallContext): Promise<void> {
    const {archives, loader, transactions} = this.#services;
    let noted: Relocation | undefined;
    try {
      await loader.freshen(state.path, {askedAt: transactions.now(), signal, complete: true});
      const archived = await archives.archive(state.path, false, signal, relocation => (noted = relocation));
      this.#state(state.ticket.writeId);
      state.archived = archived;
    } catch (error) {
      if (noted) archives.settle(noted, turn);
      else turn[Symbol.dispose]();
      throw error;
    }
  }

  /** The commit; the answer comes when it is durable. */
  async commit({writeId}: WriteTicket, object: WrittenObject, context: CallContext): Promise<FileInfo> {
    const {transactions} = this.#services;
    const earlier = context.request && (await transactions.earlier<FileInfo>(context));
    if (earlier) return earlier.result;
    const state = this.#state(writeId);
    if (!state.turn) throw new WeirError('Conflict', `the write of ${toText(state.ticket.path)} was not prepared, or its turn has passed`);
    const commit = this.#publish(state, object, context);
    await lasting(commit, context);
    return commit.result;
  }

  /**
   * Both `prepare` and `commit` of a ticket of `beginNow`, whose bytes are kept, in this turn; the answer comes when it is durable. Undefined, and nothing
   * has changed, where the turn of the key has to be waited for, or something that is there has to be kept. `safe`: bytes that do not last yet where they are kept.
   */
  commitNow({writeId}: WriteTicket, object: WrittenObject, context: CallContext, safe?: Uint8Array): Promise<FileInfo> | undefined {
    const {archives, ownership, mounts} = this.#services;
    const state = this.#state(writeId);
    const {ticket: {mount, storeKey}, path} = state;
    if (ownership.isNeeded || archives.isOpen(path)) return undefined;
    mounts.writable(mount);
    state.turn = takeKey(this.#services, mount, storeKey);
    if (!state.turn) return undefined;
    try {
      const commit = this.#publish(state, object, context, tx => {
        const found = checkPlace(tx, state, context);
        if (keepingOf(tx, path, found.top)) throw mustBeKept;
        return found;
      }, safe);
      return lasting(commit, context).then(() => commit.result);
    } catch (error) {
      if (error === mustBeKept) return undefined;
      throw error;
    }
  }

  /** In the turn of the key, which ends with it, and the ticket with that. `find`: the checks of `prepare`, if they have not been made; what it throws of its own leaves the ticket as it was. */
  #publish(state: TicketState, object: WrittenObject, context: CallContext, find?: (tx: Transaction) => Resolution, safe?: Uint8Array): Commit<FileInfo> {
    const {transactions, runtime, archives, persister} = this.#services;
    const {ticket, path, options} = state;
    const {length, fingerprint, etag, checksums, pending} = object;
    let replaced: Inode | undefined;
    runtime.crashPoint('master.write.finished');
    try {
      const commit = transactions.changeNow(context, (tx, op) => {
        const found = find?.(tx);
        const content: Content = {
          id: ticket.content, length, mount: ticket.mount, storeKey: ticket.storeKey, fingerprint, etag, checksums, metadata: ticket.metadata, committedAt: op.now,
          ...(state.upload ? {upload: {id: state.upload.uploadId, parts: state.upload.parts, ...(state.upload.checked ? {checked: true} : {})}} : {}), ...(pending ? {pending: 'pending'} : {}),
        };
        // The store has the object: what could forbid it was asked when the turn was taken, and nothing changed since.
        const parents = options.parents === 'none' ? 'explicit' : (options.parents ?? 'implied');
        const mtime = object.mtime ?? options.mtime;
        const xattrs = options.xattrs ? {xattrs: options.xattrs} : {};
        const {unnamed} = options;
        const was = found ?? (pending || !persister.isIdle ? resolve(tx, path) : undefined);
        replaced = was?.place && inodeAt(tx, was.place);
        const inherited = pending && (archives.leavesNothing(ticket.mount, state.archived) ? nothingThere : inheritedFrom(tx, replaced, ticket.storeKey, state.otherwise));
        archives.commit(tx, state.archived);
        // Where versions are kept, the inode is the old version's, and the new one has its own.
        const inPlace = options.inode !== undefined && keepingOf(tx, path, resolve(tx, path).top) === undefined;
        if (ticket.inPlace) forgetPublication(tx, options.inode!);
        const info = inPlace
          ? setContent(tx, op, options.inode, content, mtime)
          : putFile(tx, op, path, {
            content, mode: options.mode, mtime, parents, archived: state.archived?.content ?? 'lost', ...(found ? {found} : {}), ...xattrs, ...unnamed,
            ...(options.inode === undefined ? {} : attributesAt(tx, op, path)),
          });
        if (inherited) notePending(tx, info.inode.id, content, inherited, millisecondsOf(op.now));
        if (state.upload) completeUpload(tx, ticket.path, state.upload.uploadId, state.upload.unused);
        noteCreated(tx, op, state.upload ? 'ObjectCreated:CompleteMultipartUpload' : createdBy[options.origin ?? 'put'], path, info.inode);
        return info;
      }, path.names.length + 8, safe && {name: carriedName(ticket.content), bytes: safe});
      runtime.crashPoint('master.write.committed');
      state.archived = undefined;
      state.committed = true;
      const {inode} = commit.result;
      // A file that had other names lives on under those, and its store is still to get it.
      const succeeded = replaced?.links === undefined || replaced.id === inode.id ? replaced?.id : undefined;
      if (pending) persister.added({id: inode.id, mount: ticket.mount, content: ticket.content, length, since: transactions.now()}, succeeded, commit.eventually);
      else if (replaced) persister.recheck(replaced.id);
      this.#end(state);
      return commit;
    } catch (error) {
      if (error !== mustBeKept) this.#end(state);
      else {
        state.turn?.[Symbol.dispose]();
        state.turn = undefined;
      }
      throw error;
    }
  }

  abandon({writeId}: WriteTicket): void {
    const state = this.#tickets.get(writeId);
    if (state) this.#end(state);
  }

  /** True while a client's upload is being made a file. */
  completes(uploadId: string): boolean {
    for (const state of this.#tickets.values()) if (state.upload?.uploadId === uploadId) return true;
    return false;
  }

  get count(): number {
    return this.#tickets.size;
  }

  close(): void {
    for (const state of this.#tickets.values()) this.#end(state);
  }

  /** What must be known before a write may be judged: conditions speak of what the store has now, and file systems of parents. */
  async #load(path: Path, options: BeginWriteOptions, context: CallContext, prepared = false): Promise<void> {
    const {loader, transactions, mounts} = this.#services;
    const askedAt = transactions.now();
    const {signal} = context;
    if (options.precondition !== undefined) await loader.freshen(path, {askedAt, signal, complete: true});
    if (prepared || path.names.length < 2) return;
    const {place, parent} = transactions.peek(reader => resolve(reader, path, context.principal));
    const strict = options.parents === 'none' || options.parents === 'explicit' || mounts.get((place ?? parent).mount).capabilities.directories;
    if (!place && strict) await loader.freshen({names: path.names.slice(0, -1), kind: 'directory'}, {askedAt, signal});
  }

  #state(writeId: number): TicketState {
    const state = this.#tickets.get(writeId);
    if (!state) throw new WeirError('NotFound', 'this write is not under way (any more): it was committed, given up, or forgotten by a restart');
    return state;
  }

  #keep(state: TicketState, ms: number): void {
    state.timer[Symbol.dispose]();
    state.timer = this.#services.runtime.clock.after(ms, () => this.#end(state));
    this.#tickets.set(state.ticket.writeId, state);
  }

  #end(state: TicketState): void {
    state.timer[Symbol.dispose]();
    state.room?.[Symbol.dispose]();
    state.room = undefined;
    const {turn, archived, ticket, committed} = state;
    if (!committed && ticket.writeType === 'ASYNC_THROUGH' && state.upload?.content === undefined) void this.#services.persister.abandoned(ticket.content);
    // Whoever goes on looks at the store.
    if (turn && !committed && ticket.inPlace) this.#services.transactions.changeLater(tx => forgetPublication(tx, state.options.inode!));
    state.archived = undefined;
    if (turn && archived?.relocation) this.#services.archives.settle(archived.relocation, turn);
    else turn?.[Symbol.dispose]();
    this.#tickets.delete(state.ticket.writeId);
  }
}

/** As checkTarget; and the path's place in its store is still the one that the write began with. */
function checkPlace(reader: Reader, {ticket, path, options}: TicketState, context: CallContext): Resolution {
  const resolution = checkTarget(reader, path, options, context);
  const {mount} = resolution.place ?? resolution.parent;
  if (mount !== ticket.mount || storeKeyOfPath({...resolution, path}) !== ticket.storeKey) {
    throw new WeirError('Conflict', `${toText(ticket.path)} has moved to another place of its store since the write began`);
  }
  return resolution;
}

/** As checkPut; an inode that is to be written in place is still there, and so is what the caller expects. */
function checkTarget(reader: Reader, path: Path, options: BeginWriteOptions, {principal, expects}: CallContext): Resolution {
  checkExpected(reader, expects);
  const resolution = checkPut(reader, {principal}, path, options);
  const {place} = resolution;
  // Only under the first of several names does the store have it.
  const isThere = options.inode === undefined || (place?.id === options.inode && !isFurther(inodeAt(reader, place), place));
  if (!isThere) throw new WeirError('Conflict', `${shown(path)} is another file by now`);
  return resolution;
}

/** Says that a commit on the spot has to be prepared after all. */
const mustBeKept = new Error('what is there has to be kept');

const createdBy = {put: 'ObjectCreated:Put', copy: 'ObjectCreated:Copy', post: 'ObjectCreated:Post'} as const;

/** Of a file whose bytes are changed in place, and which is a new version by that: whose it is, and what it has of its own, but for what S3 says of one version. */
function attributesAt(reader: Reader, {ids}: Operation, path: Path): Pick<PutFileOptions, 'id' | 'mode' | 'uid' | 'gid' | 'xattrs'> {
  const {place} = resolve(reader, path);
  if (!place) return {};
  const {mode, uid, gid, xattrs = {}} = inodeAt(reader, place);
  return {id: ids.next(), mode, uid, gid, xattrs: Object.fromEntries(Object.entries(xattrs).filter(([name]) => !name.startsWith(s3XattrPrefix)))};
}

const nothing: Disposable = {[Symbol.dispose]: () => undefined};
