/**
 * What a mount makes under ASYNC_THROUGH, each in one transaction that is answered when it is safe: a file, empty, and the content that a draft
 * becomes when it is closed. No store is asked or told: that follows when the content lasts (persist/unsynced.ts). Undefined where it takes
 * more than that (another write type, versions that are kept): the steps of every write (writes.ts) do it then.
 */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {SealedDraft, SealOptions} from '#contracts/writing.ts';
import {denied, mayAccess} from '#master/namespace/access.ts';
import {keepingOf} from '#master/namespace/versioning.ts';
import {checkExpected, locate, type Located} from '#master/namespace/locate.ts';
import {noteCreated} from '#master/namespace/object-events.ts';
import {millisecondsOf} from '#master/namespace/operation.ts';
import {getPersist, inheritedFrom, notePending} from '#master/namespace/persists.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {checkAt, checkPut, putFile, type PutFileOptions} from '#master/namespace/put-file.ts';
import {type Resolution, resolve, storeKeyOfPath} from '#master/namespace/resolve.ts';
import {setContentAt} from '#master/namespace/set-content.ts';
import {lasting} from '#master/transactions.ts';
import {beginStoreChange, inTurnNow, takeKey} from '#master/writes/store-change.ts';
import type {WriteServices} from '#master/writes/writes.ts';
import type {Commit, Reader} from '#metastore/metastore.ts';
import type {Content, ContentBase, SealedOver} from '#model/content.ts';
import {parsePath, type Path} from '#model/path.ts';

/** As S3 says of an object without bytes. */
const emptyEtag = 'd41d8cd98f00b204e9800998ecf8427e';

interface NewFileOptions extends SealOptions {
  readonly mode: number;
}

/** As on any disk. */
const newFile = {parents: 'none', precondition: {ifNoneMatch: '*'}} as const;

interface Found extends Located {
  readonly names: Path;
  /** Versions of the file are kept. */
  readonly isKept: boolean;
}

function find(reader: Reader, inode: InodeId): Found | undefined {
  const at = locate(reader, inode);
  if (!at) return undefined;
  const names = parsePath(at.path, 'file');
  return {...at, names, isKept: isKept(reader, names)};
}

const isKept = (reader: Reader, path: Path): boolean => keepingOf(reader, path, resolve(reader, path).top) !== undefined;

/** What a content that was sealed is over, as the store has it now: the file's content may have moved since, or its store may have got it. */
function overNow(old: Content | undefined, {base: {storeKey, ...base}, after}: SealedOver, key: ByteString): ContentBase {
  const {own} = base;
  const as = (there: ByteString | undefined) => (there === undefined || there === key ? {} : {storeKey: there});
  if (old?.id === after && old.over) return {...old.over, own};
  if (old && !old.pending && (old.id === after || old.id === base.id)) return {id: old.id, length: old.length, fingerprint: old.fingerprint, own, ...as(old.storeKey)};
  return {...base, ...as(storeKey)};
}

export class Seals {
  readonly #services: WriteServices;

  constructor(services: WriteServices) {
    this.#services = services;
  }

  /** A new file; its parent has been checked by whoever asks. PreconditionFailed when there is one. */
  async makeFile(text: ByteString, options: NewFileOptions, context: CallContext): Promise<FileInfo | undefined> {
    const {transactions, loader, persister} = this.#services;
    const path: Path = {names: parsePath(text, 'file').names, kind: 'file'};
    const askedAt = transactions.now();
    if (loader.questions(path, {askedAt, complete: true}).length > 0) await loader.freshen(path, {askedAt, signal: context.signal, complete: true});
    const resolution = transactions.peek((reader) => {
      checkExpected(reader, context.expects);
      return checkPut(reader, {principal: context.principal}, path, newFile);
    });
    if (!this.#isPending(resolution, options)) return undefined;
    await persister.room(context.signal);
    const otherwise = loader.questions(path, {askedAt}).length === 0 ? 'absent' : 'unknown';
    const commit = this.#make(resolution, otherwise, {...newFile, mode: options.mode}, context);
    if (commit) await lasting(commit, context);
    return commit?.result;
  }

  /** The same in a directory, on the spot; undefined, and nothing is made, also where it takes waiting first, or something is there. */
  makeFileNow(directory: InodeId, name: ByteString, options: NewFileOptions, context: CallContext): Commit<FileInfo> | undefined {
    const {transactions, loader, persister} = this.#services;
    const above = transactions.peek((reader) => locate(reader, directory));
    if (above?.place.kind !== 'directory' || !persister.hasRoom) return undefined;
    const path: Path = {names: parsePath((above.path + name) as ByteString, 'file').names, kind: 'file'};
    const found = transactions.peek((reader) => resolve(reader, path));
    if (found.place || loader.questionsAt(found, {askedAt: transactions.now(), complete: true}).length > 0) return undefined;
    transactions.peek((reader) => checkAt(reader, found, newFile));
    return this.#isPending(found, options) ? this.#make(found, 'absent', {...newFile, mode: options.mode, found}, context) : undefined;
  }

  /** Whether what comes to be there is brought to its store behind. */
  #isPending({path, place, parent, top}: Resolution, {writeTypeDefault}: NewFileOptions): boolean {
    const {transactions, mounts, types} = this.#services;
    const {mount} = place ?? parent;
    mounts.writable(mount);
    return !transactions.peek((reader) => keepingOf(reader, path, top)) && types.of(path, mount, {writeTypeDefault}) === 'ASYNC_THROUGH';
  }

  #make(resolution: Resolution, otherwise: 'absent' | 'unknown', options: PutFileOptions, context: CallContext): Commit<FileInfo> | undefined {
    const {transactions, persister} = this.#services;
    const {path, place, parent} = resolution;
    const {mount} = place ?? parent;
    const storeKey = storeKeyOfPath(resolution);
    const commit = inTurnNow(this.#services, mount, storeKey, () => transactions.changeNow(context, (tx, op) => {
      const content: Content = {
        id: op.ids.next<ContentId>(), length: 0, mount, storeKey, fingerprint: '', etag: emptyEtag, checksums: {}, metadata: {}, committedAt: op.now, pending: 'pending',
      };
      const info = putFile(tx, op, path, {...options, content});
      notePending(tx, info.inode.id, content, inheritedFrom(tx, undefined, storeKey, otherwise), millisecondsOf(op.now));
      noteCreated(tx, op, 'ObjectCreated:Put', path, info.inode);
      return info;
    }));
    if (!commit) return undefined;
    const {id, content} = commit.result.inode;
    persister.added({id, mount, content: content!.id, length: 0, since: transactions.now()}, undefined, commit.eventually, {});
    return commit;
  }

  /** The id that the content of a draft is to have. NotFound when its file has no name any more. */
  async begin(inode: InodeId, options: SealOptions, {signal}: CallContext): Promise<ContentId | undefined> {
    const {transactions, persister} = this.#services;
    if (!this.#mayBegin(inode, options)) return undefined;
    await persister.room(signal);
    transactions.ids.ensure(transactions.metastore);
    return transactions.ids.next<ContentId>();
  }

  /** The same on the spot, of what was just found; undefined also where it must wait, or has no name. */
  beginNow({path: text, mount, inode}: FileInfo, options: SealOptions): ContentId | undefined {
    const {transactions, persister, mounts, types} = this.#services;
    if (!persister.hasRoom || text === '' || inode.kind !== 'file' || !inode.content) return undefined;
    const path = parsePath(text, 'file');
    mounts.writable(mount);
    if (transactions.peek((reader) => isKept(reader, path)) || types.of(path, mount, options) !== 'ASYNC_THROUGH') return undefined;
    transactions.ids.ensure(transactions.metastore);
    return transactions.ids.next<ContentId>();
  }

  #mayBegin(inode: InodeId, options: SealOptions): boolean {
    const {transactions, mounts} = this.#services;
    const found = transactions.peek((reader) => {
      const at = locate(reader, inode);
      if (!at || at.place.kind !== 'file') return undefined;
      const path = parsePath(at.path, 'file');
      return {path, mount: at.place.mount, hasContent: inodeAt(reader, at.place).content !== undefined, keeping: keepingOf(reader, path, resolve(reader, path).top)};
    });
    if (!found) throw new WeirError('NotFound', `the file that was being written (inode ${inode}) does not exist any more`);
    mounts.writable(found.mount);
    return !found.keeping && found.hasContent && this.#services.types.of(found.path, found.mount, options) === 'ASYNC_THROUGH';
  }

  /** The draft's bytes are kept as that content: the file has it; undefined where it takes more by now. Not committed, the content is dropped. NotFound. */
  async commit(inode: InodeId, sealed: SealedDraft, context: CallContext): Promise<FileInfo | undefined> {
    let commit: Commit<FileInfo> | undefined;
    try {
      commit = await this.#commit(inode, sealed, context);
    } finally {
      if (!commit) void this.#services.persister.abandoned(sealed.content);
    }
    if (commit) await lasting(commit, context);
    return commit?.result;
  }

  /** Who sealed it so is gone, and whoever goes on with the draft seals it as another. */
  async abandon(inode: InodeId, content: ContentId): Promise<void> {
    const {transactions, persister} = this.#services;
    if (transactions.peek((reader) => getPersist(reader, inode))?.content !== content) await persister.abandoned(content);
  }

  /** The same on the spot; undefined, and nothing has changed, where it takes waiting before it can be committed, or more than this. */
  commitNow(inode: InodeId, sealed: SealedDraft, context: CallContext): Commit<FileInfo> | undefined {
    const found = this.#services.transactions.peek((reader) => find(reader, inode));
    if (!found) return undefined;
    const {mount, storeKey} = found.place;
    try {
      return inTurnNow(this.#services, mount, storeKey, () => this.#commitInTurn(inode, found, sealed, context));
    } catch (error) {
      void this.#services.persister.abandoned(sealed.content);
      throw error;
    }
  }

  async #commit(inode: InodeId, sealed: SealedDraft, context: CallContext): Promise<Commit<FileInfo> | undefined> {
    using _turn = await this.#turnOf(inode, context.signal);
    const found = this.#services.transactions.peek((reader) => find(reader, inode));
    return found && this.#commitInTurn(inode, found, sealed, context);
  }

  /** `found`: in this very turn of the event loop. */
  #commitInTurn(inode: InodeId, found: Found, sealed: SealedDraft, context: CallContext): Commit<FileInfo> | undefined {
    const {transactions, runtime, persister} = this.#services;
    const {content: id, length, etag, metadata, mtime, durable, over} = sealed;
    // Who has died by now does not come after whoever goes on with his draft.
    context.signal.throwIfAborted();
    if (found.isKept) return undefined;
    const {place: {mount, storeKey}, names} = found;
    using _room = this.#services.quotas.setAside(names, length);
    runtime.crashPoint('master.seal.commit');
    let before: ContentId | undefined;
    const commit = transactions.changeNow(context, (tx, op) => {
      const old = inodeAt(tx, found.place);
      if (!mayAccess(old, context.principal, 'write')) throw denied(context.principal, 'write', old);
      const inherited = inheritedFrom(tx, old, storeKey, 'unknown');
      const content: Content = {id, length, mount, storeKey, fingerprint: '', etag, checksums: {}, metadata, committedAt: op.now, pending: 'pending', ...(over ? {over: overNow(old.content, over, storeKey)} : {})};
      // What lasts; of several contents within some seconds the last that did.
      const kept = getPersist(tx, inode)?.before ?? old.content;
      const info = setContentAt(tx, op, found, old, content, mtime);
      notePending(tx, inode, content, inherited, millisecondsOf(op.now), durable ? undefined : kept);
      before = durable ? undefined : kept?.id;
      noteCreated(tx, op, 'ObjectCreated:Put', names, info.inode);
      return info;
    });
    runtime.crashPoint('master.seal.committed');
    const {over: made} = commit.result.inode.content!;
    persister.added({id: inode, mount, content: id, length, since: transactions.now(), ...(made ? {over: made} : {})}, inode, commit.eventually, durable ? undefined : before === undefined ? {} : {before});
    return commit;
  }

  async #turnOf(inode: InodeId, signal: AbortSignal): Promise<Disposable> {
    const {transactions} = this.#services;
    for (;;) {
      const place = transactions.peek((reader) => locate(reader, inode))?.place;
      if (!place) throw new WeirError('NotFound', `the file that was being written (inode ${inode}) does not exist any more`);
      const {mount, storeKey} = place;
      const now = takeKey(this.#services, mount, storeKey);
      if (now) return now;
      const turn = await beginStoreChange(this.#services, mount, [storeKey], signal, false);
      const still = transactions.peek((reader) => locate(reader, inode))?.place;
      if (still?.storeKey === storeKey && still.mount === mount) return turn;
      turn[Symbol.dispose]();
    }
  }
}
