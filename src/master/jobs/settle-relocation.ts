/**
 * Brings a noted relocation to its end, from whatever a crash or a failure has left in the store. Doing it again is harmless at
 * every point; no bytes of either side are given up before the other's are where the namespace says.
 *
 * An *archive* whose commit never came is judged by what lies at the key: nothing new there, so the old bytes go back; or the new object
 * was finished and only its commit is missing, so the namespace takes it in, and the old one becomes a version.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {inodeKey} from '#codec/namespace/keys.ts';
import type {Relocation} from '#codec/namespace/version-record.ts';
import {copyObject, removeObject, renameInStore} from '#master/jobs/move-object.ts';
import {contentOf} from '#master/loader/store-content.ts';
import {locate} from '#master/namespace/locate.ts';
import {relocate} from '#master/namespace/moves.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {rebase} from '#master/namespace/persists.ts';
import {movedTo, type StoredBytes, storedOf} from '#master/namespace/stored.ts';
import {putFile} from '#master/namespace/put-file.ts';
import {forgetRelocation, noteRelocation} from '#master/namespace/relocations.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import {parsePath} from '#model/path.ts';
import type {StoreObject, UnderStore} from '#understore/under-store.ts';

export interface SettleRelocation {
  readonly transactions: Transactions;
  readonly store: UnderStore;
  readonly relocation: Relocation;
  readonly signal: AbortSignal;
  readonly crashPoint: (name: string) => void;
}

export async function settleRelocation(work: SettleRelocation): Promise<void> {
  const restore = work.relocation.kind === 'restore' ? work.relocation : await settleArchive(work);
  if (restore) await settleRestore({...work, relocation: restore});
}

/** Answers the restore that is left to do, noted in the place of the archive. */
async function settleArchive({transactions, store, relocation, signal, crashPoint}: SettleRelocation): Promise<Relocation | undefined> {
  const {id, from, to, fingerprint} = relocation;
  const kept = await statOf(store, to, signal);
  const there = kept && (await statOf(store, from, signal));
  crashPoint('master.settle.looked');
  if (!kept || there?.fingerprint === fingerprint) {
    if (kept) await removeObject(store, to, signal);
    await transactions.changeOwn(tx => forgetRelocation(tx, id));
    return undefined;
  }
  return await transactions.changeOwn((tx, op) => {
    forgetRelocation(tx, id);
    const inode = currentOf(tx, relocation);
    if (!inode) return undefined;
    const content = movedTo(inode.content!, to, kept.fingerprint);
    if (content.over) rebase(tx, inode.id, fingerprint, kept.fingerprint, to);
    else relocate(tx, inode.id, content);
    // A pending one has yet to come to its key: whatever is there now, it meets that then.
    if (there && content.pending) return undefined;
    if (!there) {
      return noteRelocation(tx, op, {...relocation, kind: 'restore', from: to, fingerprint: kept.fingerprint, to: from});
    }
    const {mode, uid, gid, modified} = there;
    putFile(tx, op, parsePath(relocation.path, 'file'), {
      content: contentOf(op, relocation.mount, from, there, store.capabilities.metadata), mode, uid, gid, mtime: modified, archived: content,
    });
    return undefined;
  });
}

/** The bytes of a current version go back from their place among the old versions to the key that its name derives. */
async function settleRestore({transactions, store, relocation, signal, crashPoint}: SettleRelocation): Promise<void> {
  const {id, from} = relocation;
  const inode = transactions.peek(reader => currentOf(reader, relocation));
  const to = inode && transactions.peek(reader => locate(reader, inode.id))?.place.storeKey;
  const stored = inode && storedOf(inode.content!);
  if (inode && to !== undefined && stored?.storeKey === from) {
    const moved = await bring(store, stored, to, signal);
    crashPoint('master.restore.moved');
    if (moved) {
      await transactions.changeOwn(tx => {
        if (inode.content!.over) rebase(tx, inode.id, stored.fingerprint, moved.fingerprint, to);
        else relocate(tx, inode.id, movedTo(inode.content!, to, moved.fingerprint));
      });
    }
    crashPoint('master.restore.shown');
  }
  if (inode && store.capabilities.rename === 'none') await removeObject(store, from, signal);
  crashPoint('master.restore.forget');
  await transactions.changeOwn(tx => forgetRelocation(tx, id));
}

/** Undefined when the bytes are neither here nor there: somebody else has removed them from the store. */
async function bring(store: UnderStore, content: StoredBytes, to: ByteString, signal: AbortSignal): Promise<StoreObject | undefined> {
  try {
    if (store.capabilities.rename === 'none') return await copyObject(store, content, to, signal);
    return await renameInStore(store, content.storeKey, to, signal);
  } catch (error) {
    if (!isKind(error, 'NotFound', 'ContentChanged')) throw error;
    const there = await statOf(store, to, signal);
    return there?.length === content.length ? there : undefined;
  }
}

/** The inode of a relocation, while it has the content that is meant. */
function currentOf(reader: Reader, {inode: id, content}: Relocation): Inode | undefined {
  if (!reader.get(inodeKey(id))) return undefined;
  const found = locate(reader, id);
  const inode = found && inodeAt(reader, found.place);
  return inode?.content?.id === content ? inode : undefined;
}

async function statOf(store: UnderStore, key: ByteString, signal: AbortSignal): Promise<StoreObject | undefined> {
  try {
    return await store.stat(key, {signal, lasting: true});
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}
