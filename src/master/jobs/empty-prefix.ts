/** Removes all objects below a prefix of a store, page by page; where directories exist by themselves, the deepest first. */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {StoreListPage, UnderStore} from '#understore/under-store.ts';

const pageLimit = 1_000;

/** Fails with the first object that cannot be removed, after having tried the others of its page. `removed` hears of progress. */
export async function emptyPrefix(store: UnderStore, prefix: ByteString, signal: AbortSignal, removed: (count: number) => void): Promise<void> {
  const {recursiveList, directories} = store.capabilities;
  for (;;) {
    const page = await firstPage(store, prefix, !recursiveList, signal);
    if (!recursiveList) for (const below of page.prefixes) await emptyPrefix(store, below, signal, removed);
    const keys = page.objects.map(object => object.key).filter(key => key !== prefix);
    if (!recursiveList && directories) for (const key of keys) if (key.endsWith('/')) await emptyPrefix(store, key, signal, removed);
    if (keys.length === 0 && page.prefixes.length === 0) break;
    await removeAll(store, keys.filter(key => !key.endsWith('/')), signal);
    // A directory of this page may still hold what is on a later one; then it is tried again with that.
    const folders = keys.filter(key => key.endsWith('/')).sort((a, b) => b.length - a.length);
    const full = await removeAll(store, folders, signal, 'DirectoryNotEmpty');
    if (full === keys.length && keys.length > 0) await removeDeeper(store, keys, signal, removed);
    removed(keys.length - full);
  }
  await removeAll(store, [prefix], signal);
}

/** A page of nothing but directories that are not empty: each is emptied by itself. */
async function removeDeeper(store: UnderStore, keys: readonly ByteString[], signal: AbortSignal, removed: (count: number) => void): Promise<void> {
  const [deepest] = keys.toSorted((a, b) => b.length - a.length);
  if (deepest !== undefined) await emptyPrefix(store, deepest, signal, removed);
}

async function firstPage(store: UnderStore, prefix: ByteString, delimiter: boolean, signal: AbortSignal): Promise<StoreListPage> {
  let continuation: string | undefined;
  for (;;) {
    const page = await store.list({prefix, delimiter, limit: pageLimit, ...(continuation === undefined ? {} : {continuation})}, {signal});
    if (page.objects.some(({key}) => key !== prefix) || page.prefixes.length > 0 || page.continuation === undefined) return page;
    continuation = page.continuation;
  }
}

/** Answers how many failed with `tolerated`. */
async function removeAll(store: UnderStore, keys: readonly ByteString[], signal: AbortSignal, tolerated?: 'DirectoryNotEmpty'): Promise<number> {
  if (keys.length === 0) return 0;
  const failed = await store.remove(keys, {signal});
  const serious = failed.find(({error}) => tolerated === undefined || !isKind(error, tolerated));
  if (serious) throw serious.error;
  return failed.length;
}
