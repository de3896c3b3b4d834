/** Lets directories go from a store that has directories by themselves, as they went from the namespace. */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import type {RecentChanges} from '#master/freshness/recent-changes.ts';
import type {Following} from '#master/jobs/following.ts';
import type {UnderStore} from '#understore/under-store.ts';

/**
 * `vanished`: implied directories that lost their last key, from below. One that is not empty in the store stays, with all
 * above it: somebody else has put something into it, or a write of ours that is about to commit.
 */
export async function pruneDirectories(
  {following, recent}: {readonly following: Following; readonly recent: RecentChanges}, store: UnderStore, mount: MountId, vanished: readonly ByteString[], signal: AbortSignal,
): Promise<void> {
  if (vanished.length === 0 || !store.capabilities.directories) return;
  using _held = following.keys(mount, vanished);
  for (const key of vanished) {
    const [failed] = await store.remove([key], {signal});
    recent.note(mount, key);
    if (failed) return;
  }
}
