/**
 * Empty directories of a store of which the namespace knows nothing: implied ones go from it with their last key, and from the store behind that, which
 * a crash may have kept from happening. A tree that is renamed to such a place finds it occupied, though nothing is there.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {UnderStore} from '#understore/under-store.ts';

/** More are no remains. */
const directoriesMax = 1_000;

/** Removes the directories below `prefix`. False, with nothing removed, when there is anything else, or bytes of a directory's key; or when something came meanwhile. */
export async function clearRemains(store: UnderStore, prefix: ByteString, signal: AbortSignal): Promise<boolean> {
  const found: ByteString[] = [];
  for (let next: ByteString | undefined = prefix, at = 0; next !== undefined; next = found[at++]) {
    const below = await directoriesIn(store, next, signal);
    if (!below || found.length + below.length > directoriesMax) return false;
    found.push(...below);
  }
  for (const key of found) if ((await store.stat(key, {signal}))?.length !== 0) return false;
  // Those that lie in others come behind them.
  for (const key of found.toReversed()) if ((await store.remove([key], {signal})).length > 0) return false;
  return true;
}

/** Undefined when not only directories are there. */
async function directoriesIn(store: UnderStore, prefix: ByteString, signal: AbortSignal): Promise<readonly ByteString[] | undefined> {
  const page = await store.list({prefix, delimiter: true, limit: directoriesMax + 1}, {signal});
  const keys = [...new Set([...page.objects.map(({key}) => key), ...page.prefixes])].filter((key) => key !== prefix);
  return page.continuation === undefined && keys.every((key) => key.endsWith('/')) ? keys : undefined;
}
