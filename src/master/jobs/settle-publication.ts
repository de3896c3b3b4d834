/**
 * What became of a content that a store was about to get when the process died. If the store has it, the file has it, and is the same file with all that is known
 * of it: it would be taken for another one, put there by somebody else, and who has it open would go on with what it was.
 */
import {createHash} from 'node:crypto';
import {isKind} from '#base/errors.ts';
import type {Publication} from '#codec/namespace/intent-record.ts';
import {contentOf} from '#master/loader/store-content.ts';
import {locate} from '#master/namespace/locate.ts';
import {inodeAt} from '#master/namespace/place.ts';
import {forgetPublication} from '#master/namespace/publications.ts';
import {setContent} from '#master/namespace/set-content.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Reader} from '#metastore/metastore.ts';
import type {StoreObject, UnderStore} from '#understore/under-store.ts';

export interface SettlePublication {
  readonly transactions: Transactions;
  readonly store: UnderStore;
  readonly signal: AbortSignal;
}

/** Before anything is served. Fails as the store does, and then changes nothing. */
export async function settlePublication({transactions, store, signal}: SettlePublication, publication: Publication): Promise<void> {
  const object = await statOf(store, publication, signal);
  const arrived = object && transactions.peek(reader => isIt(reader, publication, object)) ? {...object, etag: await digestOf(store, object, signal)} : undefined;
  await transactions.changeOwn((tx, op) => {
    forgetPublication(tx, publication.id);
    if (!arrived) return;
    const {id, mount, storeKey, content} = publication;
    setContent(tx, op, id, {...contentOf(op, mount, storeKey, arrived, store.capabilities.metadata), id: content}, arrived.modified);
  });
}

/** Of somebody else's of that length the file has the bytes as well, in its own name. */
function isIt(reader: Reader, {id, storeKey, length}: Publication, object: StoreObject): boolean {
  const found = locate(reader, id);
  const content = found && inodeAt(reader, found.place).content;
  return found?.place.storeKey === storeKey && content !== undefined && !content.pending && object.kind === 'file' && object.length === length && object.fingerprint !== content.fingerprint;
}

/** By which the draft that it was made of is known (client/draft-recovery.ts). */
async function digestOf(store: UnderStore, {key, etag, fingerprint}: StoreObject, signal: AbortSignal): Promise<string> {
  if (!store.capabilities.localFile) return etag;
  const md5 = createHash('md5');
  const {body} = await store.read(key, {ifFingerprint: fingerprint}, {signal});
  for await (const chunk of body) md5.update(chunk);
  return md5.digest('hex');
}

async function statOf(store: UnderStore, {storeKey}: Publication, signal: AbortSignal): Promise<StoreObject | undefined> {
  try {
    return await store.stat(storeKey, {signal, lasting: true});
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}
