/** How much lies below a directory: of the whole namespace and of mount points it is counted as it changes, of others by a walk. */
import type {ByteString} from '#base/byte-string.ts';
import type {Usage} from '#codec/namespace/usage-record.ts';
import type {UsageInfo} from '#contracts/administration.ts';
import type {CallContext} from '#contracts/context.ts';
import {countTree} from '#master/loader/count-tree.ts';
import type {Lister} from '#master/loader/lister.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {usageOfAll, usageOfMount} from '#master/namespace/usage.ts';
import {versionUsageOf, versionUsageOfAll} from '#master/namespace/versions.ts';
import type {Transactions} from '#master/transactions.ts';
import {formatPath, parsePath, type Path} from '#model/path.ts';
import type {Clock} from '#runtime/clock.ts';

export interface UsageServices {
  readonly transactions: Transactions;
  readonly lister: Lister;
  readonly clock: Pick<Clock, 'yield'>;
}

/** Fails as a listing does. */
export async function usageAt({transactions, lister, clock}: UsageServices, path: ByteString, context: CallContext): Promise<UsageInfo> {
  const directory: Path = {names: parsePath(path, 'directory').names, kind: 'directory'};
  if (directory.names.length === 0) return await transactions.read(reader => withVersions(usageOfAll(reader), versionUsageOfAll(reader)));
  const kept = await transactions.read(reader => {
    const {place} = resolve(reader, directory, context.principal);
    return place?.mountPoint ? withVersions(usageOfMount(reader, place.mount), versionUsageOf(reader, place.id)) : undefined;
  });
  if (kept) return kept;
  const counted = await countTree(lister, clock, formatPath(directory), context);
  return transactions.peek(reader => {
    const {place} = resolve(reader, directory);
    return place ? withVersions(counted, versionUsageOf(reader, place.id)) : counted;
  });
}

function withVersions(usage: Usage, {files: versions, directories: deleteMarkers, bytes}: Usage): UsageInfo {
  return versions + deleteMarkers === 0 ? usage : {...usage, noncurrent: {versions, deleteMarkers, bytes}};
}
