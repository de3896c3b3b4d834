/** Where mounts lie: in the namespace (paths) and in the world (places). The same data is never reachable under two paths. */
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {Mount} from '#model/mount.ts';

/** True when two canonical places (see Connector.describe) share data: one is the other or lies within it. */
export function placesOverlap(a: string, b: string): boolean {
  const first = a.endsWith('/') ? a : `${a}/`;
  const second = b.endsWith('/') ? b : `${b}/`;
  return first.startsWith(second) || second.startsWith(first);
}

/** AlreadyExists when `place` overlaps one of the mounts' places. */
export function checkPlace(place: string, mounts: Iterable<{readonly mount: Mount; readonly place: string}>): void {
  for (const other of mounts) {
    if (placesOverlap(place, other.place)) throw new WeirError('AlreadyExists', `${place} overlaps ${other.place}, which is mounted on ${toText(other.mount.path)}`);
  }
}
