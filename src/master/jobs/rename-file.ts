/**
 * Makes a store that can only copy, or a rename over a pending file, follow the rename of one file (design 4.5): note, copy, show the new name, remove the old
 * object, forget the note. Whatever the moment of a crash, doing it again from the note ends with one name, and at every
 * moment the namespace shows one: before the copy is known the old, then the new.
 *
 * A copy of which nobody knows whether it happened is made again, never taken back: a request that a store still works on
 * could come after the taking back. Only a store's plain refusal ends a rename without it.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import type {FileRename} from '#codec/namespace/intent-record.ts';
import {type CallContext, rootPrincipal} from '#contracts/context.ts';
import {copyObject, removeObject, renameInStore} from '#master/jobs/move-object.ts';
import {forgetFileRename, getFileRename, showFileRename} from '#master/namespace/file-renames.ts';
import {locate} from '#master/namespace/locate.ts';
import {getPersist} from '#master/namespace/persists.ts';
import {inodeAt} from '#master/namespace/place.ts';
import type {Renamed} from '#master/namespace/rename.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader} from '#metastore/metastore.ts';
import {parsePath} from '#model/path.ts';
import type {StoreObject, UnderStore} from '#understore/under-store.ts';

export interface RenameFile {
  readonly transactions: Transactions;
  readonly store: UnderStore;
  readonly id: InodeId;
  readonly signal: AbortSignal;
  readonly crashPoint: (name: string) => void;
}

/**
 * Goes on from what is noted. Undefined when an earlier attempt has shown the new name already. Fails as the store does; after a refusal nothing is noted any more, and nothing has changed.
 */
export async function renameFile(work: RenameFile, resumed: boolean): Promise<Pick<Renamed, 'info' | 'vanished'> | undefined> {
  const {transactions, store, id, signal} = work;
  const intent = transactions.peek(reader => getFileRename(reader, id));
  if (!intent) return undefined;
  const renamed = intent.copied ? undefined : await copyAndShow(work, intent);
  work.crashPoint('master.rename.remove');
  // Renamed away. Or copied: in another life somebody else may have put something there; in this one the key was held all the time.
  const stale = store.capabilities.rename !== 'none' || (resumed && (await store.stat(intent.from, {signal}))?.fingerprint !== intent.fingerprint);
  if (!stale) await removeObject(store, intent.from, signal);
  work.crashPoint('master.rename.forget');
  await forgetNote(work);
  return renamed;
}

async function copyAndShow(work: RenameFile, intent: FileRename): Promise<Pick<Renamed, 'info' | 'vanished'>> {
  const {transactions, store, signal, crashPoint} = work;
  crashPoint('master.rename.copy');
  const copy = await (store.capabilities.rename === 'none' ? copyObject(store, {storeKey: intent.from, fingerprint: intent.fingerprint}, intent.to, signal) : moveObject(work, intent)).catch(async (error: unknown) => {
    if (isRefusal(error)) await withdrawRename(work, intent);
    throw error;
  });
  crashPoint('master.rename.copied');
  const context: CallContext = {principal: rootPrincipal, signal, ...(intent.request ? {request: intent.request} : {})};
  let vanished: readonly ByteString[] = [];
  const info = await transactions.change(context, (tx, op) => {
    const shown = showFileRename(tx, op, intent, copy.fingerprint);
    ({vanished} = shown);
    return shown.info;
  });
  crashPoint('master.rename.shown');
  return {info, vanished};
}

/** By a store that renames. ContentChanged when neither key has the version that was noted. */
async function moveObject({transactions, store, signal}: RenameFile, intent: FileRename): Promise<StoreObject> {
  const {from, to, fingerprint} = intent;
  const before = await store.stat(from, {signal});
  if (before?.fingerprint === fingerprint) return await renameInStore(store, from, to, signal);
  // By an earlier attempt, maybe, that died or failed before it lasted.
  const there = before ? undefined : await store.stat(to, {signal, lasting: true});
  if (!there || !transactions.peek(reader => isMoved(reader, intent, there))) throw new WeirError('ContentChanged', 'a file that was being renamed is another version in its store by now');
  return there;
}

/** What has gone from its old key was renamed by an earlier attempt. The version may have another mark by that, but was not written since. */
function isMoved(reader: Reader, {id, toPath, fingerprint, startedAt}: FileRename, there: StoreObject): boolean {
  if (there.fingerprint === fingerprint) return true;
  const found = locate(reader, id);
  const {place: target} = resolve(reader, parsePath(toPath, 'file'));
  const base = target && getPersist(reader, target.id)?.base;
  if (typeof base === 'object' && base.fingerprint === there.fingerprint) return false;
  return there.length === (found && inodeAt(reader, found.place).content?.length) && Number(there.modified / 1_000_000n) <= startedAt;
}

/** Nothing comes of it. */
export async function withdrawRename(work: Pick<RenameFile, 'transactions' | 'store' | 'id' | 'signal'>, {kept}: FileRename): Promise<void> {
  if (kept) await removeObject(work.store, kept.storeKey, work.signal);
  await forgetNote(work);
}

async function forgetNote({transactions, id}: Pick<RenameFile, 'transactions' | 'id'>): Promise<void> {
  await transactions.changeOwn(tx => {
    forgetFileRename(tx, id);
  });
}

/** The store said no: nothing was copied, and nothing will be. */
function isRefusal(error: unknown): boolean {
  return isKind(error, 'NotFound', 'ContentChanged', 'PermissionDenied', 'PreconditionFailed', 'NoSpace', 'InvalidArgument', 'Unsupported', 'TooLarge');
}
