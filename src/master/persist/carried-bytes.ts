/**
 * Bytes of small pending contents that the change log carries (TransactOptions.carried): the cache has them safely when they are committed, and syncs them
 * with many others, before the log is cut. What the power has taken from the cache meanwhile it gets back from the log.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId} from '#base/ids.ts';
import {noCache, type PendingCache} from '#master/persist/pending-cache.ts';
import {carriedRange, nameOfCarried} from '#metastore/carried-rows.ts';
import type {Metastore} from '#metastore/metastore.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface CarriedServices {
  readonly metastore: Metastore;
  readonly pending?: PendingCache;
  readonly runtime: Pick<Runtime, 'log' | 'crashPoint'>;
}

/** Contents that are brought back at once. */
const atOnce = 64;

export const carriedName = (content: ContentId): ByteString => String(content) as ByteString;
const contentOf = (name: ByteString): ContentId => Number(name) as ContentId;

/** Before anything is asked of the cache: it gets what an earlier life has left of the contents that are `needed`, and is asked from now on what lasts. */
export async function restoreCarried({metastore, pending = noCache, runtime}: CarriedServices, needed: ReadonlySet<ContentId>): Promise<void> {
  const {lasting} = pending;
  const left = metastore.read((reader) => Array.from(reader.range(carriedRange), ({key, value}) => ({key, bytes: Uint8Array.from(value)}))).result;
  const kept: ByteString[] = [];
  for (let at = 0; at < left.length; at += atOnce) {
    await Promise.all(left.slice(at, at + atOnce).map(async ({key, bytes}) => {
      runtime.crashPoint('master.carried.restore');
      const content = contentOf(nameOfCarried(key));
      if (!needed.has(content) || (await lasting.keep(content, bytes))) kept.push(key);
    }));
  }
  if (kept.length < left.length) runtime.log.error('the cache does not take what was acknowledged and is only in the change log: the next start tries again', {contents: left.length - kept.length});
  if (kept.length > 0) {
    await metastore.transact((tx) => {
      for (const key of kept) tx.delete(key);
    }).durable;
  }
  metastore.carrier((names) => lasting.makeDurable(names.map(contentOf)));
}

/** The end: what is carried lasts in the cache, which closes next. What does not is in the log, or the state, for the next life. */
export async function settleCarried({metastore, runtime}: CarriedServices): Promise<void> {
  try {
    await using _applied = await metastore.snapshot();
  } catch (error) {
    runtime.log.warn('the log could not be applied at the end', {error: String(error)});
  }
}
