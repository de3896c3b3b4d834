/** Lets directories go from a store that has directories by themselves, as they went from the namespace. */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import type {RecentChanges} from '#master/freshness/recent-changes.ts';
import type {Following} from '#master/jobs/following.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Transactions} from '#master/transactions.ts';
import type {Turns} from '#master/writes/turns.ts';
import {parsePath} from '#model/path.ts';
import type {UnderStore} from '#understore/under-store.ts';

export interface PruneServices {
  readonly transactions: Transactions;
  readonly mounts: MountTable;
  readonly turns: Turns;
  readonly following: Following;
  readonly recent: RecentChanges;
}

/**
 * `vanished`: implied directories that lost their last key, from below. One that is not empty in the store stays, with all
 * above it: somebody else has put something into it, or a write of ours that is about to commit.
 */
export async function pruneDirectories(
  {following, recent}: Pick<PruneServices, 'following' | 'recent'>, store: UnderStore, mount: MountId, vanished: readonly ByteString[], signal: AbortSignal,
): Promise<void> {
  if (vanished.length === 0 || !store.capabilities.directories) return;
  using _held = following.keys(mount, vanished);
  for (const key of vanished) {
    const [failed] = await store.remove([key], {signal});
    recent.note(mount, key);
    if (failed) return;
  }
}

/**
 * A tree at `key` has gone from the store: so do the directories above it that the namespace has no more, unless they come
 * back before their turn. What was there is not remembered, so this may be repeated, and of two trees that went from one
 * directory at once the later takes it along.
 */
export async function pruneAbove(services: PruneServices, store: UnderStore, mount: MountId, key: ByteString, signal: AbortSignal): Promise<void> {
  const above = goneAbove(services, mount, key).at(-1);
  if (above === undefined || !store.capabilities.directories) return;
  using _turn = await services.turns.acquire({mount, trees: [above]}, signal);
  await pruneDirectories(services, store, mount, goneAbove(services, mount, key), signal);
}

/** Until disposed, a store that has directories is not believed about those that a tree at `key` has taken along. */
export function holdAbove(services: PruneServices, mount: MountId, key: ByteString): Disposable | undefined {
  const {mounts, following} = services;
  return mounts.isOpen(mount) && mounts.get(mount).capabilities.directories ? following.keys(mount, goneAbove(services, mount, key)) : undefined;
}

/** Directories above `key` that the namespace does not have, from below; Weir's own stay. */
function goneAbove({transactions, mounts}: PruneServices, mount: MountId, key: ByteString): ByteString[] {
  if (key.startsWith('.weir/')) return [];
  const root = mounts.mount(mount).path;
  const gone: ByteString[] = [];
  for (let end = parentEnd(key, key.length); end > 0; end = parentEnd(key, end)) {
    const directory = key.slice(0, end) as ByteString;
    if (transactions.peek(reader => resolve(reader, parsePath((root + directory) as ByteString, 'directory'))).place) break;
    gone.push(directory);
  }
  return gone;
}

/** Where the directory above the directory `key[0, end)` ends; 0 at the top. */
function parentEnd(key: ByteString, end: number): number {
  return end < 2 ? 0 : key.lastIndexOf('/', end - 2) + 1;
}
