/** Why an answer about a path was, or was not, given without asking the store. */
import {formatFreshness} from '#model/mount.ts';
import type {PathExplanation} from '#contracts/administration.ts';
import type {Principal} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Beliefs} from '#master/freshness/beliefs.ts';
import type {Knowledge} from '#master/freshness/knowledge.ts';
import type {MountTable} from '#master/mounts/mount-table.ts';
import {existing, resolve} from '#master/namespace/resolve.ts';
import {infoOf, inodeAt} from '#master/namespace/place.ts';
import type {Reader} from '#metastore/metastore.ts';
import {maskOptions} from '#model/mount.ts';
import {formatPath, parsePath, type Path} from '#model/path.ts';

const sources = {
  record: 'its record was confirmed', check: 'the store was asked about it', listing: 'a listing showed it', directory: 'its directory was listed completely', none: 'the store was never asked',
} as const;

const pendingReasons = {
  pending: 'the store has not got this version yet (weir persist says more)',
  conflict: 'CONFLICT: the store was changed meanwhile, and keeps its version until weir persist PATH --overwrite or --discard decides',
} as const;

/** What the namespace shows at the path, however old; undefined where it shows nothing. */
export function asKnown(reader: Reader, path: Path, principal: Principal): FileInfo | undefined {
  const {place} = resolve(reader, path, principal);
  return place && infoOf(formatPath({names: path.names, kind: place.kind === 'directory' ? 'directory' : 'file'}), inodeAt(reader, place), place.mount);
}

export function explain(reader: Reader, info: FileInfo, {mounts, knowledge, beliefs, now}: {mounts: MountTable; knowledge: Knowledge; beliefs: Beliefs; now: number}): PathExplanation {
  const resolution = resolve(reader, parsePath(info.path, 'file'));
  const place = existing(reader, resolution);
  const inode = inodeAt(reader, place);
  const mount = mounts.mount(place.mount);
  const common = {info: {...info, inode}, mount: {...mount, options: maskOptions(mount.options)}, storeKey: inode.content?.storeKey ?? place.storeKey, upstreamRequests: beliefs.requestsFor(inode.id)};
  if (place.mountPoint) return {...common, fresh: true, checkedAt: mount.createdAt, validUntil: 'forever', reason: 'a mount point exists because it is mounted'};
  if (inode.content?.pending) {
    return {...common, fresh: true, checkedAt: inode.checkedAt, validUntil: 'never', reason: `only Weir has it: ${pendingReasons[inode.content.pending]}`};
  }
  const age = knowledge.ageOf(reader, place, inode, resolution.parent);
  const fresh = knowledge.isFresh(place.mount, place.storeKey, age, now);
  const until = knowledge.validUntil(place.mount, age);
  if (knowledge.following(place.mount, place.storeKey)) {
    const failure = knowledge.failure(place.mount, place.storeKey);
    const failing = failure === undefined ? '' : ` (that has failed and is tried again: ${failure})`;
    return {...common, fresh: true, checkedAt: age.at, validUntil: 'never', reason: `MOVING: the store is following a change made here; until then the namespace alone is right${failing}`};
  }
  const rule = formatFreshness(mount.freshness);
  const since = age.at > 0 ? ` ${Math.max(0, Math.round((now - age.at) / 1000))} s ago` : '';
  const reason = mount.freshness.kind === 'always' ? `${rule}: every use asks the store` : `${rule}: ${sources[age.source]}${since}, so the next use ${fresh ? 'believes it' : 'asks the store'}`;
  return {...common, fresh, checkedAt: age.at, validUntil: until, reason};
}
