/**
 * Takes what a store said about one directory into the namespace: that it exists, by itself, by a marker, or because keys lie
 * below it. (That nothing is there is a listing without entries: take-listing.ts.)
 */
import type {ObjectOrigin} from '#master/loader/merge-object.ts';
import {completed, contentOf, isSameVersion, type SeenObject} from '#master/loader/store-content.ts';
import {addDirectory, asSeen, parentFor} from '#master/namespace/directories.ts';
import type {Operation} from '#master/namespace/operation.ts';
import {inodeAt, writeInode} from '#master/namespace/place.ts';
import {setMarker} from '#master/namespace/put-file.ts';
import {resolve} from '#master/namespace/resolve.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';

/** What was seen of a directory: nothing but its being there, or its own object. */
export interface SeenDirectory {
  readonly object?: SeenObject;
}

/** Whether the namespace needs a commit to show the directory as seen. */
export function knowsDirectory(reader: Reader, origin: ObjectOrigin, seen: SeenDirectory): Inode | undefined {
  const {place} = resolve(reader, origin.path);
  if (!place || place.mount !== origin.mount) return undefined;
  const inode = inodeAt(reader, place);
  if (place.mountPoint || !seen.object) return inode;
  if (origin.capabilities.directories) return sameAttributes(inode, seen.object) && sameOwnBytes(inode, seen.object) ? inode : undefined;
  return inode.content && isSameVersion(inode.content, seen.object) && !completed(inode.content, seen.object) ? inode : undefined;
}

/** Makes the directory what was seen of it. */
export function mergeDirectory(tx: Transaction, op: Operation, origin: ObjectOrigin, seen: SeenDirectory): void {
  if (knowsDirectory(tx, origin, seen)) return;
  const resolution = resolve(tx, origin.path);
  if ((resolution.place ?? resolution.parent).mount !== origin.mount) return;
  const {directories, metadata} = origin.capabilities;
  // A directory that only our own write, which is under way, has made is as implied as its commit will say.
  const parents = directories && !origin.impliedBelow?.(origin.storeKey) ? 'explicit' : 'implied';
  const implied = directories ? parents === 'implied' : !seen.object;
  const place = resolution.place ?? addDirectory(tx, op, parentFor(tx, op, resolution, parents), origin.path.names.at(-1)!, {implied, checkedAt: origin.startedAt});
  const {object} = seen;
  if (!object) return;
  const inode = inodeAt(tx, place);
  if (directories) {
    writeInode(tx, {...asSeen(inode, object), checkedAt: origin.startedAt}, place.storeKey);
    if (!sameOwnBytes(inode, object)) setMarker(tx, place, contentOf(op, origin.mount, origin.storeKey, object, metadata), origin.startedAt);
  } else if (!inode.content || !isSameVersion(inode.content, object)) {
    setMarker(tx, place, contentOf(op, origin.mount, origin.storeKey, object, metadata), origin.startedAt);
  } else {
    const content = completed(inode.content, object);
    if (content) writeInode(tx, {...inode, content}, place.storeKey);
  }
}

function sameAttributes(inode: Inode, object: SeenObject): boolean {
  const {mode, uid, gid, mtime} = asSeen(inode, object);
  return inode.mtime === mtime && inode.mode === mode && inode.uid === uid && inode.gid === gid;
}

/** Where directories are by themselves, one without bytes says nothing of whether it was made as a key: that is known here alone. */
function sameOwnBytes({content}: Inode, {length, fingerprint}: SeenObject): boolean {
  return length === 0 ? !content?.length : content?.fingerprint === fingerprint;
}
