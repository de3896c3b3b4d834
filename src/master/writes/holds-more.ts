import type {ByteString} from '#base/byte-string.ts';
import type {UnderStore} from '#understore/under-store.ts';

/** Whether a store has anything below a directory's key, of which the namespace may never have heard. */
export async function holdsMore(store: UnderStore, storeKey: ByteString, signal: AbortSignal): Promise<boolean> {
  const page = await store.list({prefix: storeKey, delimiter: true, limit: 2}, {signal});
  return page.prefixes.length > 0 || page.objects.some(({key}) => key !== storeKey) || page.continuation !== undefined;
}
