/** The metadata of an empty home, made from a backup. */
import {IdAllocator} from '#master/namespace/ids.ts';
import {settleRestored} from '#master/namespace/restored.ts';
import {restoreBackup} from '#metastore/backup.ts';
import type {StateEngine} from '#metastore/engine.ts';
import {openLmdbEngine} from '#metastore/lmdb/lmdb-engine.ts';
import {openMetastore} from '#metastore/open-metastore.ts';
import type {Home} from '#process/home.ts';
import type {Runtime} from '#runtime/runtime.ts';

/**
 * Ids go on this far behind the backup's. Contents that were made after the backup may still lie in a cache under the ids that would come
 * next, and nobody may ever read them as something else.
 */
const idsSkipped = 2 ** 40;

/** AlreadyExists when the home is not empty; Corrupt, and then the home is of no use. */
export async function restoreState(runtime: Runtime, home: Home, backup: AsyncIterable<Uint8Array>): Promise<{readonly entries: number}> {
  return await restoreMetadata(runtime, await openLmdbEngine(runtime.disk, home.metadata), home.metadataLog, backup);
}

/** The same of any engine, which is closed then, and any directory for its log. */
export async function restoreMetadata(runtime: Runtime, engine: StateEngine, directory: string, backup: AsyncIterable<Uint8Array>): Promise<{readonly entries: number}> {
  let restored: {readonly entries: number};
  try {
    restored = await restoreBackup(engine, backup);
  } catch (error) {
    await engine.close();
    throw error;
  }
  await using metastore = await openMetastore({runtime, directory, engine});
  new IdAllocator().ensure(metastore, idsSkipped);
  await metastore.transact(settleRestored).durable;
  return restored;
}
