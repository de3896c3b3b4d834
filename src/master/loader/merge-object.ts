/**
 * Takes what a store said about one key into the namespace. Nothing changes when it is the version that we know; another
 * version replaces the inode, as from outside; an absent one goes.
 */
import type {ByteString} from '#base/byte-string.ts';
import type {MountId} from '#base/ids.ts';
import {completed, contentOf, isSameVersion, type SeenObject} from '#master/loader/store-content.ts';
import {childRemoved, parentFor} from '#master/namespace/directories.ts';
import {replaceShared} from '#master/namespace/links.ts';
import {checkedBy, type Operation} from '#master/namespace/operation.ts';
import {deleteEntry, inodeAt, type Place, writeInode} from '#master/namespace/place.ts';
import {putFile, setFile} from '#master/namespace/put-file.ts';
import {deleteInode} from '#master/namespace/remove.ts';
import {resolve} from '#master/namespace/resolve.ts';
import {isOnlyHere} from '#master/namespace/upsert.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {Inode} from '#model/inode.ts';
import type {Path} from '#model/path.ts';
import type {Capabilities} from '#understore/under-store.ts';

export interface ObjectOrigin {
  readonly mount: MountId;
  readonly storeKey: ByteString;
  /** Of a file: `kind: 'file'`. */
  readonly path: Path;
  readonly capabilities: Pick<Capabilities, 'directories' | 'metadata'>;
  /** Wall ms at which the store was asked. */
  readonly startedAt: number;
  /** See ListingMerge. */
  readonly impliedBelow?: (storeKey: ByteString) => boolean;
}

/** How a file stands to what its store said: `unchanged` needs no commit. */
export type FileVerdict = 'unchanged' | 'metadata' | 'new' | 'gone' | 'elsewhere';

/** What mergeFile would do. `elsewhere`: the path lies in another mount by now. */
export function judgeFile(reader: Reader, origin: ObjectOrigin, object: (SeenObject & {readonly target?: ByteString | undefined}) | undefined): {readonly verdict: FileVerdict; readonly inode?: Inode} {
  const {place, parent} = resolve(reader, origin.path);
  if ((place ?? parent).mount !== origin.mount || place?.mountPoint) return {verdict: 'elsewhere'};
  if (!place) return {verdict: object ? 'new' : 'unchanged'};
  const inode = inodeAt(reader, place);
  if (inode.content?.pending) return {verdict: 'unchanged', inode};
  if (!object) return {verdict: isOnlyHere(inode, origin.capabilities) ? 'unchanged' : 'gone', inode};
  if (inode.kind === 'symlink') return {verdict: inode.target === object.target ? 'unchanged' : 'new', inode};
  if (object.target !== undefined || !inode.content || !isSameVersion(inode.content, object)) return {verdict: 'new', inode};
  return {verdict: completed(inode.content, object) ? 'metadata' : 'unchanged', inode};
}

/** Brings the file or symbolic link at the origin's path to what the store said; undefined: the store has none. */
export function mergeFile(tx: Transaction, op: Operation, origin: ObjectOrigin, object: (SeenObject & {readonly target?: ByteString | undefined}) | undefined): FileVerdict {
  const {verdict, inode} = judgeFile(tx, origin, object);
  if (verdict === 'unchanged' || verdict === 'elsewhere') return verdict;
  const resolution = resolve(tx, origin.path);
  if (verdict === 'gone') {
    const {parent, place} = resolution;
    deleteEntry(tx, parent.id, place!.name, place!.kind);
    deleteInode(tx, place!, inode!);
    childRemoved(tx, op, parent);
    return verdict;
  }
  const seen = object!;
  if (verdict === 'metadata') {
    writeInode(tx, {...inode!, content: completed(inode!.content!, seen)!, checkedAt: Math.max(checkedBy(inode!, op), origin.startedAt)}, origin.storeKey);
    return verdict;
  }
  const parents = origin.capabilities.directories ? 'explicit' : 'implied';
  if (seen.target !== undefined) {
    const parent = parentFor(tx, op, resolution, 'implied');
    setFile(tx, parent, symlinkOf(op, parent, origin, seen, seen.target), inode);
    return verdict;
  }
  if (inode?.links !== undefined) {
    replaceShared(tx, resolution.place!, inode, contentOf(op, origin.mount, origin.storeKey, seen, origin.capabilities.metadata), origin.startedAt);
    return verdict;
  }
  putFile(tx, op, origin.path, {
    archived: 'lost', content: contentOf(op, origin.mount, origin.storeKey, seen, origin.capabilities.metadata),
    mode: seen.mode, uid: seen.uid, gid: seen.gid, mtime: seen.modified, checkedAt: origin.startedAt, ...(resolution.depth === origin.path.names.length - 1 ? {} : {parents}),
  });
  return verdict;
}

function symlinkOf(op: Operation, parent: Place, {path, startedAt}: ObjectOrigin, seen: SeenObject, target: ByteString): Inode {
  return {
    id: op.ids.next(), kind: 'symlink', parent: parent.id, name: path.names.at(-1)!, mode: 0o777, uid: seen.uid ?? 0, gid: seen.gid ?? 0,
    atime: op.now, mtime: seen.modified, ctime: op.now, target, checkedAt: startedAt,
  };
}
