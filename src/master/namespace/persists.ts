/**
 * Files whose content their store has not got yet (write type ASYNC_THROUGH): the queue of what is to be persisted, one row a file,
 * changed in the transactions that change the file. What an upload must find in the store (`base`) goes with the key, not with the file: who
 * takes a key takes over what is known of it there.
 *
 * Invariant: a file's content is pending exactly when its row is here and names that content.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, InodeId} from '#base/ids.ts';
import {type Attempt, attemptsMax, decodePersist, encodePersist, type Persist} from '#codec/namespace/persist-record.ts';
import {idOfKey, persistKey, persistsFrom} from '#codec/namespace/keys.ts';
import {locate} from '#master/namespace/locate.ts';
import {inodeAt, type Place, writeInode} from '#master/namespace/place.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Content, ContentBase, PersistState} from '#model/content.ts';
import type {Inode} from '#model/inode.ts';

/** What is known of a key's object in the store. */
export type Inherited = Pick<Persist, 'base' | 'attempts'>;

export const nothingThere: Inherited = {base: 'absent', attempts: []};

export function getPersist(reader: Reader, id: InodeId): Persist | undefined {
  const record = reader.look(persistKey(id));
  return record && decodePersist(id, record);
}

/** Those of inodes with ids > `after`, in the order in which the files were made. */
export function listPersists(reader: Reader, after = 0, limit = Infinity): Persist[] {
  return Array.from(reader.range({...persistsFrom(after), ...(limit === Infinity ? {} : {limit})}), ({key, value}) => decodePersist(idOfKey(key) as InodeId, value));
}

export function putPersist(tx: Transaction, persist: Persist): void {
  tx.put(persistKey(persist.id), encodePersist(persist));
}

/** The file has a new content, which is pending. Wall ms. `before`: what the file has again when the power fails before the content lasts. */
export function notePending(tx: Transaction, id: InodeId, content: Content, inherited: Inherited, since: number, before?: Content): void {
  // Where the file is in its store, it stays when a directory above is renamed.
  const kept = before && {before: before.storeKey === content.storeKey ? {...before, storeKey: sameKey} : before};
  putPersist(tx, {id, content: content.id, mount: content.mount, state: 'pending', ...inherited, since, failures: 0, ...kept});
}

/** The content lasts. */
export function noteSynced(tx: Transaction, id: InodeId, content: ContentId): void {
  const persist = getPersist(tx, id);
  if (persist?.content !== content || !persist.before) return;
  const {before: _, ...synced} = persist;
  putPersist(tx, synced);
}

/** With a content that is dropped goes what was to be done for it. */
export function dropPersist(tx: Transaction, id: InodeId): void {
  tx.delete(persistKey(id));
}

/** What the store has at a key of which `old` is the file, as far as is known; `otherwise`: when there is no file. */
export function inheritedFrom(reader: Reader, old: Inode | undefined, key: ByteString, otherwise: 'absent' | 'unknown'): Inherited {
  if (!old) return {base: otherwise, attempts: []};
  const {content} = old;
  // Of what is sent to the key of its first name, that of another knows nothing.
  const further = old.links !== undefined && content?.storeKey !== key;
  if (content?.pending && !further) {
    const persist = getPersist(reader, old.id);
    if (persist) return {base: persist.base, attempts: persist.attempts};
  }
  if (!content || content.pending || content.storeKey !== key) return {base: 'unknown', attempts: []};
  return {base: {fingerprint: content.fingerprint}, attempts: []};
}

/** The store has nothing of the file, and never had: whatever becomes of it, nothing is to be done there. */
export function isUnborn(reader: Reader, {id, content}: Pick<Inode, 'id' | 'content'>): boolean {
  if (!content?.pending) return false;
  const persist = getPersist(reader, id);
  return persist !== undefined && persist.base === 'absent' && persist.attempts.length === 0;
}

export interface PendingFile {
  readonly place: Place;
  readonly path: ByteString;
  readonly persist: Persist;
  readonly inode: Inode;
  readonly content: Content;
}

/** A pending file where it is now; undefined when it is not pending (any more), or in no directory. */
export function pendingFile(reader: Reader, id: InodeId): PendingFile | undefined {
  const persist = getPersist(reader, id);
  const found = persist && locate(reader, id);
  const inode = found && inodeAt(reader, found.place);
  return inode?.content?.id === persist?.content && inode?.content?.pending ? {...found!, persist: persist!, inode, content: inode.content} : undefined;
}

/** It is about to be sent: from now on the store may have it. `again`: it was sent before, and nobody knows what became of that. Undefined when something else is to be sent by now. */
export function noteAttempt(tx: Transaction, id: InodeId, attempt: Attempt): 'first' | 'again' | undefined {
  const persist = getPersist(tx, id);
  if (persist?.content !== attempt.content || persist.state !== 'pending') return undefined;
  if (persist.attempts.some(({content}) => content === attempt.content)) return 'again';
  // What is sent lasts.
  const {before: _, ...synced} = persist;
  putPersist(tx, {...synced, attempts: [...persist.attempts, attempt].slice(-attemptsMax)});
  return 'first';
}

/** The store has the content. False when the file has another by now, or has gone. */
export function showPersisted(tx: Transaction, id: InodeId, content: ContentId, fingerprint: string, checkedAt: number): boolean {
  const file = pendingFile(tx, id);
  if (file?.content.id !== content) return false;
  const {pending: _, over: __, ...stored} = file.content;
  writeInode(tx, {...file.inode, content: {...stored, fingerprint}, checkedAt}, file.place.storeKey);
  dropPersist(tx, id);
  return true;
}

/** What was sent for an earlier content of the key has arrived (or has not, without a fingerprint): what comes next is conditional on that. */
export function settleAttempt(tx: Transaction, id: InodeId, content: ContentId, fingerprint: string | undefined): void {
  const persist = getPersist(tx, id);
  if (!persist?.attempts.some((attempt) => attempt.content === content)) return;
  const attempts = persist.attempts.filter((attempt) => attempt.content !== content);
  putPersist(tx, {...persist, attempts, ...(fingerprint === undefined ? {} : {base: {fingerprint}})});
  const file = fingerprint === undefined ? undefined : pendingFile(tx, id);
  const arrived = persist.attempts.find((attempt) => attempt.content === content)!;
  // What comes next has all that this one had of its own: the store has the rest, in this one.
  if (file?.content.over) setOver(tx, file, {id: content, length: arrived.length, fingerprint: fingerprint!, own: file.content.over.own});
}

/** What the store is going to call an object that it is being sent. */
export function noteExpected(tx: Transaction, id: InodeId, content: ContentId, etag: string): void {
  const persist = getPersist(tx, id);
  if (persist) putPersist(tx, {...persist, attempts: persist.attempts.map((attempt) => (attempt.content === content ? {...attempt, etag} : attempt))});
}

function setOver(tx: Transaction, {inode, content, place}: PendingFile, over: ContentBase): void {
  writeInode(tx, {...inode, content: {...content, over}}, place.storeKey);
}

/** Also shown with the file. */
export function setPersistState(tx: Transaction, file: PendingFile, state: PersistState, change: Partial<Pick<Persist, 'base' | 'lastError' | 'failures'>>): void {
  const {lastError: _, ...persist} = file.persist;
  putPersist(tx, {...persist, state, ...change});
  if (file.content.pending !== state) writeInode(tx, {...file.inode, content: {...file.content, pending: state}}, file.place.storeKey);
}

/** The key of a content that its file had before, where the store has that one in the place of the file. */
export const sameKey = '' as ByteString;

/** What the store has at the key has become another version, and lies there now, by our own doing. */
export function rebase(tx: Transaction, id: InodeId, from: string, to: string, storeKey: ByteString): void {
  const persist = getPersist(tx, id);
  if (persist && typeof persist.base !== 'string' && persist.base.fingerprint === from) {
    const {before} = persist;
    putPersist(tx, {...persist, base: {fingerprint: to}, ...(before && !before.pending && before.fingerprint === from ? {before: {...before, fingerprint: to, storeKey}} : {})});
  }
  const file = pendingFile(tx, id);
  if (file?.content.over?.fingerprint === from) setOver(tx, file, {...file.content.over, fingerprint: to, storeKey});
}
