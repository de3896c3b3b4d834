/**
 * What became of a noted rename that a store makes by itself, in one step, and of which nobody knows whether it was made: the process died
 * before it could show it, or the store has failed. Nobody has touched either key since, but from outside, so a look at the store tells, once what it shows survives power loss.
 * Then the namespace shows the new name, with the answer stored for who asks again; or the note goes, and nothing was renamed.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {FileRename} from '#codec/namespace/intent-record.ts';
import {type CallContext, rootPrincipal} from '#contracts/context.ts';
import type {RenameFile} from '#master/jobs/rename-file.ts';
import {finishStoreRename, forgetFileRename, getFileRename, replacedBy} from '#master/namespace/file-renames.ts';
import {inodeAt} from '#master/namespace/place.ts';
import type {Renamed} from '#master/namespace/rename.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Reader} from '#metastore/metastore.ts';
import {parsePath} from '#model/path.ts';
import type {StoreObject, UnderStore} from '#understore/under-store.ts';

/** Undefined when it was not made, or nothing is noted any more. Fails as the store does, and then changes nothing. */
export async function settleStoreRename({transactions, store, id, signal, crashPoint}: RenameFile): Promise<Pick<Renamed, 'info' | 'vanished'> | undefined> {
  const intent = transactions.peek(reader => getFileRename(reader, id));
  if (!intent) return undefined;
  const [source, target] = await Promise.all([statOf(store, intent.from, signal), statOf(store, intent.to, signal)]);
  crashPoint('master.rename.looked');
  const moved = transactions.peek(reader => wasMoved(reader, intent, source, target));
  if (!moved) {
    await transactions.changeSafely(tx => forgetFileRename(tx, id));
    return undefined;
  }
  const context: CallContext = {principal: rootPrincipal, signal, moment: 'safe', ...(intent.request ? {request: intent.request} : {})};
  let vanished: readonly ByteString[] = [];
  const info = await transactions.change(context, (tx, op) => {
    const shown = finishStoreRename(tx, op, intent, moved.fingerprint, replacedBy(tx, intent));
    ({vanished} = shown);
    return shown.info;
  });
  return {info, vanished};
}

/** The object at its new key, if it is there. */
function wasMoved(reader: Reader, intent: FileRename, source: StoreObject | undefined, target: StoreObject | undefined): StoreObject | undefined {
  if (!target || source?.fingerprint === intent.fingerprint) return undefined;
  const [from, to] = [intent.fromPath, intent.toPath].map(text => {
    const {place} = resolve(reader, parsePath(text, 'file'));
    return place && inodeAt(reader, place);
  });
  if (from?.id !== intent.id || from.content?.length !== target.length) return undefined;
  // Somebody else has removed the one from the store, and the other is what it was.
  return to?.content?.fingerprint === target.fingerprint ? undefined : target;
}

async function statOf(store: UnderStore, key: ByteString, signal: AbortSignal): Promise<StoreObject | undefined> {
  try {
    const object = await store.stat(key, {signal, lasting: true});
    return object?.kind === 'directory' ? undefined : object;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}
